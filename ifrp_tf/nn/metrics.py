"""How close a recovered photo is to the true one: PSNR, SSIM and FSIM, one number per picture.

Pictures are 0-255 (uint8, or float before rounding) unless said otherwise. Everything is `keras.ops` in
float32, so the same functions run in `tf.data`, in a compiled step and under JAX; SSIM can be a loss term.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from ifrp_tf.core.errors import ImageError
from ifrp_tf.core.types import Tensor
from ifrp_tf.nn.fsim import averaged_down, phase_congruency, squared_gradient

LUMINANCE = (0.2989, 0.587, 0.114)
_WINDOW_SIDE, _WINDOW_DEVIATION = 11, 1.5
_K1, _K2 = 0.01, 0.03
_T1, _T2 = 0.85, 160.0


def luminance(images: Tensor) -> Tensor:
    """The weighted sum of red, green and blue that MATLAB's `rgb2gray` takes, not rounded.

    Args:
        images: RGB pictures in any range.

    Input shape: `[..., 3]`.
    Output shape: `[...]`, float32, in the range of the input (times 0.9999, the sum of the weights).

    Example:
        >>> float(luminance(np.array([255, 0, 0], "uint8")))
        76.2195
    """
    x = ops.cast(images, "float32")
    red, green, blue = LUMINANCE
    return red * x[..., 0] + green * x[..., 1] + blue * x[..., 2]


def psnr(a: Tensor, b: Tensor, max_value: float = 255) -> Tensor:
    """Peak signal-to-noise ratio over all pixels and channels, in decibels.

    Args:
        a: Pictures in `[0, max_value]`.
        b: Pictures in `[0, max_value]`.
        max_value: The greatest possible value: 255, or 2 for pictures in `[-1, 1]` (a common offset cancels).

    Input shape: `[N, H, W, 3]` both.
    Output shape: `[N]`, float32; infinite for identical pictures.

    Raises:
        ImageError: If the shapes differ or are not those of RGB batches.

    Example:
        >>> psnr(photos, recovered)  # two batches of 16
        <tf.Tensor: shape=(16,), dtype=float32>
    """
    a, b = _checked(a, b)
    error = ops.mean(ops.square(a - b), axis=(1, 2, 3))
    return 20.0 * float(np.log10(max_value)) - 10.0 * ops.log10(error)


def ssim(a: Tensor, b: Tensor, max_value: float = 255) -> Tensor:
    """Structural similarity of the luminance (Wang et al. 2004), mean over the picture; differentiable.

    Gaussian window of 11x11, sigma 1.5, K = (0.01, 0.03); only windows that lie inside the picture count, and
    variances are not corrected for the sample size: MATLAB's original, and scikit-image's
    `structural_similarity(gaussian_weights=True, sigma=1.5, use_sample_covariance=False)`.

    Args:
        a: Pictures in `[0, max_value]`: black must be 0, so shift pictures in `[-1, 1]` by 1.
        b: Pictures in `[0, max_value]`.
        max_value: The dynamic range: 255, or 2 for shifted `[-1, 1]`.

    Input shape: `[N, H, W, 3]` both, height and width at least 11.
    Output shape: `[N]`, float32 in `[-1, 1]`; 1 for identical pictures.

    Raises:
        ImageError: If the shapes differ, are not those of RGB batches, or are smaller than the window.

    Example:
        >>> loss = 1.0 - ops.mean(ssim(photos + 1.0, recovered + 1.0, max_value=2.0))
    """
    a, b = _checked(a, b, least=_WINDOW_SIDE)
    x, y = luminance(a), luminance(b)
    # Variances do not change with a shift; near zero their difference of squares keeps its digits.
    shift = ops.stop_gradient(ops.mean(0.5 * (x + y), axis=(1, 2), keepdims=True))
    x, y = x - shift, y - shift
    moments = _windowed(ops.stack([x, y, x * x, y * y, x * y], axis=-1))
    mean_x, mean_y, square_x, square_y, product = (moments[..., k] for k in range(5))
    variances = square_x - ops.square(mean_x) + square_y - ops.square(mean_y)
    covariance = product - mean_x * mean_y
    mean_x, mean_y = mean_x + shift, mean_y + shift
    c1, c2 = (_K1 * max_value) ** 2, (_K2 * max_value) ** 2
    numerator = (2.0 * mean_x * mean_y + c1) * (2.0 * covariance + c2)
    denominator = (ops.square(mean_x) + ops.square(mean_y) + c1) * (variances + c2)
    return ops.mean(numerator / denominator, axis=(1, 2))


def fsim(a: Tensor, b: Tensor) -> Tensor:
    """Feature similarity of the luminance (Zhang et al. 2011): phase congruency and gradient magnitude.

    Equals the authors' `FeatureSIM.m` (FSIM, not FSIMc) but for their red weight, 0.299 instead of 0.2989,
    and where theirs is not a number: a flat picture has no features, and between two of them all pixels weigh
    the same. Pictures whose shorter side is 384 or more are first averaged down to about 256, as there.

    Args:
        a: Pictures in `[0, 255]`; the constants of the measure hold for this range alone.
        b: Pictures in `[0, 255]`.

    Input shape: `[N, H, W, 3]` both, height and width static.
    Output shape: `[N]`, float32 in `[0, 1]`; 1 for identical pictures.

    Raises:
        ImageError: If the shapes differ or are not those of RGB batches.

    Example:
        >>> fsim(photos, photos)
        <tf.Tensor: shape=(16,), dtype=float32, numpy=array([1., ...], dtype=float32)>
    """
    a, b = _checked(a, b, least=2)
    grey = averaged_down(ops.concatenate([luminance(a), luminance(b)], axis=0))
    (pc_a, pc_b), (gradient_a, gradient_b) = (
        ops.split(part, 2, axis=0) for part in (phase_congruency(grey), squared_gradient(grey))
    )
    similarity = (2.0 * pc_a * pc_b + _T1) / (ops.square(pc_a) + ops.square(pc_b) + _T1)
    similarity *= (2.0 * ops.sqrt(gradient_a * gradient_b) + _T2) / (gradient_a + gradient_b + _T2)
    weight = ops.maximum(pc_a, pc_b)
    total = ops.sum(weight, axis=(1, 2), keepdims=True)
    weight = ops.where(total > 0, weight, ops.ones_like(weight))
    return ops.sum(similarity * weight, axis=(1, 2)) / ops.sum(weight, axis=(1, 2))


def _checked(a: Tensor, b: Tensor, least: int = 1) -> tuple[Tensor, Tensor]:
    """Both batches as float32, after comparing what is known of their shapes."""
    a, b = ops.cast(a, "float32"), ops.cast(b, "float32")
    shapes = f"Received: {tuple(a.shape)} and {tuple(b.shape)}."
    known = [(p, q) for p, q in zip(a.shape, b.shape, strict=False) if p is not None and q is not None]
    if not len(a.shape) == len(b.shape) == 4 or a.shape[-1] != 3 or any(p != q for p, q in known):
        raise ImageError("shape", f"Expected two equal batches of RGB pictures [N, H, W, 3]. {shapes}")
    if any(side is not None and side < least for side in a.shape[1:3]):
        raise ImageError("shape", f"Expected height and width of at least {least}. {shapes}")
    return a, b


def _windowed(maps: Tensor) -> Tensor:
    """Gaussian-weighted means over every window inside the maps [N, H, W, C]."""
    offset = np.arange(_WINDOW_SIDE) - _WINDOW_SIDE // 2
    window = np.exp(-(offset**2) / (2 * _WINDOW_DEVIATION**2))
    window = np.tile((window / window.sum()).astype("float32")[:, None], (1, maps.shape[-1]))
    maps = ops.depthwise_conv(maps, window[:, None, :, None], padding="valid", data_format="channels_last")
    return ops.depthwise_conv(maps, window[None, :, :, None], padding="valid", data_format="channels_last")


@keras.saving.register_keras_serializable("ifrp_tf")
class PSNR(keras.metrics.Mean):
    """Mean `psnr` of the pictures seen; identical pictures (infinite) are left out, counted in `identical`.

    Args:
        name: Name in the logs.
        max_value: The greatest possible value of the pictures: 255, or 2 for `[-1, 1]`.
        dtype: As for any Keras metric.

    Example:
        >>> model.compile(metrics=[PSNR(max_value=2.0)])
    """

    def __init__(self, name: str = "psnr", max_value: float = 255, dtype: Any = None) -> None:
        super().__init__(name=name, dtype=dtype)
        self.max_value = max_value
        self.identical = self.add_variable((), initializer="zeros", name="identical")

    def update_state(self, y_true: Tensor, y_pred: Tensor, sample_weight: Tensor | None = None) -> None:
        """Take in a batch of photos and recovered photos `[N, H, W, 3]`."""
        values = psnr(y_true, y_pred, self.max_value)
        identical = ops.cast(ops.equal(values, np.inf), "float32")
        self.identical.assign_add(ops.sum(identical))
        kept = 1.0 - identical
        weight = kept if sample_weight is None else kept * ops.cast(sample_weight, "float32")
        super().update_state(ops.where(kept > 0, values, 0.0), weight)

    def reset_state(self) -> None:
        """Forget every picture."""
        super().reset_state()
        self.identical.assign(0.0)

    def result(self) -> Tensor:
        """The mean, in decibels; infinite if every picture was identical, 0 before the first."""
        only_identical = ops.logical_and(ops.equal(self.count, 0), self.identical > 0)
        return ops.where(only_identical, np.float32(np.inf), super().result())

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the metric."""
        return {**super().get_config(), "max_value": self.max_value}


