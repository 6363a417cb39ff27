"""Which photographs may be trained on: pictures of enough pixels, once each, and none that is tested on."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from ifrp_tf import duplicates, images, photos
from ifrp_tf.config import DataConfig
from ifrp_tf.errors import ImageError

UNREADABLE = "unreadable"
"""What the reason of a file begins with that is no picture."""


def decoded(path: Path, config: DataConfig) -> np.ndarray:
    """A photograph as it is trained on.

    Args:
        path: of the file.
        config: `side` and `crop` are used.

    Returns:
        uint8 [side, side, 3].

    Raises:
        ImageError: If it cannot be read; with reason `too_small` if it had to be enlarged more than twice.
    """
    pixels = images.read(path).pixels
    if config.crop:
        pixels = images.centre_crop(pixels, config.crop)
    if min(pixels.shape[:2]) < config.side // 2:
        size = f"{pixels.shape[1]} x {pixels.shape[0]}"
        raise ImageError("too_small", f"expected at least {config.side // 2} pixels a side, received {size}.")
    return images.fit(pixels, config.side, "crop")


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
    for k, j, bits in duplicates.alike(hashes, test_hashes):
        reasons.setdefault(kept[k], f"in_test: {bits} bits from {test_names[test_kept[j]]}")
    for k, j, bits in duplicates.alike(hashes):
        if kept[j] not in reasons:
            reasons.setdefault(kept[k], f"duplicate: {bits} bits from {names[kept[j]]}")
    dropped = [(names[k], reasons[k]) for k in sorted(reasons)]
    return [name for k, name in enumerate(names) if k not in reasons], dropped


def _hashes(looked: Sequence[np.ndarray | str], but: dict[int, str]) -> tuple[list[int], np.ndarray]:
    kept = [k for k, made in enumerate(looked) if not isinstance(made, str) and k not in but]
    return kept, np.array([looked[k] for k in kept], bool).reshape(len(kept), duplicates.BITS)


def _look(paths: Sequence[Path], config: DataConfig) -> list[np.ndarray | str]:
    """The perceptual hash of each picture, or the reason why it cannot be used."""

    def one(path: Path) -> np.ndarray | str:
        try:
            return duplicates.perceptual_hash(decoded(path, config))
        except ImageError as error:
            return f"{'too_small' if error.reason == 'too_small' else UNREADABLE}: {error}"

    with ThreadPoolExecutor(max_workers=min(8, os.cpu_count() or 1)) as pool:
        return list(pool.map(one, paths))
