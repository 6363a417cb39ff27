"""Procedural styles of pieces: mosaic, stained glass, facets.

Every style is a function `(photos [N, H, W, 3] in [-1, 1], params [N, 16], field [N, H, W, 3])` to
portraits of the shape and range of the photos; `params` and `field` are uniform in `[0, 1)`. See
`procedural.py`.
"""

from __future__ import annotations

from keras import ops

from ifrp_tf.core.types import Tensor
from ifrp_tf.styles.filters import (
    amount,
    coordinates,
    detail,
    gradient,
    grain,
    luminance,
    sample,
    smooth,
    step,
    tiles,
)
from ifrp_tf.styles.palettes import dress, ink, lay, paper, signed, unit
from ifrp_tf.styles.printing import outline, posterise


def mosaic(photos: Tensor, params: Tensor, field: Tensor) -> Tensor:
    """Mosaic: small stones of one colour each, from a square lattice to wild, with mortar between them."""
    picture = dress(unit(photos), params, field)
    cell = amount(params, 0, 3.3, 5.4)
    seed_y, seed_x, border = tiles(field, cell, amount(params, 1, 0.1, 0.9))
    light = luminance(picture)[..., None]
    strong = ops.clip(light + (picture - light) * 1.4 + 0.15 * (light - 0.5), 0.0, 1.0)
    stone = sample(smooth(strong, 0.3 * cell), seed_y, seed_x)
    free = sample(field, seed_y, seed_x)
    stone = stone + amount(params, 2, 0.03, 0.22)[..., None] * (free - 0.5)
    stone = stone + (amount(params, 3, 0.0, 0.12) * (free[..., 0] + free[..., 1] - 1.0))[..., None]
    # The face's lightness shows through, as if the worker had picked finer stones for eyes and lips.
    fine = smooth(luminance(strong), 0.8) - luminance(stone)
    stone = stone + (amount(params, 7, 0.15, 0.7) * fine)[..., None]
    mortar = paper(params, 8) + (ink(params, 10) - paper(params, 8)) * params[:, 4, None, None, None]
    gap = amount(params, 5, 0.0, 0.6)
    return signed(lay(stone, mortar, step(gap - border, 0.6) * amount(params, 6, 0.35, 0.9)))


def stained_glass(photos: Tensor, params: Tensor, field: Tensor) -> Tensor:
    """Stained glass: panes of saturated light held by dark lead, which also follows the lines of the face."""
    picture = dress(unit(photos), params, field)
    cell = amount(params, 0, 9.0, 18.0)
    seed_y, seed_x, border = tiles(field, cell, 0.9)
    free = sample(field, seed_y, seed_x)
    soft = smooth(picture, amount(params, 1, 1.2, 2.4))
    light = luminance(soft)
    # Tones are stepped softly within a pane, so that the features in it survive.
    levels = ops.floor(amount(params, 2, 3.0, 6.0))
    tone = posterise(light + 0.06 * (free[..., 0] - 0.5), levels, 0.4)
    pane = sample(smooth(picture, 0.35 * cell), seed_y, seed_x)
    chroma = 0.6 * (pane - luminance(pane)[..., None]) + 0.4 * (soft - light[..., None])
    # A tint of its own for each pane, which leaves its lightness to the face.
    chroma = chroma + amount(params, 3, 0.05, 0.35)[..., None] * (free - luminance(free)[..., None])
    chroma = chroma * amount(params, 4, 0.8, 1.5)[..., None]
    glow = 1.0 + 0.1 * grain(field[..., 2], 3.0) + 0.15 * ops.clip(border / cell, 0.0, 0.5)
    glass = (0.12 + 0.88 * tone[..., None] + chroma) * glow[..., None]
    glass = ops.clip(glass + detail(picture, amount(params, 7, 0.4, 1.2)), 0.0, 1.0)
    width = amount(params, 5, 0.0, 0.6)
    drawn = outline(light, width + 0.6, amount(params, 6, 0.25, 0.5), 0.12)
    lead = ops.maximum(step(width - border, 0.5), drawn) * amount(params, 8, 0.5, 1.0)
    return signed(lay(glass, 0.6 * ink(params, 10), lead))


def facets(photos: Tensor, params: Tensor, field: Tensor) -> Tensor:
    """Cubist facets: large angular pieces, each seen from a slightly different place, shaded and tinted."""
    picture = dress(unit(photos), params, field)
    y, x = coordinates(photos)
    cell = amount(params, 0, 13.0, 24.0)
    seed_y, seed_x, border = tiles(field, cell, 1.0)
    free = sample(field, seed_y, seed_x)
    # The neighbouring pixel's draws: three more numbers for each piece.
    more = sample(field, seed_y + 1.0, seed_x + 1.0)
    reach = amount(params, 1, 1.0, 3.5)
    zoom = 1.0 + amount(params, 2, 0.0, 0.25) * (free[..., 2] - 0.5)
    from_y = seed_y + (y - seed_y) * zoom + reach * (free[..., 0] - 0.5)
    from_x = seed_x + (x - seed_x) * zoom + reach * (free[..., 1] - 0.5)
    flat = smooth(picture, amount(params, 3, 0.5, 1.2))
    piece = sample(flat, from_y, from_x)
    turn = 6.2832 * more[..., 0]
    slant = ((y - seed_y) * ops.sin(turn) + (x - seed_x) * ops.cos(turn)) / cell
    shade = 1.0 + amount(params, 4, 0.15, 0.6) * slant + amount(params, 5, 0.05, 0.3) * (more[..., 1] - 0.5)
    tint = amount(params, 6, 0.05, 0.4)[..., None] * (more - luminance(more)[..., None])
    down, across = gradient(luminance(piece), 0.8)
    lines = step(4.0 * ops.sqrt(down * down + across * across + 1e-12) - 0.5, 0.3) * 0.5
    seam = step(0.5 - border, 0.5) * amount(params, 7, 0.0, 0.8)
    return signed(
        lay(ops.clip((piece + tint) * shade[..., None], 0.0, 1.0), ink(params, 10), ops.maximum(lines, seam))
    )
