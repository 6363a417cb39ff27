"""The processes of a fuzzing session as their parent sees them: what came of each case."""

from __future__ import annotations

import collections
import dataclasses
import json
import os
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from hardening.fuzz import worker
from ifrp_tf.core import files

_START, _SLEEPING = 600.0, 1800.0


@dataclasses.dataclass(frozen=True)
class Finding:
    """A case that broke the promise.

    Attributes:
        index: of the case.
        words: what happened: `escaped: KeyError`, `slow`, `memory`, `crash` or `hang`.
        detail: a traceback, or the last of the error stream.
    """

    index: int
    words: str
    detail: str


@dataclasses.dataclass
class Tally:
    """What came of a target.

    Attributes:
        cases: how many were run to their end, or killed their process.
        elapsed: seconds on the clock, with the start of the processes.
        outcomes: cases by what came out.
        findings: what must not have.
        slowest: processor seconds of the slowest case.
        largest: bytes by which a case raised the peak of its process, at most.
    """

    cases: int = 0
    elapsed: float = 0.0
    outcomes: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter)
    findings: list[Finding] = dataclasses.field(default_factory=list)
    slowest: float = 0.0
    largest: int = 0


class Worker:
    """A process, the case that it is at, and its successor where that case kills it.

    Args:
        job: what `fuzz_worker.serve` is told: `target`, `spec`, `seed`, `stride`, and `keep`, the folder for
            the inputs of findings or nothing.
        first: index of its first case.
        end: no case from this index on.
        hang: processor seconds after which a case is given up.
    """

    def __init__(self, job: dict[str, Any], first: int, end: int, hang: float) -> None:
        self._job, self._next, self._end, self._allowed = {**job, "save": False}, first, end, hang
        self._case: int | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._given_up = False

    def start(self, watched: selectors.BaseSelector) -> None:
        """Starts the process, unless no case is left for it.

        Args:
            watched: gets its pipe, with this object as data.
        """
        if self._next >= self._end:
            return
        ours, theirs = os.pipe()
        self._errors = tempfile.TemporaryFile("a+b")  # noqa: SIM115
        job = {**self._job, "first": self._next, "end": self._end, "pipe": theirs}
        self._process = _spawn(job, self._errors.fileno(), theirs)
        os.close(theirs)
        self._pipe, self._buffer, self._case, self._since = ours, b"", None, time.monotonic()
        self._hang, self._given_up = _START, False
        self._used: float | None = None
        watched.register(ours, selectors.EVENT_READ, self)

    def read(self, watched: selectors.BaseSelector, tally: Tally) -> None:
        """Takes in what the process wrote; where it is over, says what that means and starts the next.

        Args:
            watched: where its pipe is.
            tally: what came of the cases; added to.

        Raises:
            RuntimeError: the process ended and no case is to blame.
        """
        assert self._process is not None
        data = os.read(self._pipe, 1 << 16)
        *complete, self._buffer = (self._buffer + data).split(b"\n")
        for line in complete:
            if line.startswith(b"> "):
                self._case, self._hang = (int(line[2:]) if line != b"> ready" else None), self._allowed
            else:
                self._note(json.loads(line), tally)
        self._since, self._used = time.monotonic(), None
        if os.fstat(self._errors.fileno()).st_size > 1 << 20:
            os.ftruncate(self._errors.fileno(), 0)
        if not data:
            watched.unregister(self._pipe)
            self._ended(tally)
            self.start(watched)

    def _note(self, outcome: dict[str, Any], tally: Tally) -> None:
        assert self._case is not None
        tally.cases += 1
        tally.outcomes[outcome["words"]] += 1
        tally.slowest = max(tally.slowest, outcome["seconds"])
        tally.largest = max(tally.largest, outcome["memory"])
        if outcome["finding"]:
            self._found(Finding(self._case, outcome["words"], outcome["finding"]), tally)
        self._next, self._case = self._case + self._job["stride"], None

    def _found(self, finding: Finding, tally: Tally) -> None:
        tally.findings.append(finding)
        if self._job["keep"]:
            name = worker.place(self._job["target"], self._job["seed"], finding.index)
            text = f"{finding.words}\n{finding.detail}\n"
            files.write_bytes_atomic(Path(self._job["keep"]) / name / "finding.txt", text.encode())

    def _save(self, index: int) -> None:
        """Keeps the input of a case that its own process could not keep any more."""
        with tempfile.TemporaryFile() as errors, open(os.devnull, "wb") as pipe:
            job = {**self._job, "first": index, "pipe": pipe.fileno(), "save": True}
            _spawn(job, errors.fileno(), pipe.fileno()).wait()

    def _ended(self, tally: Tally) -> None:
        assert self._process is not None
        code = self._process.wait()
        os.close(self._pipe)
        self._errors.seek(0)
        said = self._errors.read()[-8000:].decode("utf-8", "replace")
        self._errors.close()
        if self._case is None and (code or self._given_up):  # no case is to blame
            raise RuntimeError(f"The process of {self._job['target']} ended with {code}: {said}")
        if self._case is None:
            return
        how = signal.strsignal(-code) if code < 0 else f"exit code {code}"
        words = "hang" if self._given_up else f"crash: {how}"
        tally.cases += 1
        tally.outcomes[words] += 1
        self._found(Finding(self._case, words, f"{said}\n{words}"), tally)
        if self._job["keep"]:
            self._save(self._case)
        self._next = self._case + self._job["stride"]

    def give_up(self, now: float) -> None:
        """Kills a process whose case takes too long; that its pipe ends then says the rest.

        To be called every second or so.

        Args:
            now: `time.monotonic()`.
        """
        if self._process is None or self._process.poll() is not None:
            return
        # On a busy machine the clock says little: a case that computes is judged by what it computed since
        # this was first asked.
        used = _processor_seconds(self._process.pid)
        self._used = used if self._used is None else self._used
        if used - self._used > self._hang or now - self._since > _SLEEPING:
            self._given_up = True
            self._process.kill()

    def stop(self) -> None:
        """Ends the process, whatever it is at."""
        if self._process and self._process.poll() is None:
            self._process.kill()
            self._process.wait()
            os.close(self._pipe)
            self._errors.close()


def _processor_seconds(pid: int) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    except OSError:  # it is over, or the system does not tell
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _spawn(job: dict[str, Any], errors: int, pipe: int) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path or "." for path in sys.path)}
    environment |= {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"}
    code = "from hardening.fuzz import worker as fuzz_worker; fuzz_worker.serve()"
    return subprocess.Popen(
        [sys.executable, "-c", code, json.dumps(job)],
        env=environment, pass_fds=(pipe,), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=errors,
    )  # fmt: skip
