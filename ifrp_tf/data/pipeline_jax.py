"""Photographs on the device -> (portrait, photo) batches inside a jitted step: `data.py` under JAX."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh
from jax.sharding import PartitionSpec as P

from ifrp_tf.core.config import Config, DataConfig
from ifrp_tf.core.types import Tensor
from ifrp_tf.data import portraits, sketches
from ifrp_tf.data.foreign import ForeignPortraits
from ifrp_tf.data.photos import PhotoSet

ROWS = "rows"
"""The axis of a mesh of devices along which batches are divided."""


def make_batch(
    step: Tensor,
    pixels: Tensor,
    config: Config,
    names: Sequence[str],
    foreign: ForeignPortraits | None = None,
    mesh: Mesh | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """The batch of `step`, as `data.batches` makes it, from photographs on the device.

    Args:
        step: int32 scalar.
        pixels: uint8 [M, S, S, 3].
        config: `data`, and seed and batch size from `train`.
        names: style names.
        foreign: portraits by other networks, whose `places` are those of `pixels`, for `foreign_share`.
        mesh: devices along `ROWS`, each of which makes its part of the batch and keeps it.

    Returns:
        (portrait, photo, transform): float32 [B, S, S, 3] twice, float32 [B, 4].
    """
    train, count, pixels = config.train, pixels.shape[0], jnp.asarray(pixels)
    groups = train.batch_size // config.data.group
    drawn = sketches.load(config.data) if config.data.sketch_share else None
    foreign = foreign if config.data.foreign_share else None
    key = jax.random.fold_in(jax.random.key(train.seed), step)
    # One shuffled pass after another; a batch may end one pass and begin the next.
    position = step * train.batch_size + jnp.arange(train.batch_size)
    passes = [_order(train.seed, position[k] // count, count) for k in (0, -1)]
    first = position // count == position[0] // count
    indices = jnp.where(first, passes[0][position % count], passes[1][position % count])

    def group(job: tuple[Tensor, Tensor], pixels: Tensor, key: Tensor) -> tuple[Tensor, ...]:
        chosen, number = job
        noise = _noise(jax.random.fold_in(key, number), config.data.group)

        chance = noise(portraits.SOURCE, 2)

        def styled() -> tuple[Tensor, ...]:
            return portraits.styled(pixels[chosen], noise, config.data, names)

        sources: list[tuple[float, Callable[[], Any]]] = []
        if drawn is not None:
            sketched = functools.partial(_sketched, drawn, pixels[chosen], chance, noise, config.data)
            sources.append((config.data.sketch_share, sketched))
        if foreign is not None:
            painted = functools.partial(_painted, foreign, pixels, chance, noise, config.data)
            sources.append((config.data.foreign_share, painted))
        portrait, photo, undoing = _one_of(chance[0, 0], sources, styled)()
        return portraits.finish(portrait, photo, undoing, noise, config.data, names)

    jobs = (indices.reshape(groups, -1), jnp.arange(groups))

    def made(jobs: tuple[Tensor, Tensor], pixels: Tensor, key: Tensor) -> tuple[Tensor, ...]:
        # A loop, not a vectorised map: under one, every style would be computed for every group.
        return jax.lax.map(lambda job: group(job, pixels, key), jobs)

    if mesh is not None and mesh.size > 1:
        made = jax.shard_map(
            made, mesh=mesh, in_specs=(P(ROWS), P(), P()), out_specs=P(ROWS), check_vma=False
        )
    portrait, photo, transform = (part.reshape(-1, *part.shape[2:]) for part in made(jobs, pixels, key))
    return portrait, photo, transform


def fixed_portraits(
    photos: PhotoSet, config: DataConfig, *, styles: Sequence[str], seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Portraits that never change with their photographs: photograph k in style k mod len(styles).

    Returns:
        Float32 [N, S, S, 3] in [-1, 1], twice.
    """

    config = dataclasses.replace(config, augment=0.0, backdrop=0.0, restyle=0.0, weak=0.0)

    @jax.jit
    def one(pixels: Tensor, number: Tensor) -> tuple[Tensor, ...]:
        noise = _noise(jax.random.fold_in(jax.random.key(seed), number), 1)
        turn = jnp.int32(number % len(styles))
        return portraits.make_group(pixels, noise, config, styles, style=turn, flip=False)

    made = [one(photos.pixels[k : k + 1], k) for k in range(len(photos))]
    return np.concatenate([m[0] for m in made]), np.concatenate([m[1] for m in made])


def _sketched(
    drawn: sketches.Drawings, others: Tensor, chance: Tensor, noise: portraits.Noise, config: DataConfig
) -> tuple[Tensor, ...]:
    """A group of sketches drawn by hand."""
    which = (chance[:, 1] * len(drawn)).astype("int32")
    pair = [jnp.asarray(part)[which] for part in (drawn.sketches, drawn.photos)]
    return portraits.drawn(pair[0], pair[1], others, noise, config)


def _painted(
    foreign: ForeignPortraits, pixels: Tensor, chance: Tensor, noise: portraits.Noise, config: DataConfig
) -> tuple[Tensor, ...]:
    """A group of portraits by foreign networks."""
    which = (chance[:, 1] * len(foreign)).astype("int32")
    parts = (foreign.portraits, foreign.places, foreign.undoing)
    painting, place, undoing = (jnp.asarray(part)[which] for part in parts)
    return portraits.foreign(painting, pixels[place], undoing, noise, config)


def _one_of(
    chance: Tensor, sources: Sequence[tuple[float, Callable[[], Any]]], otherwise: Callable[[], Any]
) -> Callable[[], Any]:
    """One of the sources, each with its share of the chances, in this order; `otherwise` for the rest."""
    if not sources:
        return otherwise
    (share, source), *rest = sources
    return lambda: jax.lax.cond(chance < share, source, _one_of(chance - share, rest, otherwise))


def _order(seed: int, number: Tensor, count: int) -> Tensor:
    return jax.random.permutation(jax.random.fold_in(jax.random.key(seed + 1), number), count)


def _noise(key: Tensor, count: int) -> portraits.Noise:
    return lambda stream, *shape: jax.random.uniform(jax.random.fold_in(key, stream), (count, *shape))
