"""Recovered faces back into their picture: at their place, size and tilt, in its colours, without an edge."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from PIL import Image

from ifrp_tf.core.errors import ConfigError
from ifrp_tf.pictures.decoding import check_pixels
from ifrp_tf.pictures.geometry import Place, cut

_ROUNDNESS = 3.0  # exponent of the mask's outline: 2 is a circle, many a square
_SOLID = 0.55  # of the way from the middle to the border that the mask is whole; beyond it fades to 0
_GAIN = (0.6, 1.5)  # limits of how much contrast is changed to match
_BAND = 2**20  # pixels that are blended at a time: as numbers they take ten times the memory and more
_EDGE = 4  # pixels repeated around the recovered face, so that no filter reaches over its border


def paste(
    pixels: np.ndarray, places: Sequence[Place], recovered: Sequence[np.ndarray], *, strength: float = 1.0
) -> np.ndarray:
    """Blends recovered faces into their picture.

    Every face gets the mean and contrast of each colour that the picture has under its mask, and fades out
    towards the border of its frame over a part of its size. Where faces overlap, they share the pixels by
    their masks; so their order does not matter. Pixels outside all frames are not touched.

    Args:
        pixels: uint8 [H, W, 3], RGB, 0-255; not changed.
        places: the faces' frames.
        recovered: uint8 [S, S, 3] each, as many as places.
        strength: 0 (the picture as it is) to 1 (the recovered faces as they are).

    Returns:
        uint8 [H, W, 3].

    Raises:
        ConfigError: the strength is outside 0 to 1, or there are not as many faces as places.
        ImageError: with reason `bad_array`.

    Example:
        >>> paste(painting, [face.place], [recoverer(portrait)], strength=0.8)  # doctest: +SKIP
    """
    check_pixels(pixels)
    if not 0.0 <= strength <= 1.0:
        raise ConfigError(f"Expected a strength from 0 to 1. Received: {strength!r}.")
    if len(places) != len(recovered):
        raise ConfigError(f"Expected as many faces as places. Received: {len(recovered)}, {len(places)}.")
    result = pixels.copy()
    for index, (place, face) in enumerate(zip(places, recovered, strict=True)):
        check_pixels(face)
        bands = list(_bands(pixels, place))
        gain, shift = match_colours(
            (_laid(face, place, band), _levels(pixels, band), mask(place, band)) for band in bands
        )
        others = [*places[:index], *places[index + 1 :]]
        for band in bands:
            own = mask(place, band)
            total = sum((mask(other, band) for other in others if _meet(other, band)), own)
            weight = (strength * own / np.maximum(total, 1.0))[:, :, None]
            change = weight * (_laid(face, place, band) * gain + shift - _levels(pixels, band))
            left, top, right, bottom = band
            changed = np.clip(np.floor(_levels(result, band) + change + 0.5), 0, 255)
            result[top:bottom, left:right] = changed.astype(np.uint8)
    return result


def mask(place: Place, window: tuple[int, int, int, int]) -> np.ndarray:
    """How much of a recovered face each pixel gets: 1 in the middle, falling smoothly to 0 at its border.

    Args:
        place: the face's frame.
        window: left, top, right, bottom of the pixels that are asked for.

    Returns:
        float32 [bottom - top, right - left], 0 to 1.
    """
    left, top, right, bottom = window
    inverse = np.linalg.inv(place.matrix()[:, :2]).astype(np.float32)
    x = np.arange(left, right, dtype=np.float32)[None, :] + np.float32(0.5 - place.x)
    y = np.arange(top, bottom, dtype=np.float32)[:, None] + np.float32(0.5 - place.y)
    u, v = (np.abs(2 * (row[0] * x + row[1] * y)) for row in inverse)
    radius = (u**_ROUNDNESS + v**_ROUNDNESS) ** (1 / _ROUNDNESS)
    t = np.clip((1 - radius) / (1 - _SOLID), 0, 1)
    return (t * t * (3 - 2 * t)).astype(np.float32)


def match_colours(
    bands: Iterable[tuple[np.ndarray, np.ndarray, np.ndarray]],
) -> tuple[np.float32, np.ndarray]:
    """What gives a face the mean colour and the contrast that a picture has under a mask.

    Args:
        bands: of the two and the mask: float32 [H, W, 3], levels; the same; float32 [H, W], at least 0.

    Returns:
        A gain and a shift, float32 [3]: `face * gain + shift` matches. 1 and 0 where the mask is all 0.
    """
    total, sums = 0.0, np.zeros((2, 2, 3))  # of the first and second powers, of the face and the picture
    for face, picture, weight in bands:
        total += float(weight.sum(dtype=np.float64))
        for power in (1, 2):
            for of, image in enumerate((face, picture)):
                sums[power - 1, of] += (image**power * weight[:, :, None]).sum((0, 1), dtype=np.float64)
    if total <= 0:
        return np.float32(1), np.zeros(3, np.float32)
    means, squares = sums / total
    spreads = np.sqrt(np.maximum(squares - means**2, 0)).mean(1)
    # One gain for all channels: of their own each would tint the shadows.
    gain = np.clip(spreads[1] / max(spreads[0], 1.0), *_GAIN)
    return np.float32(gain), (means[1] - gain * means[0]).astype(np.float32)


def in_place(pixels: np.ndarray, place: Place, side: int) -> np.ndarray:
    """A face with its surroundings, upright: what is shown beside the recovered face.

    Args:
        pixels: uint8 [H, W, 3], RGB, 0-255.
        place: the face's frame.
        side: of the result, pixels.
    """
    return cut(pixels, Place(place.x, place.y, 1.6 * place.side, 0.0), side)


def _bands(pixels: np.ndarray, place: Place) -> Iterator[tuple[int, int, int, int]]:
    """What of a picture is around a frame, in parts of a bounded size: left, top, right, bottom of each."""
    corners = place.corners()
    height, width = pixels.shape[:2]
    left, top = (max(0, math.floor(value)) for value in corners.min(0))
    right, bottom = (math.ceil(value) for value in corners.max(0))
    right, bottom = min(width, right), min(height, bottom)
    if left < right:
        rows = max(1, _BAND // (right - left))
        for start in range(top, bottom, rows):
            yield left, start, right, min(bottom, start + rows)


def _levels(pixels: np.ndarray, window: tuple[int, int, int, int]) -> np.ndarray:
    left, top, right, bottom = window
    return pixels[top:bottom, left:right].astype(np.float32)


def _meet(place: Place, window: tuple[int, int, int, int]) -> bool:
    low, high = place.corners().min(0), place.corners().max(0)
    left, top, right, bottom = window
    return bool(low[0] < right and high[0] > left and low[1] < bottom and high[1] > top)


def _laid(face: np.ndarray, place: Place, window: tuple[int, int, int, int]) -> np.ndarray:
    """The recovered face turned and scaled into its place: float32 levels, for the pixels of the window."""
    image, side = Image.fromarray(face), len(face)
    if place.side < side:  # shrunk with a filter first: the turn has none
        side = max(8, round(place.side))
        image = image.resize((side, side), Image.Resampling.BICUBIC)
    padded = np.pad(np.array(image), ((_EDGE, _EDGE), (_EDGE, _EDGE), (0, 0)), mode="edge")
    left, top, right, bottom = window
    inverse = np.linalg.inv(np.vstack([place.matrix(), [0, 0, 1]]))[:2] * side
    inverse[:, 2] += inverse[:, :2] @ (left, top) + _EDGE
    laid = Image.fromarray(padded).transform(
        (right - left, bottom - top),
        Image.Transform.AFFINE,
        tuple(float(value) for value in inverse.ravel()),
        Image.Resampling.BICUBIC,
    )
    return np.array(laid, np.float32)
