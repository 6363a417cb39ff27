"""Photographs -> `tf.data` of (portrait, photo) batches, stylised on the fly.

Position in the data is ONE integer, the step. Which photographs, tilts, styles and noise a step sees is a
pure function of (seed, step), so resuming is setting the step, and there is no iterator to checkpoint.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from ifrp_tf.core.config import Config, DataConfig
from ifrp_tf.core.errors import DataError
from ifrp_tf.core.types import Tensor
from ifrp_tf.data import foreign as foreign_portraits
from ifrp_tf.data import portraits, sketches
from ifrp_tf.data.attributes import Labels
from ifrp_tf.data.photos import PhotoSet
from ifrp_tf.styles import sets


def batches(
    photos: PhotoSet,
    config: Config,
    *,
    step: int = 0,
    styles: Sequence[str] | None = None,
    labels: Labels | None = None,
) -> tf.data.Dataset:
    """Training batches from `step` on, without end.

    There is no end on purpose: a training step that meets the end of its data fails half done, and what
    does not depend on the data, such as counting the step, may have happened or not.

    Args:
        photos: training photographs.
        config: `data`, and batch size and seed from `train`.
        step: steps done so far.
        styles: style names; the set named by `config.data.styles` by default.
        labels: what is known of the photographs.

    Returns:
        Dataset of (portrait, photo, transform): float32 [B, S, S, 3] in [-1, 1] twice, and float32 [B, 4],
        the Spatial Transformer parameters that undo the misalignment. With labels two more, float32 [B, 14]
        in {-1, 0, 1}: what is known of the photograph, and what of that is shown. Of sketches nothing is.

    Raises:
        DataError: if there are fewer photographs than pictures in a batch.
    """
    train = config.train
    if len(photos) < train.batch_size:
        raise DataError(
            f"Expected at least train.batch_size={train.batch_size} photographs. Received: {len(photos)}."
        )
    names = tuple(styles) if styles is not None else sets.of(config.data)
    drawn = sketches.load(config.data) if config.data.sketch_share else None
    foreign = foreign_portraits.load(config.data, photos) if config.data.foreign_share else None
    paintings = None
    if foreign is not None:
        parts = (foreign.portraits, foreign.places, foreign.undoing)
        paintings = [tf.convert_to_tensor(part) for part in parts]
    pixels = tf.convert_to_tensor(np.ascontiguousarray(photos.pixels))
    groups = train.batch_size // config.data.group
    nobody = len(photos)  # the place of photographs that are none of the set
    known = None
    if labels is not None:
        known = tf.constant(np.concatenate([labels.vectors, np.zeros_like(labels.vectors[:1])]), tf.float32)

    def group(number: Tensor) -> tuple[Tensor, ...]:
        indices = _indices(number, config.data.group, len(photos), train.seed)
        noise = _noise(config.data.group, number, train.seed)
        chance = noise(portraits.SOURCE, 2)

        def styled() -> tuple[Tensor, ...]:
            made = portraits.styled(tf.gather(pixels, indices), noise, config.data, names)
            return *made, tf.cast(indices, tf.int32)

        sources: list[tuple[float, Callable[[], Any]]] = []
        if drawn is not None:
            others = tf.gather(pixels, indices)
            sketched = functools.partial(_sketched, drawn, others, nobody, chance, noise, config.data)
            sources.append((config.data.sketch_share, sketched))
        if paintings is not None:
            painted = functools.partial(_painted, paintings, pixels, chance, noise, config.data)
            sources.append((config.data.foreign_share, painted))
        portrait, photo, transform, places = _one_of(chance[0, 0], sources, styled)()
        portrait, photo, transform = portraits.finish(portrait, photo, transform, noise, config.data, names)
        side = config.data.side
        made = tf.ensure_shape(portrait, (None, side, side, 3)), photo, transform
        if known is None or labels is None:
            return made
        vectors = tf.gather(known, places)
        return *made, vectors, _shown(vectors, labels, noise)

    dataset = tf.data.Dataset.range(step * groups, np.iinfo(np.int64).max)
    dataset = dataset.map(group, num_parallel_calls=2, deterministic=True)
    return _merge(dataset.batch(groups, drop_remainder=True)).prefetch(4)


def fixed_portraits(
    photos: PhotoSet, config: DataConfig, *, styles: Sequence[str], seed: int = 0, per_photo: int = 1
) -> tf.data.Dataset:
    """Portraits that never change, for validation and samples: photograph k in style k mod len(styles).

    They are styled, misaligned and degraded, but not changed beyond that, so that runs can be compared.

    Args:
        photos: held-out photographs; used in groups of one.
        config: misalignment, degradation and strength; mirroring and `augment` and its kind are off.
        styles: names, taken in turn.
        seed: of the noise.
        per_photo: portraits of each photograph, in successive styles.

    Returns:
        Dataset of (portrait, photo, transform) like `batches`, one picture an element.
    """
    pixels = tf.convert_to_tensor(np.ascontiguousarray(photos.pixels))
    names = tuple(styles)
    config = dataclasses.replace(config, augment=0.0, backdrop=0.0, restyle=0.0, weak=0.0)

    def one(number: Tensor) -> tuple[Tensor, ...]:
        index = number // per_photo
        turn = tf.cast((index + number % per_photo) % len(names), tf.int32)
        portrait, photo, transform = make_group(
            tf.gather(pixels, index[None]), number, config, names, seed, style=turn, flip=False
        )
        return portrait[0], photo[0], transform[0]

    return tf.data.Dataset.range(len(photos) * per_photo).map(one, num_parallel_calls=2, deterministic=True)


def make_group(
    pixels: Tensor,
    number: Tensor,
    config: DataConfig,
    names: Sequence[str],
    seed: int,
    *,
    style: Tensor | None = None,
    flip: bool | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """`portraits.make_group` with TensorFlow's stateless random numbers.

    Args:
        pixels: uint8 [n, S, S, 3].
        number: int64 scalar: with `seed` it determines everything random.
        config: how strongly.
        names: style names to choose from.
        seed: of the run.
        style: index into `names`; random by default.
        flip: overrides `config.flip`.

    Returns:
        (portrait, photo, transform) as in `batches`.
    """
    side = config.side
    noise = _noise(tf.shape(pixels)[0], number, seed)
    portrait, photo, transform = portraits.make_group(pixels, noise, config, names, style=style, flip=flip)
    return tf.ensure_shape(portrait, (None, side, side, 3)), photo, transform


def _shown(vectors: Tensor, labels: Labels, noise: portraits.Noise) -> Tensor:
    """What is shown of [n, A] attributes: nothing of some pictures, not all of others, one of some wrong."""
    count = labels.vectors.shape[1]
    chance = noise(portraits.ATTRIBUTES, 2, 1 + count)
    hides, turns = chance[:, 0], chance[:, 1]
    seen = (hides[:, :1] >= labels.hide_all) & (hides[:, 1:] >= labels.hide_one)
    shown = tf.where(seen, vectors, 0.0)
    one = tf.one_hot(
        tf.argmax(tf.abs(shown) * (1.0 + turns[:, 1:]), axis=1), count, on_value=True, off_value=False
    )
    return tf.where((turns[:, :1] < labels.contradict) & one, -shown, shown)


def _sketched(
    drawn: sketches.Drawings,
    others: Tensor,
    nobody: int,
    chance: Tensor,
    noise: portraits.Noise,
    config: DataConfig,
) -> tuple[Tensor, ...]:
    """A group of sketches drawn by hand; `nobody` is the place of their photographs, as none of the set."""
    which = tf.cast(chance[:, 1] * len(drawn), tf.int32)
    pair = [tf.gather(tf.constant(part), which) for part in (drawn.sketches, drawn.photos)]
    made = portraits.drawn(pair[0], pair[1], others, noise, config)
    return *made, tf.fill([config.group], nobody)


def _painted(
    paintings: Sequence[Tensor], pixels: Tensor, chance: Tensor, noise: portraits.Noise, config: DataConfig
) -> tuple[Tensor, ...]:
    """A group of portraits by foreign networks: `paintings` are the parts of `ForeignPortraits`."""
    which = tf.cast(chance[:, 1] * paintings[0].shape[0], tf.int32)
    painting, place, undoing = (tf.gather(part, which) for part in paintings)
    return *portraits.foreign(painting, tf.gather(pixels, place), undoing, noise, config), place


def _one_of(
    chance: Tensor, sources: Sequence[tuple[float, Callable[[], Any]]], otherwise: Callable[[], Any]
) -> Callable[[], Any]:
    """One of the sources, each with its share of the chances, in this order; `otherwise` for the rest."""
    if not sources:
        return otherwise
    (share, source), *rest = sources
    return lambda: tf.cond(chance < share, source, _one_of(chance - share, rest, otherwise))


def _noise(count: Tensor | int, number: Tensor, seed: int) -> portraits.Noise:
    def noise(stream: int, *shape: int) -> Tensor:
        # Streams from 16 on have seeds of their own, so that they meet no other number's streams.
        own = tf.cast(seed, tf.int64) + (stream // 16) * 2**32
        key = tf.stack([own, number * 16 + stream % 16])
        return tf.random.stateless_uniform((count, *shape), key)

    return noise


def _indices(number: Tensor, group: int, count: int, seed: int) -> Tensor:
    """Which photographs group `number` takes: every pass over the data in a new order."""
    chosen = []
    for offset in range(group):  # one by one: the op pads a matrix of seeds along the wrong axis (TF 2.21)
        position = number * group + offset
        key = tf.stack([tf.cast(seed, tf.int64), position // count])
        chosen.append(
            tf.random.experimental.index_shuffle(position % count, key, tf.cast(count - 1, tf.int64))
        )
    return tf.stack(chosen)


def _merge(dataset: tf.data.Dataset) -> tf.data.Dataset:
    """[groups, n, ...] -> [groups * n, ...]."""

    def merge(*parts: Tensor) -> tuple[Tensor, ...]:
        return tuple(tf.reshape(part, tf.concat([[-1], tf.shape(part)[2:]], 0)) for part in parts)

    return dataset.map(merge, num_parallel_calls=1, deterministic=True)
