"""Checks shared by the tests of several rooms."""

import itertools
import os
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from ifrp_tf.pictures import images

ROOT = Path(__file__).resolve().parents[2]


def jax_environment():
    """The environment of a process whose Keras runs on JAX, on the CPU, with this package."""
    return {
        **os.environ,
        "KERAS_BACKEND": "jax",
        "JAX_PLATFORMS": "cpu",
        "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests' / 'support'}",
    }


def both_ways(function, *arrays, tolerance=1e-5):
    """`function(*arrays)` run eagerly and as a `tf.data` map of one element: equal, so returned once."""
    eager = np.asarray(function(*arrays))
    dataset = tf.data.Dataset.from_tensors(tuple(arrays)).map(lambda *parts: function(*parts))
    (mapped,) = list(dataset.as_numpy_iterator())
    np.testing.assert_allclose(mapped, eager, rtol=tolerance, atol=tolerance)
    assert mapped.dtype == eager.dtype
    return eager


def check_layer(layer, inputs, folder, *, bfloat16_tolerance=0.03):
    """What every layer of the package must do; returns its output for `inputs`, an array or a list of them.

    Its configuration makes an equal layer, symbolic and eager shapes and types agree, a model with it
    survives a `.keras` file in safe mode, and mixed bfloat16 gives the same up to its precision.
    """
    config = layer.get_config()
    assert type(layer).from_config(config).get_config() == config
    expected = layer(inputs)

    specs = [keras.Input(array.shape[1:], dtype=str(array.dtype)) for array in as_list(inputs)]
    symbolic = layer(specs if isinstance(inputs, list) else specs[0])
    assert tuple(symbolic.shape[1:]) == tuple(expected.shape[1:])
    assert symbolic.dtype == keras.backend.standardize_dtype(expected.dtype)

    path = Path(folder) / "layer.keras"
    keras.Model(specs, symbolic).save(path)
    reloaded = keras.models.load_model(path)
    expected = np.asarray(expected, "float32")
    np.testing.assert_array_equal(reloaded(as_list(inputs)), expected)

    half = type(layer).from_config({**config, "dtype": "mixed_bfloat16"})(inputs)
    assert np.isfinite(np.asarray(half, "float32")).all()
    scale = np.abs(expected).max()
    assert np.abs(np.asarray(half, "float32") - expected).max() <= bfloat16_tolerance * scale
    return expected


def as_list(inputs):
    """`inputs` as a list of arrays."""
    return inputs if isinstance(inputs, list) else [inputs]


def pairwise(options):
    """Combinations of `options` (name -> values): any two values of two options meet at least once."""
    names = list(options)
    open_pairs = {
        ((a, x), (b, y)) for a, b in itertools.combinations(names, 2) for x in options[a] for y in options[b]
    }
    rows = []
    while open_pairs:
        row = dict(min(open_pairs, key=str))
        for name in names:
            if name not in row:
                row[name] = max(options[name], key=lambda value: _met(open_pairs, {**row, name: value}))
        open_pairs -= set(itertools.combinations([(name, row[name]) for name in names], 2))
        rows.append({name: row[name] for name in names})
    return rows


def _met(open_pairs, row):
    return sum(pair in row.items() and other in row.items() for pair, other in open_pairs)


def smooth_picture(side, channels=1, waves=2.0):
    """A smooth picture [1, side, side, channels] of slow waves, different along each axis, in [-1, 1]."""
    y, x = np.meshgrid(np.linspace(-1, 1, side), np.linspace(-1, 1, side), indexing="ij")
    layers = [
        np.sin(waves * (1.0 + 0.3 * c) * x + c) * np.cos(waves * y - 0.4 + 0.2 * c * x)
        for c in range(channels)
    ]
    return np.stack(layers, axis=-1)[None].astype("float32")


def write_drawings(folder, levels):
    """Pairs for `data.sketches`: sketches of one grey level each, and the levels of their photographs."""
    for sketch, photo in levels.items():
        for kind, level in (("sketch", sketch), ("photo", photo)):
            images.write_png(Path(folder) / kind / f"{sketch}.png", np.full((64, 64, 3), level, np.uint8))
