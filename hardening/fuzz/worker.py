"""One fuzzing process: makes cases, runs them, measures each, and says so before and after every one."""

from __future__ import annotations

import contextlib
import dataclasses
import faulthandler
import gc
import importlib
import json
import os
import random
import resource
import sys
import time
import traceback
import warnings
from pathlib import Path
from typing import Any, Protocol

from ifrp_tf.core.errors import IfrpError

SECONDS = 2.0
"""Processor time that a case may take, unless its target says otherwise (`seconds`)."""

MEMORY = 1792 * 2**20
"""Bytes by which a case may raise the peak of the process, unless its target says otherwise (`memory`): what
a picture of `MAX_PIXELS` takes; 16-bit grey, the most, was seen to take 1,586 MiB."""

_ADDRESS_SPACE = 8 * 2**30


class Target(Protocol):
    """What is fuzzed: `seconds` and `memory` are attributes that it may have."""

    def make(self, chance: random.Random) -> dict[str, bytes]:
        """A case: the bytes of files by name. A function of the random state."""
        ...

    def run(self, case: dict[str, bytes]) -> str:
        """Puts a case through a target: returns what came out, in words, or raises."""
        ...


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What came of a case.

    Attributes:
        words: what the target answered: `read`, a reason, the class of an error, or what was found.
        finding: empty where the family or a success came out, in time and within memory; else why not.
        seconds: processor time.
        memory: bytes by which the peak of the process rose.
    """

    words: str
    finding: str = ""
    seconds: float = 0.0
    memory: int = 0


def chance_of(target: str, seed: int, index: int) -> random.Random:
    """The source of randomness of one case: the same in every process.

    Args:
        target: its name.
        seed: of the session.
        index: of the case.
    """
    return random.Random(f"{target}/{seed}/{index}")


def place(target: str, seed: int, index: int) -> str:
    """The folder of a kept finding: its target, its seed and its index.

    Example:
        >>> place("pictures", 1, 4711)
        'pictures-1-4711'
    """
    return f"{target}-{seed}-{index}"


def attempt(target: Target, case: dict[str, bytes]) -> Outcome:
    """Runs one case and judges it.

    Args:
        target: which is tried.
        case: from its `make`.
    """
    _reset_peak()
    before, start = _memory("VmRSS"), time.process_time()
    finding = ""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            words = target.run(case)
    except IfrpError as error:
        words = f"{type(error).__name__}"
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:
        words = f"escaped: {type(error).__name__}"
        finding = "".join(traceback.format_exception(error, limit=-12))
    seconds, grown = time.process_time() - start, max(0, _memory("VmHWM") - before)
    allowed, most = getattr(target, "seconds", SECONDS), getattr(target, "memory", MEMORY)
    if not finding and seconds > allowed:
        finding = f"took {seconds:.1f} s of processor time, {allowed:g} are allowed ({words})"
        words = "slow"
    if not finding and grown > most:
        finding = f"took {grown / 2**20:,.0f} MiB, {most / 2**20:,.0f} are allowed ({words})"
        words = "memory"
    return Outcome(words, finding, seconds, grown)


def load(spec: str) -> Target:
    """A target by `module:class`."""
    module, _, name = spec.partition(":")
    target: Target = getattr(importlib.import_module(module), name)()
    return target


def write(folder: Path, case: dict[str, bytes]) -> None:
    """Writes the files of a case.

    Args:
        folder: made if missing.
        case: contents by relative name; a name that ends in `/` is a folder.
    """
    for name, data in case.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if name.endswith("/"):
            path.mkdir(exist_ok=True)
        else:
            path.write_bytes(data)


def serve() -> None:
    """The process that `fuzzing` starts: a job as JSON in the arguments, answers on a pipe.

    Before a case it writes `> INDEX`, after it a line of JSON; a process that dies has named its case.
    """
    job: dict[str, Any] = json.loads(sys.argv[1])
    with os.fdopen(job["pipe"], "w", buffering=1, encoding="utf-8") as pipe:
        faulthandler.enable()  # a crash of a decoder leaves its stack in the error stream
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            resource.setrlimit(resource.RLIMIT_AS, (_ADDRESS_SPACE, _ADDRESS_SPACE))
        target = load(job["spec"])
        if job["save"]:  # the input of a case that killed its process
            case = target.make(chance_of(job["target"], job["seed"], job["first"]))
            write(Path(job["keep"]) / place(job["target"], job["seed"], job["first"]) / "input", case)
            return
        index, gc_due = job["first"], 0
        print("> ready", file=pipe)
        while index < job["end"]:
            case = target.make(chance_of(job["target"], job["seed"], index))
            print(f"> {index}", file=pipe)
            outcome = attempt(target, case)
            if outcome.finding and job["keep"]:
                write(Path(job["keep"]) / place(job["target"], job["seed"], index) / "input", case)
            print(json.dumps(dataclasses.asdict(outcome)), file=pipe)
            index, gc_due = index + job["stride"], gc_due + 1
            if gc_due % 1000 == 0:
                gc.collect()


def _memory(name: str) -> int:
    """Bytes of this process, `VmRSS` or `VmHWM`; 0 where the system does not tell."""
    with contextlib.suppress(OSError), open("/proc/self/status", "rb") as file:
        _, _, rest = file.read().partition(name.encode() + b":")
        return int(rest.split()[0]) * 1024 if rest else 0
    return 0


def _reset_peak() -> None:
    with contextlib.suppress(OSError), open("/proc/self/clear_refs", "wb") as file:
        file.write(b"5")
