"""Shared by the tests of FaceNet: a weights file as Keras 2 wrote it, of a network with random weights."""

import h5py
import numpy as np


def package_network(network):
    """The package's own network, of 160x160 pictures, inside ours."""
    (inner,) = [layer for layer in network.layers if layer.weights]
    return inner


def draw(network, seed=5):
    """Gives every variable values as a trained network has them: no two alike, activations of about one."""
    random = np.random.default_rng(seed)
    for variable in network.weights:
        shape = tuple(variable.shape)
        if variable.name == "kernel":
            values = random.standard_normal(shape) * np.sqrt(2.0 / np.prod(shape[:-1]))
        elif variable.name == "moving_variance":
            values = random.uniform(0.5, 1.5, shape)
        else:
            values = 0.1 * random.standard_normal(shape)
        variable.assign(values.astype("float32"))


def write(path, network):
    """An HDF5 file of layer groups, each with its `weight_names`."""
    names = []
    with h5py.File(path, "w") as file:
        for layer in package_network(network).layers:
            group = file.create_group(layer.name)
            listed = []
            for variable in layer.weights:
                name = f"{layer.name}/{variable.name}:0"
                group[name] = np.asarray(variable)
                listed.append(name.encode())
            group.attrs["weight_names"] = listed
            names.append(layer.name.encode())
        file.attrs.update({"layer_names": names, "backend": b"tensorflow", "keras_version": b"2.4.0"})
    return path
