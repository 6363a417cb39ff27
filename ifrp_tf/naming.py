"""What the outputs of a folder run are called: the tree is mirrored, and no two inputs share an output."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ifrp_tf.formats import SUFFIXES
from ifrp_tf.ledger import REPORT

KINDS = ("recovered", "side_by_side", "uncertainty")
"""What the name of a face's output ends in."""

PASTED = "pasted"
"""What the name of a picture with its faces pasted back ends in."""


@dataclass(frozen=True)
class Job:
    """One input file.

    Attributes:
        path: where it lies.
        key: its name in the manifest: relative to the input folder.
        stem: its outputs are called `<stem>_recovered.png` and so on, relative to the output folder.
        inside: whether it lies in the output folder, and so may be an output itself.
    """

    path: Path
    key: str
    stem: str
    inside: bool


def plan(
    given: str | Path, found: Sequence[Path], output: str | Path, made: frozenset[str] = frozenset()
) -> list[Job]:
    """What the outputs of the inputs are called; outputs of earlier runs are left out.

    The tree below the input folder is mirrored. Where two inputs share a stem (`x.jpg`, `x.png`), the suffix
    joins it (`x_jpg`); where an output would take the name of another or of an input, a number does.

    Args:
        given: the file, folder or pattern that the user named.
        found: what `files.list_pictures` made of it.
        output: the output folder.
        made: files in `output` that earlier runs made, relative to it.

    Returns:
        Jobs in the order of `found`.

    Example:
        >>> plan(".", [Path("x.jpg"), Path("more/y.png")], "out")[1].stem
        'more/y'
    """
    root, real_output = _root(Path(given)), os.path.realpath(output)
    own = {os.path.join(real_output, name) for name in (*made, REPORT)}
    inputs = []
    for path in found:
        real = os.path.join(os.path.realpath(path.parent), path.name)
        if real not in own or path == Path(given):
            inside = real.startswith(real_output + os.sep)
            inputs.append(
                (path, path.relative_to(root), os.path.relpath(real, real_output) if inside else "")
            )
    counts = Counter(_fold(_stem(relative)) for _, relative, _ in inputs)
    taken = {place.casefold() for _, _, place in inputs if place}
    jobs = []
    for path, relative, place in inputs:
        stem = _stem(relative)
        if counts[_fold(stem)] > 1 and stem != relative:
            stem = stem.with_name(f"{stem.name}_{relative.suffix[1:]}")
        jobs.append(Job(path, relative.as_posix(), _free(stem, taken).as_posix(), bool(place)))
    return jobs


def names(stem: str, kinds: Sequence[str], faces: int | None = None) -> tuple[str, ...]:
    """The files of one input, relative to the output folder.

    Args:
        stem: of the input.
        kinds: out of `KINDS`.
        faces: how many faces it has; None where it is one face as a whole.

    Example:
        >>> names("x", ["recovered"], 2)
        ('x_face1_recovered.png', 'x_face2_recovered.png')
    """
    bases = [stem] if faces is None else [f"{stem}_face{k + 1}" for k in range(faces)]
    return tuple(f"{base}_{kind}.png" for base in bases for kind in kinds)


def _root(given: Path) -> Path:
    if given.is_dir():
        return given
    if os.path.lexists(given):
        return given.parent
    return next((parent for parent in given.parents if parent.is_dir()), Path())


def _stem(path: Path) -> Path:
    # "Portrait No. 5" has no suffix, whatever `pathlib` thinks.
    return path.with_suffix("") if path.suffix.lower() in SUFFIXES else path


def _free(stem: Path, taken: set[str]) -> Path:
    candidate, number = stem, 2
    while _names(candidate) & taken:
        candidate, number = stem.with_name(f"{stem.name}_{number}"), number + 1
    taken |= _names(candidate)
    return candidate


def _names(stem: Path) -> set[str]:
    return {_fold(stem.with_name(f"{stem.name}_{kind}.png")) for kind in (*KINDS, PASTED)}


def _fold(path: Path) -> str:
    return path.as_posix().casefold()
