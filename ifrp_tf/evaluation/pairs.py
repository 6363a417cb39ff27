"""Pictures to evaluate on: what a protocol is, and the one made of folders that somebody else filled.

A protocol names its photographs and, for each style, the subjects that have a portrait in it; the pictures
are read when they are asked for, in any order, so that memory does not grow with their number.
"""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np

from ifrp_tf.core.errors import DataError, ImageError
from ifrp_tf.core.files import fingerprint
from ifrp_tf.data.photos import read as read_photo
from ifrp_tf.pictures import images


@dataclasses.dataclass(frozen=True)
class Problem:
    """A file that could not be measured.

    Attributes:
        file: its path as given.
        reason: `no_photo`, `no_portrait`, `no_style`, `duplicate`, `duplicate_photo`, or an `ImageError`'s.
        message: for people.
    """

    file: str
    reason: str
    message: str

    @property
    def is_failure(self) -> bool:
        """Whether a portrait goes unmeasured for it; a photograph without one is still a gallery picture."""
        return self.reason not in ("no_portrait", "duplicate_photo")


@dataclasses.dataclass(frozen=True)
class Pictures:
    """Pictures that could be read, and those that could not.

    Attributes:
        names: of the pictures, a part of those asked for, in that order.
        pixels: uint8 [N, side, side, 3].
        problems: name -> why it is not among them.
        angles: tilt of each in degrees, counter-clockwise; None where nobody knows.
    """

    names: tuple[str, ...]
    pixels: np.ndarray
    problems: Mapping[str, Problem] = dataclasses.field(default_factory=dict)
    angles: tuple[float, ...] | None = None


class Protocol(abc.ABC):
    """Portraits in styles, and the photographs that they should be recovered to.

    Attributes:
        name: `folders`, `procedural` or `sketches`.
        side: of all pictures, pixels.
        photos: names of the photographs, which are the subjects.
        styles: style -> names of the subjects that have a portrait in it.
        problems: what was wrong before any picture was read.
        settings: plain values; where they are equal the pictures are.
    """

    name: str
    side: int
    photos: tuple[str, ...]
    styles: Mapping[str, tuple[str, ...]]
    problems: tuple[Problem, ...] = ()
    settings: Mapping[str, Any]

    @abc.abstractmethod
    def read_photos(self, names: Sequence[str]) -> Pictures:
        """The photographs of those names."""

    @abc.abstractmethod
    def read_portraits(self, style: str, names: Sequence[str]) -> Pictures:
        """The portraits of those subjects in a style: equal whatever was asked for before."""


class FolderPairs(Protocol):
    """`portraits/<style>/<name>.<ext>` and `photos/<name>.<ext>`; formats and extensions may be mixed.

    Portraits are letterboxed, as `recover` does; photographs that are not square are cropped in the middle,
    as in training.

    Args:
        portraits: folder of one folder a style.
        photos: folder of photographs, aligned in the tight frame.
        side: of the pictures, pixels.

    Raises:
        DataError: if a folder is missing or not one portrait has a photograph.

    Example:
        >>> FolderPairs("portraits", "photos", side=128).styles["oil"]  # doctest: +SKIP
        ('ann', 'bob')
    """

    name = "folders"

    def __init__(self, portraits: str | Path, photos: str | Path, *, side: int) -> None:
        self.side = side
        problems: list[Problem] = []
        self._photos = by_name(_listed(photos), problems, "duplicate_photo")
        self._portraits = self._pair(Path(portraits), problems)
        used = set().union(*self._portraits.values()) if self._portraits else set()
        for name, path in self._photos.items():
            if name not in used:
                problems.append(
                    Problem(str(path), "no_portrait", "no portrait has the name of this photograph.")
                )
        self.photos, self.problems = tuple(self._photos), tuple(problems)
        self.styles = {style: tuple(files) for style, files in self._portraits.items()}
        if not self.styles:
            raise DataError(
                "Expected portraits with photographs of the same names. Received: none in "
                f"{str(portraits)!r} and {str(photos)!r}; first: {problems[0].file}: {problems[0].message}",
                hint="Lay them out as portraits/<style>/<name>.png and photos/<name>.jpg.",
            )
        files = [path for part in self._portraits.values() for path in part.values()]
        self.settings = {"portraits": digest(files), "photos": digest(self._photos.values()), "side": side}

    def _pair(self, root: Path, problems: list[Problem]) -> dict[str, dict[str, Path]]:
        by_style: dict[str, dict[str, Path]] = {}
        for path in _listed(root).values():
            parts = path.relative_to(root).parts
            if len(parts) == 1:
                problems.append(Problem(str(path), "no_style", "expected a folder of the style around it."))
            else:
                by_style.setdefault(parts[0], {})[Path(*parts[1:]).as_posix()] = path
        paired: dict[str, dict[str, Path]] = {}
        for style in sorted(by_style):
            for name, path in by_name(by_style[style], problems).items():
                if name in self._photos:
                    paired.setdefault(style, {})[name] = path
                else:
                    problems.append(Problem(str(path), "no_photo", f"no photograph is named {name!r}."))
        return paired

    def read_photos(self, names: Sequence[str]) -> Pictures:
        """The photographs of those names."""
        return read({name: self._photos[name] for name in names}, self.side, rule="crop")

    def read_portraits(self, style: str, names: Sequence[str]) -> Pictures:
        """The portraits of those subjects in a style."""
        return read({name: self._portraits[style][name] for name in names}, self.side)


