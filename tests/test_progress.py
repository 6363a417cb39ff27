import contextlib
import fcntl
import os
import pty
import struct
import sys
import termios

from ifrp_tf.progress import Console

GOOD = {"input": "a.png", "status": "recovered", "reason": "", "message": ""}
BAD = {"input": "b\n\udcff.png", "status": "failed", "reason": "empty", "message": "0 bytes."}


def test_only_failures_are_printed_where_nobody_watches(capsys):
    with Console(2) as console:
        console.show(GOOD)
        console.show(BAD)
    out, err = capsys.readouterr()
    assert out == ""
    assert err == "'b\\n\\udcff.png': empty: 0 bytes.\n"


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
