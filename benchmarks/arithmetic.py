"""How much a network computes: the multiply-adds under every timing of it."""

from __future__ import annotations

import math
from typing import Any

import keras

from ifrp_tf.core.errors import ModelError
from ifrp_tf.nn.layers import BoundTransform, ResizeConv2D, SpatialTransformer
from ifrp_tf.systems.ifrp.localisation import ComposeTransforms

# Nothing here, or a few operations an element, which run while the multiplications wait for memory.
_WITHOUT = (
    keras.layers.InputLayer, keras.layers.Activation, keras.layers.Add, keras.layers.AveragePooling2D,
    keras.layers.BatchNormalization, keras.layers.Concatenate, keras.layers.Flatten,
    keras.layers.GroupNormalization, keras.layers.LeakyReLU, keras.layers.MaxPooling2D, keras.layers.ReLU,
    keras.layers.Reshape, keras.layers.UpSampling2D, BoundTransform, ComposeTransforms,
)  # fmt: skip


def multiply_adds(model: keras.Model) -> int:
    """Multiply-adds of one pass of one picture: convolutions, dense layers and bilinear samplers.

    Counted as the layers are written: a tap on the padding counts, and so does a row that a transposed
    convolution cuts off. Normalisations, activations, pools and sums are left out.

    Args:
        model: functional, with one picture as input; its layers those of `networks.py`.

    Raises:
        ModelError: it has a layer that cannot be counted.

    Example:
        >>> multiply_adds(build_srn(ModelConfig(width=8, stn="none"), side=32))
        4493056
    """
    return sum(by_layer(model).values())


def by_layer(model: keras.Model) -> dict[str, int]:
    """What `multiply_adds` sums up, by layer name.

    Args:
        model: as for `multiply_adds`.

    Raises:
        ModelError: it has a layer that cannot be counted.
    """
    return {layer.name: _count(layer) for layer in model.layers}


def _count(layer: Any) -> int:
    if isinstance(layer, ResizeConv2D):  # computed with 4x4 taps
        return math.prod(layer.input.shape[1:3]) * 16 * math.prod(layer.kernel.shape[2:])
    if isinstance(layer, keras.layers.Conv2DTranspose):
        return math.prod(layer.input.shape[1:3]) * math.prod(layer.kernel.shape)
    if isinstance(layer, keras.layers.Conv2D):
        return math.prod(layer.output.shape[1:3]) * math.prod(layer.kernel.shape)
    if isinstance(layer, keras.layers.Dense):
        return math.prod(layer.output.shape[1:-1]) * math.prod(layer.kernel.shape)
    if isinstance(layer, SpatialTransformer):
        return 4 * math.prod(layer.output.shape[1:])
    if isinstance(layer, _WITHOUT):
        return 0
    raise ModelError(f"Expected layers of networks.py. Received: {layer.name!r}, a {type(layer).__name__}.")
