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

from ifrp_tf.core.errors import ConfigError
from ifrp_tf.core.types import Tensor
from ifrp_tf.styles.drawing import charcoal, crayon, engraving, pencil, sketch
from ifrp_tf.styles.formulas import TRAIN
from ifrp_tf.styles.painting import impasto, oil, pointillism, swirl, watercolour
from ifrp_tf.styles.printing import comic, contours, halftone, statistics, tonal, woodblock
from ifrp_tf.styles.tiling import facets, mosaic, stained_glass

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
