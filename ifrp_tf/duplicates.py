"""Photographs that are there twice: the same bytes, or the same picture saved anew, resized or brightened.

The perceptual hash says which low frequencies lie above their median (pHash), with 255 bits where 64 are
usual: aligned faces are alike in the lowest. Measured on 3,000 of them (CelebA, LFW, 128 pixels): a picture
saved again (JPEG quality 30-80, 96 to 200 pixels) or brightened differs from itself in at most 14 bits; 99 %
differ from the most similar other photograph in at least 56. A picture cut anew (3 pixels) is not found.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from PIL import Image

from ifrp_tf.errors import ConfigError

BITS = 255
THRESHOLD = 24
"""Pictures that differ in at most so many bits are taken for the same."""

_SIDE, _LOW, _BLOCK = 32, 16, 2048


def perceptual_hash(pixels: np.ndarray) -> np.ndarray:
    """Which of the low frequencies lie above their median.

    Args:
        pixels: uint8 [H, W, 3], RGB, the frame that is compared.

    Returns:
        bool [255].

    Example:
        >>> int(perceptual_hash(np.arange(3072, dtype=np.uint8).reshape(32, 32, 3)).sum()) <= 127
        True
    """
    from scipy.fft import dctn  # late: it takes longer to import than wrong usage may take to tell

    grey = Image.fromarray(pixels).convert("L").resize((_SIDE, _SIDE), Image.Resampling.BOX)
    low = dctn(np.asarray(grey, np.float64), norm="ortho")[:_LOW, :_LOW].ravel()[1:]
    return low > np.median(low)


def alike(
    hashes: np.ndarray, others: np.ndarray | None = None, *, threshold: int = THRESHOLD
) -> Iterator[tuple[int, int, int]]:
    """Pairs of similar pictures; the time grows with the product of the counts.

    Args:
        hashes: bool [n, bits].
        others: bool [m, bits]; the hashes themselves by default, each pair once.
        threshold: most bits that may differ, 0 to the number of bits.

    Yields:
        (k, j, bits): `hashes[k]` is like `others[j]`; without `others`, j < k. In order of k, then j.

    Raises:
        ConfigError: If the threshold is out of range.
    """
    bits = hashes.shape[-1]
    if not 0 <= threshold <= bits:
        raise ConfigError(f"Expected a threshold of 0 to {bits} bits. Received: {threshold}.")
    itself = others is None
    columns = _signs(hashes if others is None else others)
    for start in range(0, len(hashes), _BLOCK):
        rows = _signs(hashes[start : start + _BLOCK])
        # Products of signs count agreements minus differences; whole numbers below 2^24 are exact.
        products = rows @ (columns[: start + len(rows)] if itself else columns).T
        for row, column in np.argwhere(products >= bits - 2 * threshold):
            k, j = start + int(row), int(column)
            if not itself or j < k:
                yield k, j, round((bits - float(products[row, column])) / 2)


def _signs(hashes: np.ndarray) -> np.ndarray:
    return np.where(hashes, 1, -1).astype(np.float32)
