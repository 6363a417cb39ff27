"""Sketches drawn by hand with the photographs they were drawn from: real portraits to train on."""

from __future__ import annotations

import dataclasses
import functools
from pathlib import Path

import numpy as np

from ifrp_tf.core.config import DataConfig
from ifrp_tf.core.errors import DataError
from ifrp_tf.data.photos import read
from ifrp_tf.pictures import images


@dataclasses.dataclass(frozen=True)
class Drawings:
    """Pairs in the same frame.

    Attributes:
        sketches: uint8 [N, side, side, 3].
        photos: uint8 [N, side, side, 3].
    """

    sketches: np.ndarray
    photos: np.ndarray

    def __len__(self) -> int:
        return len(self.photos)


@functools.lru_cache(maxsize=2)
def load(config: DataConfig) -> Drawings | None:
    """The pairs of `config.sketches`, in the order of their names; None where no folder is named.

    Args:
        config: `sketches`, a folder with `sketch/<name>.<ext>` and `photo/<name>.<ext>`, and `side`.

    Raises:
        DataError: if there is no pair.
        ImageError: if a picture of a pair cannot be read.
    """
    if not config.sketches:
        return None
    found = []
    for kind in ("sketch", "photo"):
        folder = Path(config.sketches) / kind
        files = images.list_pictures(folder) if folder.is_dir() else []
        found.append({path.stem: path for path in files})
    names = sorted(set(found[0]) & set(found[1]))
    if not names:
        raise DataError(
            f"Expected sketch/<name>.jpg with photo/<name>.jpg in {config.sketches!r}. Received: no pair.",
            hint="data.sketches names one set, such as data/sketches/cuhk; empty trains without sketches.",
        )
    sketches, photos = (np.stack([read(part[name], config.side) for name in names]) for part in found)
    return Drawings(sketches, photos)
