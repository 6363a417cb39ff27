"""The process: a quiet start of TensorFlow, the log of a run, progress on a terminal, threads."""

from __future__ import annotations

import logging
import os
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tqdm import tqdm

from ifrp_tf.core.errors import ConfigError

# TensorFlow without its start-up chatter.


@contextmanager
def start_up(*, loaded: bool = False) -> Iterator[None]:
    """Holds back what is written to the error stream inside, if `TF_CPP_MIN_LOG_LEVEL` is 2 or 3.

    TensorFlow prints its first lines before it has read that variable, from C++ that Python cannot silence.
    They are dropped, unless an exception ends the block: then they are printed, for they may say why.

    Args:
        loaded: also where TensorFlow is there already: for a part of it that announces itself later.

    Example:
        >>> with start_up():
        ...     import tensorflow  # doctest: +SKIP
    """
    asked = os.environ.get("TF_CPP_MIN_LOG_LEVEL") in ("2", "3")
    wanted = asked and (loaded or "tensorflow" not in sys.modules)
    if not wanted or sys.stderr is None:
        yield
        return
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        except BaseException:
            held.seek(0)
            os.write(kept, held.read())
            raise
        finally:
            sys.stderr.flush()
            os.dup2(kept, 2)
            os.close(kept)


# Where a long piece of work says how it goes.


@contextmanager
def logged() -> Iterator[None]:
    """Shows what is logged at level INFO and above on standard error, once however deep it is entered.

    Example:
        >>> with logged():
        ...     logging.info("step %d", 1)
    """
    root, level = logging.getLogger(), logging.getLogger().level
    if any(isinstance(handler, _Screen) for handler in root.handlers):
        yield
        return
    screen = _Screen()
    screen.setFormatter(logging.Formatter("%(asctime)s %(message)s", datefmt="%H:%M:%S"))
    root.addHandler(screen)
    root.setLevel(logging.INFO)
    try:
        yield
    finally:
        root.setLevel(level)
        root.removeHandler(screen)


class _Screen(logging.StreamHandler):
    """The handler of `logged`, told from others by its class."""


@contextmanager
def logged_to(path: str | Path) -> Iterator[None]:
    """Appends what is logged at level INFO and above to a file, and shows it on standard error.

    Args:
        path: the file; its folder exists.
    """
    file = logging.FileHandler(path, encoding="utf-8")
    file.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    with logged():
        logging.getLogger().addHandler(file)
        try:
            yield
        finally:
            logging.getLogger().removeHandler(file)
            file.close()


# What a person at a terminal sees of a long run.


_FIRST_LINE_S = 10.0


class Console:
    """Shows pictures of a report on the error stream: a bar on a terminal, in a log a line now and then.

    Args:
        total: how many pictures there are.

    Example:
        >>> with Console(2) as console:
        ...     console.show({"input": "x.png", "status": "recovered"})
    """

    def __init__(self, total: int) -> None:
        watched = sys.stderr is not None and sys.stderr.isatty()
        self._bar = tqdm(total=total, unit="picture", disable=not watched, file=sys.stderr)
        self._total, self._count, self._watched = total, 0, watched
        self._next, self._pause = time.monotonic() + _FIRST_LINE_S, _FIRST_LINE_S

    def __enter__(self) -> Console:
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()

    def show(self, entry: dict[str, Any]) -> None:
        """Shows one picture's entry of the report.

        Args:
            entry: `input`, `status`, and for a failure `reason` and `message`.
        """
        if entry["status"] == "failed":
            self.say(f"{entry['input']!r}: {entry['reason']}: {entry['message']}")
        self._bar.update()
        self._count += 1
        if not self._watched and self._count < self._total:
            self._now_and_then(f"{self._count:,} of {self._total:,} pictures")

    def step(self, line: str) -> None:
        """Shows how far a picture is that takes long, behind the bar."""
        if self._watched:
            self._bar.set_postfix_str(line)
        else:
            self._now_and_then(line)

    def _now_and_then(self, line: str) -> None:
        if time.monotonic() >= self._next:
            self.say(line)
            self._pause = min(2 * self._pause, 600.0)  # a log is to show life, not to grow
            self._next = time.monotonic() + self._pause

    def say(self, line: str) -> None:
        """Writes a line, above the bar where there is one."""
        self._bar.write(line, file=sys.stderr)


# Signals.


@contextmanager
def terminate_as_interrupt() -> Iterator[None]:
    """SIGTERM raises `KeyboardInterrupt` inside, as Ctrl-C does; nothing outside the main thread."""

    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt("SIGTERM")

    try:
        before = signal.signal(signal.SIGTERM, interrupt)
    except ValueError:  # not in the main thread
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


# Threads.


def use_threads(count: int) -> int:
    """Gives TensorFlow a number of threads; before its first operation.

    Args:
        count: 1 to 1,024, or 0 for one on each core that this process may use, which is TensorFlow's way.

    Returns:
        How many that is.

    Raises:
        ConfigError: another number, or TensorFlow has started.
    """
    if not 0 <= count <= 1024:
        raise ConfigError(f"Expected threads from 0 (all cores) to 1024. Received: {count}.")
    if not count:
        return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    import tensorflow as tf  # late: this module is imported where TensorFlow is not wanted

    try:
        tf.config.threading.set_intra_op_parallelism_threads(count)
        tf.config.threading.set_inter_op_parallelism_threads(count)
    except RuntimeError as error:
        message = f"Expected TensorFlow not to have started when threads are set. Received: {error}"
        raise ConfigError(message) from error
    return count
