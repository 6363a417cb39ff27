"""Photographs that should not be trained on: damaged ones, near copies, copies of test photographs."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image

from ifrp_tf.core.config import DataConfig
from ifrp_tf.core.errors import ConfigError, ImageError
from ifrp_tf.data import photos

# Copies: the same bytes, or the same picture saved again.

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


# Decisions: which photographs may be trained on.

UNREADABLE = "unreadable"
"""What the reason of a file begins with that is no picture."""


def decoded(path: Path, config: DataConfig) -> np.ndarray:
    """A photograph as it is trained on: see `photos.read`; it is enlarged to twice its size at most."""
    return photos.read(path, config.side, crop=config.crop, least=config.side // 2)


def choose(
    source: str | Path, found: Sequence[Path], test: str | Path, tested: Sequence[Path], config: DataConfig
) -> tuple[list[str], list[tuple[str, str]]]:
    """Decides about every photograph.

    Args:
        source: the folder that names are relative to.
        found: files in it; of copies the first one is kept.
        test: folder of the photographs that are tested on.
        tested: files in it, may be none. A folder below the first level is a person (`photos.person_of`), and
            every photograph in a folder of that name is dropped.
        config: see `decoded`.

    Returns:
        Names to keep, in the order of `found`; and (name, reason) of the others, the reason beginning with
        `unreadable`, `too_small`, `person_in_test`, `in_test` or `duplicate`.
    """
    names = [path.relative_to(source).as_posix() for path in found]
    test_names = [path.relative_to(test).as_posix() for path in tested]
    looked = _look([*found, *tested], config)
    reasons = {k: made for k, made in enumerate(looked[: len(names)]) if isinstance(made, str)}
    persons = {name.split("/")[-2] for name in test_names if photos.person_of(name) != name}
    for k, name in enumerate(names):
        if persons.intersection(name.split("/")[:-1]):
            reasons.setdefault(k, "person_in_test")
    kept, hashes = _hashes(looked[: len(names)], reasons)
    test_kept, test_hashes = _hashes(looked[len(names) :], {})
    for k, j, bits in alike(hashes, test_hashes):
        reasons.setdefault(kept[k], f"in_test: {bits} bits from {test_names[test_kept[j]]}")
    for k, j, bits in alike(hashes):
        if kept[j] not in reasons:
            reasons.setdefault(kept[k], f"duplicate: {bits} bits from {names[kept[j]]}")
    dropped = [(names[k], reasons[k]) for k in sorted(reasons)]
    return [name for k, name in enumerate(names) if k not in reasons], dropped


def _hashes(looked: Sequence[np.ndarray | str], but: dict[int, str]) -> tuple[list[int], np.ndarray]:
    kept = [k for k, made in enumerate(looked) if not isinstance(made, str) and k not in but]
    return kept, np.array([looked[k] for k in kept], bool).reshape(len(kept), BITS)


def _look(paths: Sequence[Path], config: DataConfig) -> list[np.ndarray | str]:
    """The perceptual hash of each picture, or the reason why it cannot be used."""

    def one(path: Path) -> np.ndarray | str:
        try:
            return perceptual_hash(decoded(path, config))
        except ImageError as error:
            return f"{'too_small' if error.reason == 'too_small' else UNREADABLE}: {error}"

    with ThreadPoolExecutor(max_workers=min(8, os.cpu_count() or 1)) as pool:
        return list(pool.map(one, paths))
