"""Processes killed with SIGKILL at random moments, started again, and what is left of their work."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from tqdm import tqdm

from hardening.kill import intact
from ifrp_tf.core.errors import TrainingError

_POLL = 0.002
_LONGEST = 1800.0
_AT_A_WRITE = 0.6
_PAUSE = 0.03


@dataclasses.dataclass(frozen=True)
class Case:
    """A piece of work that can be killed and started again by the same command.

    Attributes:
        name: for people.
        command: the command line for a work folder.
        lasting: the finished results in a work folder, by name. A text must stay as it is, a number may not
            fall: the next life must find it again.
        differences: of a finished work folder (second) from one that was never killed (first), a line each,
            and whether the results are the same to the bit.
        finished: whether a killed process had done everything; the command is not given again then.
        environment: variables set for the process.
    """

    name: str
    command: Callable[[Path], Sequence[str]]
    lasting: Callable[[Path], Mapping[str, int | str]]
    differences: Callable[[Path, Path], tuple[list[str], bool]]
    finished: Callable[[Path], bool] = lambda work: False
    environment: Mapping[str, str] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Moment:
    """When to kill: so many seconds after the start, or so long after so many changes on the disk.

    Attributes:
        seconds: after the start, or after the change.
        changes: seen in the work folder; 0 = count from the start.
    """

    seconds: float
    changes: int = 0


@dataclasses.dataclass(frozen=True)
class Life:
    """One process from its start to its end.

    Attributes:
        killed: whether it was killed.
        code: its exit status, if it ended by itself.
        seconds: that it lived.
        changes: seen in the work folder.
        said: the end of its output.
    """

    killed: bool
    code: int
    seconds: float
    changes: int
    said: str


@dataclasses.dataclass
class Outcome:
    """What came of killing one case many times.

    Attributes:
        name: of the case.
        kills: processes killed.
        writing: how many of them had begun to write.
        rounds: pieces of work brought to their end.
        exact: how many of them equal to the bit what an undisturbed process made.
        left: temporary files left behind when the rounds were over.
        seconds: that it took.
        faults: everything that should not be.
    """

    name: str
    kills: int = 0
    writing: int = 0
    rounds: int = 0
    exact: int = 0
    left: int = 0
    seconds: float = 0.0
    faults: list[str] = dataclasses.field(default_factory=list)


def live(case: Case, work: Path, log: Path, moment: Moment | None = None) -> Life:
    """Starts the command of a case and kills it at a moment, unless it ends before.

    Args:
        case: what to start.
        work: its work folder, watched for changes.
        log: where its output goes; overwritten.
        moment: when to kill; None = let it end.

    Raises:
        TrainingError: it is still alive after half an hour.
    """
    began, at, changes, seen = time.monotonic(), None, 0, _state(work)
    if moment is not None and not moment.changes:
        at = began + moment.seconds
    with log.open("wb") as out:
        process = subprocess.Popen(
            case.command(work), stdout=out, stderr=out, env={**os.environ, **case.environment}
        )
        try:
            while process.poll() is None:
                if (state := _state(work)) != seen:
                    changes, seen = changes + 1, state
                    if moment is not None and changes == moment.changes:
                        at = time.monotonic() + moment.seconds
                now = time.monotonic()
                if at is not None and now >= at:
                    process.kill()
                elif now - began > _LONGEST:
                    raise TrainingError(f"Expected {case.name} to end. Received: alive after {_LONGEST} s.")
                else:
                    time.sleep(_POLL if at is None else min(_POLL, at - now))
        finally:
            process.kill()
            code = process.wait()
    said = log.read_text(encoding="utf-8", errors="replace")[-1500:]
    return Life(code == -signal.SIGKILL, code, time.monotonic() - began, changes, said)


def lost(before: Mapping[str, int | str], after: Mapping[str, int | str]) -> list[str]:
    """Finished results that are gone, changed or fewer; a line each.

    Args:
        before: `Case.lasting` before a life.
        after: the same after it.
    """
    faults = []
    for name, value in before.items():
        now = after.get(name)
        kept = now == value or (isinstance(now, int) and isinstance(value, int) and now > value)
        if not kept:
            faults.append(f"lost: {name} was {value}, is {now}")
    return faults


def run(case: Case, folder: str | Path, *, kills: int, seed: int = 0) -> Outcome:
    """Kills a case many times: work is begun, killed and resumed until it ends, then begun again.

    After every kill all files under final names are read and nothing that was finished may be gone; what
    comes out in the end is compared with the work of a process that nobody killed.

    Args:
        case: what to start.
        folder: gets a work folder a round; those without a fault are deleted. `lives.txt` says how each
            process ended.
        kills: how many processes to kill.
        seed: of the moments.

    Returns:
        The counts and the faults.

    Raises:
        TrainingError: a process does not end.
    """
    folder, chance, began = Path(folder), random.Random(seed), time.monotonic()
    folder.mkdir(parents=True, exist_ok=True)
    outcome, log, whole = Outcome(case.name), folder / "output.txt", folder / "whole"
    shutil.rmtree(whole, ignore_errors=True)
    whole.mkdir()
    undisturbed = live(case, whole, log)
    outcome.faults += [f"undisturbed: {fault}" for fault in intact.damaged(whole)]
    bar = tqdm(desc=case.name, total=kills, unit="kill", disable=None)  # None: only on a terminal
    while outcome.kills < kills:
        work = folder / f"round_{outcome.rounds + 1}"
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir()
        known = len(outcome.faults)
        _round(case, work, log, undisturbed, chance, outcome, kills)
        faults, exact = case.differences(whole, work)
        outcome.faults += [f"{work.name}: {fault}" for fault in faults]
        bar.update(outcome.kills - bar.n)
        outcome.rounds, outcome.exact = outcome.rounds + 1, outcome.exact + exact
        outcome.left += len(intact.leftovers(work))
        if len(outcome.faults) == known:
            shutil.rmtree(work)
    bar.close()
    outcome.seconds = time.monotonic() - began
    return outcome


def _round(
    case: Case, work: Path, log: Path, undisturbed: Life, chance: random.Random, outcome: Outcome, kills: int
) -> None:
    while True:
        before = case.lasting(work)
        life = live(case, work, log, _moment(undisturbed, chance) if outcome.kills < kills else None)
        outcome.kills += life.killed
        outcome.writing += life.killed and life.changes > 0
        end = f"kill {outcome.kills}" if life.killed else f"ended with code {life.code}"
        where = f"{work.name}, {end}, {life.seconds:.2f} s, change {life.changes}"
        found = intact.damaged(work) + lost(before, case.lasting(work))
        outcome.faults += [f"{where}: {fault}" for fault in found]
        with (work.parent / "lives.txt").open("a", encoding="utf-8") as lives:
            lives.write(f"{where}, {len(found)} faults\n")
        if not life.killed and life.code != undisturbed.code:
            words = f"expected exit code {undisturbed.code}, received {life.code}: {life.said}"
            outcome.faults.append(f"{where}: {words}")
            return
        if not life.killed or case.finished(work):
            return


def _moment(undisturbed: Life, chance: random.Random) -> Moment:
    """Anywhere in a life; or, where most can go wrong, within a few milliseconds of something written."""
    if chance.random() < _AT_A_WRITE and undisturbed.changes:
        # Squared: a resumed life writes less than the first one.
        change = 1 + int(undisturbed.changes * chance.random() ** 2)
        return Moment(_PAUSE * chance.random() ** 2, change)
    return Moment(undisturbed.seconds * chance.random())


def _state(folder: Path) -> dict[str, tuple[int, int]]:
    found: dict[str, tuple[int, int]] = {}
    waiting = [os.fspath(folder)]
    while waiting:
        with contextlib.suppress(OSError), os.scandir(waiting.pop()) as entries:  # it may be gone by now
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    found[entry.path] = (0, 0)
                    waiting.append(entry.path)
                else:
                    status = entry.stat(follow_symlinks=False)
                    found[entry.path] = (status.st_size, status.st_mtime_ns)
    return found
