"""Photographs on disk -> one array in memory, with the people kept apart and nothing dropped silently."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal

import numpy as np

from ifrp_tf.core.config import DataConfig
from ifrp_tf.core.errors import DataError, ImageError
from ifrp_tf.core.files import atomic, fingerprint, write_bytes_atomic
from ifrp_tf.pictures import images


@dataclasses.dataclass(frozen=True)
class PhotoSet:
    """Decoded photographs.

    Attributes:
        pixels: uint8 [N, side, side, 3], RGB.
        names: path of each, relative to the folder, POSIX form.
        dropped: (path, reason) of every file that is not among them.
    """

    pixels: np.ndarray
    names: tuple[str, ...]
    dropped: tuple[tuple[str, str], ...] = ()

    def __len__(self) -> int:
        return len(self.names)

    @property
    def persons(self) -> list[str]:
        """Who each picture shows, as far as its path tells.

        A folder below the first level is a person (`lfw/<person>/x.jpg`); any other file is its own.
        """
        return [person_of(name) for name in self.names]

    def select(self, indices: Iterable[int]) -> PhotoSet:
        """The photographs at `indices`, in that order."""
        chosen = np.asarray(list(indices), dtype=np.int64)
        return PhotoSet(self.pixels[chosen], tuple(self.names[k] for k in chosen), self.dropped)


def person_of(name: str) -> str:
    """The person part of a relative path: `lfw/Ann_Lee/1.jpg` -> `lfw/Ann_Lee`, `aaf/7.jpg` -> itself."""
    parts = name.split("/")
    return "/".join(parts[:-1]) if len(parts) > 2 else name


def read(
    path: str | Path, side: int, *, crop: int = 0, least: int = 1, rule: Literal["crop", "letterbox"] = "crop"
) -> np.ndarray:
    """Reads a photograph and brings it to a square.

    Args:
        path: of the file.
        side: of the result, pixels.
        crop: side of the middle square that is cut out first, pixels; 0 takes the whole picture.
        least: pixels that both sides must have before it is scaled.
        rule: `crop` cuts the longer side, `letterbox` repeats the edges of the shorter one.

    Returns:
        uint8 [side, side, 3], RGB 0-255.

    Raises:
        ImageError: it cannot be read; with reason `too_small` where it has fewer than `least` pixels a side.
    """
    pixels = images.read(path).pixels
    if crop:
        pixels = images.centre_crop(pixels, crop)
    if min(pixels.shape[:2]) < least:
        size = f"{pixels.shape[1]} x {pixels.shape[0]}"
        raise ImageError("too_small", f"expected at least {least} pixels a side, received {size}.")
    return images.fit(pixels, side, rule)


def load(folder: str | Path, config: DataConfig, *, cache: Path | None = None) -> PhotoSet:
    """Reads every picture below `folder`, crops and resizes it.

    Args:
        folder: searched recursively.
        config: `side` and `crop` are used.
        cache: folder in which the decoded array is kept between runs, keyed by names, sizes and times of
            the files; None decodes them again.

    Raises:
        DataError: if there is no usable picture.
    """
    root = Path(folder)
    files = [path for path in images.list_pictures(str(root)) if path.is_file()]
    key = _cache_key(root, files, config)
    if cache is not None and (found := _read_cache(cache / key)) is not None:
        return found
    pixels = np.empty((len(files), config.side, config.side, 3), np.uint8)
    with ThreadPoolExecutor(max_workers=min(8, os.cpu_count() or 1)) as pool:
        reasons = list(pool.map(lambda job: _decode(job[1], config, pixels[job[0]]), enumerate(files)))
    names = [path.relative_to(root).as_posix() for path in files]
    kept = [k for k, reason in enumerate(reasons) if reason is None]
    dropped = tuple((names[k], reason) for k, reason in enumerate(reasons) if reason is not None)
    if not kept:
        raise DataError(
            f"Expected photographs in {root}. Received {len(files)} files, none of them a usable picture.",
            hint=f"First reason: {dropped[0][1]}" if dropped else "The folder is empty.",
        )
    if dropped:
        pixels = pixels[kept]
    photos = PhotoSet(pixels, tuple(names[k] for k in kept), dropped)
    if cache is not None:
        _write_cache(cache / key, photos)
    return photos


def split(photos: PhotoSet, validation_count: int) -> tuple[PhotoSet, PhotoSet]:
    """Training and validation photographs: no person is in both.

    Persons are ordered by a hash of their name, so the split does not change when pictures are added
    elsewhere, and the first persons with at least `validation_count` photographs are held out.

    Raises:
        DataError: if nothing would be left to train on.
    """
    persons = photos.persons
    order = sorted(set(persons), key=lambda person: hashlib.sha256(person.encode()).hexdigest())
    by_person: dict[str, list[int]] = {}
    for k, person in enumerate(persons):
        by_person.setdefault(person, []).append(k)
    held: list[int] = []
    for person in order:
        if len(held) >= validation_count:
            break
        held.extend(by_person[person])
    held_set = set(held)
    rest = [k for k in range(len(photos)) if k not in held_set]
    if not rest:
        raise DataError(
            f"Expected more photographs than data.validation_count={validation_count}. "
            f"Received: {len(photos)}.",
            hint="Give more photographs or a smaller data.validation_count.",
        )
    return photos.select(rest), photos.select(held[:validation_count])


def mean_face(photos: PhotoSet) -> np.ndarray:
    """The pixel-wise mean photograph, uint8 [side, side, 3]: the constant answer to beat."""
    total = np.zeros(photos.pixels.shape[1:], np.float64)
    for start in range(0, len(photos), 1024):
        total += photos.pixels[start : start + 1024].sum(axis=0, dtype=np.float64)
    return np.round(total / len(photos)).astype(np.uint8)


def _decode(path: Path, config: DataConfig, into: np.ndarray) -> str | None:
    try:
        into[...] = read(path, config.side, crop=config.crop)
    except ImageError as error:
        return f"{error.reason}: {error}"
    return None


def _cache_key(root: Path, files: list[Path], config: DataConfig) -> str:
    start = f"{config.side} {config.crop}"
    return f"photos-{fingerprint(files, root=root, start=start)[:16]}"


def _read_cache(stem: Path) -> PhotoSet | None:
    try:
        lists = json.loads(stem.with_suffix(".json").read_text(encoding="utf-8"))
        pixels = np.load(stem.with_suffix(".npy"), mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError):
        return None
    return PhotoSet(pixels, tuple(lists["names"]), tuple((n, r) for n, r in lists["dropped"]))


def _write_cache(stem: Path, photos: PhotoSet) -> None:
    with atomic(stem.with_suffix(".npy")) as temporary, open(temporary, "wb") as file:
        np.save(file, photos.pixels)
    lists = {"names": photos.names, "dropped": photos.dropped}
    write_bytes_atomic(stem.with_suffix(".json"), json.dumps(lists).encode())
