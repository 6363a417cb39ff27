"""A sheet of the styles on given faces: rows are styles, columns are faces."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ifrp_tf.core import runtime
from ifrp_tf.core.errors import ConfigError, DataError, ImageError
from ifrp_tf.data.photos import read
from ifrp_tf.pictures import images
from ifrp_tf.styles import bank, formulas, sets

SIDE = 128
MAX_PHOTOS = 64


def choose(styles: str) -> tuple[str, ...]:
    """Turns the words of a command line into names of styles.

    Args:
        styles: `"all"` (reserved ones too), or sets and names separated by commas (`styles.sets.resolve`).

    Raises:
        ConfigError: A name is unknown, or none is given.

    Example:
        >>> choose("sketch,oil")
        ('sketch', 'oil')
    """
    if styles == "all":
        learned = sets.named().get("bank", ()) and bank.load().names
        return (*formulas.NAMES, *learned)
    return sets.resolve(styles, allow_reserved=True)


def sheet(photos: np.ndarray, names: Sequence[str], *, seed: int = 7, misaligned: bool = False) -> np.ndarray:
    """Draws the faces, and below them each style of them with its name on the left.

    Args:
        photos: uint8 [N, S, S, 3], RGB, 0-255; S at least 48 for the names to be read.
        names: of styles, formulas or learned.
        seed: of the noise, at least 0. Each style's noise is its own, whatever others are asked for.
        misaligned: whether to tilt, scale and shift the faces as for training.

    Returns:
        uint8 sheet of `len(names) + 1` rows and `N + 1` columns.

    Example:
        >>> sheet(np.zeros((2, 128, 128, 3), np.uint8), ["oil"]).shape
        (262, 392, 3)
    """
    with runtime.start_up():
        from ifrp_tf.data import misalign
        from ifrp_tf.styles import procedural

    count, side = photos.shape[:2]
    aligned = np.asarray(images.to_model_range(photos))
    if misaligned:
        noise = np.random.default_rng((seed, 1)).random((count, 4), dtype="float32")
        aligned = np.asarray(misalign.misalign(aligned, misalign.similarity_parameters(noise)))
    rows = [np.stack([images.label("photo", side), *np.asarray(images.to_uint8(aligned))])]
    known = list(formulas.NAMES)
    learned = [name for name in names if name.startswith(bank.PREFIX)]
    painter = bank.load() if learned else None
    for name in names:
        if painter and name in learned:
            portraits = bank.stylise(painter.trunk, painter.table((name,))[1:], aligned)
            rows.append(np.stack([images.label(name, side), *np.asarray(images.to_uint8(portraits))]))
            continue
        random = np.random.default_rng((seed, 2, known.index(name)))
        params = random.random((count, procedural.PARAMS), dtype="float32")
        field = random.random(aligned.shape, dtype="float32")
        portraits = procedural.stylise(0, aligned, params, field, names=(name,))
        rows.append(np.stack([images.label(name, side), *np.asarray(images.to_uint8(portraits))]))
    return images.grid(rows)


def run(
    source: str | Path,
    output: str | Path,
    *,
    styles: str = "all",
    seed: int = 7,
    photos: int = 6,
    misalign: bool = False,
) -> int:
    """Writes the sheet for some of the pictures below `source`, chosen by the seed.

    Args:
        source: a picture, a folder or a pattern of photographs of faces.
        output: where to write the PNG; an existing file is replaced.
        styles: see `choose`.
        seed: of the choice and of the noise, at least 0.
        photos: how many faces, 1 to 64; fewer where there are fewer.
        misalign: see `sheet`.

    Returns:
        The exit code: 0 all good, 1 where pictures were passed over because they cannot be read.

    Raises:
        ConfigError: a setting is out of range or a style unknown.
        DataError: there is no picture, none can be read, or the sheet cannot be written.

    Example:
        >>> run("data/faces/train", "sheet.png", styles="train")  # doctest: +SKIP
        0
    """
    if not 1 <= photos <= MAX_PHOTOS:
        raise ConfigError(f"expected 1 to {MAX_PHOTOS} photos, received {photos}.")
    if seed < 0:
        raise ConfigError(f"expected a seed of at least 0, received {seed}.")
    files = images.list_pictures(source)  # before the names, for which Keras is imported
    names = choose(styles)
    faces: list[np.ndarray] = []
    failures = 0
    for place in np.random.default_rng((seed, 0)).permutation(len(files)):
        if len(faces) == photos:
            break
        try:
            faces.append(read(files[place], SIDE))
        except ImageError as error:
            failures += 1
            logging.warning("passed over: %s", error)
    if not faces:
        raise DataError(f"none of the {len(files)} files of {str(source)!r} is a picture that can be read.")
    images.write_png(output, sheet(np.stack(faces), names, seed=seed, misaligned=misalign))
    return 1 if failures else 0