@keras.saving.register_keras_serializable("ifrp_tf")
class SSIM(keras.metrics.Mean):
    """Mean `ssim` of the pictures seen.

    Args:
        name: Name in the logs.
        max_value: The dynamic range of the pictures, black being 0: 255, or 2 for shifted `[-1, 1]`.
        dtype: As for any Keras metric.

    Example:
        >>> metric = SSIM()
        >>> metric.update_state(photos, recovered)
    """

    def __init__(self, name: str = "ssim", max_value: float = 255, dtype: Any = None) -> None:
        super().__init__(name=name, dtype=dtype)
        self.max_value = max_value

    def update_state(self, y_true: Tensor, y_pred: Tensor, sample_weight: Tensor | None = None) -> None:
        """Take in a batch of photos and recovered photos `[N, H, W, 3]`."""
        super().update_state(ssim(y_true, y_pred, self.max_value), sample_weight)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the metric."""
        return {**super().get_config(), "max_value": self.max_value}


@keras.saving.register_keras_serializable("ifrp_tf")
class FSIM(keras.metrics.Mean):
    """Mean `fsim` of the pictures seen, in 0-255.

    Args:
        name: Name in the logs.
        dtype: As for any Keras metric.

    Example:
        >>> metric = FSIM()
        >>> metric.update_state(photos, recovered)
    """

    def __init__(self, name: str = "fsim", dtype: Any = None) -> None:
        super().__init__(name=name, dtype=dtype)

    def update_state(self, y_true: Tensor, y_pred: Tensor, sample_weight: Tensor | None = None) -> None:
        """Take in a batch of photos and recovered photos `[N, H, W, 3]`."""
        super().update_state(fsim(y_true, y_pred), sample_weight)
