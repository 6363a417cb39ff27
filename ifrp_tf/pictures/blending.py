"""Recovered faces back into their picture: at their place, size and tilt, in its colours, without an edge."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from PIL import Image, ImageFilter

from ifrp_tf.core.errors import ConfigError
from ifrp_tf.pictures.decoding import check_pixels
from ifrp_tf.pictures.geometry import Place, cut

_ROUNDNESS = 3.0  # exponent of the mask's outline: 2 is a circle, many a square
_SOLID = 0.55  # of the way from the middle to the border that the mask is whole; beyond it fades to 0
_GAIN = (0.6, 1.5)  # limits of how much contrast is changed to match
_BAND = 2**20  # pixels that are blended at a time: as numbers they take ten times the memory and more
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)
_TONES, _ON_A_CURVE = (
    64,
    3.5,
)  # steps of lightness; levels off the mean colour of a step, root of mean squares
_NARROW = 32.0  # levels of lightness below which a picture is all but of one colour
_GRAIN = 10.0  # most noise that is added to a face in a band, levels
_SHARPEST = 1.5  # times that a face may be sharper than its picture; then it is blurred by a pixel
_SEEN = 512  # side of the window in the middle of a face in which grain is measured, pixels
_EDGE = 4  # pixels repeated around the recovered face, so that no filter reaches over its border


def paste(
    pixels: np.ndarray, places: Sequence[Place], recovered: Sequence[np.ndarray], *, strength: float = 1.0
) -> np.ndarray:
    """Blends recovered faces into their picture.

    Every face gets the mean and contrast of each colour that the picture has under its mask, its grain and no
    more than its sharpness; where the picture has one colour for every lightness (black-and-white, sepia,
    ink), the face has these. It fades out towards the border of its frame over a part of its size. Where
    faces overlap, they share the pixels by their masks; so their order does not matter. Pixels outside all
    frames are not touched.

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
        looks = _Looks(pixels, place, face, bands)
        others = [*places[:index], *places[index + 1 :]]
        for band in bands:
            own = mask(place, band)
            total = sum((mask(other, band) for other in others if _meet(other, band)), own)
            weight = (strength * own / np.maximum(total, 1.0))[:, :, None]
            change = weight * (looks(band) - _levels(pixels, band))
            left, top, right, bottom = band
            changed = np.clip(np.floor(_levels(result, band) + change + 0.5), 0, 255)
            result[top:bottom, left:right] = changed.astype(np.uint8)
    return result


