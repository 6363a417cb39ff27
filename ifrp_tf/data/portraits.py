"""Photographs -> unaligned portraits: mirror, misalign, stylise, mix, degrade, under any backend.

Styles are formulas (`styles/procedural.py`) or learned (`styles/bank.py`); hand-drawn sketches are portraits
already.

A pure function of the photographs and of `noise`, which the caller draws with its own stateless generator
(`tf.random.stateless_*` in `data.py`, `jax.random` in `trainer_jax.py`).
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import TypeAlias

from keras import ops

from ifrp_tf.core.config import DataConfig
from ifrp_tf.core.types import Tensor
from ifrp_tf.data import misalign
from ifrp_tf.pictures import images
from ifrp_tf.styles import augmentations, bank, degradations, procedural

Noise: TypeAlias = Callable[..., Tensor]
"""`noise(stream, *shape)` gives float32 [n, *shape], uniform in [0, 1), independent between streams."""

# The independent streams of random numbers of one group of pictures.
STREAMS = FLIP, MISALIGN, STYLE, PARAMS, FIELD, STRENGTH, DEGRADE, DEGRADE_FIELD, SECOND, SOURCE, TONES = (
    range(11)
)
MOVED, WEAK, RESTYLE, BACKDROP, BACKDROP_FIELD = range(11, 16)
GATES = 16
AUGMENT = 17  # and as many after it as there are changes, twice
AGAIN = 64  # added to the streams of a second style
ATTRIBUTES = 160  # which attributes are hidden


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
    made = styled(pixels, noise, config, names, style=style, flip=flip)
    return finish(*made, noise, config, names)


def styled(
    pixels: Tensor,
    noise: Noise,
    config: DataConfig,
    names: Sequence[str],
    *,
    style: Tensor | None = None,
    flip: bool | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """`make_group` up to `finish`."""
    photo = images.to_model_range(pixels)
    photo, tilted, parameters = _tilt(photo, photo, noise, config, flip)
    if style is None:
        style = ops.cast(noise(STYLE, 1)[0, 0] * len(names), "int32")
    undoing = misalign.undoing_parameters(parameters)
    # One half of the backgrounds is painted over with the face, one half is cut out of the painting.
    tilted = _backed(tilted, undoing, noise, config, 0.0, 0.5)
    return _stylise(tilted, style, noise, config, tuple(names)), photo, undoing


def finish(
    portrait: Tensor, photo: Tensor, undoing: Tensor, noise: Noise, config: DataConfig, names: Sequence[str]
) -> tuple[Tensor, Tensor, Tensor]:
    """What befalls every portrait, whoever painted it: a second style, random changes, degradation.

    Args:
        portrait: float32 [n, S, S, 3] in [-1, 1].
        photo: float32 [n, S, S, 3] in [-1, 1].
        undoing: float32 [n, 4].
        noise: source of all randomness.
        config: how strongly.
        names: style names for a second style.

    Returns:
        As `make_group`.
    """
    portrait = _restyled(portrait, noise, config, tuple(names))
    portrait = _varied(portrait, undoing, noise, config)
    return _degrade(portrait, noise, config), photo, undoing


def make_foreign_group(
    paintings: Tensor,
    pixels: Tensor,
    undoing: Tensor,
    noise: Noise,
    config: DataConfig,
    names: Sequence[str],
) -> tuple[Tensor, Tensor, Tensor]:
    """Turns misaligned portraits made elsewhere into others: mirrored, moved on, changed, degraded.

    Args:
        paintings: uint8 [n, S, S, 3], misaligned portraits.
        pixels: uint8 [n, S, S, 3], their photographs.
        undoing: float32 [n, 4], what undoes the misalignment (`misalign.undoing_parameters`).
        noise: source of all randomness.
        config: how strongly; the portraits are turned, scaled and shifted within its limits.
        names: style names for a second style (`config.restyle`).

    Returns:
        As `make_group`; the transform is that of the mirrored and moved portrait.
    """
    return finish(*foreign(paintings, pixels, undoing, noise, config), noise, config, names)


def foreign(
    paintings: Tensor, pixels: Tensor, undoing: Tensor, noise: Noise, config: DataConfig
) -> tuple[Tensor, Tensor, Tensor]:
    """`make_foreign_group` up to `finish`."""
    photo, portrait = images.to_model_range(pixels), images.to_model_range(paintings)
    if config.flip:
        mirrored = noise(FLIP, 1, 1, 1) < 0.5
        photo, portrait = (ops.where(mirrored, ops.flip(x, axis=2), x) for x in (photo, portrait))
        signs = ops.convert_to_tensor([[-1.0, 1.0, 1.0, -1.0]])
        undoing = ops.where(mirrored[:, :, 0, 0], undoing * signs, undoing)
    portrait, undoing = _moved_on(portrait, undoing, noise, config)
    return portrait, photo, undoing


def _moved_on(portrait: Tensor, undoing: Tensor, noise: Noise, config: DataConfig) -> tuple[Tensor, Tensor]:
    """Two of three portraits turned, scaled and shifted a little further, within the limits of `config`.

    So a portrait that comes again and again does not come with one tilt that could be learned by heart.
    """
    chance = noise(MOVED, 5)
    had = misalign.parameters_of(undoing)
    step = misalign.similarity_parameters(
        chance[:, :4],
        max_angle=0.4 * config.max_angle,
        max_scale=0.4 * config.max_scale,
        max_shift=0.5 * config.max_shift,
    )
    limits = ops.convert_to_tensor(
        [math.radians(config.max_angle), config.max_scale, config.max_shift / 64, config.max_shift / 64]
    )
    middle = ops.convert_to_tensor([0.0, 1.0, 0.0, 0.0])
    wanted = had + step - middle
    # What was outside of the limits before may stay where it is.
    wanted = ops.clip(wanted, ops.minimum(middle - limits, had), ops.maximum(middle + limits, had))
    wanted = ops.where(chance[:, 4:] < 2.0 / 3.0, wanted, had)
    further = misalign.between(had, wanted)
    moved = misalign.misalign(portrait, further)
    return moved, misalign.undoing_parameters(wanted)


def make_drawn_group(
    sketches: Tensor, pixels: Tensor, others: Tensor, noise: Noise, config: DataConfig
) -> tuple[Tensor, Tensor, Tensor]:
    """Turns hand-drawn sketches of photographs into portraits like the others: tilted, mirrored, degraded.

    No second style is painted over them here; `finish` after `drawn` does that.

    Args:
        sketches: uint8 [n, S, S, 3], drawn in the frame of the photographs.
        pixels: uint8 [n, S, S, 3], their photographs.
        others: uint8 [n, S, S, 3], other photographs, whose tones `config.sketch_tones` of them take on.
        noise: source of all randomness.
        config: how strongly.

    Returns:
        As `make_group`.
    """
    plain = dataclasses.replace(config, restyle=0.0)
    return finish(*drawn(sketches, pixels, others, noise, config), noise, plain, ())


def drawn(
    sketches: Tensor, pixels: Tensor, others: Tensor, noise: Noise, config: DataConfig
) -> tuple[Tensor, Tensor, Tensor]:
    """`make_drawn_group` up to `finish`."""
    photo = images.to_model_range(pixels)
    if config.sketch_tones:
        toned = _toned(photo, images.to_model_range(others))
        photo = ops.where(noise(TONES, 1, 1, 1) < config.sketch_tones, toned, photo)
    photo, tilted, parameters = _tilt(photo, images.to_model_range(sketches), noise, config, None)
    return tilted, photo, misalign.undoing_parameters(parameters)


def _restyled(portrait: Tensor, noise: Noise, config: DataConfig, names: tuple[str, ...]) -> Tensor:
    """A part of the groups painted once more, in a learned style chosen again, where there is one."""
    if not config.restyle:
        return portrait
    names = tuple(name for name in names if name.startswith(bank.PREFIX)) or names
    chance = noise(RESTYLE, 2)[0]

    def again() -> Tensor:
        style = ops.minimum(ops.cast(chance[1] * len(names), "int32"), len(names) - 1)
        return _stylise(portrait, style, lambda stream, *shape: noise(stream + AGAIN, *shape), config, names)

    return ops.cond(chance[0] < config.restyle, again, lambda: portrait)


def _backed(
    portrait: Tensor, undoing: Tensor, noise: Noise, config: DataConfig, low: float, high: float
) -> Tensor:
    """The part `low` to `high` of those groups that get another background."""
    if not config.backdrop:
        return portrait
    gate = noise(BACKDROP, 17)
    chosen = (gate[0, 0] >= low * config.backdrop) & (gate[0, 0] < high * config.backdrop)

    def behind() -> Tensor:
        field = noise(BACKDROP_FIELD, config.side, config.side, 3)
        return augmentations.backdrop(portrait, undoing, gate[:, 1:], field)

    return ops.cond(chosen, behind, lambda: portrait)


def _varied(portrait: Tensor, undoing: Tensor, noise: Noise, config: DataConfig) -> Tensor:
    """Random changes; then another background for the second half of those groups that get one."""
    count = len(augmentations.CHANGES)
    if config.augment:
        portrait = augmentations.augment(
            portrait,
            noise(GATES, count)[0],
            lambda k: (
                noise(AUGMENT + k, augmentations.PARAMS),
                noise(AUGMENT + count + k, config.side, config.side, 3),
            ),
            config.augment,
        )
    return _backed(portrait, undoing, noise, config, 0.5, 1.0)


def _toned(photo: Tensor, other: Tensor) -> Tensor:
    """`photo` with the mean and the deviation that each channel of `other` has in the middle, the face.

    A sketch does not say how dark a skin is or how long a photograph was exposed. The photographs of one set
    of sketches are all alike in that, and a network would take their exposure for the sketches' own.
    """
    side = photo.shape[1]
    low, high = side // 4, side - side // 4

    def moments(x: Tensor) -> tuple[Tensor, Tensor]:
        mean, variance = ops.moments(x[:, low:high, low:high], axes=(1, 2), keepdims=True)
        return mean, ops.sqrt(variance + 1e-4)

    (mean, deviation), (wanted_mean, wanted_deviation) = moments(photo), moments(other)
    contrast = ops.clip(wanted_deviation / deviation, 0.5, 2.0)
    return ops.clip((photo - mean) * contrast + wanted_mean, -1.0, 1.0)


def _tilt(
    photo: Tensor, content: Tensor, noise: Noise, config: DataConfig, flip: bool | None
) -> tuple[Tensor, Tensor, Tensor]:
    """The photograph, perhaps mirrored; `content` mirrored likewise and misaligned; how it was misaligned."""
    if config.flip if flip is None else flip:
        mirrored = noise(FLIP, 1, 1, 1) < 0.5
        photo, content = (ops.where(mirrored, ops.flip(part, axis=2), part) for part in (photo, content))
    parameters = misalign.similarity_parameters(
        noise(MISALIGN, 4),
        max_angle=config.max_angle,
        max_scale=config.max_scale,
        max_shift=config.max_shift,
        angles=config.angles or None,
    )
    return photo, misalign.misalign(content, parameters), parameters


def _stylise(
    tilted: Tensor, style: Tensor, noise: Noise, config: DataConfig, names: tuple[str, ...]
) -> Tensor:
    """Only the chosen style is computed: one of the formulas, or the bank with one row of its table."""
    learned = tuple(name for name in names if name.startswith(bank.PREFIX))
    formulas = tuple(name for name in names if name not in learned)
    ordered = (*formulas, *learned)
    place = ops.take(ops.convert_to_tensor([ordered.index(name) for name in names], "int32"), style)
    mixes = config.strength < 1 or config.weak > 0
    strength = noise(STRENGTH, 1)[:, 0]
    least: Tensor | float = config.strength
    if config.weak:
        least = ops.where(noise(WEAK, 1)[:, 0] < config.weak, 0.0, config.strength)
    strength = least + (1 - least) * strength

    def drawn() -> Tensor:
        field = noise(FIELD, config.side, config.side, 3)
        portrait = procedural.stylise(place, tilted, noise(PARAMS, 16), field, names=formulas)
        return procedural.mix(tilted, portrait, strength) if mixes else portrait

    def painted() -> Tensor:
        found = bank.load(config.bank)
        second = ops.cast(noise(SECOND, 1)[0, 0] * len(learned), "int32")
        # Where strength is left to chance, so is whether a portrait is between two styles: one in five.
        chance = noise(PARAMS, 2)
        share = ops.where(chance[:, 0] < 0.2 * (config.strength < 1), 0.5 * chance[:, 1], 0.0)
        rows = bank.mixed(found.table(learned), place - len(formulas), strength, second, share)
        return bank.stylise(found.trunk, rows, tilted)

    if not (formulas and learned):
        return drawn() if formulas else painted()
    return ops.cond(place < len(formulas), drawn, painted)


def _degrade(portrait: Tensor, noise: Noise, config: DataConfig) -> Tensor:
    if config.degrade:
        chance = noise(DEGRADE, 17)
        field = noise(DEGRADE_FIELD, config.side, config.side, 3)
        degraded = degradations.degrade(portrait, chance[:, 1:], field)
        portrait = ops.where(chance[:, :1, None, None] < config.degrade, degraded, portrait)
    return ops.clip(portrait, -1.0, 1.0)
