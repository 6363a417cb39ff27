import numpy as np
import pytest
import tensorflow as tf

from benchmarks import styles
from ifrp_tf.core.config import Config
from ifrp_tf.core.errors import ConfigError, DataError
from ifrp_tf.styles import procedural

SMALL = Config().override(
    [
        "data.side=32", "data.group=2", "data.styles=pencil,oil,tonal", "data.degrade=0.0",
        "data.validation_count=10", "train.batch_size=4",
    ]
)  # fmt: skip


def slow_stylise(style, photo, params, field, *, names):
    """Every style takes 20 ms, and they are counted."""
    end = tf.timestamp() + 0.02
    with tf.control_dependencies([tf.while_loop(lambda: tf.timestamp() < end, list, [])]):
        return tf.identity(photo)


@pytest.mark.slow
def test_a_picture_costs_the_same_however_many_styles(monkeypatch, tmp_path):
    monkeypatch.setattr(procedural, "stylise", slow_stylise)
    result = styles.measure(SMALL, "", cache=str(tmp_path), steps=6)
    assert list(result["singles"]) == ["pencil", "oil", "tonal"]
    assert (result["styles"], result["batch_size"], result["steps"]) == (3, 4, 18)
    assert result["one"] == pytest.approx(np.mean(list(result["singles"].values())))
    # Two groups of 20 ms for four pictures, two at a time.
    assert 1 < result["one"] < 40
    assert result["few_ratio"] == pytest.approx(result["few"] / result["one"])
    assert result["all_ratio"] == pytest.approx(result["all"] / result["one"])
    assert 0.4 < result["all_ratio"] < 2.5
    assert result["every"] == pytest.approx(3 * result["one"])


@pytest.mark.slow
def test_a_cost_that_grows_shows(monkeypatch, tmp_path):
    def growing(style, photo, params, field, *, names):
        for _ in names:
            photo = slow_stylise(style, photo, params, field, names=names)
        return photo

    monkeypatch.setattr(procedural, "stylise", growing)
    assert styles.measure(SMALL, "", cache=str(tmp_path), steps=6)["all_ratio"] > 1.7


def test_what_cannot_be_compared(tmp_path):
    with pytest.raises(ConfigError, match="at least 1 step"):
        styles.measure(SMALL, "", steps=0)
    with pytest.raises(ConfigError, match="at least 2 styles"):
        styles.measure(SMALL.override(["data.styles=oil"]), "")
    with pytest.raises(DataError):
        styles.measure(SMALL, str(tmp_path / "missing"), cache=str(tmp_path))
