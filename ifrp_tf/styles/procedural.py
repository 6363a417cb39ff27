"""Styles that need no weights: photographs to portraits by formulas, every look a family.

A style is a pure function `(photos, params, field)`: the caller draws the numbers (section 5, data: the paper
stylises after misaligning, and so does the caller). `params` choose line widths, colours, strokes and
strengths; `field` gives the noise of paper, brush and tiles. Equal arguments give equal portraits, on every
backend.

All is `keras.ops`, without weights and without state, so the same code runs eagerly, inside `tf.data` and
under JAX.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

from keras import ops

from ifrp_tf.errors import ConfigError
from ifrp_tf.styles.drawing import charcoal, crayon, engraving, pencil, sketch
from ifrp_tf.styles.filters import amount, chance, draws, grain, luminance, smooth
from ifrp_tf.styles.painting import impasto, oil, pointillism, swirl, watercolour
from ifrp_tf.styles.palettes import bend, signed, unit
from ifrp_tf.styles.printing import comic, contours, halftone, statistics, tonal, woodblock
from ifrp_tf.styles.tiling import facets, mosaic, stained_glass
from ifrp_tf.types import Tensor

StyleFunction: TypeAlias = Callable[[Tensor, Tensor, Tensor], Tensor]
"""`(photos [N, H, W, 3], params [N, 16], field [N, H, W, 3]) -> portraits`: ranges as in `stylise`."""

PARAMS = 16
"""Uniform numbers that a style takes for each picture."""

SMALLEST_SIDE = 16
"""Pixels that a side must have at least. Tiled styles come out as meant from 46 on."""

STYLES: dict[str, StyleFunction] = {
    "sketch": sketch,
    "pencil": pencil,
    "charcoal": charcoal,
    "engraving": engraving,
    "crayon": crayon,
    "oil": oil,
    "impasto": impasto,
    "swirl": swirl,
    "watercolour": watercolour,
    "pointillism": pointillism,
    "halftone": halftone,
    "comic": comic,
    "contours": contours,
    "woodblock": woodblock,
    "tonal": tonal,
    "statistics": statistics,
    "mosaic": mosaic,
    "stained_glass": stained_glass,
    "facets": facets,
}
"""Every style by name, in the order in which `stylise` counts them: drawn, painted, printed, tiled."""

RESERVED: tuple[str, ...] = ("engraving", "impasto", "facets")
"""Kept for testing, never trained on: one of lines, one of the brush, one of pieces."""

TRAIN: tuple[str, ...] = tuple(name for name in STYLES if name not in RESERVED)
"""The styles to train on, in the order of `STYLES`."""


def stylise(
    index: Tensor, photos: Tensor, params: Tensor, field: Tensor, names: Sequence[str] = TRAIN
) -> Tensor:
    """Stylises a group of photographs with one style, chosen by a number that may be known only at run time.

    Only the chosen style is computed, so the cost per picture does not grow with the number of styles:
    split a batch into groups of a few pictures and draw one index for each.

    Args:
        index: Integer scalar tensor, `0` to `len(names) - 1` (clipped).
        photos: Float32 tensor `[N, H, W, 3]` in `[-1, 1]`, already misaligned; H and W known, at least 16.
        params: Float32 tensor `[N, 16]`, uniform in `[0, 1)`.
        field: Float32 tensor `[N, H, W, 3]`, uniform in `[0, 1)`, independent between pixels.
        names: The styles to choose from, names of `STYLES`.

    Output shape: `[N, H, W, 3]`, float32 in `[-1, 1]`.

    Raises:
        ConfigError: If a name is unknown, none is given, or the pictures are too small.

    Example:
        >>> portraits = stylise(2, photos, params, field)  # charcoal
    """
    unknown = [name for name in names if name not in STYLES]
    if unknown or not names:
        raise ConfigError(
            f"names must be styles of {tuple(STYLES)}, received {tuple(names)}.",
            hint="See styles.procedural.STYLES.",
        )
    height, width = photos.shape[1], photos.shape[2]
    if height is None or width is None or min(height, width) < SMALLEST_SIDE:
        raise ConfigError(
            f"photos must have known sides of at least {SMALLEST_SIDE} pixels, received {height} x {width}.",
            hint="Resize them first.",
        )
    if len(names) == 1:
        return STYLES[names[0]](photos, params, field)
    return ops.switch(index, [STYLES[name] for name in names], photos, params, field)


def mix(photos: Tensor, portraits: Tensor, strength: Tensor) -> Tensor:
    """Goes only a part of the way from the photograph to the portrait.

    Args:
        photos: Float32 tensor `[N, H, W, 3]` in `[-1, 1]`.
        portraits: Float32 tensor of the same shape and range.
        strength: Float32 tensor `[N]` in `[0, 1]`: 0 gives the photograph, 1 the portrait.

    Output shape: `[N, H, W, 3]`, in `[-1, 1]`.

    Example:
        >>> weaker = mix(photos, portraits, 0.6 + 0.4 * noise)
    """
    return photos + (portraits - photos) * strength[:, None, None, None]


def degrade(portraits: Tensor, params: Tensor, field: Tensor) -> Tensor:
    """Damages portraits as scanners, screens and time do, so that no network trusts their colours.

    Each of these befalls a random part of the pictures: another colour matrix (one half), grey (one in
    eight), negative (one in thirty), bent tones (one half), contrast (one half), uneven light (two in
    five), blur (one third), canvas (one quarter), noise (one half).

    Args:
        portraits: Float32 tensor `[N, H, W, 3]` in `[-1, 1]`.
        params: Float32 tensor `[N, 16]`, uniform in `[0, 1)`; not the ones given to the style.
        field: Float32 tensor `[N, H, W, 3]`, uniform in `[0, 1)`; the style's own will do.

    Output shape: `[N, H, W, 3]`, in `[-1, 1]`.

    Example:
        >>> portraits = degrade(portraits, params, field)
    """
    picture = unit(portraits)
    free = draws(field, -1, 4) - 0.5
    matrix = ops.eye(3) + chance(params, 0, 0.5) * free[:, :3] * amount(params, 1, 0.2, 1.2)
    # Rows that add up to about one keep whites light.
    matrix = matrix + 0.7 * (1.0 - ops.sum(matrix, axis=1, keepdims=True)) / 3.0
    picture = ops.matmul(picture, matrix[:, None])
    grey = chance(params, 2, 0.125)[..., None]
    picture = picture + grey * (luminance(picture)[..., None] - picture)
    picture = ops.clip(picture, 0.0, 1.0)
    picture = picture + chance(params, 2, 1.0 / 30.0)[..., None] * (1.0 - 2.0 * picture)
    bent = bend(picture, ops.exp(amount(params, 3, -0.8, 0.8))[..., None])
    picture = picture + chance(params, 4, 0.5)[..., None] * (bent - picture)
    contrast = 1.0 + chance(params, 5, 0.5) * amount(params, 6, -0.45, 0.35)
    picture = 0.5 + (picture - 0.5) * contrast[..., None]
    blurred = smooth(picture, amount(params, 7, 0.4, 1.4))
    picture = picture + chance(params, 8, 1.0 / 3.0)[..., None] * (blurred - picture)
    # The noise of the style must not cancel or double here: read the field upside down.
    turned = ops.flip(field, axis=1)
    light = chance(params, 9, 0.4) * amount(params, 10, 0.04, 0.2) * grain(turned[..., 0], 24.0)
    weave = grain(turned[..., 1], 0.5, 1.7) + grain(turned[..., 1], 1.7, 0.5)
    light = light + chance(params, 11, 0.25) * amount(params, 12, 0.01, 0.06) * weave
    noise = chance(params, 13, 0.5) * amount(params, 14, 0.02, 0.2)
    picture = picture * (1.0 + light[..., None]) + noise[..., None] * (turned - 0.5)
    return signed(picture)
