"""Procedural styles of flat colour: halftone, comic, contours, woodblock, tonal, statistics.

Every style is a function `(photos [N, H, W, 3] in [-1, 1], params [N, 16], field [N, H, W, 3])` to
portraits of the shape and range of the photos; `params` and `field` are uniform in `[0, 1)`. See
`procedural.py`.
"""

from __future__ import annotations

from keras import ops

from ifrp_tf.core.types import Tensor
from ifrp_tf.styles.drawing import even, wobble
from ifrp_tf.styles.filters import (
    amount,
    chance,
    coordinates,
    detail,
    draws,
    gradient,
    grain,
    luminance,
    smooth,
    step,
)
from ifrp_tf.styles.palettes import (
    bend,
    dress,
    gradient_map,
    ink,
    lay,
    paint,
    paper,
    ramp,
    retone,
    signed,
    unit,
)


def posterise(tone: Tensor, levels: Tensor, softness: Tensor | float = 0.12) -> Tensor:
    """Rounds tones in `[0, 1]` to `levels + 1` steps with slightly soft risers."""
    place = tone * levels
    whole = ops.floor(place)
    return (whole + step(place - whole - 0.5, softness)) / levels


def outline(light: Tensor, sigma: Tensor, level: Tensor, softness: Tensor | float) -> Tensor:
    """Covers edges and dark creases of a luminance map with lines, 0 to 1."""
    crease = smooth(light, 1.8 * sigma) - smooth(light, sigma)
    down, across = gradient(light, sigma)
    slope = ops.sqrt(down * down + across * across + 1e-12)
    return step(12.0 * crease + 2.0 * slope - level, softness)


def halftone(photos: Tensor, params: Tensor, field: Tensor) -> Tensor:
    """Printed dots: one ink on paper, or the three inks of cheap colour print at three angles."""
    picture = dress(unit(photos), params, field)
    y, x = coordinates(photos)
    cell = amount(params, 0, 2.3, 3.6)
    turn = amount(params, 1, 0.0, 1.57)
    softness = amount(params, 2, 0.35, 0.8)
    gain = amount(params, 3, 1.8, 3.0)
    solid = amount(params, 7, 0.5, 0.9)
    light = even(luminance(picture), amount(params, 4, 0.0, 0.5))
    planes = []
    for k, plane in enumerate((light, picture[..., 0], picture[..., 1], picture[..., 2])):
        angle = turn + 0.45 * k
        cos, sin = ops.cos(angle) * (3.1416 / cell), ops.sin(angle) * (3.1416 / cell)
        dots = ops.cos(y * cos - x * sin) * ops.cos(y * sin + x * cos)
        tone = smooth(plane, 0.6)
        planes.append(tone + solid * (step(gain * (tone - 0.5) + dots * 0.9, softness) - tone))
    printed = 1.0 - (1.0 - ops.stack(planes[1:], axis=-1)) * (0.75 + 0.25 * params[:, 5, None, None, None])
    ground = paper(params, 8)
    one = lay(ground, ink(params, 10), 1.0 - planes[0])
    coloured = chance(params, 6, 0.6)[..., None]
    return signed(one + (printed * ground - one) * coloured)


def comic(photos: Tensor, params: Tensor, field: Tensor) -> Tensor:
    """Comic strip: a few flat saturated colours, black outlines, dots in the shade."""
    picture = dress(unit(photos), params, field)
    soft = smooth(picture, amount(params, 0, 0.9, 1.8))
    light = luminance(soft)
    levels = ops.floor(amount(params, 1, 2.0, 5.0))
    tone = posterise(even(light, amount(params, 2, 0.0, 0.5)), levels)
    chroma = (soft - light[..., None]) * amount(params, 3, 1.2, 3.0)[..., None]
    chroma = posterise(chroma + 0.5, amount(params, 4, 6.0, 12.0)[..., None], 0.2) - 0.5
    flat = ops.clip(tone[..., None] + chroma, 0.0, 1.0)
    y, x = coordinates(photos)
    pitch = 3.1416 / amount(params, 5, 2.4, 3.6)
    dots = step(ops.cos(pitch * (y + x) * 0.7071) * ops.cos(pitch * (y - x) * 0.7071) - 0.1, 0.5)
    shade = dots * step(0.45 - light, 0.1) * chance(params, 6, 0.5) * 0.6
    lines = outline(luminance(picture), amount(params, 7, 0.7, 1.3), amount(params, 8, 0.2, 0.5), 0.12)
    return signed(lay(lay(flat, flat * 0.35, shade), ink(params, 10), lines))


