import h5py
import keras
import numpy as np
import pytest

from ifrp_tf.core.errors import ModelError
from ifrp_tf.release import weights


def model(width=4, layers=2):
    picture = keras.Input((8, 8, 3))
    x = picture
    for _ in range(layers):
        x = keras.layers.BatchNormalization()(keras.layers.Conv2D(width, 3)(x))
    return keras.Model(picture, x)


def saved(path, network):
    network.save_weights(path)
    return path


def values(network):
    return [keras.ops.convert_to_numpy(weight) for weight in network.weights]


@pytest.fixture
def whole(tmp_path):
    return saved(tmp_path / "whole.weights.h5", model())


def test_all_weights_are_loaded(whole):
    one, other = model(), model()
    weights.load(one, whole)
    other.load_weights(whole)
    for mine, theirs in zip(values(one), values(other), strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_half_precision_copies_load_as_their_rounded_selves(whole, tmp_path):
    weights.write_half(whole, tmp_path / "half.weights.h5")
    one, half = model(), model()
    weights.load(one, whole)
    weights.load(half, tmp_path / "half.weights.h5")
    for mine, theirs in zip(values(one), values(half), strict=True):
        np.testing.assert_array_equal(mine.astype(np.float16).astype(np.float32), theirs)
    with h5py.File(tmp_path / "half.weights.h5") as file:
        kinds = set()
        file.visititems(lambda _, item: kinds.add(item.dtype) if isinstance(item, h5py.Dataset) else None)
    assert kinds == {np.dtype(np.float16)}


@pytest.mark.parametrize(
    "other", [model(width=5), model(layers=1), model(layers=3)], ids=["width", "fewer", "more"]
)
def test_weights_of_another_network_are_refused(whole, other):
    before = values(other)
    with pytest.raises(ModelError, match=r"expected \d+ arrays|shape"):
        weights.load(other, whole)
    for mine, theirs in zip(values(other), before, strict=True):
        assert mine.shape == theirs.shape


def test_missing_damaged_and_foreign_files_are_refused(whole, tmp_path):
    with pytest.raises(ModelError, match="cannot be loaded"):
        weights.load(model(), tmp_path / "missing.weights.h5")
    cut = tmp_path / "cut.weights.h5"
    cut.write_bytes(whole.read_bytes()[:5000])
    with pytest.raises(ModelError, match="cannot be loaded"):
        weights.load(model(), cut)
    with pytest.raises(ModelError, match="cannot be copied"):
        weights.write_half(cut, tmp_path / "half.weights.h5")
    with h5py.File(cut, "w") as file:
        for number in range(12):
            file[f"array{number}"] = np.zeros(3)
    with pytest.raises(ModelError, match="cannot be loaded"):
        weights.load(model(), cut)


def test_whatever_h5py_raises_is_a_model_error(tmp_path):
    """A broken table of symbols makes it raise a RuntimeError."""
    path = saved(tmp_path / "broken.weights.h5", model())
    path.write_bytes(path.read_bytes().replace(b"SNOD", b"NODS"))
    with pytest.raises(RuntimeError), h5py.File(path) as file:
        file.visititems(lambda *_: None)
    with pytest.raises(ModelError, match="cannot be loaded"):
        weights.load(model(), path)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_weights_that_are_not_finite_are_refused(tmp_path, bad):
    network = model()
    network.weights[0].assign(np.full(network.weights[0].shape, bad))
    path = saved(tmp_path / "bad.weights.h5", network)
    with pytest.raises(ModelError, match="finite.*kernel"):
        weights.load(model(), path)


def test_numbers_beyond_float16_are_refused():
    assert weights.to_half(np.array([65504.0, 1e-9], np.float32), "x").tolist() == [65504.0, 0.0]
    with pytest.raises(ModelError, match="at most 65,504 in x. Received: 70000"):
        weights.to_half(np.array([1.0, -70000.0], np.float32), "x")
