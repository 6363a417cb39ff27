import collections

import pytest
import small_model
from broken_target import KINDS

from hardening.fuzz import run
from hardening.fuzz.process import Finding, Tally
from hardening.fuzz.worker import chance_of
from ifrp_tf.core.errors import ConfigError


def kinds(seed, count):
    return collections.Counter(chance_of("broken", seed, index).choice(KINDS) for index in range(count))


def test_a_broken_target_is_caught_case_by_case():
    """Ten cases in two processes: each comes out as what it is, and after those that kill it goes on."""
    seed = next(seed for seed in range(1000) if len(found := kinds(seed, 10)) == 7 and found["hang"] == 1)
    expected = kinds(seed, 10)
    request = run.Request(count=10, seed=seed, workers=2, hang=1.5)
    tally = run.fuzz("broken", "broken_target:Broken", request)
    words = {"refused": "DataError", "escaped": "escaped: KeyError", "crash": "crash: Segmentation fault"}
    assert tally.outcomes == {words.get(kind, kind): count for kind, count in expected.items()}
    assert tally.cases == 10
    assert len(tally.findings) == 10 - expected["success"] - expected["refused"]
    assert tally.largest > 90 * 2**20
    assert tally.slowest > 0.5


def test_the_tool_ends_with_1_where_something_was_found(monkeypatch, capsys):
    monkeypatch.setitem(run.TARGETS, "configs", "broken_target:Broken")
    index = next(i for i in range(50) if chance_of("configs", 1, i).choice(KINDS) == "escaped")
    assert run.run(run.Request(targets=("configs",), count=1, first=index)) == 1
    said = capsys.readouterr().out
    assert f"--targets=configs --seed=1 --first={index} --count=1" in said
    assert "KeyError" in said


def test_the_tool_ends_with_0_where_nothing_was_found():
    done = small_model.tool("fuzz", "--targets=configs", "--count=200", "--seed=3")
    assert done.returncode == 0, done.stderr
    assert "configs: 200 cases" in done.stdout
    assert "0 findings" in done.stdout


@pytest.mark.parametrize(
    "wrong",
    [{"targets": ("nope",)}, {"targets": ()}, {}, {"count": 1, "workers": 0}, {"minutes": float("nan")}],
)
def test_wrong_requests_are_refused(wrong):
    with pytest.raises(ConfigError):
        run.Request(**wrong)


def test_findings_of_a_kind_are_one_line():
    tally = Tally(cases=9, elapsed=3.0, outcomes=collections.Counter({"corrupt": 7, "slow": 2}))
    tally.findings += [Finding(5, "slow", "took 3 s"), Finding(7, "slow", "took 3 s")]
    lines = run.lines("pictures", run.Request(count=9), tally)
    assert lines[0].startswith("pictures: 9 cases in 3 s (3/s), seed 1")
    assert lines[1:3] == ["           7  corrupt", "           2  slow"]
    assert lines[3:] == [
        "  FINDING (2 times) slow: took 3 s | --targets=pictures --seed=1 --first=5 --count=1"
    ]


def test_time_ends_a_session():
    tally = run.fuzz("configs", run.TARGETS["configs"], run.Request(minutes=1), seconds=0.2)
    assert 0.2 <= tally.elapsed < 60
