"""The networks of DIAT, after the authors' code: U-shaped transform, mask, critic."""

from __future__ import annotations

import math
from typing import Any

import keras
import numpy as np
from keras import ops

from ifrp_tf.core.types import Tensor
from ifrp_tf.nn.layers import LEAKY_SLOPE
from ifrp_tf.systems.diat.settings import ModelConfig

CELL = 4
"""Pixels of a side of a cell of the mask."""

_SIGMA = 2.0
_EVERYTHING = 2.2  # bias of the mask's last convolution: at first .9, above the threshold, everywhere
_FEATURES = 4  # the critic's convolution whose map is that of the adaptive term


def build_transform(config: ModelConfig, *, side: int = 128) -> keras.Model:
    """What is to be there, where it is to be, and the two put together: `y = m T(x) + (1 - m) x`.

    T: 4x4 convolutions of stride 2 down to 4 pixels, then depth-to-space and 3x3 convolutions whose results
    are added to the maps of equal size on the way down; batch norm and PReLU after all but the last.

    Args:
        config: width and soft.
        side: of the pictures, pixels: a power of two, 32 at least.

    Input shape: `(N, side, side, 3)`, float32 in [-1, 1].
    Output shape: dict of float32 `picture` `(N, side, side, 3)` in [-1, 1], `mask` `(N, side, side, 1)` and
        `cells` `(N, side / 4, side / 4, 1)`, 0 to 1: the mask before it was cut and smoothed.
    """
    photo = keras.Input((side, side, 3), name="photo")
    levels = int(math.log2(side)) - 2
    widths = [config.width * min(2**k, 8) for k in range(levels)]
    x, maps = photo, []
    for k, width in enumerate(widths):
        x = _unit(x, width, 4, f"down{k + 1}", strides=2)
        maps.append(x)
    for k in reversed(range(levels - 1)):
        x = _unit(depth_to_space(x), widths[k], 3, f"up{k + 1}")
        x = keras.layers.Add(name=f"up{k + 1}_add")([x, maps[k]])
    x = keras.layers.Conv2D(3, 5, padding="same", name="changed_conv")(depth_to_space(x))
    changed = keras.layers.Activation("tanh", dtype="float32", name="changed")(x)
    mask, cells = SmoothMask(config.soft, name="mask")(_cells(photo, config.width))
    picture = ops.cast(compose(changed, photo, mask), "float32")
    return keras.Model(photo, {"picture": picture, "mask": mask, "cells": cells}, name="transform")


def build_critic(width: int, *, side: int = 128) -> keras.Model:
    """4x4 convolutions of stride 2 down to 2 pixels, without norms, and one number.

    Args:
        width: channels of the first one; then 2, 4, 4 and so on times as many.
        side: of the pictures, pixels: a power of two, 32 at least.

    Input shape: `(N, side, side, 3)`, float32 in [-1, 1].
    Output shape: dict of float32 `score` `(N, 1)`, larger for what it takes for real, and `features`, the
        map of the fourth convolution.
    """
    photo = keras.Input((side, side, 3), name="photo")
    x, features = photo, photo
    for k in range(1, int(math.log2(side))):
        filters = width * min(2 ** (k - 1), 4)
        x = keras.layers.Conv2D(filters, 4, strides=2, padding="same", name=f"c{k}_conv")(x)
        x = keras.layers.LeakyReLU(LEAKY_SLOPE, name=f"c{k}_leaky")(x)
        features = x if k == _FEATURES else features
    score = keras.layers.Dense(1, dtype="float32", name="score")(keras.layers.Flatten(name="flat")(x))
    return keras.Model(photo, {"score": score, "features": ops.cast(features, "float32")}, name="critic")


def compose(changed: Tensor, photo: Tensor, mask: Tensor) -> Tensor:
    """`m T(x) + (1 - m) x`: the photograph to the bit where the mask is 0."""
    return mask * changed + (1.0 - mask) * photo


def depth_to_space(x: Tensor) -> Tensor:
    """[N, H, W, 4 C] to [N, 2 H, 2 W, C]: each position becomes a square of four."""
    height, width, channels = x.shape[1:]
    x = ops.reshape(x, (-1, height, width, 2, 2, channels // 4))
    return ops.reshape(ops.transpose(x, (0, 1, 3, 2, 4, 5)), (-1, 2 * height, 2 * width, channels // 4))


@keras.saving.register_keras_serializable("ifrp_tf")
class SmoothMask(keras.layers.Layer):
    """Logits of cells to a mask of pixels with soft borders (authors' code).

    Sigmoid, a Gaussian over cells, a threshold of one half through which gradients pass as if it were not
    there (straight-through), enlargement, a Gaussian over pixels.

    Args:
        soft: without the threshold.

    Input shape: `(N, H, W, 1)`.
    Output shape: float32 `(N, 4 H, 4 W, 1)` and `(N, H, W, 1)`, the sigmoid, both 0 to 1.
    """

    def __init__(self, soft: bool = False, **options: Any) -> None:
        super().__init__(**{**options, "dtype": "float32"})
        self.soft = soft

    def call(self, logits: Tensor) -> tuple[Tensor, Tensor]:
        """The mask, and what it was made of."""
        cells = ops.sigmoid(ops.cast(logits, "float32"))
        smooth = _blurred(cells, 5)
        if not self.soft:
            smooth = smooth + ops.stop_gradient(ops.cast(smooth > 0.5, "float32") - smooth)
        large = ops.repeat(ops.repeat(smooth, CELL, axis=1), CELL, axis=2)
        return _blurred(large, 2 * CELL + 1), cells

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {**super().get_config(), "soft": self.soft}


def _cells(photo: Tensor, width: int) -> Tensor:
    """Logits of the mask, a cell for every 4 x 4 pixels."""
    x = _unit(photo, width // 2, 4, "mask1", strides=2)
    x = _unit(x, width, 4, "mask2", strides=2)
    x = _unit(x, 2 * width, 3, "mask3")
    x = _unit(x, width, 3, "mask4")
    start = keras.initializers.Constant(_EVERYTHING)
    small = keras.initializers.RandomNormal(stddev=0.01, seed=0)
    return keras.layers.Conv2D(
        1, 3, padding="same", bias_initializer=start, kernel_initializer=small, dtype="float32", name="cells"
    )(x)


def _unit(x: Tensor, filters: int, kernel: int, name: str, strides: int = 1) -> Tensor:
    x = keras.layers.Conv2D(filters, kernel, strides=strides, padding="same", name=f"{name}_conv")(x)
    x = keras.layers.BatchNormalization(name=f"{name}_norm")(x)
    slope = keras.initializers.Constant(0.25)
    return keras.layers.PReLU(slope, shared_axes=[1, 2], name=f"{name}_prelu")(x)


def _blurred(x: Tensor, size: int) -> Tensor:
    """Maps [N, H, W, 1] under a normalised Gaussian of so many cells, reflected at the border."""
    reach = size // 2
    taps = np.exp(-0.5 * (np.arange(-reach, reach + 1) / _SIGMA) ** 2)
    kernel = np.outer(taps, taps)[:, :, None, None] / taps.sum() ** 2
    x = ops.pad(x, [[0, 0], [reach, reach], [reach, reach], [0, 0]], mode="reflect")
    return ops.conv(x, kernel.astype(np.float32), padding="valid")
