"""The maps that FSIM compares: phase congruency and gradient magnitude of grey pictures.

Phase congruency says how much a point looks like a feature (edge, line, corner), whatever its contrast:
Kovesi's measure with log-Gabor filters, as the authors of FSIM use it ("phasecong2"). The filters depend on
the size alone and are made in NumPy; only the pictures pass through the backend.
"""

from __future__ import annotations

import functools
import math

import numpy as np
from keras import ops

from ifrp_tf.core.types import Tensor

SCALES, ORIENTATIONS = 4, 4
_SHORTEST_WAVE, _WAVE_FACTOR = 6.0, 2.0
_BANDWIDTH = 0.55  # standard deviation of the log-Gabor over its centre frequency
_ANGULAR_SPREAD = math.pi / ORIENTATIONS / 1.2
_CUTOFF, _SHARPNESS = (
    0.45,
    15,
)  # of the Butterworth low-pass filter that takes the corners of the spectrum away
_NOISE_DEVIATIONS, _NOISE_RESCALING = 2.0, 1.7
_EPSILON = 1e-4


def phase_congruency(luminance: Tensor) -> Tensor:
    """Phase congruency of grey pictures (Kovesi 1999; Zhang et al. 2011, section II-A).

    4 scales from a wavelength of 6 pixels, each twice as long, and 4 orientations; noise is estimated from
    the median response at the finest scale. Borders wrap around, as the Fourier transform has it.

    Args:
        luminance: Pictures in 0-255; a larger range gives the same but for a constant of 1e-4.

    Input shape: `[N, H, W]`, height and width static.
    Output shape: `[N, H, W]`, float32 in `[0, 1]`; 0 where there is nothing but noise.

    Example:
        >>> phase_congruency(np.zeros((1, 128, 128), "float32")).shape
        (1, 128, 128)
    """
    x = ops.cast(luminance, "float32")
    _, height, width = x.shape
    filters, noise_factors = _filter_bank(height, width)
    # No filter sees the mean; without it the transform loses fewer digits.
    x = x - ops.mean(x, axis=(1, 2), keepdims=True)
    real, imaginary = (part[:, None] for part in ops.fft2((x, ops.zeros_like(x))))
    total_energy, total_amplitude = 0.0, 0.0
    for bank, noise_factor in zip(filters, noise_factors, strict=True):
        bank = ops.convert_to_tensor(bank)
        even, odd = ops.ifft2((real * bank, imaginary * bank))  # [N, scale, H, W]
        squared = ops.square(even) + ops.square(odd)
        sum_even, sum_odd = ops.sum(even, axis=1, keepdims=True), ops.sum(odd, axis=1, keepdims=True)
        norm = ops.sqrt(ops.square(sum_even) + ops.square(sum_odd)) + _EPSILON
        mean_even, mean_odd = sum_even / norm, sum_odd / norm
        along = even * mean_even + odd * mean_odd
        across = ops.abs(even * mean_odd - odd * mean_even)
        noise = noise_factor * ops.sqrt(ops.median(squared[:, 0], axis=(1, 2), keepdims=True))
        total_energy += ops.relu(ops.sum(along - across, axis=1) - noise)
        total_amplitude += ops.sum(ops.sqrt(squared), axis=1)
    return total_energy / (total_amplitude + _EPSILON)


def squared_gradient(grey: Tensor) -> Tensor:
    """Squared Scharr gradient magnitude, the picture being black outside (Zhang et al. 2011, section II-B).

    Args:
        grey: Pictures in 0-255.

    Input shape: `[N, H, W]`.
    Output shape: `[N, H, W]`, in `[0, 255^2]` or so.

    Example:
        >>> gradient = ops.sqrt(squared_gradient(luminance(photos)))
    """
    x = ops.pad(grey, [(0, 0), (1, 1), (1, 1)])
    down, across = x[:, 2:] - x[:, :-2], x[:, :, 2:] - x[:, :, :-2]
    dy = 3.0 * down[:, :, :-2] + 10.0 * down[:, :, 1:-1] + 3.0 * down[:, :, 2:]
    dx = 3.0 * across[:, :-2] + 10.0 * across[:, 1:-1] + 3.0 * across[:, 2:]
    return (ops.square(dx) + ops.square(dy)) / 16.0**2


