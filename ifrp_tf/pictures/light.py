"""The light of a picture: linear levels, what colour light usually has, and pictures in other light."""

from __future__ import annotations

import functools

import numpy as np

ACROSS = 0.3
"""Part that is believed of a guess's distance to the colours of daylight and lamps."""

_KELVIN = (2500.0, 12000.0)


def to_linear(levels: np.ndarray) -> np.ndarray:
    """sRGB levels 0 to 255 as linear light, float64 0 to 1."""
    value = np.asarray(levels, np.float64) / 255
    return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)


def to_srgb(light: np.ndarray) -> np.ndarray:
    """Linear light 0 to 1 as sRGB levels, uint8; what is beyond is cut off."""
    light = np.clip(light, 0, 1)
    value = np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)
    return np.round(255 * value).astype(np.uint8)


def balanced(pixels: np.ndarray, factors: np.ndarray) -> np.ndarray:
    """A picture uint8 [H, W, 3] in other light: each channel times its gain, in linear light."""
    table = to_srgb(to_linear(np.arange(256))[:, None] * factors)
    return np.stack([table[pixels[..., channel], channel] for channel in range(3)], axis=-1)


def daylight(kelvin: float) -> np.ndarray:
    """Linear sRGB of a black body's light, float64 [3], green 1 (its chromaticity after Kim et al. 2002)."""
    t = 1e3 / kelvin
    low = (-0.2661239, -0.2343589, 0.8776956, 0.179910)
    x = np.polyval(low if kelvin < 4000 else (-3.0258469, 2.1070379, 0.2226347, 0.240390), t)
    y = np.polyval(
        (-0.9549476, -1.37418593, 2.09137015, -0.16748867)
        if kelvin < 4000
        else (3.0817580, -5.87338670, 3.75112997, -0.37001483),
        x,
    )
    matrix = [[3.2406, -1.5372, -0.4986], [-0.9689, 1.8758, 0.0415], [0.0557, -0.2040, 1.0570]]
    light = np.maximum(np.array(matrix) @ [x / y, 1.0, (1 - x - y) / y], 0.02)
    return light / light[1]


def near_daylight(light: np.ndarray, across: float = ACROSS) -> np.ndarray:
    """A guess of a light, moved towards the colours that light has.

    Daylight and lamps lie near a line of black bodies, the errors of a guess lie anywhere: what is across the
    line is mostly error (a constraint on illuminants, as in gamut mapping: Finlayson 1996).

    Args:
        light: float [..., 3], linear, above 0.
        across: part of the distance to the line that is kept, in logarithms of red and blue over green.

    Returns:
        Float64 [..., 3] of the same brightness (geometric mean).
    """
    log = np.log(np.asarray(light, np.float64))
    middle, along = _line()
    away = _chromaticity(log) - middle
    kept = np.sum(away * along, axis=-1, keepdims=True) * along
    red, blue = np.moveaxis(middle + kept + across * (away - kept), -1, 0)
    moved = np.stack([red, np.zeros_like(red), blue], axis=-1)
    return np.exp(moved + (log - moved).mean(axis=-1, keepdims=True))


def _chromaticity(log: np.ndarray) -> np.ndarray:
    return log[..., ::2] - log[..., 1:2]


@functools.cache
def _line() -> tuple[np.ndarray, np.ndarray]:
    """The line of black bodies: a point on it and its direction."""
    mired = np.linspace(1e6 / _KELVIN[0], 1e6 / _KELVIN[1], 40)
    points = _chromaticity(np.log([daylight(1e6 / value) for value in mired]))
    middle = points.mean(axis=0)
    return middle, np.linalg.svd(points - middle)[2][0]
