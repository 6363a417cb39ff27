"""The measurement of serving, on a tiny network: numbers that belong together."""

import pytest
import served

from benchmarks import serve
from ifrp_tf.core.errors import ConfigError, ModelError


@pytest.mark.slow
def test_numbers_follow_from_each_other():
    result = serve.measure(served.released(), clients=4, batch=4, seconds=0.3, rounds=1)
    assert result["model"] == "toy/1"
    assert (result["side"], result["clients"], result["batch"]) == (served.SIDE, 4, 4)
    assert result["ratio"] == pytest.approx(result["served"] / result["direct"])
    assert result["overhead_ms"] == pytest.approx(result["served_ms"] - result["direct_ms"])
    assert result["overhead_ms"] > 0
    assert result["p99_ms"] > 0


def test_wrong_numbers_and_models(tmp_path):
    for settings in ({"clients": 0}, {"batch": 0}, {"seconds": 0}, {"rounds": 0}):
        with pytest.raises(ConfigError):
            serve.measure(served.released(), **settings)
    with pytest.raises(ModelError):
        serve.measure(tmp_path)
