"""A folder of any size through the network: read and look ahead, recover in batches, write behind."""

from __future__ import annotations

import hashlib
import os
import re
import signal
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from ifrp_tf.core.errors import ConfigError, DataError, ImageError, ModelError
from ifrp_tf.core.files import list_pictures, read_bytes
from ifrp_tf.pictures import decoding, framing, images
from ifrp_tf.pictures.batches import BATCH, in_batches
from ifrp_tf.pictures.blending import in_place, paste
from ifrp_tf.pictures.decoding import MAX_FILE_BYTES, SUFFIXES
from ifrp_tf.pictures.geometry import Place
from ifrp_tf.recovery.detection import Detector
from ifrp_tf.recovery.manifest import KINDS, PASTED, REPORT, Job, Made, Manifest, ReportWriter, names, plan
from ifrp_tf.recovery.scene import Options, look
from ifrp_tf.recovery.uncertainty import Uncertainty, estimate

# Reading one input, and whether anything is to be made of it.

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
    with ExitStack() as stack:

        def admit(width: int, height: int) -> None:
            if width * height > _LARGE_PIXELS:
                stack.enter_context(_LARGE)

        picture = decoding.decode(data, admit=admit)
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


# Recovering and writing: faces, side by side, pasted back.

Recover = Callable[[np.ndarray], np.ndarray]


Answer = np.ndarray | Uncertainty | ModelError


def answers(intakes: Sequence[Intake], recover: Recover, task: Task) -> list[list[Answer]]:
    """The network's answers for a few inputs.

    Args:
        intakes: of a few inputs; those that are not to be recovered have no portraits.
        recover: uint8 [16, side, side, 3] to the same.
        task: what is to be made.

    Returns:
        For each input, what the network makes of each of its portraits, or why there is nothing.
    """
    portraits = [one for intake in intakes if intake.portraits is not None for one in intake.portraits]
    found: Sequence[Answer]
    if task.options.uncertainty:
        found = [_estimated(recover, portrait) for portrait in portraits]
    else:
        found = answer(recover, portraits)
    following = iter(found)
    counts = [0 if intake.portraits is None else len(intake.portraits) for intake in intakes]
    return [[next(following) for _ in range(count)] for count in counts]


def write(intake: Intake, own: Sequence[Answer], manifest: Manifest, task: Task, name: str) -> Intake:
    """Writes what was recovered from one input; what goes wrong becomes its status. May run in any thread.

    Args:
        intake: of the input; changed where something fails.
        own: the answers to its portraits.
        manifest: of the output folder.
        task: what is to be made.
        name: of the model.

    Returns:
        `intake`.
    """
    try:
        faces, spreads = [], []
        for one in own:
            if isinstance(one, ModelError):
                raise one
            if isinstance(one, Uncertainty):
                spreads.append(one)
            faces.append(one.recovered if isinstance(one, Uncertainty) else one)
        _write(intake, faces, spreads, manifest, task, name)
    except (ModelError, DataError, ImageError, OSError, MemoryError) as error:
        intake.status, intake.message = "failed", str(error)
        intake.reason = "not_recovered" if isinstance(error, ModelError) else "not_written"
    return intake


def answer(recover: Recover, portraits: Sequence[np.ndarray]) -> list[np.ndarray | ModelError]:
    """The network's answers, or why there is none, one for each portrait.

    A picture's answer is the same to the bit, whatever its neighbours are: see `in_batches`.

    Args:
        recover: uint8 [16, side, side, 3] to the same.
        portraits: uint8 [side, side, 3] each, any number.
    """
    answers: list[np.ndarray | ModelError] = []
    for start in range(0, len(portraits), BATCH):
        part = portraits[start : start + BATCH]
        try:
            answers += list(in_batches(recover, np.stack(part)))
        except ModelError as error:  # one must not spoil its neighbours
            answers += [error] if len(part) == 1 else [answer(recover, [one])[0] for one in part]
    return answers