class _Looks:
    """A recovered face as it would look in its picture, by the colours and the grain of what it covers.

    Args:
        pixels: uint8 [H, W, 3], the picture.
        place: the face's frame.
        face: uint8 [S, S, 3].
        bands: the windows that hold the frame.
    """

    def __init__(
        self, pixels: np.ndarray, place: Place, face: np.ndarray, bands: Sequence[tuple[int, int, int, int]]
    ) -> None:
        self._place, self._face = place, face
        covered = [(_levels(pixels, band), mask(place, band)) for band in _middle(bands, place)]
        texture = [texture_of(picture @ _LUMA, weight > 0.5) for picture, weight in covered]
        theirs = np.max(texture, axis=0) if texture else np.zeros(2)
        own = self._texture(place, bands)
        if own[0] > _SHARPEST * theirs[0]:
            radius = min(1.0 * len(face) / place.side, 0.05 * len(face))
            self._face = np.array(Image.fromarray(face).filter(ImageFilter.GaussianBlur(radius)))
            own = self._texture(place, bands)
        self.gain, self.shift = match_colours(
            (_laid(self._face, place, band), _levels(pixels, band), mask(place, band)) for band in bands
        )
        self._grain = np.sqrt(np.clip(theirs**2 - (self.gain * own) ** 2, 0, _GRAIN**2))
        block = int(np.clip(place.side // 64, 1, 4))  # dots, dithering and what JPEG does to colours at edges
        seen = ((_levels(pixels, band), mask(place, band)) for band in bands)
        self._tones = tones_of(
            (_reduced(picture, block), _reduced(weight, block)) for picture, weight in seen
        )

    def _texture(self, place: Place, bands: Sequence[tuple[int, int, int, int]]) -> np.ndarray:
        found = [
            texture_of(_laid(self._face, place, band) @ _LUMA, mask(place, band) > 0.5)
            for band in _middle(bands, place)
        ]
        return np.max(found, axis=0) if found else np.zeros(2)

    def __call__(self, band: tuple[int, int, int, int]) -> np.ndarray:
        """Of a window: float32 [H, W, 3], levels."""
        levels = _laid(self._face, self._place, band) * self.gain + self.shift
        if self._grain.any():
            fine, coarse = _noise(band)
            levels = levels + (self._grain[0] * fine + self._grain[1] * coarse)[:, :, None]
        if self._tones is None:
            return levels
        at = np.clip(levels @ _LUMA, 0, 255)
        steps = (np.arange(_TONES) + 0.5) * 256 / _TONES - 0.5
        return np.stack([np.interp(at, steps, channel) for channel in self._tones.T], axis=-1).astype(
            np.float32
        )


def tones_of(bands: Iterable[tuple[np.ndarray, np.ndarray]]) -> np.ndarray | None:
    """The colour of every lightness, where a picture has but one: black-and-white, sepia, ink.

    Args:
        bands: of the picture and a mask: float32 [H, W, 3], levels; float32 [H, W], at least 0.

    Returns:
        float64 [64, 3]: levels for lightness (0.299 R + 0.587 G + 0.114 B) from 0 to 255, not beyond the
        darkest and the lightest in the picture; None where colours of one lightness differ, and where the
        mask is all 0.
    """
    weights, sums, squares = np.zeros(_TONES), np.zeros((_TONES, 3)), 0.0
    for picture, weight in bands:
        step = np.minimum((picture @ _LUMA) * _TONES / 256, _TONES - 1).astype(np.intp).ravel()
        weights += np.bincount(step, weight.ravel(), _TONES)
        for channel in range(3):
            sums[:, channel] += np.bincount(step, (weight * picture[..., channel]).ravel(), _TONES)
        squares += float((weight[:, :, None] * picture**2).sum(dtype=np.float64))
    total = weights.sum()
    if total <= 0:
        return None
    known = weights > 1e-3 * total
    means = sums[known] / weights[known, None]
    off = (squares - (sums**2 / np.maximum(weights, 1e-9)[:, None]).sum()) / total
    # Within a step lightness itself differs: 4 levels from end to end, of which that much is the variance.
    if off > _ON_A_CURVE**2 + 3 * (256 / _TONES) ** 2 / 12:
        return None
    at = ((np.arange(_TONES) + 0.5) * 256 / _TONES - 0.5)[known]
    if at[-1] - at[0] < _NARROW:  # a sheet of one colour: from black over it to white
        at = np.concatenate([[0.0], at, [255.0]])
        means = np.concatenate([np.zeros((1, 3)), means, np.full((1, 3), 255.0)])
    steps = (np.arange(_TONES) + 0.5) * 256 / _TONES - 0.5
    return np.stack([np.interp(steps, at, channel) for channel in means.T], axis=-1)


def _reduced(values: np.ndarray, block: int) -> np.ndarray:
    """Means over square blocks; what is left over at the right and below goes."""
    height, width = (length // block for length in values.shape[:2])
    whole = values[: height * block, : width * block]
    return whole.reshape(height, block, width, block, *values.shape[2:]).mean((1, 3))


def texture_of(lightness: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """How much there is of what is a pixel and two pixels wide: grain, strokes, sharpness.

    Args:
        lightness: float32 [H, W], levels.
        inside: bool [H, W]: where it is measured.

    Returns:
        float64 [2]: the standard deviation in each band, levels, by medians, so that edges do not count; 0
        where there are fewer than 64 pixels.
    """
    if inside.sum() < 64:
        return np.zeros(2)
    return np.array([1.4826 * np.median(np.abs(band[inside])) for band in _split(lightness)], np.float64)


def _split(lightness: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    smooth = _smoothed(lightness, 1)
    return lightness - smooth, smooth - _smoothed(smooth, 2)


def _smoothed(values: np.ndarray, step: int) -> np.ndarray:
    for axis in (0, 1):
        pad = [(step, step) if k == axis else (0, 0) for k in (0, 1)]
        padded = np.pad(values, pad, mode="edge")
        one, two, three = (np.take(padded, np.arange(values.shape[axis]) + k * step, axis) for k in (0, 1, 2))
        values = (one + 2 * two + three) / 4
    return values


_OF_NOISE = (0.801, 0.273)
"""Standard deviations of the two bands of white noise of 1."""

_REACH = 3  # pixels that a band sees


def _noise(window: tuple[int, int, int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Noise of a deviation of 1 in each band of `texture_of`: the same for a pixel, whatever the window."""
    left, top, right, bottom = window
    rows = range(top - _REACH, bottom + _REACH)
    drawn = [
        np.random.default_rng(row + _REACH).standard_normal((2, right), np.float32)[:, left:] for row in rows
    ]
    layers = np.stack(drawn, axis=1)
    return tuple(  # type: ignore[return-value]
        _split(layer)[k][_REACH:-_REACH] / _OF_NOISE[k] for k, layer in enumerate(layers)
    )


def _middle(bands: Sequence[tuple[int, int, int, int]], place: Place) -> list[tuple[int, int, int, int]]:
    """The window in the middle of a frame in which grain is measured, as far as it is in the picture."""
    if not bands:
        return []
    half = min(_SEEN, round(place.side)) // 2
    left, right = max(bands[0][0], round(place.x) - half), min(bands[0][2], round(place.x) + half)
    top, bottom = max(bands[0][1], round(place.y) - half), min(bands[-1][3], round(place.y) + half)
    return [(left, top, right, bottom)] if left < right and top < bottom else []


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
