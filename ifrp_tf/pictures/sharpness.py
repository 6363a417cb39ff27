"""How sharp pictures are: the power of their luminance in bands of frequency, to be held against photographs.

Networks trained to be close on average answer softly, and PSNR hardly sees it: a photograph blurred by 1
pixel still has 34 dB. What a photograph has in the band from an eighth to a quarter of a cycle a pixel such
an answer has not. A ratio of 1 is as sharp as photographs; a Gaussian blur of 1 pixel gives 0.76, 0.36, 0.04.
"""

from __future__ import annotations

import numpy as np

from ifrp_tf.core.errors import ImageError

BANDS: dict[str, tuple[float, float]] = {
    ".06-.125": (0.06, 0.125),
    ".125-.25": (0.125, 0.25),
    ".25-.5": (0.25, 0.5),
}
"""Name -> from and to, in cycles a pixel."""

_LUMINANCE = np.array([0.2989, 0.587, 0.114])


def band_powers(pictures: np.ndarray) -> np.ndarray:
    """The mean squared magnitude of the Fourier transform in every band, under a Hann window.

    Args:
        pictures: uint8 or float [N, S, S, 3], levels 0-255; S at least 16.

    Returns:
        Float64 [N, 3], at least 0, one column for each of `BANDS`.

    Raises:
        ImageError: if the pictures are no batch of RGB squares of at least 16 pixels.

    Example:
        >>> band_powers(answers).mean(axis=0) / band_powers(photos).mean(axis=0)  # doctest: +SKIP
        array([0.63, 0.27, 0.04])
    """
    shape = np.shape(pictures)
    if len(shape) != 4 or shape[1] != shape[2] or shape[1] < 16 or shape[3] != 3:
        raise ImageError("shape", f"Expected pictures [N, S, S, 3], S of at least 16. Received: {shape}.")
    side = shape[1]
    light = np.asarray(pictures, np.float64) @ _LUMINANCE
    # A level step at the border of the window would have power in every band.
    window = np.hanning(side + 2)[1:-1]
    light = (light - light.mean(axis=(1, 2), keepdims=True)) * np.outer(window, window)
    power = np.square(np.abs(np.fft.fft2(light)))
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(side), np.fft.fftfreq(side), indexing="ij"))
    columns = [power[:, (frequency >= low) & (frequency < high)].mean(axis=1) for low, high in BANDS.values()]
    return np.stack(columns, axis=1)