def averaged_down(grey: Tensor) -> Tensor:
    """Means over FxF pixels, F = round(shorter side / 256), so that the shorter side is near 256.

    Args:
        grey: Pictures of any range; returned as they are while their shorter side is below 384.

    Input shape: `[N, H, W]`, height and width static.
    Output shape: `[N, ceil(H / F), ceil(W / F)]`.

    Example:
        >>> averaged_down(np.zeros((1, 512, 600), "float32")).shape
        (1, 256, 300)
    """
    factor = max(1, int(min(grey.shape[1:]) / 256 + 0.5))
    if factor == 1:
        return grey
    for axis in (1, 2):  # aligned as MATLAB's conv2(..., "same") followed by 1:F:end
        size = grey.shape[axis]
        count = -(-size // factor)
        before = factor - 1 - factor // 2
        padding = [(0, 0), (0, 0), (0, 0)]
        padding[axis] = (before, max(0, count * factor - before - size))
        grey = ops.moveaxis(ops.pad(grey, padding), axis, -1)[..., : count * factor]
        grey = ops.mean(ops.reshape(grey, (-1, grey.shape[1], count, factor)), axis=-1)
        grey = ops.moveaxis(grey, -1, axis)
    return grey


@functools.lru_cache(maxsize=4)
def _filter_bank(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Filters [orientation, scale, H, W], zero frequency first, and the noise threshold of each orientation.

    The threshold is for a picture whose squared response at the finest scale has median 1: the response to
    noise is Rayleigh distributed, so that its median tells its power, and the power times the overlap of the
    filters tells the energy that noise alone would give.
    """
    y, x = np.meshgrid(_frequencies(height), _frequencies(width), indexing="ij")
    radius, angle = np.hypot(x, y), np.arctan2(-y, x)
    low_pass = 1.0 / (1.0 + (radius / _CUTOFF) ** (2 * _SHARPNESS))
    radius[0, 0] = 1.0
    radial = []
    for scale in range(SCALES):
        centre = 1.0 / (_SHORTEST_WAVE * _WAVE_FACTOR**scale)
        radial.append(np.exp(-(np.log(radius / centre) ** 2) / (2 * np.log(_BANDWIDTH) ** 2)) * low_pass)
        radial[-1][0, 0] = 0.0
    filters, thresholds = [], []
    for orientation in range(ORIENTATIONS):
        turned = angle - orientation * np.pi / ORIENTATIONS
        distance = np.abs(np.arctan2(np.sin(turned), np.cos(turned)))
        bank = np.stack(radial) * np.exp(-(distance**2) / (2 * _ANGULAR_SPREAD**2))
        waves = np.fft.ifft2(bank).real * math.sqrt(height * width)
        power = 1.0 / math.log(2.0) / np.sum(bank[0] ** 2)
        rayleigh = math.sqrt(power * np.sum(waves.sum(axis=0) ** 2))
        mean, deviation = math.sqrt(math.pi / 2), math.sqrt(2 - math.pi / 2)
        thresholds.append(rayleigh * (mean + _NOISE_DEVIATIONS * deviation) / _NOISE_RESCALING)
        filters.append(bank)
    return np.stack(filters).astype("float32"), np.array(thresholds, "float32")


def _frequencies(size: int) -> np.ndarray:
    """Frequencies in cycles per pixel, zero first; for odd sizes scaled to reach 0.5, as Kovesi does."""
    odd = size % 2
    return np.fft.ifftshift((np.arange(size) - size // 2) / (size - odd))
