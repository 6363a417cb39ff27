import pytest
from broken_target import Broken

from hardening.fuzz import worker


def test_each_case_has_its_own_chance():
    first = [worker.chance_of("pictures", 1, index).random() for index in range(50)]
    assert first == [worker.chance_of("pictures", 1, index).random() for index in range(50)]
    assert len({*first, worker.chance_of("weights", 1, 0).random()}) == 51


@pytest.mark.parametrize(
    ("kind", "words", "finding"),
    [
        ("success", "success", ""),
        ("refused", "DataError", ""),
        ("escaped", "escaped: KeyError", "not of the family"),
        ("slow", "slow", "0.5 are allowed (success)"),
        ("memory", "memory", "64 are allowed"),
    ],
)
def test_what_came_of_a_case(kind, words, finding):
    outcome = worker.attempt(Broken(), {"kind": kind.encode()})
    assert outcome.words == words
    assert finding in outcome.finding
    assert bool(outcome.finding) == bool(finding)
    assert (outcome.memory > 90 * 2**20) == (kind == "memory")


def test_an_interruption_is_none():
    class Interrupted(Broken):
        def run(self, case):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        worker.attempt(Interrupted(), {})


def test_a_case_is_written_as_a_folder(tmp_path):
    worker.write(tmp_path / "kept", {"a/b.json": b"{}", "c/": b"", "d": b"1"})
    assert (tmp_path / "kept" / "a" / "b.json").read_bytes() == b"{}"
    assert (tmp_path / "kept" / "c").is_dir()
    assert isinstance(worker.load("broken_target:Broken"), Broken)
