"""A folder of portraits of any size through a network: streamed, each file on its own, resumable.

Threads read and decode what comes next and write what came before while the network runs; what waits between
them is bounded, so memory does not grow with the folder. A bad file costs one line in the report.
"""

from __future__ import annotations

import os
import re
import signal
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ifrp_tf.errors import DataError
from ifrp_tf.files import list_pictures
from ifrp_tf.intake import Intake, Task, prepare
from ifrp_tf.ledger import REPORT, Manifest, ReportWriter
from ifrp_tf.naming import Job, plan
from ifrp_tf.outputs import BATCH, Recover, answers, write

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
