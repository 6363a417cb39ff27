"""Tests of `core/runtime`."""

import contextlib
import fcntl
import logging
import os
import pty
import struct
import subprocess
import sys
import termios

import pytest
import tensorflow as tf
from helpers import ROOT

from ifrp_tf.core import environment, runtime
from ifrp_tf.core.errors import ConfigError
from ifrp_tf.core.runtime import Console

PROGRAM = """
import os, sys
sys.path.insert(0, {root!r})
from ifrp_tf.core import runtime as quiet
try:
    with quiet.start_up():
        os.write(2, b"chatter\\n")
        if {fails}:
            raise ValueError("a reason")
except ValueError as error:
    print("caught", error)
os.write(2, b"afterwards\\n")
"""


def errors_of(level, *, fails=False):
    variables = {name: value for name, value in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"}
    if level is not None:
        variables["TF_CPP_MIN_LOG_LEVEL"] = level
    program = PROGRAM.format(root=str(ROOT), fails=fails)
    done = subprocess.run(
        [sys.executable, "-c", program], env=variables, capture_output=True, text=True, check=True
    )
    assert ("caught a reason" in done.stdout) == fails
    return done.stderr


def test_chatter_is_held_back_only_where_silence_was_asked_for():
    assert errors_of("3") == "afterwards\n"
    assert errors_of("2") == "afterwards\n"
    # `import ifrp_tf` asks for silence where no GPU could be the matter.
    assert errors_of(None) == ("chatter\n" if environment.has_gpu() else "") + "afterwards\n"
    assert errors_of("0") == "chatter\nafterwards\n"


def test_what_was_held_back_is_shown_when_it_may_explain_a_failure():
    assert errors_of("3", fails=True) == "chatter\nafterwards\n"


def test_what_is_logged_goes_to_file_and_terminal_and_stops_after(tmp_path, capsys):
    path = tmp_path / "log.txt"
    before = list(logging.getLogger().handlers)
    for word in ("first", "second"):
        with runtime.logged_to(path):
            logging.info("%s line", word)
            logging.debug("hidden")
    logging.info("later")
    assert logging.getLogger().handlers == before
    text = path.read_text()
    assert [line.split("INFO ")[1] for line in text.splitlines()] == ["first line", "second line"]
    shown = capsys.readouterr().err
    assert "first line" in shown
    assert "later" not in shown


def test_a_run_within_a_longer_work_is_shown_once_and_the_work_goes_on_being_shown(tmp_path, capsys):
    with runtime.logged():
        logging.info("row 1")
        with runtime.logged_to(tmp_path / "log.txt"):
            logging.info("step 1")
        logging.info("row 2")
    logging.info("later")
    shown = [line.split(" ", 1)[1] for line in capsys.readouterr().err.splitlines()]
    assert shown == ["row 1", "step 1", "row 2"]
    assert [line.split("INFO ")[1] for line in (tmp_path / "log.txt").open()] == ["step 1\n"]


GOOD = {"input": "a.png", "status": "recovered", "reason": "", "message": ""}
BAD = {"input": "b\n\udcff.png", "status": "failed", "reason": "empty", "message": "0 bytes."}


def test_only_failures_are_printed_where_nobody_watches(capsys):
    with Console(2) as console:
        console.show(GOOD)
        console.show(BAD)
    out, err = capsys.readouterr()
    assert out == ""
    assert err == "'b\\n\\udcff.png': empty: 0 bytes.\n"


def test_a_log_shows_life_ever_more_rarely(monkeypatch, capsys):
    clock = iter(range(0, 100_000, 9))
    monkeypatch.setattr("ifrp_tf.core.runtime.time.monotonic", lambda: next(clock))
    with Console(100) as console:
        for _ in range(100):
            console.show(GOOD)
    said = capsys.readouterr().err.splitlines()
    assert said[:3] == ["2 of 100 pictures", "5 of 100 pictures", "10 of 100 pictures"]
    assert len(said) == 6


def test_a_terminal_shows_a_bar(monkeypatch):
    reader, writer = pty.openpty()
    fcntl.ioctl(writer, termios.TIOCSWINSZ, struct.pack("4H", 24, 80, 0, 0))
    with os.fdopen(writer, "w") as terminal:
        monkeypatch.setattr(sys, "stderr", terminal)
        with Console(2) as console:
            console.show(GOOD)
            console.show(BAD)
        monkeypatch.undo()
    shown = b""
    with contextlib.suppress(OSError):  # how the end of a terminal is told
        while part := os.read(reader, 10_000):
            shown += part
    os.close(reader)
    assert b"2/2" in shown
    assert b"picture" in shown
    assert b"empty: 0 bytes." in shown


# ---- Threads ----


def test_all_cores_without_a_number():
    assert runtime.use_threads(0) == len(os.sched_getaffinity(0))


def test_threads_are_set_before_tensorflow_starts_or_not_at_all():
    tf.zeros(1)
    with pytest.raises(ConfigError, match="not to have started"):
        runtime.use_threads(tf.config.threading.get_intra_op_parallelism_threads() + 3)


@pytest.mark.parametrize("count", [-1, 1025])
def test_threads_out_of_range_are_refused(count):
    with pytest.raises(ConfigError, match="from 0"):
        runtime.use_threads(count)
