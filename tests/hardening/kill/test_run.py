"""The loop itself, on scripts that start at once: it finds what it is there to find."""

import sys

import pytest

from hardening.kill import intact, run
from hardening.kill.intact import compare
from hardening.kill.run import Case, Moment

# Writes ten files, those that are missing; `{write}` says how.
SCRIPT = """
import os, pathlib, sys, time
folder = pathlib.Path(sys.argv[1])
for k in range(10):
    path = folder / f"{{k}}.json"
    if path.exists():
        continue
    time.sleep(0.005)
    text = "[" + f"{{k}}, " * 300 + "0]"
    {write}
"""
WHOLE = "new = folder / '.new.tmp'; new.write_text(text); new.replace(path)"
HALVES = """
    with path.open("w") as file:
        for part in (text[:500], text[500:]):
            file.write(part)
            file.flush()
            time.sleep(0.02)
"""
FORGETS = "for old in folder.glob('*.json'): old.unlink()\n    path.write_text(text)"
OWN = (
    "text = f'[{os.getpid()}]'; path.with_name('.new').write_text(text); path.with_name('.new').replace(path)"
)


def case(write):
    text = SCRIPT.format(write=write)
    return Case(
        "script", lambda work: [sys.executable, "-c", text, str(work)], intact.digests, compare
    )  # fmt: skip


def test_work_written_whole_and_resumed_has_no_fault(tmp_path):
    outcome = run.run(case(WHOLE), tmp_path, kills=12)
    assert outcome.faults == []
    assert outcome.kills == 12
    assert outcome.writing >= 4
    assert outcome.exact == outcome.rounds >= 1


@pytest.mark.parametrize(
    ("write", "word"), [(HALVES, "JSONDecodeError"), (FORGETS, "lost: "), (OWN, "differs by inf")]
)
def test_bad_habits_are_found(tmp_path, write, word):
    outcome = run.run(case(write), tmp_path, kills=8, seed=1)
    assert word in "\n".join(outcome.faults)


def test_a_failure_of_its_own_is_a_fault(tmp_path):
    outcome = run.run(
        case("raise OSError('full') if list(folder.glob('*')) else path.touch()"), tmp_path, kills=2
    )
    assert outcome.faults


def test_a_life_ends_at_its_moment(tmp_path):
    (tmp_path / "work").mkdir()
    life = run.live(case(WHOLE), tmp_path / "work", tmp_path / "log", Moment(0.0, 3))
    assert life.killed
    assert life.changes in (3, 4)  # one more may come between the look and the signal on a busy machine
    assert 1 <= len(list((tmp_path / "work").iterdir())) <= 5
    life = run.live(case(WHOLE), tmp_path / "work", tmp_path / "log")
    assert (life.killed, life.code) == (False, 0)
    assert len(intact.digests(tmp_path / "work")) == 10


def test_what_counts_as_lost():
    before = {"a": "x", "b": "y", "step": 4, "gone": "z"}
    after = {"a": "x", "b": "other", "step": 8, "new": "n"}
    assert run.lost(before, after) == ["lost: b was y, is other", "lost: gone was z, is None"]
    assert run.lost({"step": 4}, {"step": 3}) == ["lost: step was 4, is 3"]
