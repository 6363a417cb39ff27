"""The fault table: what a row is, and what the rows of `faults_*.py` share."""

import functools
import io
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pictures
import pytest
from helpers import ROOT

from ifrp_tf.cli.command import launch
from ifrp_tf.core.errors import ImageError
from ifrp_tf.pictures import images
from ifrp_tf.recovery.recoverer import Recoverer

SIDE = 32


@dataclass(frozen=True)
class Fault:
    """A row.

    Attributes:
        id: number of the fault.
        title: the fault, in words.
        make: makes what is faulty, in code; is given an empty folder.
        check: is given what was made; what must happen is asserted there.
        differs: why something else than the table asks for happens; empty where the table is obeyed.
        slow: whether it takes more than some seconds, and belongs to `make test-slow`.
    """

    id: int
    title: str
    make: Callable[[Path], Any]
    check: Callable[[Any], None]
    differs: str = ""
    slow: bool = False

    @property
    def label(self) -> str:
        """What pytest calls the row."""
        return f"{self.id}-{re.sub(r'[^a-z0-9]+', '-', self.title.lower()).strip('-')}"


@dataclass(frozen=True)
class Refused:
    """Expected: `images.read` refuses the bytes, or each of several, with this reason and word, at once."""

    reason: str
    word: str = ""
    seconds: float = 0.5

    def __call__(self, made: bytes | list[bytes]) -> None:
        for data in made if isinstance(made, list) else [made]:
            start = time.process_time()
            with pytest.raises(ImageError) as caught:
                images.read(data)
            assert time.process_time() - start < self.seconds
            assert caught.value.reason == self.reason
            assert self.word in str(caught.value)


def bytes_of(make: Callable[..., Any], *arguments: Any, **options: Any) -> Callable[[Path], Any]:
    """A factory that needs no folder."""
    return lambda _: make(*arguments, **options)


def write(folder: Path, files: dict[str, bytes]) -> Path:
    """Writes files, with the folders that they lie in."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


def portrait(shift: int = 0) -> bytes:
    """A PNG; another one for every shift."""
    return pictures.save(np.roll(pictures.scene(40, 40), shift, axis=1), "PNG")


NEGATIVE = Recoverer(lambda portraits: 255 - portraits, side=SIDE, name="negative/1", fingerprint="0" * 64)
"""A model of a kind, for what does not depend on the network: quick, and wrong answers show."""


def negative_of(data: bytes) -> np.ndarray:
    """What `NEGATIVE` answers."""
    return 255 - images.letterbox(images.read(data).pixels, SIDE)


@functools.cache
def released() -> Recoverer:
    """The released model."""
    return Recoverer.load(ROOT / "saved_models" / "ifrp")


@dataclass(frozen=True)
class Ended:
    """How a tool ended."""

    code: int
    out: str
    err: str

    def says(self, code: int, *words: str) -> None:
        """Asserts the exit code, and one line with these words in place of a traceback."""
        assert self.code == code, self.err
        assert "Traceback" not in self.err
        assert len(self.err.splitlines()) == 1, self.err
        for word in words:
            assert word in self.err


def launched(main: Callable[[], int], **streams: io.TextIOBase) -> Ended:
    """What the command line makes of a function that returns an exit code, in this process.

    Args:
        main: returns an exit code or raises.
        **streams: `out` in place of a buffer.
    """
    out, err = streams.get("out", io.StringIO()), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        patch.setattr(sys, "argv", ["a_tool.py"])
        with pytest.raises(SystemExit) as ended:
            launch(main, "")
    return Ended(ended.value.code, out.getvalue() if isinstance(out, io.StringIO) else "", err.getvalue())


def tool(name: str, *flags: str, python: tuple[str, ...] = (), **options: Any) -> Ended:
    """A tool in a process of its own, as a user starts it."""
    command = [sys.executable, *python, str(ROOT / "tools" / f"{name}.py"), *flags]
    defaults = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "timeout": 300, "check": False}
    done = subprocess.run(command, text=True, errors="backslashreplace", **{**defaults, **options})
    return Ended(done.returncode, done.stdout or "", done.stderr or "")


@contextmanager
def nobody():
    """Without the rights of root, who may read and write everything."""
    root = getattr(os, "geteuid", lambda: 1)() == 0
    if root:
        os.seteuid(65534)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)


@contextmanager
def little_memory(limit: int):
    """Asserts that the largest memory of this process grows by less than so many bytes (on Linux)."""
    try:
        Path("/proc/self/clear_refs").write_text("5")  # the peak so far is forgotten
    except OSError:
        yield
        return
    before = _status("VmRSS")
    yield
    assert _status("VmHWM") - before < limit


def _status(key: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{key}:")) * 1024
