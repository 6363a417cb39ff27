"""Procedural styles of the painter: oil, impasto, swirl, watercolour, pointillism.

Every style is a function `(photos [N, H, W, 3] in [-1, 1], params [N, 16], field [N, H, W, 3])` to
portraits of the shape and range of the photos; `params` and `field` are uniform in `[0, 1)`. See
`procedural.py`.
"""

from __future__ import annotations

from keras import ops

from ifrp_tf.core.types import Tensor
from ifrp_tf.styles.drawing import wobble
from ifrp_tf.styles.filters import (
    amount,
    coordinates,
    detail,
    draws,
    flow,
    gradient,
    grain,
    luminance,
    sample,
    smear,
    smooth,
    step,
    tiles,
)
from ifrp_tf.styles.palettes import dress, lay, paint, paper, signed, unit


def kuwahara(picture: Tensor, radius: Tensor) -> Tensor:
    """Flattens into patches with crisp edges: of four blurs beside each pixel, the calmest wins.

    Args:
        picture: `[N, H, W, 3]` in `[0, 1]`.
        radius: Distance of the four blurs in pixels of a side of 128, `[N, 1, 1]`, about 1 to 4.
    """
    light = luminance(picture)[..., None]
    stacked = ops.concatenate([picture, light * light], axis=-1)
    total = ops.zeros_like(picture)
    weights = []
    for down in (-1.0, 1.0):
        for across in (-1.0, 1.0):
            part = smooth(stacked, 0.6 * radius, move_y=down * radius, move_x=across * radius)
            calm = part[..., 3] - ops.square(luminance(part[..., :3]))
            weights.append(1.0 / ops.square(ops.square(ops.maximum(calm, 0.0) * 60.0 + 0.03)))
            total = total + part[..., :3] * weights[-1][..., None]
    # Stacked: TensorFlow adds `a + b + c + d` in an order that depends on which of them is still in use.
    return total / ops.sum(ops.stack(weights, axis=-1), axis=-1, keepdims=True)


def relief(picture: Tensor, height: Tensor, angle: Tensor, strength: Tensor) -> Tensor:
    """Lights a height map `[N, H, W]` from `angle` (radians) and lays the light on a picture in `[0, 1]`."""
    down, across = gradient(height, 0.7)
    light = ops.clip((down * ops.sin(angle) + across * ops.cos(angle)) * strength, -0.6, 0.6)[..., None]
    return ops.clip(picture * (1.0 + light) + 0.25 * light, 0.0, 1.0)


def oil(photos: Tensor, params: Tensor, field: Tensor) -> Tensor:
    """Oil: patches of even colour with crisp edges, short strokes along the form, a hint of canvas."""
    picture = dress(unit(photos), params, field)
    flat = kuwahara(picture, amount(params, 0, 0.9, 2.4))
    twist = amount(params, 1, 0.0, 3.1) + 0.8 * grain(field[..., 0], 20.0)
    flow_y, flow_x = flow(luminance(flat), twist, amount(params, 2, 0.4, 2.0))
    dabs = grain(field[..., 1], 0.8)[..., None] * amount(params, 3, 0.02, 0.09)[..., None]
    stroked = smear(flat + dabs, flow_y, flow_x, amount(params, 4, 1.5, 4.0), rounds=2)
    stroked = stroked + detail(picture, amount(params, 6, 0.2, 0.9))
    weave = grain(field[..., 2], 0.5, 1.6) + grain(field[..., 2], 1.6, 0.5)
    return signed(stroked + amount(params, 5, 0.0, 0.03)[..., None] * weave[..., None])


def impasto(photos: Tensor, params: Tensor, field: Tensor) -> Tensor:
    """Thick paint: strokes of a loaded brush along the form, their ridges lit from the side."""
    picture = dress(unit(photos), params, field)
    light = luminance(picture)
    twist = amount(params, 1, 0.0, 3.1) + 1.3 * grain(field[..., 0], amount(params, 2, 9.0, 20.0))
    flow_y, flow_x = flow(light, twist, amount(params, 3, 0.3, 1.2))
    reach = amount(params, 4, 4.0, 8.0)
    thick = amount(params, 5, 0.7, 1.3)
    bristles = smear(grain(field[..., 1], thick), flow_y, flow_x, reach)
    colour = smear(
        picture + 0.16 * (smooth(field, thick) - 0.5) * 6.0 * thick[..., None], flow_y, flow_x, reach, 2
    )
    contrast = 0.5 + (colour - 0.5) * amount(params, 6, 1.0, 1.4)[..., None]
    contrast = contrast + detail(picture, amount(params, 9, 0.3, 1.0))
    height = bristles + 2.0 * luminance(contrast)
    return signed(relief(contrast, height, amount(params, 7, 0.0, 6.28), amount(params, 8, 0.25, 0.7)))


