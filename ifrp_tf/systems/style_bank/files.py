"""Style images and banks on disk."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from ifrp_tf.core.archives import read_arrays, write_arrays
from ifrp_tf.core.errors import DataError
from ifrp_tf.pictures import images
from ifrp_tf.styles import bank

STYLE_SIDE = 192
TRAINED, OWN = "trained.npz", "own.npz"


def read_styles(sources: Sequence[str]) -> dict[str, np.ndarray]:
    """Style images by name: the file's name in lower case, other characters than a-z and 0-9 as `_`.

    Args:
        sources: pictures, folders or patterns.

    Returns:
        uint8 [H, W, 3], the shorter side `STYLE_SIDE` pixels.

    Raises:
        DataError: if one cannot be read, two have one name, or there is none.
    """
    found: dict[str, np.ndarray] = {}
    for source in sources:
        for path in images.list_pictures(source):
            name = re.sub("[^a-z0-9]+", "_", path.stem.lower()).strip("_")
            if not name or name in found or name == bank.PHOTOGRAPH:
                raise DataError(f"Expected style images with names of their own. Received: {str(path)!r}.")
            found[name] = _shrink(images.read(path).pixels)
    if not found:
        raise DataError(f"Expected style images. Received none in {', '.join(sources)}.")
    return found


def _shrink(pixels: np.ndarray) -> np.ndarray:
    height, width = pixels.shape[:2]
    scale = STYLE_SIDE / min(height, width)
    size = (max(STYLE_SIDE, round(width * scale)), max(STYLE_SIDE, round(height * scale)))
    return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.LANCZOS))


def write_bank(made: bank.StyleBank, folder: Path, *, add: bool) -> None:
    """Writes a bank as float16; a kill in between never leaves styles of one with the trunk of another.

    Args:
        made: the trained bank; with `add` its styles only are written.
        folder: of the bank.
        add: keep what is there, and put reserved styles and others into files of their own.

    Raises:
        DataError: a file cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    half = {name: values.astype(np.float16) for name, values in made.styles.items()}
    if not add:
        trunk = {name: values.astype(np.float16) for name, values in made.trunk.items()}
        if _other_trunk(folder, trunk):  # styles of one bank must never be painted by the trunk of another
            (folder / bank.TRUNK).unlink()
        write_arrays(folder / TRAINED, half)
        write_arrays(folder / bank.TRUNK, trunk)
        return
    reserved = {name for name in half if bank.PREFIX + name in bank.RESERVED}
    for file, names in ((bank.RESERVED_FILE, reserved), (OWN, set(half) - reserved)):
        if names:
            before = read_arrays(folder / file) if (folder / file).exists() else {}
            write_arrays(folder / file, {**before, **{name: half[name] for name in sorted(names)}})


def _other_trunk(folder: Path, trunk: Mapping[str, np.ndarray]) -> bool:
    if not (folder / bank.TRUNK).exists():
        return False
    there = read_arrays(folder / bank.TRUNK)
    return set(there) != set(trunk) or any(not np.array_equal(there[name], trunk[name]) for name in trunk)
