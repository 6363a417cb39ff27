"""Batches for the style bank: a function of (seed, step) alone, like all training data."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from ifrp_tf.core.config import TrainConfig
from ifrp_tf.core.types import Tensor
from ifrp_tf.data import misalign
from ifrp_tf.pictures import images
from ifrp_tf.systems.style_bank.networks import SIDE


def batches(pixels: np.ndarray, train: TrainConfig, styles: int, step: int) -> tf.data.Dataset:
    """Tilted photographs, half of the batches cut out and half shrunk, each picture with a style of its own.

    Args:
        pixels: uint8 [M, S, S, 3] photographs, S at least `SIDE`.
        train: batch size, steps and seed.
        styles: how many there are.
        step: steps done so far.

    Returns:
        Dataset of (float32 [B, SIDE, SIDE, 3] in [-1, 1], int32 [B]), to the end of the training.
    """
    chosen = [_chosen(k, len(pixels), pixels.shape[1], train, styles) for k in range(step, train.steps)]
    columns = tuple(np.stack(column) for column in zip(*chosen, strict=True))
    everything = tf.convert_to_tensor(np.ascontiguousarray(pixels))

    def batch(index: Tensor, noise: Tensor, style: Tensor, corner: Tensor, cut: Tensor) -> tuple[Tensor, ...]:
        photos = images.to_model_range(tf.gather(everything, index))
        photos = misalign.misalign(photos, misalign.similarity_parameters(noise))
        photos = tf.cond(
            cut,
            lambda: tf.image.crop_to_bounding_box(photos, corner[0], corner[1], SIDE, SIDE),
            lambda: tf.image.resize(photos, (SIDE, SIDE), antialias=True),
        )
        return tf.ensure_shape(photos, (None, SIDE, SIDE, 3)), style

    rows = tf.data.Dataset.from_tensor_slices(columns)
    return rows.map(batch, num_parallel_calls=2, deterministic=True).prefetch(2)


def _chosen(step: int, count: int, side: int, train: TrainConfig, styles: int) -> tuple[np.ndarray, ...]:
    """What is random in a step: photographs, tilts, styles, the corner of the cut, whether to cut."""
    random = np.random.default_rng([train.seed, step])
    noise = random.random((train.batch_size, 4), dtype=np.float32)
    style = random.integers(0, styles, train.batch_size).astype(np.int32)
    corner = random.integers(0, side - SIDE + 1, 2).astype(np.int32)
    cut = np.asarray(random.random() < 0.5)
    index = np.random.default_rng([train.seed, step, 7]).integers(0, count, train.batch_size)
    return index, noise, style, corner, cut
