import os
import subprocess
import sys

from helpers import ROOT

PROGRAM = """
import os, sys
sys.path.insert(0, {root!r})
from ifrp_tf import quiet
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
    environment = {name: value for name, value in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"}
    if level is not None:
        environment["TF_CPP_MIN_LOG_LEVEL"] = level
    program = PROGRAM.format(root=str(ROOT), fails=fails)
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
    )
    assert ("caught a reason" in done.stdout) == fails
    return done.stderr


def test_chatter_is_held_back_only_where_silence_was_asked_for():
    assert errors_of("3") == "afterwards\n"
    assert errors_of("2") == "afterwards\n"
    assert errors_of(None) == "chatter\nafterwards\n"
    assert errors_of("0") == "chatter\nafterwards\n"


def test_what_was_held_back_is_shown_when_it_may_explain_a_failure():
    assert errors_of("3", fails=True) == "chatter\nafterwards\n"
