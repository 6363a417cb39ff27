"""Batches of features and normalised faces: a function of (seed, step) alone, like all training data."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from ifrp_tf.core.config import Config
from ifrp_tf.core.errors import DataError
from ifrp_tf.core.types import Tensor
from ifrp_tf.data.normalised import KINDS, Faces
from ifrp_tf.pictures import images

# Half of a batch are morphs, a quarter singles: so few averages would be drowned by either.
_TURNS = {
    "all": (("morph",), ("average", "studio"), ("morph",), ("single",)),
    "averages": (("average", "studio"),),
    "singles": (("single", "studio"),),
}


def batches(faces: Faces, config: Config, step: int) -> tf.data.Dataset:
    """Batches from a step on, to the end of the training.

    Args:
        faces: with their features.
        config: batch size, steps, seed, and `model.sources`.
        step: steps done so far.

    Returns:
        Dataset of float32 (features [B, 512], landmarks [B, 68, 2], textures [B, 128, 128, 3] in [-1, 1],
        embeddings [B, 128]).

    Raises:
        DataError: there are no faces of the kinds asked for.
    """
    train, groups = config.train, groups_of(faces, config)
    first = np.searchsorted(faces.owners, np.arange(len(faces)))
    count = np.bincount(faces.owners, minlength=len(faces))

    def chosen(number: int) -> tuple[np.ndarray, np.ndarray]:
        random = np.random.default_rng([train.seed, number])
        shares, turns = random.random((2, train.batch_size)), np.arange(train.batch_size) % len(groups)
        rows = np.array(
            [
                groups[turn][int(share * len(groups[turn]))]
                for turn, share in zip(turns, shares[0], strict=True)
            ]
        )
        return rows, first[rows] + (shares[1] * count[rows]).astype(int)

    columns = [np.stack(column) for column in zip(*map(chosen, range(step, train.steps)), strict=True)]
    textures = tf.convert_to_tensor(faces.textures)
    landmarks, embeddings = (tf.constant(part, tf.float32) for part in (faces.landmarks, faces.embeddings))
    features = tf.constant(faces.features, tf.float32)

    def batch(rows: Tensor, shown: Tensor) -> tuple[Tensor, ...]:
        return (
            tf.gather(features, shown),
            tf.gather(landmarks, rows),
            images.to_model_range(tf.gather(textures, rows)),
            tf.gather(embeddings, rows),
        )

    return tf.data.Dataset.from_tensor_slices(tuple(columns)).map(batch).prefetch(2)


def groups_of(faces: Faces, config: Config) -> list[np.ndarray]:
    """The faces that are drawn from in turn: indices, a group a turn.

    Raises:
        DataError: there are no faces of the kinds asked for.
    """
    groups = []
    for kinds in _TURNS[config.model.sources]:
        members = np.flatnonzero(np.isin(faces.kinds, [KINDS.index(kind) for kind in kinds]))
        if len(members):
            groups.append(members)
    if not groups:
        raise DataError(
            f"Expected faces for model.sources={config.model.sources}. Received: none among {len(faces)}."
        )
    return groups


def weights_of(faces: Faces, config: Config) -> np.ndarray:
    """How often each picture is drawn: float64 [M], their sum 1."""
    shares, groups = np.zeros(len(faces)), groups_of(faces, config)
    for members in groups:
        shares[members] += 1 / len(groups) / len(members)
    weights: np.ndarray = (shares / np.bincount(faces.owners, minlength=len(faces)))[faces.owners]
    return weights
