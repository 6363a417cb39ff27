"""Procedural styles of the draughtsman: sketch, pencil, charcoal, engraving, crayon.

Every style is a function `(photos [N, H, W, 3] in [-1, 1], params [N, 16], field [N, H, W, 3])` to
portraits of the shape and range of the photos; `params` and `field` are uniform in `[0, 1)`. See
`procedural.py`.
"""

from __future__ import annotations

from keras import ops

from ifrp_tf.core.types import Tensor
from ifrp_tf.styles.filters import (
    amount,
    chance,
    coordinates,
    flow,
    gradient,
    grain,
    luminance,
    sample,
    smear,
    smooth,
    step,
)
from ifrp_tf.styles.palettes import bend, dress, ink, lay, paper, signed, unit


def wobble(picture: Tensor, field: Tensor, reach: Tensor | float, sigma: Tensor | float = 5.0) -> Tensor:
    """Moves what is drawn by a smooth random field of about `reach` pixels, as an unsure hand does."""
    y, x = coordinates(picture)
    return sample(picture, y + reach * grain(field[..., 0], sigma), x + reach * grain(field[..., 1], sigma))


def even(light: Tensor, part: Tensor | float, sigma: Tensor | float = 14.0) -> Tensor:
    """Takes out a part of a luminance map's slow changes and widens dull tones, so that dim faces show."""
    rest = light + part * (0.55 - smooth(light, sigma)) - 0.55
    spread = ops.sqrt(ops.mean(ops.square(rest), axis=(1, 2), keepdims=True) + 1e-6)
    return ops.clip(0.55 + rest * ops.clip(0.2 / spread, 1.0, 2.5), 0.0, 1.0)


def streaks(field: Tensor, angle: Tensor, thin: Tensor | float, long: Tensor | float) -> Tensor:
    """Straight strokes at an angle (radians, `[N, 1, 1]`) as a noise map of mean 0, spread about 1."""
    ones = ops.ones_like(field[..., 0])
    return 1.6 * smear(grain(field[..., 2], thin), ops.sin(angle) * ones, ops.cos(angle) * ones, long)


def sketch(photos: Tensor, params: Tensor, field: Tensor) -> Tensor:
    """Ink or soft pencil lines on paper: an extended difference of Gaussians, thresholded."""
    light = wobble(luminance(unit(photos)), field, amount(params, 0, 0.0, 0.9))
    light = even(light, amount(params, 1, 0.3, 1.0))
    sigma = amount(params, 2, 0.55, 1.3)
    sharp = amount(params, 3, 4.0, 16.0)
    response = (1.0 + sharp) * smooth(light, sigma) - sharp * smooth(light, 1.6 * sigma)
    below = response - amount(params, 4, 0.36, 0.56)
    cover = ops.where(below > 0.0, ops.zeros_like(below), -ops.tanh(amount(params, 5, 1.5, 7.0) * below))
    shade = amount(params, 6, -0.3, 0.6)
    cover = cover + ops.maximum(shade, 0.0) * (1.0 - light) * (1.0 - cover)
    cover = cover * ops.clip(1.0 + amount(params, 7, 0.0, 0.5) * grain(field[..., 2], 0.7), 0.0, 1.3)
    return signed(lay(paper(params, 8), ink(params, 10), ops.clip(cover, 0.0, 1.0)))


def pencil(photos: Tensor, params: Tensor, field: Tensor) -> Tensor:
    """Graphite: outlines by colour dodge, tone by hatching that grows with darkness, toothed paper."""
    light = wobble(luminance(unit(photos)), field, amount(params, 0, 0.0, 0.7))
    light = even(light, amount(params, 1, 0.0, 0.7))
    around = smooth(light, amount(params, 2, 1.5, 5.0))
    outline = 1.0 - ops.clip(smooth(light, 0.55) / (around + 0.08), 0.0, 1.0)
    outline = ops.clip((outline - 0.03) * amount(params, 3, 1.4, 3.6), 0.0, 1.0)
    angle = amount(params, 4, -1.5, 1.6)
    hatch = streaks(field, angle, 0.5, amount(params, 5, 5.0, 12.0))
    dark = 1.0 - smooth(light, 1.1)
    tone = dark * dark * amount(params, 6, 0.3, 1.2)
    tone = tone * ops.clip(1.0 + amount(params, 7, 0.15, 0.8) * hatch, 0.0, 2.0)
    cover = ops.clip(outline + tone * (1.0 - 0.5 * outline), 0.0, 1.0)
    cover = cover * ops.clip(1.0 + 0.08 * grain(field[..., 0], 0.6), 0.0, 1.2)
    lead = ink(params, 10) * 0.8 + 0.06
    return signed(lay(paper(params, 8), lead, cover))


