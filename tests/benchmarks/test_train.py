import numpy as np
import pytest
import tensorflow as tf

from benchmarks import train
from ifrp_tf.core.errors import ConfigError, DataError
from ifrp_tf.core.presets import preset
from ifrp_tf.data import pipeline_tf

SMALL = preset("toy").override(
    [
        "train.batch_size=4", "train.pictures=400", "train.epoch_pictures=20", "train.ema=0.0",
        "data.side=32", "data.group=2", "data.styles=pencil", "loss.adversarial=0.0", "loss.alignment=0.0",
        "model.stn=none", "model.skips=none",
    ]
)  # fmt: skip


@pytest.mark.slow
def test_a_slow_pipeline_shows(tmp_path, monkeypatch):
    """0.3 seconds a batch: more than a step takes."""
    batches = pipeline_tf.batches

    def slow(*arguments, **options):
        def delay(*parts):
            end = tf.timestamp() + 0.3
            with tf.control_dependencies([tf.while_loop(lambda: tf.timestamp() < end, list, [])]):
                return tuple(tf.identity(part) for part in parts)

        return batches(*arguments, **options).map(delay)

    monkeypatch.setattr(pipeline_tf, "batches", slow)
    result = train.measure(SMALL, "", cache=str(tmp_path), steps=1)
    assert (result["data"], result["side"], result["batch_size"]) == ("drawn faces", 32, 4)
    assert result["steps"] == 3
    assert result["pipeline"]["ms"] >= 290
    assert result["real"]["ms"] > result["cached"]["ms"] + 100
    assert 0.2 < result["waiting_share"] < 1
    assert result["waiting_share"] == pytest.approx(1 - result["cached"]["ms"] / result["real"]["ms"])
    for name in ("real", "cached", "pipeline"):
        speed = result[name]
        assert all(np.isfinite(value) and value > 0 for value in speed.values()), result
        assert speed["pictures_per_second"] == pytest.approx(4000 / speed["ms"])


def test_photographs_that_are_not_there_are_refused(tmp_path):
    with pytest.raises(DataError):
        train.measure(SMALL, str(tmp_path / "missing"), cache=str(tmp_path))


def test_no_steps_are_refused():
    with pytest.raises(ConfigError, match="at least 1 step"):
        train.measure(SMALL, "", steps=0)