def swirl(photos: Tensor, params: Tensor, field: Tensor) -> Tensor:
    """Long winding strokes of separate colours along a turbulent flow, as in a night full of stars."""
    picture = dress(unit(photos), params, field)
    light = luminance(picture)
    twist = amount(params, 0, 0.0, 3.1) + amount(params, 1, 1.5, 4.0) * grain(
        field[..., 0], amount(params, 2, 8.0, 18.0)
    )
    flow_y, flow_x = flow(light, twist, amount(params, 3, 0.1, 0.7))
    reach = amount(params, 4, 5.0, 10.0)
    base = smear(picture, flow_y, flow_x, amount(params, 5, 1.5, 3.5), rounds=2)
    base = base + detail(picture, amount(params, 9, 0.2, 0.9))
    lines = smear(grain(field[..., 1], amount(params, 6, 0.7, 1.2)), flow_y, flow_x, reach)
    tints = smear(grain(field[..., 2], 1.0), flow_y, flow_x, reach)
    pair = draws(field, 0, 8)
    warm = paint(pair[:, 6, 0], 0.5 + 0.5 * pair[:, 6, 1], 0.7 + 0.3 * pair[:, 6, 2])[:, None, None, :]
    cold = paint(pair[:, 7, 0], 0.5 + 0.5 * pair[:, 7, 1], 0.2 + 0.4 * pair[:, 7, 2])[:, None, None, :]
    depth = amount(params, 7, 0.15, 0.45)
    mixed = lay(base, warm, depth * step(tints - 0.5 + (light - 0.6), 0.5))
    mixed = lay(mixed, cold, depth * step(-tints - 0.5 + (0.4 - light), 0.5))
    return signed(mixed + (lines * amount(params, 8, 0.08, 0.2))[..., None])


def watercolour(photos: Tensor, params: Tensor, field: Tensor) -> Tensor:
    """Washes: pale even areas with dark rims where they dried, pigment in the grain of white paper."""
    picture = dress(wobble(unit(photos), field, amount(params, 0, 0.3, 1.2)), params, field)
    flat = kuwahara(picture, amount(params, 1, 1.0, 2.6)) + detail(picture, amount(params, 7, 0.1, 0.6))
    light = ops.clip(luminance(flat), 0.0, 1.0)
    levels = amount(params, 2, 4.0, 8.0)
    place = light * levels + 0.5 * grain(field[..., 1], 5.0)
    rest = place - ops.floor(place)
    washed = (ops.floor(place) + step(rest - 0.5, 0.25) + 0.3) / (levels + 0.3)
    even_light = light + amount(params, 3, 0.3, 0.8) * (washed - light)
    colour = flat * ((even_light + 0.05) / (light + 0.05))[..., None]
    down, across = gradient(even_light, 0.8)
    rim = ops.clip(ops.sqrt(down * down + across * across) * amount(params, 4, 1.0, 3.0), 0.0, 0.45)
    pigment = amount(params, 5, 0.7, 1.05) * (1.0 + 0.12 * grain(field[..., 2], 8.0))
    pigment = pigment * (1.0 + amount(params, 6, 0.03, 0.12) * grain(field[..., 0], 0.7)) + rim
    white = paper(params, 8)
    return signed(white * (1.0 - ops.clip(pigment, 0.0, 1.2)[..., None] * (1.0 - colour)))


def pointillism(photos: Tensor, params: Tensor, field: Tensor) -> Tensor:
    """Separate round dots of pure colour, scattered in two sizes over a coloured ground."""
    picture = dress(unit(photos), params, field)
    y, x = coordinates(photos)
    ground = smooth(picture, 4.0) * 0.6 + 0.4 * paper(params, 8)
    jumble = amount(params, 0, 0.1, 0.35)[..., None]
    for size, width in ((1.4, 0.62), (1.0, 0.52)):
        cell = amount(params, 1, 3.0, 4.0) * size
        seed_y, seed_x, _ = tiles(field if size > 1.0 else ops.flip(field, axis=2), cell, 0.8)
        free = sample(field, seed_y, seed_x)
        colour = sample(picture, seed_y, seed_x) + jumble * (free - 0.5)
        grey = luminance(colour)[..., None]
        colour = ops.clip(grey + (colour - grey) * amount(params, 2, 1.0, 1.8)[..., None], 0.0, 1.0)
        distance = ops.sqrt(ops.square(y - seed_y) + ops.square(x - seed_x) + 1e-6)
        ground = lay(ground, colour, step(cell * width - distance, 0.7))
    return signed(ground)
