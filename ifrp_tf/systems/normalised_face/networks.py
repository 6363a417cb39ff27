"""The networks of Cole et al. (2017): an encoder that is a frozen recogniser, and a decoder of two halves."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
from keras import layers, ops

from ifrp_tf.core.types import Tensor
from ifrp_tf.data.landmarks import COUNT, mean_shape
from ifrp_tf.nn.features import networks as features
from ifrp_tf.nn.layers import ResizeConv2D
from ifrp_tf.systems.normalised_face.linear import SMALL, Linear
from ifrp_tf.systems.normalised_face.settings import SIDE, ModelConfig

FEATURES = 512
"""Numbers that MobileFaceNet makes of a face before its last, dense layer."""

LAYER, EPSILON = "conv_6dw7_7", 1e-3
DECODER, STANDARD, PERSON = "decoder", "standard", "person"
LINEAR = ("linear_landmarks", "linear_inner", "linear_outer")

_START = 8  # pixels of the smallest texture


def build_decoder(config: ModelConfig) -> keras.Model:
    """Features to landmarks and a texture (paper, section 3.1).

    The paper's transposed 5x5 convolutions, which overlap unevenly, are doublings with 3x3 convolutions.
    Their answer is added to that of a linear decoder, which is found in closed form (`linear.fit`); it, the
    means and variances of the features, and the map to what tells persons apart come with the data (`assign`)
    and are not trained.

    Args:
        config: widths.

    Input shape: `(N, 512)`, float32.
    Output shape: `landmarks` `(N, 68, 2)`, fractions of the side, and `texture` `(N, 128, 128, 3)`, about
    [-1, 1], both float32.
    """
    given = keras.Input((FEATURES,), name="features")
    standard = layers.BatchNormalization(
        epsilon=EPSILON, center=False, scale=False, trainable=False, dtype="float32", name=STANDARD
    )(given)

    if config.within:
        standard = layers.Dense(
            FEATURES,
            use_bias=False,
            kernel_initializer="zeros",
            trainable=False,
            dtype="float32",
            name=PERSON,
        )(standard)

    def linear(x: Tensor, size: int, name: str) -> Tensor:
        return layers.Dense(size, kernel_initializer="zeros", trainable=False, dtype="float32", name=name)(x)

    points = linear(standard, 2 * COUNT, LINEAR[0])
    texture = linear(linear(standard, config.rank, LINEAR[1]), SMALL * SMALL * 3, LINEAR[2])
    texture = layers.Reshape((SMALL, SMALL, 3), dtype="float32", name="linear_small")(texture)
    texture = layers.UpSampling2D(
        SIDE // SMALL, interpolation="bilinear", dtype="float32", name="linear_large"
    )(texture)
    # What is not linear begins at nothing.
    hidden = layers.Dense(config.hidden, activation="relu", name="shared")(standard)
    x = hidden
    for k in (1, 2):
        x = layers.Dense(256, activation="relu", name=f"landmarks_dense{k}")(x)
    x = layers.Dense(2 * COUNT, kernel_initializer="zeros", dtype="float32", name="landmarks_dense3")(x)
    points = layers.Add(dtype="float32", name="landmarks_sum")([points, x])
    points = layers.Reshape((COUNT, 2), dtype="float32", name="landmarks")(points)
    x = layers.Dense(_START * _START * config.width, activation="relu", name="texture_dense")(hidden)
    x = layers.Reshape((_START, _START, config.width), name="texture_start")(x)
    side, k = _START, 0
    while side < SIDE:
        side, k = 2 * side, k + 1
        channels = max(config.width // max(1, side // 16), 16) if side > 16 else config.width
        x = ResizeConv2D(channels, activation="relu", name=f"texture_conv{k}")(x)
    x = layers.Conv2D(3, 1, kernel_initializer="zeros", dtype="float32", name="texture_conv")(x)
    x = layers.Add(dtype="float32", name="texture")([texture, x])
    decoder = keras.Model(given, {"landmarks": points, "texture": x}, name=DECODER)
    decoder.get_layer(LINEAR[0]).bias.assign(mean_shape().ravel())
    return decoder


def assign(
    decoder: keras.Model, mean: np.ndarray, variance: np.ndarray, person: np.ndarray | None, found: Linear
) -> None:
    """Sets what comes with the data and is not trained.

    Args:
        decoder: of `build_decoder`.
        mean, variance: float [512], of the features.
        person: float [512, 512], of `linear.person_map`; None where the decoder has none.
        found: the linear decoder.
    """
    standard = decoder.get_layer(STANDARD)
    standard.moving_mean.assign(mean)
    standard.moving_variance.assign(variance)
    if person is not None:
        decoder.get_layer(PERSON).set_weights([person])
    shape, inner, outer = (decoder.get_layer(name) for name in LINEAR)
    shape.set_weights([found.shape, found.shape_bias])
    inner.set_weights([found.inner, np.zeros(found.inner.shape[1], np.float32)])
    outer.set_weights([found.outer, found.texture_bias])


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
