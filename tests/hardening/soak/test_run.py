"""The soak: a short one, and what it would find."""

import json

import pytest
import small_model

from hardening.soak.load import Tally
from hardening.soak.run import WATCHED, judge, run
from ifrp_tf.core.errors import ConfigError


@pytest.mark.slow
def test_a_short_soak_of_a_toy_network(tmp_path):
    path = tmp_path / "soak.json"
    done = small_model.tool("soak", "--requests=400", "--clients=6", "--misbehaving=0.3", f"--json={path}")
    result = json.loads(path.read_text())
    # Memory has not settled after so few; whatever else is wrong counts.
    assert not [fault for fault in result["faults"] if "memory" not in fault], done.stdout
    assert result["requests"] == 400
    assert (result["wrong"], result["failed"]) == (0, [])
    assert result["misbehaved"] > 60
    assert result["answered"] + result["shed"] + result["misbehaved"] == 400
    assert "given up by their client" in done.stdout


def watched(memory, threads=10, files=20):
    return dict(zip(WATCHED, (memory, threads, files), strict=True))


def test_what_counts_as_a_fault():
    before = watched(100)
    flat = [watched(100), watched(101), watched(102), watched(103)]
    assert judge(flat, Tally(answered=5), before) == []
    for samples, tally, word in (
        ([*flat, watched(120)], Tally(), "memory grew"),
        ([*flat, watched(100, threads=11)], Tally(), "process_threads rose"),
        ([*flat, watched(100, files=21)], Tally(), "process_open_fds rose"),
        (flat, Tally(wrong=1), "1 answers were wrong"),
        (flat, Tally(failed=["x"]), "1 requests failed"),
    ):
        (fault,) = judge(samples, tally, before)
        assert word in fault


def test_wrong_numbers():
    for settings in ({"requests": 5}, {"clients": 0}, {"misbehaving": 1.0}):
        with pytest.raises(ConfigError):
            run(**settings)
