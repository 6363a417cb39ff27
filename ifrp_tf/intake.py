"""What goes into a folder run: which files, what their outputs are called, and reading one of them."""

from __future__ import annotations

import hashlib
import os
import threading
from collections import Counter
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ifrp_tf import codec, images
from ifrp_tf.errors import ImageError
from ifrp_tf.files import read_bytes
from ifrp_tf.formats import MAX_FILE_BYTES, SUFFIXES, sniff
from ifrp_tf.ledger import REPORT, Made

KINDS = ("recovered", "side_by_side")
"""What an output's name ends in."""

PROVENANCE = "ifrp_tf"
"""Key of the one text chunk of every PNG that is written."""

_LARGE_PIXELS = 16_000_000
_LARGE = threading.Lock()  # larger pictures need a quarter of a gigabyte and more: decoded one at a time


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


@dataclass(frozen=True)
class Task:
    """What is to be made of every input.

    Attributes:
        output: the output folder.
        side: of the network's pictures, pixels.
        model: hash of the model.
        side_by_side: whether the portrait is also put beside the recovered face.
        overwrite: whether existing outputs are replaced.
    """

    output: Path
    side: int
    model: str
    side_by_side: bool = False
    overwrite: bool = False

    def outputs(self, job: Job) -> tuple[str, ...]:
        """The files to make, relative to the output folder: the recovered face first."""
        return tuple(f"{job.stem}_{kind}.png" for kind in (KINDS if self.side_by_side else KINDS[:1]))


@dataclass
class Intake:
    """An input after reading: a portrait to recover, or the reason why there is none.

    Attributes:
        job: the input.
        status: `recovered` (or about to be), `skipped` or `failed`.
        reason: a short stable code; empty for `recovered`.
        message: the reason in words.
        made: what will be, or was, made from it.
        portrait: uint8 [side, side, 3], letterboxed; None unless it is about to be recovered.
    """

    job: Job
    status: str
    reason: str = ""
    message: str = ""
    made: Made | None = None
    portrait: np.ndarray | None = None

    def entry(self) -> dict[str, Any]:
        """The entry in `report.json`; a box is x, y, width, height in pixels of the upright picture."""
        faces = []
        if self.made is not None and self.status != "failed":
            names = ((kind, f"{self.job.stem}_{kind}.png") for kind in KINDS)
            files = {kind: name for kind, name in names if name in self.made.outputs}
            faces = [{"box": list(self.made.box), **files}]
        return {
            "input": str(self.job.path),
            "status": self.status,
            "reason": self.reason,
            "message": self.message,
            "notes": list(self.made.notes) if self.made else [],
            "faces": faces,
        }


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


def prepare(job: Job, task: Task, before: Made | None) -> Intake:
    """Reads, decodes and letterboxes one input, unless its outputs are there already. May run in any thread.

    Args:
        job: the input.
        task: what is to be made.
        before: what the manifest says was made from it last.

    Returns:
        A portrait to recover, or the reason why there is none; bad files raise nothing.
    """
    try:
        return _prepare(job, task, before)
    except ImageError as error:
        return Intake(job, "failed", error.reason, str(error))
    except MemoryError:
        return Intake(job, "failed", "too_large", "there is not enough memory to decode it.")


def _prepare(job: Job, task: Task, before: Made | None) -> Intake:
    wanted = task.outputs(job)
    known = before.outputs if before is not None and before.model == task.model else ()
    present = {name for name in wanted if os.path.lexists(task.output / name)}
    done = not task.overwrite and len(present) == len(wanted) and present <= set(known)
    up_to_date = Intake(job, "skipped", "up_to_date", "made before from this file with this model.", before)
    size, mtime_ns = _stat(job.path)
    if done and before is not None and (before.size, before.mtime_ns) == (size, mtime_ns):
        return up_to_date
    data = read_bytes(job.path, MAX_FILE_BYTES)
    sha256 = hashlib.sha256(data).hexdigest()
    same = before is not None and before.sha256 == sha256
    if done and same:
        return up_to_date
    if job.inside and is_output(data):
        return Intake(job, "skipped", "generated", "an output of ifrp_tf is no portrait.")
    strange = sorted(present - set(known if same else ()))
    if strange and not task.overwrite:
        message = f"{strange[0]!r} exists, but not from this file and this model; --overwrite replaces it."
        return Intake(job, "failed", "output_exists", message)
    with _LARGE if _pixel_count(data) > _LARGE_PIXELS else nullcontext():
        picture = codec.decode(data, images.WHITE)
        portrait = images.letterbox(picture.pixels, task.side)
    (height, width, _), notes, suffix = picture.pixels.shape, picture.notes, job.path.suffix.lower()
    if suffix and SUFFIXES.get(suffix) != picture.format:
        notes = (f"{picture.format} data in a {suffix} file", *notes)
    outputs = tuple(dict.fromkeys((*wanted, *(known if same else ()))))
    made = Made(sha256, size, mtime_ns, task.model, outputs, (0, 0, width, height), notes)
    return Intake(job, "recovered", made=made, portrait=portrait)


def is_output(data: bytes) -> bool:
    """Whether the bytes of a file are a PNG that this package wrote."""
    head, key = data[:4096], PROVENANCE.encode() + b"\0"
    return head.startswith(b"\x89PNG") and (b"tEXt" + key in head or b"iTXt" + key in head)


def _stat(path: Path) -> tuple[int, int]:
    try:
        status = os.stat(path)
        return status.st_size, status.st_mtime_ns
    except (OSError, ValueError):  # reading it says why
        return -1, -1


def _pixel_count(data: bytes) -> int:
    try:
        width, height = codec._open(data, sniff(data)[0] or "").size
    except Exception:  # not a picture that can be opened: decoding it says why
        return 0
    return int(width * height)


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
    return {_fold(stem.with_name(f"{stem.name}_{kind}.png")) for kind in KINDS}


def _fold(path: Path) -> str:
    return path.as_posix().casefold()
