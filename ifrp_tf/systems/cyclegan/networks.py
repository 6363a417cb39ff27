"""The networks of CycleGAN as in the authors' code: residual generator, 70-pixel patch critic, image pool."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from ifrp_tf.core.types import Tensor
from ifrp_tf.nn.layers import LEAKY_SLOPE
from ifrp_tf.systems.cyclegan.settings import ModelConfig


def build_generator(config: ModelConfig, *, side: int = 128, name: str = "generator") -> keras.Model:
    """`c7s1-w, d2w, d4w, R4w x blocks, u2w, uw, c7s1-3` (paper, appendix 7.2), instance norm, reflections.

    Args:
        config: width, blocks and reduce.
        side: of the pictures, pixels, a multiple of 4 `config.reduce`.
        name: of the model.

    Input shape: `(N, side, side, 3)`, float32 in [-1, 1].
    Output shape: `(N, side, side, 3)`, float32 in (-1, 1).
    """
    width = config.width
    picture = keras.Input((side, side, 3), name="picture")
    x = _reduced(picture, config)
    x = _normalised(keras.layers.Conv2D(width, 7, name="e1_conv")(_reflected(x, 3)), "e1")
    for k in (1, 2):
        x = keras.layers.Conv2D(width * 2**k, 3, strides=2, padding="same", name=f"e{k + 1}_conv")(x)
        x = _normalised(x, f"e{k + 1}")
    for k in range(1, config.blocks + 1):
        y = keras.layers.Conv2D(4 * width, 3, name=f"block{k}_conv1")(_reflected(x, 1))
        y = _normalised(y, f"block{k}_1")
        y = keras.layers.Conv2D(4 * width, 3, name=f"block{k}_conv2")(_reflected(y, 1))
        x = keras.layers.Add(name=f"block{k}_add")([x, _normalised(y, f"block{k}_2", relu=False)])
    for k in (1, 0):
        x = keras.layers.Conv2DTranspose(width * 2**k, 3, strides=2, padding="same", name=f"d{k + 1}_conv")(x)
        x = _normalised(x, f"d{k + 1}")
    x = keras.layers.Conv2D(3, 7, name="photo_conv")(_reflected(x, 3))
    x = keras.layers.Activation("tanh", dtype="float32", name="small" if config.reduce > 1 else "photo")(x)
    if config.reduce > 1:
        x = keras.layers.UpSampling2D(config.reduce, interpolation="bilinear", dtype="float32", name="photo")(
            x
        )
    return keras.Model(picture, x, name=name)


def build_critic(config: ModelConfig, *, side: int = 128, name: str = "critic") -> keras.Model:
    """The patch critic of 70 pixels; it sees one picture.

    Args:
        config: critic_width and reduce.
        side: of the pictures, pixels, at least 32 `config.reduce`.
        name: of the model.

    Input shape: `(N, side, side, 3)`, float32 in [-1, 1].
    Output shape: `(N, P, P, 1)`, float32, P = side / reduce / 8 - 2: 1 for what it takes for real.
    """
    picture = keras.Input((side, side, 3), name="picture")
    x = _reduced(picture, config)
    for k in range(1, 5):
        x = keras.layers.ZeroPadding2D(1, name=f"c{k}_pad")(x)
        x = keras.layers.Conv2D(
            config.critic_width * 2 ** (k - 1), 4, strides=2 if k < 4 else 1, name=f"c{k}_conv"
        )(x)
        if k > 1:
            x = _normalised(x, f"c{k}", relu=False)
        x = keras.layers.LeakyReLU(LEAKY_SLOPE, name=f"c{k}_leaky")(x)
    x = keras.layers.ZeroPadding2D(1, name="score_pad")(x)
    return keras.Model(picture, keras.layers.Conv2D(1, 4, dtype="float32", name="score")(x), name=name)


@keras.saving.register_keras_serializable("ifrp_tf")
class ImagePool(keras.layers.Layer):
    """Pictures that a generator made before, for its critic (paper, section 4, after Shrivastava et al.).

    The first `size` pictures are kept and passed on. From then on every second picture, on average, is
    exchanged for one that is kept. Which and where is a golden-ratio sequence of the number of the picture in
    place of random numbers: evenly spread, and what a checkpoint holds is enough to go on with it.

    Args:
        size: pictures that are kept, at least 3 batches.

    Input shape: `(N, H, W, 3)`, float32.
    Output shape: the same.
    """

    def __init__(self, size: int, **options: Any) -> None:
        super().__init__(**{**options, "dtype": "float32"})
        self.size = size

    def build(self, input_shape: Any) -> None:
        """Makes room for the pictures."""
        self.kept = self.add_weight(
            shape=(self.size, *input_shape[1:]), initializer="zeros", trainable=False, name="kept"
        )
        self.count = self.add_weight(
            shape=(), dtype="int32", initializer="zeros", trainable=False, name="count"
        )

    def call(self, pictures: Tensor, training: bool = False) -> Tensor:
        """Passes pictures on, or earlier ones in their place while training."""
        if not training:
            return pictures
        pictures = ops.cast(pictures, "float32")
        number = self.count + ops.arange(ops.shape(pictures)[0], dtype="int32")
        full = number >= self.size
        place = ops.where(full, _spread(number, 20_251) * self.size // _TURN, number)
        exchange = ops.logical_and(full, _spread(number, 13_573) < _TURN // 2)[:, None, None, None]
        stored = ops.take(self.kept, place, axis=0)
        writes = ops.logical_or(exchange, ops.logical_not(full)[:, None, None, None])
        updates = ops.where(writes, pictures, stored)
        self.kept.assign(ops.scatter_update(self.kept, place[:, None], updates))
        self.count.assign(self.count + ops.shape(pictures)[0])
        return ops.where(exchange, stored, pictures)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {**super().get_config(), "size": self.size}


_TURN = 32_768


def _spread(number: Tensor, multiplier: int) -> Tensor:
    """Integers from 0 to _TURN - 1 that are spread evenly over consecutive numbers."""
    return (number % _TURN) * multiplier % _TURN


def build_pool(config: ModelConfig, *, side: int = 128, name: str = "pool") -> keras.Model:
    """A network with one layer, an `ImagePool`."""
    picture = keras.Input((side, side, 3), name="picture")
    return keras.Model(picture, ImagePool(config.pool, name="pool")(picture), name=name)


def _reduced(picture: Tensor, config: ModelConfig) -> Tensor:
    return (
        keras.layers.AveragePooling2D(config.reduce, name="reduced")(picture)
        if config.reduce > 1
        else picture
    )


def _reflected(x: Tensor, margin: int) -> Tensor:
    return ops.pad(x, [[0, 0], [margin, margin], [margin, margin], [0, 0]], mode="reflect")


def _normalised(x: Tensor, name: str, relu: bool = True) -> Tensor:
    """Instance norm without scale and shift, as in the authors' code, and a ReLU."""
    x = keras.layers.GroupNormalization(
        groups=-1, epsilon=1e-5, center=False, scale=False, name=f"{name}_norm"
    )(x)
    return keras.layers.ReLU(name=f"{name}_relu")(x) if relu else x
