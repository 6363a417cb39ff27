"""What artists do to a portrait beyond any style: cheap random changes, functions of (picture, noise).

A network that has only seen a few styles takes their light, their contours and their backgrounds for the
person's own. Each change here breaks one of these: tones become other colours, light and blotches fall on the
picture, contours are drawn thick, twice and beside their place, shapes are bent, strokes and patches cover
parts, the background is replaced. What the face is stays; what the network answers has to stay as well.

Every change is a pure function `(picture [N, H, W, 3] in [0, 1], params [N, 16], field [N, H, W, 3])` of
uniform noise in `[0, 1)`, as the procedural styles are (`styles/procedural.py`), in `keras.ops` only. A group
of pictures shares which changes it gets, so only these are computed; how strong they are differs by picture.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from keras import ops

from ifrp_tf.core.types import Tensor
from ifrp_tf.styles.filters import amount, chance, coordinates, draws, grain, luminance, smear, smooth, step
from ifrp_tf.styles.palettes import bend, gradient_map, ink, lay, paint, paper, signed, unit

Change: TypeAlias = Callable[[Tensor, Tensor, Tensor], Tensor]
"""`(picture [N, H, W, 3] in [0, 1], params [N, 16], field [N, H, W, 3]) -> picture`; the caller clips."""

PARAMS = 16
"""Uniform numbers that a change takes for each picture."""

_PLACES = 6  # stops of a random tone curve


def elastic(picture: Tensor, params: Tensor, field: Tensor) -> Tensor:
    """Bends shapes smoothly, by 1 to 4 pixels of a side of 128 at most places, by none on average."""
    reach, width = amount(params, 0, 0.6, 2.4), amount(params, 1, 7.0, 20.0)
    moves = [reach * grain(field[..., k], width) for k in (0, 1)]
    down, across = (move - ops.mean(move, axis=(1, 2), keepdims=True) for move in moves)
    return displaced(picture, ops.clip(down, -5.0, 5.0), ops.clip(across, -5.0, 5.0))


def flat(picture: Tensor, params: Tensor, field: Tensor) -> Tensor:
    """Few flat colours, as in prints and posters: blurred, then each channel, or only lightness, in steps."""
    soft = smooth(picture, amount(params, 0, 0.8, 2.8))
    count = ops.floor(amount(params, 1, 2.0, 6.0))[..., None]
    light = luminance(soft)[..., None]
    by_light = soft - light + _stepped(light, count)
    return ops.where(params[:, 2, None, None, None] < 0.5, by_light, _stepped(soft, count))


def lines(picture: Tensor, params: Tensor, field: Tensor) -> Tensor:
    """Nothing but lines on paper; in half of the pictures dark parts are filled with ink."""
    light = luminance(picture)
    drawn = contour_map(light, params)
    dark = step(amount(params, 8, 0.05, 0.4) - smooth(light, 1.5), 0.05) * chance(params, 9, 0.5)
    ground = paper(params, 10)
    tinted = ground + 0.35 * chance(params, 14, 0.3)[..., None] * (smooth(picture, 2.0) - 0.6)
    return lay(tinted, ink(params, 12), ops.maximum(drawn, dark))


def contours(picture: Tensor, params: Tensor, field: Tensor) -> Tensor:
    """Draws contours over the picture: thick or thin, often beside their place, sometimes twice."""
    drawn = contour_map(luminance(picture), params)
    return lay(picture, ink(params, 12), drawn * amount(params, 14, 0.5, 1.0))


def convolved(picture: Tensor, params: Tensor, field: Tensor) -> Tensor:
    """A random convolution of 3 x 3 pixels and three channels, standardised: unheard-of textures, colours."""
    random = (ops.reshape(draws(field, 0, 27), (-1, 27, 3)) - 0.5) * 0.9
    identity = ops.concatenate([ops.zeros((12, 3)), ops.eye(3), ops.zeros((12, 3))], axis=0)
    kernel = identity + amount(params, 0, 0.3, 1.6) * random
    padded = ops.pad(picture, [[0, 0], [1, 1], [1, 1], [0, 0]], mode="reflect")
    height, width = picture.shape[1:3]
    parts = [padded[:, y : y + height, x : x + width] for y in range(3) for x in range(3)]
    mixed = ops.matmul(ops.concatenate(parts, axis=-1), kernel[:, None])
    mean, variance = ops.moments(mixed, axes=(1, 2), keepdims=True)
    wanted = 0.5 + 0.4 * (draws(field, 1, 1)[:, None] - 0.5)
    return wanted + (mixed - mean) * ops.rsqrt(variance + 1e-3) * amount(params, 1, 0.12, 0.28)[..., None]


def tones(picture: Tensor, params: Tensor, field: Tensor) -> Tensor:
    """Tones become colours by random curves that may rise and fall: of each channel, or of lightness."""
    free = draws(field, 0, 2 * _PLACES)
    rise = ops.arange(_PLACES, dtype="float32")[None, :, None] / (_PLACES - 1.0)
    rise = ops.where(params[:, 0, None, None] < 0.2, 1.0 - rise, rise)
    wild = amount(params, 1, 0.1, 1.0)
    curve = ops.clip(rise + 1.1 * wild * (free[:, :_PLACES] - 0.5), 0.0, 1.0)
    colours = rise + wild * (free[:, _PLACES:] - rise)
    curved = ops.concatenate(
        [gradient_map(picture[..., k], curve[..., k : k + 1]) for k in range(3)], axis=-1
    )
    ramped = gradient_map(luminance(picture), colours)
    part = amount(params, 3, 0.4, 1.0)[..., None]
    ramped = picture + part * (ramped - picture)
    return ops.where(params[:, 2, None, None, None] < 0.5, curved, ramped)


def recoloured(picture: Tensor, params: Tensor, field: Tensor) -> Tensor:
    """Mixes the channels by a random matrix about a random mean colour."""
    free = 2.0 * draws(field, 0, 3) - 1.0
    part = amount(params, 0, 0.3, 1.0)
    matrix = ops.eye(3) * (1.0 - 0.6 * part) + part * free
    mean = ops.mean(picture, axis=(1, 2), keepdims=True)
    wanted = mean + part[..., None] * (draws(field, 1, 1)[:, None] * 0.8 + 0.1 - mean)
    return wanted + ops.matmul(picture - mean, matrix[:, None])


def exposed(picture: Tensor, params: Tensor, field: Tensor) -> Tensor:
    """Another exposure, gamma, contrast and white balance: light that says nothing about the person."""
    gain = 2.0 ** amount(params, 0, -1.3, 0.8)[..., None]
    balance = 1.0 + 0.3 * amount(params, 1, 0.0, 1.0)[..., None] * (2.0 * draws(field, 0, 1)[:, None] - 1.0)
    picture = ops.clip(picture * gain * balance, 0.0, 1.0)
    picture = bend(picture, ops.exp(amount(params, 2, -0.9, 0.9))[..., None])
    lift = amount(params, 3, -0.1, 0.25)[..., None] * chance(params, 4, 0.5)[..., None]
    return picture * (1.0 - ops.abs(lift)) + lift


def lit(picture: Tensor, params: Tensor, field: Tensor) -> Tensor:
    """Smooth coloured light from the side, and blotches of colour as in loose painting."""
    wide = amount(params, 0, 10.0, 40.0)
    planes = [grain(field[..., k], wide) for k in range(3)]
    common, coloured = amount(params, 1, 0.0, 0.35), amount(params, 2, 0.0, 0.3)
    light = ops.stack([common * planes[0] + coloured * plane for plane in planes], axis=-1)
    picture = picture * ops.exp(light)
    turned = ops.flip(field, axis=1)
    spots = step(grain(turned[..., 0], amount(params, 3, 3.0, 12.0)) - amount(params, 4, 0.7, 1.8), 0.25)
    colour = paint(params[:, 5], params[:, 6], 0.2 + 0.8 * params[:, 7])[:, None, None]
    return lay(picture, colour, spots * amount(params, 8, 0.2, 0.9) * chance(params, 9, 0.6))


def strokes(picture: Tensor, params: Tensor, field: Tensor) -> Tensor:
    """Clutter: strokes of a few colours along a free flow, over a part of the picture."""
    twist = 6.2832 * params[:, 0, None, None] + amount(params, 1, 0.2, 1.5) * grain(field[..., 0], 25.0)
    noise = smear(smooth(field[..., 2], amount(params, 2, 0.4, 1.3)), ops.sin(twist), ops.cos(twist),
                  amount(params, 3, 3.0, 12.0), rounds=2)  # fmt: skip
    mean, variance = ops.moments(noise, axes=(1, 2), keepdims=True)
    cover = step((noise - mean) * ops.rsqrt(variance + 1e-8) - amount(params, 4, 0.7, 1.8), 0.2)
    region = step(grain(field[..., 1], 22.0) + amount(params, 5, -0.6, 1.2), 0.3)
    turned = ops.flip(field, axis=1)
    varied = ops.stack([grain(turned[..., k], 6.0) for k in range(3)], axis=-1)
    base = paint(params[:, 6], params[:, 7], params[:, 8])[:, None, None]
    colour = ops.clip(base + 0.25 * varied * chance(params, 9, 0.6)[..., None], 0.0, 1.0)
    return lay(picture, colour, cover * region * amount(params, 10, 0.4, 1.0))


def occluded(picture: Tensor, params: Tensor, field: Tensor) -> Tensor:
    """Up to three small ovals or bars of one colour each, hard or soft, cover parts."""
    y, x = coordinates(picture)
    for k in range(3):
        place, size, colour, form = (field[:, k, j, :] for j in range(4))
        turn = 3.1416 * place[:, 2, None, None]
        down, across = y - 128.0 * place[:, 0, None, None], x - 128.0 * place[:, 1, None, None]
        one = (down * ops.cos(turn) - across * ops.sin(turn)) / (3.0 + 11.0 * size[:, 0, None, None])
        two = (down * ops.sin(turn) + across * ops.cos(turn)) / (3.0 + 17.0 * size[:, 1, None, None])
        oval = ops.sqrt(one * one + two * two + 1e-6)
        bar = ops.maximum(ops.abs(one), ops.abs(two))
        inside = step(
            1.0 - ops.where(form[:, 0, None, None] < 0.6, oval, bar), 0.03 + 0.3 * form[:, 1, None, None]
        )
        there = ops.cast(size[:, 2] < (0.9, 0.5, 0.3)[k], "float32") * (0.6 + 0.4 * form[:, 2])
        picture = lay(picture, colour[:, None, None], inside * there[:, None, None])
    return picture


CHANGES: dict[str, tuple[float, Change]] = {
    "elastic": (0.35, elastic),
    "flat": (0.07, flat),
    "lines": (0.07, lines),
    "contours": (0.12, contours),
    "convolved": (0.08, convolved),
    "tones": (0.25, tones),
    "recoloured": (0.12, recoloured),
    "exposed": (0.25, exposed),
    "lit": (0.2, lit),
    "strokes": (0.1, strokes),
    "occluded": (0.1, occluded),
}
"""Every change by name with the part of the groups that it befalls at full probability, in this order."""


def augment(
    portraits: Tensor,
    gates: Tensor,
    draw: Callable[[int], tuple[Tensor, Tensor]],
    probability: float = 1.0,
) -> Tensor:
    """Changes a group of portraits at random.

    Args:
        portraits: Float32 tensor `[N, H, W, 3]` in `[-1, 1]`; H and W known, at least 46.
        gates: Float32 tensor `[len(CHANGES)]`, uniform in `[0, 1)`: which changes befall the group.
        draw: gives the noise of change `k`: params `[N, 16]` and field `[N, H, W, 3]`, uniform in `[0, 1)`.
        probability: Factor of every chance of `CHANGES`, in `[0, 1]`; 0 changes nothing.

    Output shape: `[N, H, W, 3]`, float32 in `[-1, 1]`.

    Example:
        >>> augment(portraits, noise(0, 11)[0], lambda k: (noise(1 + k, 16), noise(20 + k, 128, 128, 3)))
    """
    picture = unit(portraits)
    for k, (share, change) in enumerate(CHANGES.values()):
        picture = ops.cond(
            gates[k] < share * probability,
            lambda k=k, change=change, picture=picture: ops.clip(change(picture, *draw(k)), 0.0, 1.0),
            lambda picture=picture: picture,
        )
    return signed(picture)


def backdrop(portraits: Tensor, undoing: Tensor, params: Tensor, field: Tensor) -> Tensor:
    """Replaces what is behind the head, outside a soft oval, by white, black, a colour or a soft pattern.

    Args:
        portraits: Float32 tensor `[N, H, W, 3]` in `[-1, 1]`, misaligned.
        undoing: Float32 tensor `[N, 4]` of `misalign.undoing_parameters`: where the head is.
        params: Float32 tensor `[N, 16]`, uniform in `[0, 1)`.
        field: Float32 tensor `[N, H, W, 3]`, uniform in `[0, 1)`.

    Output shape: `[N, H, W, 3]`, float32 in `[-1, 1]`.
    """
    # -1 and 1 are the centres of the border pixels, as in `misalign`.
    height, width = portraits.shape[1:3]
    y, x = coordinates(portraits)
    y, x = y * (width / 64.0 / (height - 1.0)) - 1.0, x * (width / 64.0 / (width - 1.0)) - 1.0
    theta, scale, up, along = (undoing[:, k, None, None] for k in range(4))
    cos, sin = ops.cos(theta) / scale, ops.sin(theta) / scale
    # The inverse of the grid that undoes the misalignment: where a pixel is in the aligned photograph.
    down, across = cos * y + sin * x - up, cos * x - sin * y - along
    down = (down - amount(params, 0, -0.12, 0.08)) / amount(params, 1, 0.88, 1.15)
    across = across / amount(params, 2, 0.72, 0.95)
    outside = step(ops.sqrt(down * down + across * across + 1e-6) - 1.0, amount(params, 3, 0.02, 0.15))
    choice = params[:, 4, None, None, None]
    plain = ops.where(
        choice < 0.3, 1.0 - 0.06 * params[:, 5, None, None, None], 0.06 * params[:, 5, None, None, None]
    )
    coloured = paint(params[:, 6], params[:, 7], 0.1 + 0.9 * params[:, 8])[:, None, None]
    ground = ops.where(choice < 0.5, plain, coloured)
    pattern = ops.stack([grain(field[..., k], 12.0) for k in range(3)], axis=-1)
    ground = ground + 0.2 * ops.cast(choice > 0.8, "float32") * pattern
    return signed(lay(unit(portraits), ops.clip(ground, 0.0, 1.0), outside))


def contour_map(light: Tensor, params: Tensor) -> Tensor:
    """Where contours run: `[N, H, W]` in `[0, 1]`, by columns 0 to 7 of `params`.

    Dark lines of a difference of Gaussians, made thick, moved by up to 4 pixels of a side of 128, and in a
    third of the pictures drawn a second time beside it.

    Args:
        light: Float32 map `[N, H, W]` in `[0, 1]`.
        params: Float32 tensor `[N, 16]`, uniform in `[0, 1)`.
    """
    fine = amount(params, 0, 0.6, 1.8)
    valley = smooth(light, 1.6 * fine) - smooth(light, fine)
    line = step(valley - amount(params, 1, 0.006, 0.025), 0.006)
    thick = amount(params, 2, 0.3, 1.5)
    down, across = amount(params, 3, -4.0, 4.0), amount(params, 4, -4.0, 4.0)
    moved = chance(params, 5, 0.5)
    drawn = smooth(line, thick, None, moved * down, moved * across)
    twice = smooth(line, thick, None, -0.7 * across, 0.7 * down) * chance(params, 6, 1.0 / 3.0)
    return step(ops.maximum(drawn, twice) - amount(params, 7, 0.2, 0.5), 0.2)


def displaced(picture: Tensor, down: Tensor, across: Tensor) -> Tensor:
    """Samples a picture beside each pixel, bilinearly; the border is repeated.

    Args:
        picture: Float32 tensor `[N, H, W, C]`.
        down: Float32 map `[N, H, W]`: how far along y the sample is, in pixels of a side of 128.
        across: The same along x.

    Output shape: that of `picture`.
    """
    height, width, channels = picture.shape[1:]
    per = width / 128.0
    y, x = coordinates(picture)
    row = ops.clip((y + down) * per, 0.0, height - 1.001)
    column = ops.clip((x + across) * per, 0.0, width - 1.001)
    top, left = ops.floor(row), ops.floor(column)
    part_y, part_x = (row - top)[..., None], (column - left)[..., None]
    number = ops.shape(picture)[0]
    first = ops.arange(number, dtype="int32")[:, None, None] * (height * width)
    place = first + ops.cast(top, "int32") * width + ops.cast(left, "int32")
    pixels = ops.reshape(picture, (-1, channels))
    corners = [ops.take(pixels, place + step_, axis=0) for step_ in (0, 1, width, width + 1)]
    upper = corners[0] + part_x * (corners[1] - corners[0])
    lower = corners[2] + part_x * (corners[3] - corners[2])
    return upper + part_y * (lower - upper)


def _stepped(value: Tensor, count: Tensor) -> Tensor:
    """Values in `[0, 1]` in `count` steps with slightly soft edges."""
    place = ops.clip(value, 0.0, 0.9999) * count
    floor = ops.floor(place)
    return (floor + step(place - floor - 0.9, 0.1)) / ops.maximum(count - 1.0, 1.0) * (1.0 - 1e-4)
