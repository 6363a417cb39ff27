import selectors
import time

import pytest
from broken_target import KINDS

from hardening.fuzz.process import Tally, Worker
from hardening.fuzz.worker import chance_of

# Cases of the broken target by what they do, none of them the first: a process must be able to die and go on.
CASES = {chance_of("broken", 5, index).choice(KINDS): index for index in reversed(range(1, 60))}


def run(kind, tmp_path, hang=0.3):
    """One process, the case of a kind, and the one after it."""
    job = {"target": "broken", "spec": "broken_target:Broken", "seed": 5, "stride": 1, "keep": str(tmp_path)}
    worker, tally = Worker(job, CASES[kind], CASES[kind] + 1, hang), Tally()
    with selectors.DefaultSelector() as watched:
        worker.start(watched)
        end = time.monotonic() + 300
        while watched.get_map():
            assert time.monotonic() < end
            for key, _ in watched.select(0.2):
                key.data.read(watched, tally)
            worker.give_up(time.monotonic())
    return tally


@pytest.mark.parametrize(("kind", "words"), [("crash", "crash: Segmentation fault"), ("hang", "hang")])
def test_a_process_that_dies_names_its_case_and_leaves_the_input(kind, words, tmp_path):
    tally = run(kind, tmp_path)
    assert (tally.cases, dict(tally.outcomes)) == (1, {words: 1})
    assert [finding.index for finding in tally.findings] == [CASES[kind]]
    folder = tmp_path / f"broken-5-{CASES[kind]}"
    assert (folder / "input" / "kind").read_text() == kind
    assert words in (folder / "finding.txt").read_text()
    if kind == "crash":
        assert "Fatal Python error" in tally.findings[0].detail


def test_an_escaped_exception_is_kept_with_its_traceback(tmp_path):
    tally = run("escaped", tmp_path)
    assert dict(tally.outcomes) == {"escaped: KeyError": 1}
    kept = (tmp_path / f"broken-5-{CASES['escaped']}" / "finding.txt").read_text()
    assert "KeyError: 'not of the family'" in kept


def test_what_is_well_leaves_nothing(tmp_path):
    tally = run("refused", tmp_path)
    assert dict(tally.outcomes) == {"DataError": 1}
    assert not tally.findings
    assert list(tmp_path.iterdir()) == []


def test_a_process_that_cannot_start_is_no_finding(tmp_path):
    job = {"target": "x", "spec": "broken_target:Missing", "seed": 5, "stride": 1, "keep": ""}
    worker = Worker(job, 0, 1, 1.0)
    with selectors.DefaultSelector() as watched:
        worker.start(watched)
        with pytest.raises(RuntimeError, match="has no attribute 'Missing'"):  # the pipe's end is all it says
            worker.read(watched, Tally())
