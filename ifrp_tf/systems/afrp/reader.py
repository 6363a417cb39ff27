"""Reads attributes in faces while a network is trained to show them: frozen, and found in seconds.

The critic's own head, trained beside the network as in the paper, read nothing after 16,000 pictures: its
loss fell from .60 to .58, what always the more frequent answer costs, and the network did not follow the
vector. A logistic regression on early maps of SqueezeNet reads test photographs as well as one on a
recogniser's features (sex 96, mouth 91, smile 88 %), and is no relative of the judge of
`tools/check_attributes.py`, which sees MobileFaceNet's.
"""

from __future__ import annotations

import logging

import keras
import numpy as np
from keras import layers, ops

from ifrp_tf.core.types import Tensor
from ifrp_tf.nn import logistic
from ifrp_tf.nn.features.squeezenet import squeezenet
from ifrp_tf.pictures import images

TAP, CELLS = "fire5", 4
PENALTY = 0.06
"""Of `logistic.fit`, a photograph."""

ITERATIONS = 80
_BATCH = 64


@keras.saving.register_keras_serializable("ifrp_tf")
class Cells(layers.Layer):
    """Means of maps over `cells` x `cells` parts as equal as can be, flat.

    Args:
        cells: parts a side.

    Input shape: `(N, H, W, C)`, H and W at least `cells`.
    Output shape: `(N, cells * cells * C)`, float32.
    """

    def __init__(self, cells: int, **kwargs: object) -> None:
        super().__init__(dtype="float32", **kwargs)
        self.cells = cells

    def call(self, maps: Tensor) -> Tensor:
        """The means."""
        height, width, channels = maps.shape[1:]
        rows, columns = (_parts(size, self.cells) for size in (height, width))
        means = ops.einsum("ai,bj,nijc->nabc", rows, columns, ops.cast(maps, "float32"))
        return ops.reshape(means, (-1, self.cells * self.cells * channels))

    def get_config(self) -> dict[str, object]:
        """For Keras."""
        return {"name": self.name, "cells": self.cells}


def _parts(size: int, cells: int) -> np.ndarray:
    """[cells, size]: the mean over each part."""
    matrix = np.zeros((cells, size), np.float32)
    for row, part in zip(matrix, np.array_split(np.arange(size), cells), strict=True):
        row[part] = 1 / len(part)
    return matrix


class Reader:
    """Photographs to logits of attributes; `fit` comes first.

    Args:
        kind: `squeezenet`, or `pixels`, the picture itself in 16 x 16 cells, which needs no weights.
        count: of attributes.
        side: of the pictures, pixels.
        weights: folder with SqueezeNet's archive; None leaves it random.
        dtype: that SqueezeNet computes in.
    """

    def __init__(
        self, kind: str, count: int, *, side: int, weights: str | None = None, dtype: str = "float32"
    ) -> None:
        photo = keras.Input((side, side, 3), name="photo")
        if kind == "squeezenet":
            features = Cells(CELLS)(squeezenet(weights, outputs=(TAP,), dtype=dtype, side=side)(photo))
        else:
            features = Cells(16)(photo)
        logits = layers.Dense(count, kernel_initializer="zeros", trainable=False, dtype="float32")
        self._features = keras.Model(photo, features)
        self._dense, self._logits = logits, keras.Model(photo, logits(features), name="reader")
        self._logits.trainable = False

    def __call__(self, pictures: Tensor) -> Tensor:
        """Float32 [N, S, S, 3] in [-1, 1] to logits [N, A]; 0 where nothing could be learned."""
        return self._logits(pictures, training=False)

    def fit(self, pixels: np.ndarray, vectors: np.ndarray) -> None:
        """Learns from photographs, and from their mirror images.

        Args:
            pixels: uint8 [N, S, S, 3].
            vectors: [N, A] in {-1, 0, 1}; the photographs of which most is known are learned from.
        """
        amount = np.abs(vectors).sum(axis=1)
        rows = np.flatnonzero((amount == amount.max()) & (amount > 0))
        told = vectors[rows]
        both = (told > 0).any(axis=0) & (told < 0).any(axis=0)
        features = [
            self._of(pixels[rows[k : k + _BATCH]][:, :, ::turn])
            for turn in (1, -1)
            for k in range(0, len(rows), _BATCH)
        ]
        twice = np.concatenate([told, told])[:, both]
        found = logistic.fit(
            np.concatenate(features), twice, penalty=PENALTY * len(twice), iterations=ITERATIONS
        )
        kernel = np.zeros((found.mean.size, vectors.shape[1]), np.float32)
        bias = np.zeros(vectors.shape[1], np.float32)
        kernel[:, both], bias[both] = found.dense()
        self._dense.set_weights([kernel, bias])
        logging.info("attributes are read as %d photographs show them", len(rows))

    def _of(self, pixels: np.ndarray) -> np.ndarray:
        return np.asarray(ops.convert_to_numpy(self._features(images.to_model_range(pixels), training=False)))
