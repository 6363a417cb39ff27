"""A released model turned back into a network that can be trained on.

An exported network holds its weights as constants, every batch norm folded into the convolution before it
(`folding.py`). A norm with the mean and variance of that convolution's outputs, and with the scale and offset
that undo them, changes nothing in inference, and in training the network has its norms back.
"""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np

from ifrp_tf import model_folder, networks
from ifrp_tf.errors import ModelError
from ifrp_tf.folding import fold_batch_norms, partners

_BATCH, _VARIANCE = 16, 1e-8


def load_released(folder: str | Path, portraits: np.ndarray) -> keras.Model:
    """The SRN of a version folder, ready to be trained further; needs TensorFlow to read the folder.

    Args:
        folder: a version folder, verified against its `SHA256SUMS`.
        portraits: float32 [N, S, S, 3] in [-1, 1], as in training: some hundreds.

    Returns:
        The float32 network that `networks.build_srn` makes of the folder's configuration.

    Raises:
        ModelError: if the folder is damaged, or its weights are not those of its configuration.

    Example:
        >>> load_released("saved_models/ifrp/1", portraits)  # doctest: +SKIP
    """
    place = model_folder.locate(folder)
    model_folder.verify(place.path)
    config = model_folder.read_config(place)
    srn = networks.build_srn(config.model, side=config.data.side)
    folded = fold_batch_norms(srn)
    _assign(folded, _constants(place.path), place.path)
    pairs = partners(srn)
    moments = _moments(folded, sorted(set(pairs.values())), portraits)
    for layer in folded.layers:
        if layer.weights:
            srn.get_layer(layer.name).set_weights(layer.get_weights())
    for norm_name, layer_name in pairs.items():
        norm, (mean, variance) = srn.get_layer(norm_name), moments[layer_name]
        norm.set_weights([np.sqrt(variance + norm.epsilon), mean, mean, variance])
    return srn


def _constants(folder: Path) -> list[np.ndarray]:
    """The float16 constants of the function that holds most of them, in the order of their making."""
    import tensorflow as tf
    from tensorflow.core.protobuf import saved_model_pb2

    model = saved_model_pb2.SavedModel()
    model.ParseFromString((folder / "saved_model.pb").read_bytes())
    half = tf.float16.as_datatype_enum
    found = [
        [node for node in function.node_def if node.op == "Const" and node.attr["dtype"].type == half]
        for function in model.meta_graphs[0].graph_def.library.function
    ]
    return [tf.make_ndarray(node.attr["value"].tensor) for node in max(found, key=len)]


def _assign(folded: keras.Model, constants: list[np.ndarray], folder: Path) -> None:
    variables = [*folded.trainable_variables, *folded.non_trainable_variables]  # the order of `export`
    shapes = [variable.shape for variable in variables]
    if [array.shape for array in constants] != shapes:
        raise ModelError(
            f"Expected the {len(shapes)} arrays of the configuration in {str(folder)!r}. "
            f"Received: {len(constants)}, or others.",
            hint="It was exported by another version of this package.",
        )
    for variable, array in zip(variables, constants, strict=True):
        variable.assign(array.astype(np.float32))


def _moments(
    model: keras.Model, names: list[str], portraits: np.ndarray
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Mean and variance of each channel of the outputs of layers."""
    probe = keras.Model(model.input, [model.get_layer(name).output for name in names])
    sums = {name: np.zeros((2, model.get_layer(name).output.shape[-1])) for name in names}
    batches = [portraits[k : k + _BATCH] for k in range(0, len(portraits), _BATCH)]
    for batch in batches:
        for name, output in zip(names, probe(batch, training=False), strict=True):
            flat = keras.ops.convert_to_numpy(output).astype(np.float64)
            flat = flat.reshape(-1, flat.shape[-1])
            sums[name] += np.stack([flat.mean(axis=0), np.square(flat).mean(axis=0)]) * len(batch)
    found = {}
    for name, (first, second) in sums.items():
        mean = first / len(portraits)
        found[name] = (mean, np.maximum(second / len(portraits) - np.square(mean), _VARIANCE))
    return found
