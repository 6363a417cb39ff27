"""Photographs -> unaligned portraits: mirror, misalign, stylise, mix, degrade, under any backend.

Styles are formulas (`styles/procedural.py`) or learned (`styles/bank.py`); hand-drawn sketches are portraits
already.

A pure function of the photographs and of `noise`, which the caller draws with its own stateless generator
(`tf.random.stateless_*` in `data.py`, `jax.random` in `trainer_jax.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

from keras import ops

from ifrp_tf.core.config import DataConfig
from ifrp_tf.core.types import Tensor
from ifrp_tf.data import misalign
from ifrp_tf.pictures import images
from ifrp_tf.styles import bank, degradations, procedural

Noise: TypeAlias = Callable[..., Tensor]
"""`noise(stream, *shape)` gives float32 [n, *shape], uniform in [0, 1), independent between streams."""

# The independent streams of random numbers of one group of pictures.
STREAMS = FLIP, MISALIGN, STYLE, PARAMS, FIELD, STRENGTH, DEGRADE, DEGRADE_FIELD, SECOND, SOURCE, TONES = (
    range(11)
)


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
    photo = images.to_model_range(pixels)
    photo, tilted, parameters = _tilt(photo, photo, noise, config, flip)
    if style is None:
        style = ops.cast(noise(STYLE, 1)[0, 0] * len(names), "int32")
    portrait = _stylise(tilted, style, noise, config, tuple(names))
    return _degrade(portrait, noise, config), photo, misalign.undoing_parameters(parameters)


def make_drawn_group(
    sketches: Tensor, pixels: Tensor, others: Tensor, noise: Noise, config: DataConfig
) -> tuple[Tensor, Tensor, Tensor]:
    """Turns hand-drawn sketches of photographs into portraits like the others: tilted, mirrored, degraded.

    Args:
        sketches: uint8 [n, S, S, 3], drawn in the frame of the photographs.
        pixels: uint8 [n, S, S, 3], their photographs.
        others: uint8 [n, S, S, 3], other photographs, whose tones `config.sketch_tones` of them take on.
        noise: source of all randomness.
        config: how strongly.

    Returns:
        As `make_group`.
    """
    photo = images.to_model_range(pixels)
    if config.sketch_tones:
        toned = _toned(photo, images.to_model_range(others))
        photo = ops.where(noise(TONES, 1, 1, 1) < config.sketch_tones, toned, photo)
    photo, tilted, parameters = _tilt(photo, images.to_model_range(sketches), noise, config, None)
    return _degrade(tilted, noise, config), photo, misalign.undoing_parameters(parameters)


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
    strength = config.strength + (1 - config.strength) * noise(STRENGTH, 1)[:, 0]

    def drawn() -> Tensor:
        field = noise(FIELD, config.side, config.side, 3)
        portrait = procedural.stylise(place, tilted, noise(PARAMS, 16), field, names=formulas)
        return procedural.mix(tilted, portrait, strength) if config.strength < 1 else portrait

    def painted() -> Tensor:
        found = bank.load(config.bank)
        second = ops.cast(noise(SECOND, 1)[0, 0] * len(learned), "int32")
        # Where strength is left to chance, so is whether a portrait lies between two styles: one in five.
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
