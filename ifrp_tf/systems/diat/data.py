"""Batches of photographs without an attribute and of others with it: a function of (seed, step) alone."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from ifrp_tf.core.config import Config
from ifrp_tf.core.errors import DataError
from ifrp_tf.core.types import Tensor
from ifrp_tf.data.attributes import NAMES
from ifrp_tf.data.photos import PhotoSet
from ifrp_tf.pictures import images


def batches(photos: PhotoSet, vectors: np.ndarray, config: Config, step: int) -> tf.data.Dataset:
    """Batches from a step on, to the end of the training.

    Args:
        photos: of training.
        vectors: int8 [N, 14], what is known of each.
        config: `model.attribute`, batch size, steps and seed.
        step: steps done so far.

    Returns:
        Dataset of float32 (photos, others), [B, S, S, 3] in [-1, 1] each, mirrored at random: photographs
        that are to get the attribute, and other persons' that have it.

    Raises:
        DataError: there are fewer than a batch of either kind.
    """
    train, model = config.train, config.model
    known = vectors[:, model.place] * model.sign
    kinds = [np.flatnonzero(known == sign) for sign in (-1, 1)]
    if min(len(kind) for kind in kinds) < train.batch_size:
        name = NAMES[model.place]
        raise DataError(
            f"Expected at least {train.batch_size} photographs with and without {name}. "
            f"Received: {len(kinds[model.sign > 0])} and {len(kinds[model.sign < 0])}.",
            hint="data.labels=data/labels holds the attributes of data/faces; drawn faces have their own.",
        )
    rows, mirrored = [], []
    for number in range(step, train.steps):
        random = np.random.default_rng([train.seed, number])
        rows.append([random.choice(kind, train.batch_size, replace=False) for kind in kinds])
        mirrored.append(random.random((2, train.batch_size)) < 0.5 * config.data.flip)
    pixels = tf.convert_to_tensor(np.ascontiguousarray(photos.pixels))

    def batch(row: Tensor, mirror: Tensor) -> tuple[Tensor, ...]:
        made = images.to_model_range(tf.gather(pixels, row))
        made = tf.where(mirror[:, :, None, None, None], made[:, :, :, ::-1], made)
        return made[0], made[1]

    columns = (np.array(rows, np.int32), np.array(mirrored))
    return tf.data.Dataset.from_tensor_slices(columns).map(batch, num_parallel_calls=2).prefetch(2)
