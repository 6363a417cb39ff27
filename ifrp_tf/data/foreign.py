"""Portraits that other people's style networks painted: already tilted, with what undoes it, to train on.

A folder of them holds `train.csv` (columns `portrait`, `photo`, `undo_theta_rad`, `undo_scale`, `undo_t1`,
`undo_t2`; further ones are not used) and, relative to it, the portraits. `photo` ends with the name that the
photograph has in the training data: `train/celeba/15426.jpg` is `celeba/15426.jpg` of `data/faces/train`.
"""

from __future__ import annotations

import csv
import dataclasses
import logging
from collections.abc import Container
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from ifrp_tf.core.config import DataConfig
from ifrp_tf.core.errors import DataError
from ifrp_tf.data.photos import PhotoSet
from ifrp_tf.pictures import images

TABLE = "train.csv"
UNDOING = ("undo_theta_rad", "undo_scale", "undo_t1", "undo_t2")
"""Columns of `misalign.undoing_parameters`: radians, a factor, and two shifts of which 2.0 is the side."""


@dataclasses.dataclass(frozen=True)
class ForeignPortraits:
    """Portraits of photographs of a set.

    Attributes:
        portraits: uint8 [N, side, side, 3], misaligned.
        places: int32 [N], which photograph of the set each one shows.
        undoing: float32 [N, 4], the Spatial Transformer parameters that undo the misalignment.
    """

    portraits: np.ndarray
    places: np.ndarray
    undoing: np.ndarray

    def __len__(self) -> int:
        return len(self.places)


def load(config: DataConfig, photos: PhotoSet) -> ForeignPortraits | None:
    """The portraits of `config.foreign` whose photographs are in a set; None where no folder is named.

    A portrait whose photograph is not in the set is left out, so given the training photographs no portrait
    comes that shows a person held out for validation, or one that was dropped.

    Args:
        config: `foreign`, a folder with `train.csv`, and `side`.
        photos: training photographs, or those held out.

    Raises:
        DataError: if the table cannot be read, lacks a column, or no portrait in it shows one of `photos`.
        ImageError: if a portrait cannot be read.
    """
    if not config.foreign:
        return None
    folder = Path(config.foreign)
    places = {name: k for k, name in enumerate(photos.names)}
    found = [(row, places[end]) for row in rows(folder) if (end := ending(row["photo"], places)) is not None]
    if not found:
        raise DataError(
            f"Expected portraits of the training photographs in {config.foreign!r}. Received: none.",
            hint="The column photo of train.csv names files as the folder of photographs does.",
        )
    pixels = np.empty((len(found), config.side, config.side, 3), np.uint8)

    def read(k: int) -> None:
        pixels[k] = images.fit(images.read(folder / found[k][0]["portrait"]).pixels, config.side, rule="crop")

    with ThreadPoolExecutor(max_workers=2) as pool:
        list(pool.map(read, range(len(found))))
    undoing = [[float(row[name]) for name in UNDOING] for row, _ in found]
    logging.info("%d portraits of %s show these photographs", len(found), config.foreign)
    return ForeignPortraits(
        pixels, np.array([place for _, place in found], np.int32), np.array(undoing, np.float32)
    )


def rows(folder: Path, table: str = TABLE) -> list[dict[str, str]]:
    """The rows of a table of foreign portraits, checked.

    Args:
        folder: with the table.
        table: its name.

    Raises:
        DataError: if it cannot be read, lacks a column, or holds a transform that is none.
    """
    path = folder / table
    wanted = ("portrait", "photo", *UNDOING)
    try:
        with path.open(newline="", encoding="utf-8") as file:
            found = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(
            f"Expected the table {path}. Received: {error}.",
            hint="data.foreign names one folder, such as data/foreign; empty trains without it.",
        ) from error
    missing = [name for name in wanted if not found or name not in found[0]]
    if missing:
        raise DataError(f"Expected the columns {', '.join(wanted)} in {path}. Missing: {missing}.")
    for number, row in enumerate(found, start=2):
        try:
            values = [float(row[name]) for name in UNDOING]
        except (TypeError, ValueError) as error:
            raise DataError(f"Expected numbers in {', '.join(UNDOING)}, line {number} of {path}.") from error
        if not (np.isfinite(values).all() and values[1] > 0):
            raise DataError(
                f"Expected finite numbers and a scale above 0 in line {number} of {path}. Received: {values}."
            )
    return found


def ending(photo: str, names: Container[str]) -> str | None:
    """The longest end of a path that is one of the names; None if there is none.

    Example:
        >>> ending("train/celeba/15426.jpg", {"celeba/15426.jpg"})
        'celeba/15426.jpg'
    """
    parts = photo.split("/")
    ends = ("/".join(parts[start:]) for start in range(len(parts)))
    return next((end for end in ends if end in names), None)
