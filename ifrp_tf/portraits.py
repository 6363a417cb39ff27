"""Photographs -> unaligned portraits: mirror, misalign, stylise, mix, degrade, under any backend.

A pure function of the photographs and of `noise`, which the caller draws with its own stateless generator
(`tf.random.stateless_*` in `data.py`, `jax.random` in `trainer_jax.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

from keras import ops

from ifrp_tf import images, misalign
from ifrp_tf.config import DataConfig
from ifrp_tf.styles import procedural
from ifrp_tf.types import Tensor

Noise: TypeAlias = Callable[..., Tensor]
"""`noise(stream, *shape)` gives float32 [n, *shape], uniform in [0, 1), independent between streams."""

# The independent streams of random numbers of one group of pictures.
STREAMS = FLIP, MISALIGN, STYLE, PARAMS, FIELD, STRENGTH, DEGRADE, DEGRADE_FIELD = tuple(range(8))


def make_group(
    pixels: Tensor,
    noise: Noise,
    config: DataConfig,
    names: Sequence[str],
    *,
    style: Tensor | None = None,
    flip: bool | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """Turns photographs into portraits that share one style.

    Args:
        pixels: uint8 [n, S, S, 3], S being `config.side`.
        noise: source of all randomness.
        config: how strongly.
        names: style names to choose from.
        style: index into `names`; drawn from `noise` by default.
        flip: overrides `config.flip`.

    Returns:
        (portrait, photo, transform): float32 [n, S, S, 3] in [-1, 1] twice, and float32 [n, 4], the Spatial
        Transformer parameters (`layers.affine_grid`) that undo the misalignment.
    """
    side = config.side
    photo = images.to_model_range(pixels)
    if config.flip if flip is None else flip:
        photo = ops.where(noise(FLIP, 1, 1, 1) < 0.5, ops.flip(photo, axis=2), photo)
    parameters = misalign.similarity_parameters(
        noise(MISALIGN, 4),
        max_angle=config.max_angle,
        max_scale=config.max_scale,
        max_shift=config.max_shift,
        angles=config.angles or None,
    )
    tilted = misalign.misalign(photo, parameters)
    if style is None:
        style = ops.cast(noise(STYLE, 1)[0, 0] * len(names), "int32")
    field = noise(FIELD, side, side, 3)
    portrait = procedural.stylise(style, tilted, noise(PARAMS, 16), field, names=tuple(names))
    if config.strength < 1:
        strength = config.strength + (1 - config.strength) * noise(STRENGTH, 1)[:, 0]
        portrait = procedural.mix(tilted, portrait, strength)
    if config.degrade:
        chance = noise(DEGRADE, 17)
        degraded = procedural.degrade(portrait, chance[:, 1:], noise(DEGRADE_FIELD, side, side, 3))
        portrait = ops.where(chance[:, :1, None, None] < config.degrade, degraded, portrait)
    return ops.clip(portrait, -1.0, 1.0), photo, misalign.undoing_parameters(parameters)
