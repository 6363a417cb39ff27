"""The networks of Cole et al. (2017): an encoder that is a frozen recogniser, and a decoder of two halves."""

from __future__ import annotations

from pathlib import Path

import keras
from keras import layers, ops

from ifrp_tf.data.landmarks import COUNT, mean_shape
from ifrp_tf.nn.features import networks as features
from ifrp_tf.nn.layers import ResizeConv2D
from ifrp_tf.systems.normalised_face.settings import SIDE, ModelConfig

FEATURES = 512
"""Numbers that MobileFaceNet makes of a face before its last, dense layer."""

LAYER = "conv_6dw7_7"
DECODER, STANDARD = "decoder", "standard"

_START = 8  # pixels of the smallest texture


def build_decoder(config: ModelConfig) -> keras.Model:
    """Features to landmarks and a texture (paper, section 3.1).

    The paper's transposed 5x5 convolutions, which overlap unevenly, are doublings with 3x3 convolutions. The
    landmarks start at the mean shape. The layer `standard` holds the features' means and variances, which
    come with the data and are not trained.

    Args:
        config: widths.

    Input shape: `(N, 512)`, float32.
    Output shape: `landmarks` `(N, 68, 2)`, fractions of the side, and `texture` `(N, 128, 128, 3)`, about
    [-1, 1], both float32.
    """
    given = keras.Input((FEATURES,), name="features")
    standard = layers.BatchNormalization(
        center=False, scale=False, trainable=False, dtype="float32", name=STANDARD
    )(given)
    hidden = layers.Dense(config.hidden, activation="relu", name="shared")(standard)
    x = hidden
    for k in (1, 2):
        x = layers.Dense(256, activation="relu", name=f"landmarks_dense{k}")(x)
    small = keras.initializers.RandomNormal(stddev=1e-3)  # large steps at first would fold the warp
    shape = layers.Dense(2 * COUNT, kernel_initializer=small, dtype="float32", name="landmarks_dense3")
    x = shape(x)
    points = layers.Reshape((COUNT, 2), dtype="float32", name="landmarks")(x)
    x = layers.Dense(_START * _START * config.width, activation="relu", name="texture_dense")(hidden)
    x = layers.Reshape((_START, _START, config.width), name="texture_start")(x)
    side, k = _START, 0
    while side < SIDE:
        side, k = 2 * side, k + 1
        channels = max(config.width // max(1, side // 16), 16) if side > 16 else config.width
        x = ResizeConv2D(channels, activation="relu", name=f"texture_conv{k}")(x)
    x = layers.Conv2D(3, 1, dtype="float32", name="texture")(x)
    shape.bias.assign(mean_shape().ravel())
    return keras.Model(given, {"landmarks": points, "texture": x}, name=DECODER)


def build_normaliser(config: ModelConfig, weights: str | Path | None) -> keras.Model:
    """Photographs to landmarks and textures: the mean of the features of a face and of its mirror image.

    Args:
        config: of the decoder.
        weights: folder with MobileFaceNet's archive; None leaves it random, to be loaded.

    Input shape: `(N, 128, 128, 3)`, float32 in [-1, 1], the tight frame.
    Output shape: as of `build_decoder`.
    """
    photo = keras.Input((SIDE, SIDE, 3), name="photo")
    encoder = build_encoder(weights)
    both = layers.Average(dtype="float32", name="mean")([encoder(photo), encoder(ops.flip(photo, axis=2))])
    return keras.Model(photo, build_decoder(config)(both), name="normaliser")


def build_encoder(weights: str | Path | None) -> keras.Model:
    """Photographs float32 [N, 128, 128, 3] in [-1, 1] to features [N, 512]; frozen."""
    network = features.mobilefacenet(weights, outputs=(LAYER,))
    flat = layers.Reshape((FEATURES,), dtype="float32", name="flat")(network.output)
    encoder = keras.Model(network.input, flat, name="encoder")
    encoder.trainable = False
    return encoder
