"""The critic of recovery that is told attributes; its recovering network is `build_srn(attributes=...)`."""

from __future__ import annotations

import keras
from keras import ops

from ifrp_tf.core.types import Tensor
from ifrp_tf.nn.layers import LEAKY_SLOPE


def build_critic(width: int, attributes: int, *, side: int = 128) -> keras.Model:
    """Four strided convolutions without norms and two heads on their mean (Miyato & Koyama 2018).

    Args:
        width: channels of the first convolution; each further one has twice as many.
        attributes: how many there are.
        side: side of the square pictures, pixels: a multiple of 16.

    Input shape: `(N, side, side, 3)`, float32 in [-1, 1].
    Output shape: `[(N, 1), (N, attributes)]`, float32: how real the picture is, and how well each attribute
        goes with it (`agreement`).
    """
    photo = keras.Input((side, side, 3), name="photo")
    x = photo
    for k in range(4):
        x = keras.layers.Conv2D(width * 2**k, 4, strides=2, padding="same", name=f"c{k + 1}_conv")(x)
        x = keras.layers.LeakyReLU(LEAKY_SLOPE, name=f"c{k + 1}_leaky")(x)
    x = keras.layers.GlobalAveragePooling2D(name="mean", dtype="float32")(x)
    heads = [
        keras.layers.Dense(1, name="realism", dtype="float32")(x),
        keras.layers.Dense(attributes, use_bias=False, name="projection", dtype="float32")(x),
    ]
    return keras.Model(photo, heads, name="critic")


def agreement(realism: Tensor, projection: Tensor, attributes: Tensor) -> Tensor:
    """What a critic thinks of pictures with attributes: `u h + sum a_i (v_i h)`; unknown ones drop out.

    Args:
        realism: [N, 1], the first output of `build_critic`.
        projection: [N, A], its second one.
        attributes: [N, A] in [-1, 1], 0 for unknown.

    Returns:
        [N], (-inf, inf), larger for what is real and goes together.
    """
    return realism[:, 0] + ops.sum(projection * attributes, axis=1)


def wrong_attributes(attributes: Tensor, step: Tensor) -> tuple[Tensor, Tensor]:
    """Attributes that are not those of the pictures: their neighbours', where these differ.

    What is unknown of a picture, or of its neighbour, stays as it is; where no known attribute differs, one
    of them is turned around, another one every step.

    Args:
        attributes: [N, A] in {-1, 0, 1}.
        step: integer scalar.

    Returns:
        [N, A] in {-1, 0, 1}, and [N], 1 where they are wrong and 0 where nothing is known.
    """
    known = ops.abs(attributes)
    others = ops.roll(attributes, 1, axis=0)
    wrong = ops.where(known * ops.abs(others) > 0, others, attributes)
    count = attributes.shape[1]
    turn = (ops.arange(count, dtype="int64") + ops.cast(step, "int64")) % count + 1
    chosen = ops.one_hot(ops.argmax(known * ops.cast(turn, known.dtype), axis=1), count, dtype=known.dtype)
    same = ops.all(ops.equal(wrong, attributes), axis=1, keepdims=True)
    wrong = ops.where(same, attributes * (1.0 - 2.0 * chosen), wrong)
    return wrong, ops.cast(ops.any(known > 0, axis=1), "float32")
