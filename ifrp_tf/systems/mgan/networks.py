"""The networks of the Markovian GAN as in the authors' code, one stage of VGG-19 lower."""

from __future__ import annotations

import keras

from ifrp_tf.nn.features import networks as features
from ifrp_tf.nn.layers import LEAKY_SLOPE, normalize
from ifrp_tf.systems.mgan.settings import ModelConfig

ENCODER_LAYER = "block3_conv4"


def build_generator(config: ModelConfig, *, side: int = 128, weights: str | None = None) -> keras.Model:
    """VGG-19 up to relu3_4, pooled (frozen), and a decoder: 3x3, three doublings by 4x4, batch norm, tanh.

    Args:
        config: width.
        side: of the pictures, pixels, a multiple of 8.
        weights: folder with VGG-19's archive; None leaves the encoder random until weights are loaded.

    Input shape: `(N, side, side, 3)`, float32 in [-1, 1].
    Output shape: `(N, side, side, 3)`, float32 in (-1, 1).
    """
    encoder = features.vgg19(weights, outputs=(ENCODER_LAYER,), side=side)
    portrait = keras.Input((side, side, 3), name="portrait")
    x = keras.layers.MaxPooling2D(2, name="block3_pool")(encoder(portrait))
    x = keras.layers.Rescaling(1 / 255, name="code")(x)  # VGG's features are as large as grey levels
    x = keras.layers.Conv2D(config.width, 3, padding="same", name="d4_conv")(x)
    x = keras.layers.ReLU(name="d4_relu")(normalize(x, "batch", "d4_norm"))
    for k, part in ((3, 2), (2, 4)):
        x = keras.layers.Conv2DTranspose(
            config.width // part, 4, strides=2, padding="same", name=f"d{k}_conv"
        )(x)
        x = keras.layers.ReLU(name=f"d{k}_relu")(normalize(x, "batch", f"d{k}_norm"))
    x = keras.layers.Conv2DTranspose(3, 4, strides=2, padding="same", name="d1_conv")(x)
    photo = keras.layers.Activation("tanh", dtype="float32", name="photo")(x)
    return keras.Model(portrait, photo, name="mgan_generator")


def build_critic(config: ModelConfig, *, side: int, channels: int) -> keras.Model:
    """The patch critic on features of VGG-19: leaky, 4x4 s2, norm, leaky, 4x4 s2, norm, leaky, 1x1.

    Args:
        config: critic_width.
        side: of the feature maps.
        channels: of the feature maps.

    Input shape: `(N, side, side, channels)`, float32.
    Output shape: `(N, P, P, 1)`, float32 scores, the outermost patches left out (they see the padding).
    """
    maps = keras.Input((side, side, channels), name="maps")
    x = keras.layers.LeakyReLU(LEAKY_SLOPE, name="c0_leaky")(maps)
    for k in (1, 2):
        x = keras.layers.Conv2D(config.critic_width * k, 4, strides=2, padding="same", name=f"c{k}_conv")(x)
        x = keras.layers.LeakyReLU(LEAKY_SLOPE, name=f"c{k}_leaky")(normalize(x, "batch", f"c{k}_norm"))
    x = keras.layers.Conv2D(1, 1, dtype="float32", name="score")(x)
    return keras.Model(maps, keras.layers.Cropping2D(1, dtype="float32", name="inner")(x), name="mgan_critic")