class Gallery:
    """Photographs to search, beside or in place of those of the protocol; a file's name is its subject.

    Args:
        folder: searched recursively.
        side: of the pictures, pixels.

    Raises:
        DataError: if there is no file.
    """

    def __init__(self, folder: str | Path, *, side: int) -> None:
        problems: list[Problem] = []
        self._files = by_name(_listed(folder), problems, "duplicate_photo")
        self.side, self.photos, self.problems = side, tuple(self._files), tuple(problems)
        self.settings = digest(self._files.values())

    def read_photos(self, names: Sequence[str]) -> Pictures:
        """The photographs of those names."""
        return read({name: self._files[name] for name in names}, self.side, rule="crop")


def by_name(files: Mapping[str, Path], problems: list[Problem], reason: str = "duplicate") -> dict[str, Path]:
    """Files by their path without the ending; the second of two files of one name is a problem.

    Args:
        files: relative path, POSIX form -> path.
        problems: is added to.
        reason: of those problems.

    Example:
        >>> by_name({"a/x.jpg": Path("p/a/x.jpg")}, [])
        {'a/x': PosixPath('p/a/x.jpg')}
    """
    named: dict[str, Path] = {}
    for relative, path in files.items():
        ending = Path(relative).suffix
        name = relative.removesuffix(ending) if ending.lower() in images.SUFFIXES else relative
        if name in named:
            message = f"the name is taken by {named[name].name!r}, which is used."
            problems.append(Problem(str(path), reason, message))
        else:
            named[name] = path
    return named


def read(
    files: Mapping[str, Path], side: int, *, rule: Literal["crop", "letterbox"] = "letterbox"
) -> Pictures:
    """Reads files and brings them to a square; a bad file costs itself alone.

    Args:
        files: name -> path.
        side: of the pictures, pixels.
        rule: as of `photos.read`.
    """
    names, pixels, problems = [], [], {}
    for name, path in files.items():
        try:
            pixels.append(read_photo(path, side, rule=rule))
            names.append(name)
        except ImageError as error:
            problems[name] = Problem(str(path), error.reason, str(error))
    stacked = np.stack(pixels) if pixels else np.zeros((0, side, side, 3), np.uint8)
    return Pictures(tuple(names), stacked, problems)


def digest(files: Iterable[Path]) -> str:
    """A hash over names, sizes and times of files: 16 hexadecimal digits; equal ones hold equal pictures."""
    return fingerprint(files)[:16]


def _listed(folder: str | Path) -> dict[str, Path]:
    root = Path(folder)
    if root.exists() and not root.is_dir():
        raise DataError(f"Expected a folder. Received: the file {str(root)!r}.")
    return {path.relative_to(root).as_posix(): path for path in images.list_pictures(root)}
