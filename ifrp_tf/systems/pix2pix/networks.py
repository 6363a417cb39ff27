"""The networks of pix2pix as in the authors' code (`phillipi/pix2pix`): U-Net and 70-pixel patch critic."""

from __future__ import annotations

import math

import keras

from ifrp_tf.core.types import Tensor
from ifrp_tf.nn.layers import LEAKY_SLOPE, normalize
from ifrp_tf.systems.pix2pix.settings import ModelConfig

DROPOUT_STAGES = 3


def build_generator(config: ModelConfig, *, side: int = 128) -> keras.Model:
    """The U-Net: 4x4 convolutions of stride 2 down to one pixel, and their mirror image with skips.

    Args:
        config: width, normalization and dropout.
        side: of the pictures, pixels, a power of two.

    Input shape: `(N, side, side, 3)`, float32 in [-1, 1].
    Output shape: `(N, side, side, 3)`, float32 in (-1, 1).

    Example:
        >>> build_generator(ModelConfig(width=8), side=32).output_shape
        (None, 32, 32, 3)
    """
    stages = int(math.log2(side))
    widths = [config.width * min(2**k, 8) for k in range(stages)]
    portrait = keras.Input((side, side, 3), name="portrait")
    x, skips = portrait, []
    for k, width in enumerate(widths, 1):
        if k > 1:
            x = keras.layers.LeakyReLU(LEAKY_SLOPE, name=f"e{k}_leaky")(x)
        x = keras.layers.Conv2D(width, 4, strides=2, padding="same", name=f"e{k}_conv")(x)
        if 1 < k < stages:
            x = normalize(x, config.normalization, f"e{k}_norm")
        skips.append(x)
    for k in range(stages, 1, -1):
        x = keras.layers.ReLU(name=f"d{k}_relu")(x)
        x = keras.layers.Conv2DTranspose(widths[k - 2], 4, strides=2, padding="same", name=f"d{k}_conv")(x)
        x = normalize(x, config.normalization, f"d{k}_norm")
        if config.dropout and stages - k < DROPOUT_STAGES:
            x = keras.layers.Dropout(config.dropout, name=f"d{k}_dropout")(x)
        x = keras.layers.Concatenate(name=f"d{k}_skip")([x, skips[k - 2]])
    x = keras.layers.ReLU(name="d1_relu")(x)
    x = keras.layers.Conv2DTranspose(3, 4, strides=2, padding="same", name="d1_conv")(x)
    photo = keras.layers.Activation("tanh", dtype="float32", name="photo")(x)
    return keras.Model(portrait, photo, name="pix2pix_generator")


def build_critic(config: ModelConfig, *, side: int = 128) -> keras.Model:
    """The patch critic: each of its logits sees 70 x 70 pixels of the portrait and of a photograph.

    Args:
        config: critic_width and normalization.
        side: of the pictures, pixels, at least 32.

    Input: `[portrait, photo]`, float32 [N, side, side, 3] in [-1, 1] each.
    Output shape: `(N, side / 8 - 2, side / 8 - 2, 1)`, float32 logits.
    """
    portrait = keras.Input((side, side, 3), name="portrait")
    photo = keras.Input((side, side, 3), name="photo")
    x: Tensor = keras.layers.Concatenate(name="pair")([portrait, photo])
    for k in range(1, 5):
        x = keras.layers.ZeroPadding2D(1, name=f"c{k}_pad")(x)
        x = keras.layers.Conv2D(
            config.critic_width * 2 ** (k - 1), 4, strides=2 if k < 4 else 1, name=f"c{k}_conv"
        )(x)
        if k > 1:
            x = normalize(x, config.normalization, f"c{k}_norm")
        x = keras.layers.LeakyReLU(LEAKY_SLOPE, name=f"c{k}_leaky")(x)
    x = keras.layers.ZeroPadding2D(1, name="logits_pad")(x)
    logits = keras.layers.Conv2D(1, 4, dtype="float32", name="logits")(x)
    return keras.Model([portrait, photo], logits, name="pix2pix_critic")