def flip_averaged(recover: Recover) -> Recover:
    """A network that also sees every portrait mirrored, and answers the average of both.

    Args:
        recover: uint8 [N, side, side, 3] to the same.
    """

    def averaged(portraits: np.ndarray) -> np.ndarray:
        straight = recover(portraits).astype(np.uint16)
        mirrored = recover(np.ascontiguousarray(portraits[:, :, ::-1]))[:, :, ::-1]
        return ((straight + mirrored + 1) // 2).astype(np.uint8)

    return averaged


def _estimated(recover: Recover, portrait: np.ndarray) -> Uncertainty | ModelError:
    """Its batch is as long as those of `answer`, so the recovered face is the same to the bit."""
    try:
        return estimate(recover, portrait)
    except ModelError as error:
        return error


def provenance(name: str, fingerprint: str) -> dict[str, str]:
    """The text chunk of a PNG with a recovered face: that it is generated, and by which model.

    Args:
        name: of the model.
        fingerprint: of the model, 64 hexadecimal digits.
    """
    return {PROVENANCE: f"generated face, not evidence; model {name}; sha256 {fingerprint}"}


def _write(
    intake: Intake,
    faces: list[np.ndarray],
    spreads: list[Uncertainty],
    manifest: Manifest,
    task: Task,
    name: str,
) -> None:
    if intake.made is None or intake.portraits is None:
        return
    if spreads:
        intake.made = replace(intake.made, uncertainty=tuple(round(one.value, 4) for one in spreads))
    text = provenance(name, task.model)
    pasted = _pasted(intake, faces, task)
    outputs = [task.output / output for output in task.outputs(intake.job, intake.made.faces)]
    for path in outputs:  # an old output must never be taken for the one that the manifest names
        path.unlink(missing_ok=True)
    manifest.add(intake.job.key, intake.made)
    remaining = iter(outputs)
    for k, (portrait, face, place) in enumerate(zip(intake.portraits, faces, intake.places, strict=True)):
        images.write_png(next(remaining), face, text=text)
        if task.side_by_side:
            tiles = [portrait, face]
            if pasted is not None and place is not None:
                tiles.append(in_place(pasted, place, len(face)))
            images.write_png(next(remaining), framing.grid([np.stack(tiles)]), text=text)
        if spreads:
            images.write_png(next(remaining), spreads[k].picture, text=text)
    if pasted is not None:
        images.write_png(next(remaining), pasted, text=text)


def _pasted(intake: Intake, faces: list[np.ndarray], task: Task) -> np.ndarray | None:
    """The picture with its recovered faces. Read again: kept ones would fill the memory."""
    placed = [(place, face) for place, face in zip(intake.places, faces, strict=True) if place is not None]
    if not task.options.paste or not placed or intake.made is None:
        return None
    data = read_bytes(intake.job.path, MAX_FILE_BYTES)
    if hashlib.sha256(data).hexdigest() != intake.made.sha256:
        raise DataError("the input changed while it was recovered.", hint="Run it again.")
    pixels = decoding.decode(data).pixels
    places, chosen = zip(*placed, strict=True)
    return paste(pixels, places, chosen, strength=task.options.strength)


# The run: inputs are read ahead, outputs written behind, each file on its own.

_WORKERS = min(4, os.cpu_count() or 1)
_WAITING = 2 * BATCH
_LEFT = re.compile(r"\.([0-9a-f]{16}|report\.json\.[0-9a-f]{8})\.tmp")  # of `files`, of `ledger`

Progress = Callable[[dict[str, Any]], None]


@dataclass(frozen=True)
class Report:
    """How a run over a folder went; every picture is listed in `path`.

    Attributes:
        path: of `report.json`.
        recovered: how many were recovered.
        skipped: how many were recovered before, or are outputs themselves.
        failed: how many could not be used.
        interrupted: whether the run was stopped before all inputs were reached.
    """

    path: Path
    recovered: int
    skipped: int
    failed: int
    interrupted: bool

    @property
    def exit_code(self) -> int:
        """0 all good, 1 some inputs failed, 130 interrupted."""
        return 130 if self.interrupted else int(self.failed > 0)

    def summary(self, total: int) -> str:
        """How it went, in words.

        Args:
            total: how many inputs there were.
        """
        words = f"{self.recovered} recovered, {self.skipped} skipped, {self.failed} failed"
        if self.interrupted:
            words += f", interrupted before {total - self.recovered - self.skipped - self.failed} more"
        return words


@dataclass(frozen=True)
class Work:
    """An input and an output folder, looked through and locked, before any model is loaded.

    Attributes:
        output: the output folder.
        jobs: the inputs.
        manifest: of the output folder.
    """

    output: Path
    jobs: Sequence[Job]
    manifest: Manifest


@contextmanager
def opened(given: str | Path, output: str | Path) -> Iterator[Work]:
    """Finds the inputs, makes and locks the output folder.

    Args:
        given: a file, a folder or a pattern.
        output: the output folder.

    Raises:
        DataError: no input was found, or another run is writing into `output`.
        ConfigError: `output` cannot be written to.

    Example:
        >>> with opened("portraits", "out") as work:  # doctest: +SKIP
        ...     report = process(recoverer.recover_batch, work, Task(Path("out"), 128, "0" * 64), "ifrp/1")
    """
    output = Path(output)
    found = list_pictures(given, exclude=output)  # first: a mistyped input makes no folder
    with Manifest(output) as manifest:
        jobs = plan(given, found, output, manifest.outputs())
        if not jobs:
            raise DataError(f"Expected portraits in {str(given)!r}. Received only outputs of earlier runs.")
        _tidy({output, *((output / job.stem).parent for job in jobs)})
        yield Work(output, jobs, manifest)


def _tidy(folders: set[Path]) -> None:
    """Takes away what killed runs were writing; while the manifest is locked nobody else writes here."""
    for folder in folders:
        with suppress(OSError), os.scandir(folder) as entries:
            for entry in entries:
                if _LEFT.fullmatch(entry.name):
                    os.unlink(entry.path)


def process(recover: Recover, work: Work, task: Task, name: str, progress: Progress | None = None) -> Report:
    """Recovers every input that has not been recovered before.

    Ctrl-C (or SIGTERM) finishes the batch at hand and the report; a second one stops at once.

    Args:
        recover: uint8 [16, side, side, 3] to the same.
        work: what `opened` yields.
        task: what is to be made.
        name: of the model, for the report and the pictures.
        progress: called with each picture's report entry, in order.

    Returns:
        The counts. `report.json` is `{"model": ..., "pictures": [...], "counts": ..., "interrupted": ...}`.

    Raises:
        DataError: the report cannot be written.
    """
    writer = ReportWriter(work.output / REPORT, {"model": {"name": name, "sha256": task.model}})
    counts = dict.fromkeys(("recovered", "skipped", "failed"), 0)

    def finish(writing: list[Future[Intake]]) -> None:
        for intake in (future.result() for future in writing):
            counts[intake.status] += 1
            writer.add([entry := intake.entry()])
            if progress is not None:
                progress(entry)

    try:
        with (
            _stop_on_signal() as stop,
            _pool("write", 1 if task.options.paste else _WORKERS) as pool,  # whole pictures: one at a time
            closing(_in_order(work, task, stop)) as stream,
        ):
            writing: list[Future[Intake]] = []
            for batch in _batches(stream):
                answered = zip(batch, answers(batch, recover, task), strict=True)
                finish(writing)  # was written while the network saw this batch
                writing = [pool.submit(write, *one, work.manifest, task, name) for one in answered]
            finish(writing)
            interrupted = stop.is_set() and sum(counts.values()) < len(work.jobs)
        writer.close({"counts": counts, "interrupted": interrupted})
    finally:
        writer.discard()
    return Report(work.output / REPORT, **counts, interrupted=interrupted)


def _batches(stream: Iterator[Intake]) -> Iterator[list[Intake]]:
    """Inputs with portraits enough for the network, or so many of them without."""
    batch: list[Intake] = []
    for intake in stream:
        batch.append(intake)
        if sum(len(one.places) for one in batch) >= BATCH or len(batch) == _WAITING:
            yield batch
            batch = []
    if batch:
        yield batch


def _in_order(work: Work, task: Task, stop: threading.Event) -> Generator[Intake, None, None]:
    """Inputs as they are ready, in order; at most `_WAITING` of them are read ahead."""
    ahead: deque[Future[Intake]] = deque()
    with _pool("decode", _WORKERS) as pool:
        jobs = iter(work.jobs)
        while not stop.is_set():
            for job in jobs:
                ahead.append(pool.submit(prepare, job, task, work.manifest.get(job.key)))
                if len(ahead) == _WAITING:
                    break
            if not ahead:
                return
            yield ahead.popleft().result()


@contextmanager
def _pool(name: str, workers: int) -> Iterator[ThreadPoolExecutor]:
    """Threads that are gone afterwards, and what they had not begun with them."""
    pool = ThreadPoolExecutor(workers, thread_name_prefix=name)
    try:
        yield pool
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


@contextmanager
def _stop_on_signal() -> Iterator[threading.Event]:
    stop = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler if handler is not None else signal.SIG_DFL)

    def handle(*_: Any) -> None:
        stop.set()
        restore()

    for number in before:
        signal.signal(number, handle)
    try:
        yield stop
    finally:
        restore()
