"""Photographs on the device -> (portrait, photo) batches inside a jitted step: `data.py` under JAX."""

from __future__ import annotations

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from ifrp_tf.core.config import Config, DataConfig
from ifrp_tf.core.types import Tensor
from ifrp_tf.data import portraits, sketches
from ifrp_tf.data.photos import PhotoSet


def make_batch(
    step: Tensor, pixels: Tensor, config: Config, names: Sequence[str]
) -> tuple[Tensor, Tensor, Tensor]:
    """The batch of `step`, as `data.batches` makes it, from photographs on the device.

    Args:
        step: int32 scalar.
        pixels: uint8 [M, S, S, 3].
        config: `data`, and seed and batch size from `train`.
        names: style names.

    Returns:
        (portrait, photo, transform): float32 [B, S, S, 3] twice, float32 [B, 4].
    """
    train, count, pixels = config.train, pixels.shape[0], jnp.asarray(pixels)
    groups = train.batch_size // config.data.group
    drawn = sketches.load(config.data)
    key = jax.random.fold_in(jax.random.key(train.seed), step)
    # One shuffled pass after another; a batch may end one pass and begin the next.
    position = step * train.batch_size + jnp.arange(train.batch_size)
    passes = [_order(train.seed, position[k] // count, count) for k in (0, -1)]
    first = position // count == position[0] // count
    indices = jnp.where(first, passes[0][position % count], passes[1][position % count])

    def group(job: tuple[Tensor, Tensor]) -> tuple[Tensor, ...]:
        chosen, number = job
        noise = _noise(jax.random.fold_in(key, number), config.data.group)

        def styled() -> tuple[Tensor, ...]:
            return portraits.make_group(pixels[chosen], noise, config.data, names)

        if drawn is None or not config.data.sketch_share:
            return styled()
        chance = noise(portraits.SOURCE, 2)

        def sketched() -> tuple[Tensor, ...]:
            which = (chance[:, 1] * len(drawn)).astype("int32")
            pair = [jnp.asarray(part)[which] for part in (drawn.sketches, drawn.photos)]
            return portraits.make_drawn_group(pair[0], pair[1], pixels[chosen], noise, config.data)

        return jax.lax.cond(chance[0, 0] < config.data.sketch_share, sketched, styled)

    jobs = (indices.reshape(groups, -1), jnp.arange(groups))
    # A loop, not a vectorised map: under one, every style would be computed for every group.
    portrait, photo, transform = (part.reshape(-1, *part.shape[2:]) for part in jax.lax.map(group, jobs))
    return portrait, photo, transform


def fixed_portraits(
    photos: PhotoSet, config: DataConfig, *, styles: Sequence[str], seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Portraits that never change with their photographs: photograph k in style k mod len(styles).

    Returns:
        Float32 [N, S, S, 3] in [-1, 1], twice.
    """

    @jax.jit
    def one(pixels: Tensor, number: Tensor) -> tuple[Tensor, ...]:
        noise = _noise(jax.random.fold_in(jax.random.key(seed), number), 1)
        turn = jnp.int32(number % len(styles))
        return portraits.make_group(pixels, noise, config, styles, style=turn, flip=False)

    made = [one(photos.pixels[k : k + 1], k) for k in range(len(photos))]
    return np.concatenate([m[0] for m in made]), np.concatenate([m[1] for m in made])


def _order(seed: int, number: Tensor, count: int) -> Tensor:
    return jax.random.permutation(jax.random.fold_in(jax.random.key(seed + 1), number), count)


def _noise(key: Tensor, count: int) -> portraits.Noise:
    return lambda stream, *shape: jax.random.uniform(jax.random.fold_in(key, stream), (count, *shape))
