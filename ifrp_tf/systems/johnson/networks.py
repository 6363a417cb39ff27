"""The image transformation network of Johnson et al. (supplementary material, table 1)."""

from __future__ import annotations

import keras
from keras import ops

from ifrp_tf.core.types import Tensor
from ifrp_tf.nn.layers import normalize
from ifrp_tf.systems.johnson.settings import ModelConfig


def build_transformer(config: ModelConfig, *, side: int = 128) -> keras.Model:
    """`c9s1-w, d2w, d4w, R4w x blocks, u2w, uw, c9s1-3`.

    One reflection of 8 pixels a block is put around the picture at the start, because the convolutions of the
    residual blocks have no padding: 40 pixels for five blocks, as in the paper. Instance norm in place of
    batch norm (Ulyanov et al. 2016), tanh.

    Args:
        config: width and blocks.
        side: of the pictures, pixels, a multiple of 4.

    Input shape: `(N, side, side, 3)`, float32 in [-1, 1].
    Output shape: `(N, side, side, 3)`, float32 in (-1, 1).

    Example:
        >>> build_transformer(ModelConfig(width=8, blocks=2), side=32).output_shape
        (None, 32, 32, 3)
    """
    width = config.width
    portrait = keras.Input((side, side, 3), name="portrait")
    x = _reflected(portrait, 8 * config.blocks)
    for k, (channels, kernel, stride) in enumerate(((width, 9, 1), (2 * width, 3, 2), (4 * width, 3, 2)), 1):
        x = keras.layers.Conv2D(channels, kernel, strides=stride, padding="same", name=f"e{k}_conv")(x)
        x = keras.layers.ReLU(name=f"e{k}_relu")(normalize(x, "instance", f"e{k}_norm"))
    for k in range(1, config.blocks + 1):
        y = keras.layers.Conv2D(4 * width, 3, name=f"block{k}_conv1")(x)
        y = keras.layers.ReLU(name=f"block{k}_relu")(normalize(y, "instance", f"block{k}_norm1"))
        y = keras.layers.Conv2D(4 * width, 3, name=f"block{k}_conv2")(y)
        y = normalize(y, "instance", f"block{k}_norm2")
        x = keras.layers.Add(name=f"block{k}_add")([keras.layers.Cropping2D(2, name=f"block{k}_crop")(x), y])
    for k, channels in ((2, 2 * width), (1, width)):
        x = keras.layers.Conv2DTranspose(channels, 3, strides=2, padding="same", name=f"d{k}_conv")(x)
        x = keras.layers.ReLU(name=f"d{k}_relu")(normalize(x, "instance", f"d{k}_norm"))
    x = keras.layers.Conv2D(3, 9, padding="same", name="photo_conv")(x)
    photo = keras.layers.Activation("tanh", dtype="float32", name="photo")(x)
    return keras.Model(portrait, photo, name="johnson_transformer")


def _reflected(x: Tensor, margin: int) -> Tensor:
    """Mirrored about the border, also where the margin is as wide as the picture."""
    while margin > 0:
        part = min(margin, x.shape[1] - 1)
        x = ops.pad(x, [[0, 0], [part, part], [part, part], [0, 0]], mode="reflect")
        margin -= part
    return x