def contours(photos: Tensor, params: Tensor, field: Tensor) -> Tensor:
    """Candy: bands of bright unrelated colours between lines of equal luminance, with coloured outlines."""
    picture = wobble(unit(photos), field, amount(params, 0, 0.2, 1.0))
    light = smooth(even(luminance(picture), amount(params, 1, 0.0, 0.4)), amount(params, 2, 1.0, 2.2))
    bands = amount(params, 3, 5.0, 11.0)
    place = light * bands + 0.35 * grain(field[..., 2], 12.0)
    # Neighbouring bands differ in hue; their luminance still follows the face.
    number = ops.floor(place)
    free = draws(field, 0, 4)
    hue = (
        params[:, 4, None, None] + number * amount(params, 5, 0.13, 0.45) + 0.08 * grain(field[..., 1], 20.0)
    )
    jump = 0.22 * ops.sin(number * 2.4 + 6.28 * free[:, 1, :1, None])
    value = ops.clip(0.22 + 0.75 * number / bands + jump * amount(params, 6, 0.1, 0.7), 0.05, 1.0)
    saturation = amount(params, 7, 0.45, 1.0) * ops.ones_like(value)
    colour = paint(hue, saturation, value)
    # A hue of its own luminance each: pull the bands towards the luminance they stand for.
    aim = (number + 0.5) / bands
    colour = ops.clip(colour + 0.55 * (aim - luminance(colour))[..., None], 0.0, 1.0)
    down, across = gradient(light, 0.8)
    slope = ops.sqrt(down * down + across * across + 1e-8) * bands
    rest = place - number
    near = ops.minimum(rest, 1.0 - rest) / ops.maximum(slope, 0.06)
    lines = step(amount(params, 8, 0.3, 1.0) - near, 0.5)
    mixed = lay(colour, ink(params, 9), lines * amount(params, 11, 0.3, 0.8))
    mixed = mixed + detail(picture, amount(params, 14, 0.3, 1.0))
    own = chance(params, 12, 0.5)[..., None] * amount(params, 13, 0.1, 0.5)[..., None]
    return signed(mixed + own * (picture - mixed))


def woodblock(photos: Tensor, params: Tensor, field: Tensor) -> Tensor:
    """Woodblock print: three or four flat inks, dark key lines, wood grain and warm paper."""
    picture = wobble(unit(photos), field, amount(params, 0, 0.2, 0.9), 7.0)
    light = even(luminance(picture), amount(params, 1, 0.1, 0.6))
    tone = posterise(smooth(light, amount(params, 2, 1.2, 2.4)), ops.floor(amount(params, 3, 2.0, 5.0)), 0.08)
    inks = ramp(params, field, 4, count=5)
    faded = 0.75 * inks + 0.25 * ops.mean(inks, axis=1, keepdims=True)
    ground = paper(params, 8)
    printed = gradient_map(tone, faded) * (0.35 * ground + 0.65)
    # Light areas stay unprinted paper, as a rule.
    bare = step(tone - amount(params, 6, 0.65, 1.0), 0.1)
    printed = lay(printed, ground, bare)
    wood = grain(field[..., 2], 0.6, 9.0)
    wood = ops.where(params[:, 7, None, None] > 0.5, wood, grain(field[..., 2], 9.0, 0.6))
    printed = printed * (1.0 + (0.05 * wood)[..., None])
    lines = outline(light, amount(params, 9, 0.8, 1.4), amount(params, 11, 0.15, 0.45), 0.1)
    return signed(lay(printed, ink(params, 10), lines))


def tonal(photos: Tensor, params: Tensor, field: Tensor) -> Tensor:
    """A ramp of strong colours for luminance, smooth or in steps, now and then a negative."""
    light = luminance(unit(photos))
    light = ops.clip(bend(light, amount(params, 0, 0.6, 1.7)), 0.0, 1.0)
    levels = ops.floor(amount(params, 1, 3.0, 9.0))
    stepped = posterise(smooth(light, 1.0), levels, 0.1)
    tone = light + chance(params, 2, 0.5) * (stepped - light)
    tone = tone + chance(params, 3, 0.12) * (1.0 - 2.0 * tone)
    coloured = gradient_map(tone + 0.02 * grain(field[..., 1], 0.8), ramp(params, field, 4))
    keep = amount(params, 6, 0.0, 0.35)[..., None]
    return signed(coloured + keep * (unit(photos) - coloured))


def statistics(photos: Tensor, params: Tensor, field: Tensor) -> Tensor:
    """The photograph in the colours of an imaginary painting, slightly soft, with its canvas."""
    picture = retone(unit(photos), params, 0)
    soft = smooth(picture, amount(params, 3, 0.4, 1.1))
    weave = grain(field[..., 0], 0.5, 2.0) + grain(field[..., 1], 2.0, 0.5)
    shade = 0.06 * grain(field[..., 2], 18.0)
    weave = amount(params, 4, 0.0, 0.05) * weave + shade
    return signed(soft * (1.0 + weave[..., None]))
