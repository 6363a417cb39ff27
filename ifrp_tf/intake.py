"""What goes into a folder run: reading one input, and whether anything is to be made of it."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from ifrp_tf import codec, images
from ifrp_tf.alignment import Place
from ifrp_tf.errors import ConfigError, ImageError
from ifrp_tf.face_detector import Detector
from ifrp_tf.files import read_bytes
from ifrp_tf.formats import MAX_FILE_BYTES, SUFFIXES, sniff
from ifrp_tf.ledger import Made
from ifrp_tf.naming import KINDS, PASTED, Job, names
from ifrp_tf.options import Options
from ifrp_tf.scene import look

PROVENANCE = "ifrp_tf"
"""Key of the one text chunk of every PNG that is written."""

_LARGE_PIXELS = 16_000_000
_LARGE = threading.Lock()  # larger pictures need a quarter of a gigabyte and more: decoded one at a time


@dataclass(frozen=True)
class Task:
    """What is to be made of every input.

    Attributes:
        output: the output folder.
        side: of the network's pictures, pixels.
        model: hash of the model.
        side_by_side: whether the portrait is also put beside the recovered face.
        overwrite: whether existing outputs are replaced.
        options: how faces are found, and what else is made.
        detector: finds faces; only `Options(faces="auto")` needs one.
    """

    output: Path
    side: int
    model: str
    side_by_side: bool = False
    overwrite: bool = False
    options: Options = Options()
    detector: Detector | None = field(default=None, compare=False)

    @property
    def kinds(self) -> tuple[str, ...]:
        """What is made of every face."""
        wanted = {"side_by_side": self.side_by_side, "uncertainty": self.options.uncertainty}
        return tuple(kind for kind in KINDS if wanted.get(kind, True))

    def outputs(self, job: Job, faces: Sequence[dict[str, Any]] = ()) -> tuple[str, ...]:
        """The files to make, relative to the output folder.

        Args:
            job: the input.
            faces: entries of its faces, where they are found; those with a `reason` have no files.
        """
        if self.options.faces == "whole":
            return names(job.stem, self.kinds)
        wanted = [
            f"{job.stem}_face{k}_{kind}.png"
            for k, entry in enumerate(faces, 1)
            if "reason" not in entry
            for kind in self.kinds
        ]
        placed = any("reason" not in entry and entry["found_by"] != "whole" for entry in faces)
        return (*wanted, *((f"{job.stem}_{PASTED}.png",) if self.options.paste and placed else ()))


@dataclass
class Intake:
    """An input after reading: portraits to recover, or the reason why there are none.

    Attributes:
        job: the input.
        status: `recovered` (or about to be), `skipped` or `failed`.
        reason: a short stable code; empty for `recovered`.
        message: the reason in words.
        made: what will be, or was, made from it.
        portraits: uint8 [N, side, side, 3], laid out for the network; None unless about to be recovered.
        places: where in the picture the portraits lie; None for a picture that is one as a whole.
    """

    job: Job
    status: str
    reason: str = ""
    message: str = ""
    made: Made | None = None
    portraits: np.ndarray | None = None
    places: tuple[Place | None, ...] = ()

    def entry(self) -> dict[str, Any]:
        """The entry in `report.json`; a box is x, y, width, height in pixels of the upright picture."""
        entry: dict[str, Any] = {
            "input": str(self.job.path),
            "status": self.status,
            "reason": self.reason,
            "message": self.message,
            "notes": list(self.made.notes) if self.made else [],
            "faces": [],
        }
        if self.made is None:
            return entry
        made = set(self.made.outputs) if self.status != "failed" else set()
        numbers = iter(self.made.uncertainty)
        for k, face in enumerate(self.made.faces, 1):
            listed = {kind: f"{self.job.stem}_face{k}_{kind}.png" for kind in KINDS}
            files = {kind: name for kind, name in listed.items() if name in made}
            entry["faces"].append({**face, "recovered": None, **files, **_number(files, numbers)})
        if not self.made.faces and made:
            listed = {kind: f"{self.job.stem}_{kind}.png" for kind in KINDS}
            files = {kind: name for kind, name in listed.items() if name in made}
            entry["faces"] = [{"box": list(self.made.box), **files, **_number(files, numbers)}]
        if (pasted := f"{self.job.stem}_{PASTED}.png") in made:
            entry["pasted"] = pasted
        return entry


def _number(files: dict[str, str], numbers: Iterator[float]) -> dict[str, float]:
    """The uncertainty of the next face that has a picture of it."""
    value = next(numbers, None) if "uncertainty" in files else None
    return {} if value is None else {"uncertainty_value": value}


def prepare(job: Job, task: Task, before: Made | None) -> Intake:
    """Reads and decodes one input and lays out its faces, unless its outputs are there already.

    May run in any thread.

    Args:
        job: the input.
        task: what is to be made.
        before: what the manifest says was made from it last.

    Returns:
        Portraits to recover, or the reason why there are none; bad files raise nothing.
    """
    try:
        return _prepare(job, task, before)
    except ImageError as error:
        return Intake(job, "failed", error.reason, str(error))
    except ConfigError as error:
        return Intake(job, "failed", "box_outside", str(error))
    except MemoryError:
        return Intake(job, "failed", "too_large", "there is not enough memory to decode it.")


def _prepare(job: Job, task: Task, before: Made | None) -> Intake:
    settings = task.options.settings()
    known: tuple[str, ...] = ()
    done = False
    if before is not None and (before.model, before.settings) == (task.model, settings):
        known = before.outputs
        wanted = task.outputs(job, before.faces)
        present = all(os.path.lexists(task.output / name) for name in wanted)
        done = not task.overwrite and present and set(wanted) <= set(known)
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
    if not same:
        known = ()
    if strange := _strange(task.outputs(job), known, task):
        return Intake(job, "failed", "output_exists", strange)
    numbers = before.uncertainty if before is not None and known else ()
    made = Made(sha256, size, mtime_ns, task.model, known, (0, 0, 0, 0), (), (), settings, numbers)
    return _laid_out(job, task, data, made)


def _laid_out(job: Job, task: Task, data: bytes, made: Made) -> Intake:
    with _LARGE if _pixel_count(data) > _LARGE_PIXELS else nullcontext():
        picture = codec.decode(data, images.WHITE)
        scene = look(picture.pixels, task.options, task.detector, task.side)
    (height, width, _), notes, suffix = picture.pixels.shape, picture.notes, job.path.suffix.lower()
    if suffix and SUFFIXES.get(suffix) != picture.format:
        notes = (f"{picture.format} data in a {suffix} file", *notes)
    entries = () if task.options.faces == "whole" else scene.entries
    wanted, known = task.outputs(job, entries), made.outputs
    made = replace(
        made,
        outputs=tuple(dict.fromkeys((*wanted, *known))),
        box=(0, 0, width, height),
        notes=notes,
        faces=entries,
    )
    if not scene.chosen:
        reason = ("too_small", "every face is too small.") if entries else ("no_face", "no face was found.")
        return Intake(job, "failed", *reason, replace(made, outputs=()))
    if strange := _strange(wanted, known, task):
        return Intake(job, "failed", "output_exists", strange)
    return Intake(job, "recovered", made=made, portraits=scene.portraits, places=scene.places)


def _strange(wanted: Sequence[str], known: Sequence[str], task: Task) -> str:
    """Says which output exists that is not known to come from this file; empty if none does."""
    strange = sorted(name for name in set(wanted) - set(known) if os.path.lexists(task.output / name))
    if not strange or task.overwrite:
        return ""
    return f"{strange[0]!r} exists, but not from this file, model and options; --overwrite replaces it."


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