def charcoal(photos: Tensor, params: Tensor, field: Tensor) -> Tensor:
    """Charcoal and chalk: broad smudged darks caught by the tooth of the paper, heavy contours."""
    light = even(luminance(unit(photos)), amount(params, 0, 0.2, 0.9))
    twist = amount(params, 1, 0.0, 3.1) + 0.6 * grain(field[..., 1], 16.0)
    flow_y, flow_x = flow(light, twist, 0.8)
    smudged = smear(light, flow_y, flow_x, amount(params, 2, 2.0, 6.0), rounds=2)
    down, across = gradient(light, amount(params, 3, 0.9, 1.6))
    contour = ops.clip(ops.sqrt(down * down + across * across) * amount(params, 4, 5.0, 12.0), 0.0, 1.0)
    dark = bend(1.0 - smudged, amount(params, 5, 0.35, 1.1))
    dark = ops.clip(1.2 * dark - 0.12 + 0.7 * contour, 0.0, 1.0)
    tooth = grain(field[..., 2], amount(params, 6, 0.6, 1.0))
    tooth = 0.6 * tooth + 0.5 * smear(tooth, flow_y, flow_x, 4.0, rounds=1)
    cover = step(dark - 0.5 + amount(params, 7, 0.05, 0.16) * tooth, amount(params, 8, 0.35, 0.6))
    ground = paper(params, 9) * (1.0 - 0.3 * amount(params, 11, 0.0, 1.0)[..., None])
    # White chalk for the highest lights, where the paper is not white itself.
    chalk = chance(params, 12, 0.5) * step(smudged - 0.72 + 0.1 * tooth, 0.15) * 0.8
    return signed(lay(lay(ground, ops.ones_like(ground), chalk), 0.5 * ink(params, 10), cover))


def engraving(photos: Tensor, params: Tensor, field: Tensor) -> Tensor:
    """Copperplate: lines that swell in the dark and bend with the form, crossed in the deepest tones."""
    light = even(luminance(unit(photos)), amount(params, 0, 0.1, 0.6))
    down, across = gradient(light, 1.0)
    contour = ops.clip(ops.sqrt(down * down + across * across + 1e-12) * 5.0 - 0.1, 0.0, 0.9)
    dark = ops.clip(1.0 - smooth(light, 0.7) + 0.6 * contour, 0.0, 1.0)
    y, x = coordinates(photos)
    pitch = 6.2832 / amount(params, 1, 2.4, 3.8)
    form = amount(params, 2, 0.0, 9.0) * smooth(light, 3.0) + 0.5 * grain(field[..., 0], 10.0)
    angle = amount(params, 3, -1.6, 1.6)
    cover = ops.zeros_like(light)
    for turn, start in ((0.0, 0.1), (1.1, 0.5), (-0.9, 0.75)):
        wave = ops.cos(pitch * ((y + form) * ops.cos(angle + turn) + (x - form) * ops.sin(angle + turn)))
        swell = ops.clip((dark - start) / (1.0 - start), 0.0, 1.0) * 2.3 - 1.15
        line = step(swell + 0.95 * wave - 0.25, 0.45) * ops.cast(dark > start, "float32")
        cover = ops.maximum(cover, line)
    wash = amount(params, 4, 0.0, 0.4)
    cover = ops.maximum(cover + wash * (dark - cover), contour)
    cover = ops.clip(cover * (1.0 + 0.15 * grain(field[..., 1], 0.8)), 0.0, 1.0)
    return signed(lay(paper(params, 8), ink(params, 10), cover))


def crayon(photos: Tensor, params: Tensor, field: Tensor) -> Tensor:
    """Wax crayons: few strong colours rubbed in strokes over toothed paper, outlined by hand."""
    picture = dress(wobble(unit(photos), field, amount(params, 0, 0.2, 1.0)), params, field)
    light = luminance(picture)
    angle = amount(params, 1, -1.6, 1.6) + 0.5 * grain(field[..., 1], 18.0)
    rub = 1.8 * smear(grain(field[..., 2], 0.6), ops.sin(angle), ops.cos(angle), amount(params, 2, 4.0, 9.0))
    flat = smooth(picture, amount(params, 3, 0.8, 1.8))
    grey = luminance(flat)[..., None]
    vivid = ops.clip(grey + (flat - grey) * amount(params, 4, 1.2, 2.6)[..., None], 0.0, 1.0)
    press = amount(params, 5, 0.65, 1.0) + 0.35 * (1.0 - light) + amount(params, 6, 0.1, 0.3) * rub
    press = ops.clip(press + 0.1 * grain(field[..., 0], 0.6), 0.1, 1.0)
    down, across = gradient(light, 1.0)
    contour = step(ops.sqrt(down * down + across * across) * 8.0 - 0.55 + 0.12 * rub, 0.4)
    drawn = lay(paper(params, 8), vivid, press)
    return signed(lay(drawn, ink(params, 10), contour * amount(params, 7, 0.3, 1.0)))
