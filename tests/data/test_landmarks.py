import numpy as np
import pytest

from ifrp_tf.core.errors import DataError
from ifrp_tf.data import landmarks


def test_the_mean_shape_is_its_own_mirror_image():
    mean = landmarks.mean_shape()
    assert mean.shape == (68, 2)
    np.testing.assert_allclose(landmarks.mirrored(mean), mean, atol=0.002)
    order = landmarks.mirror_order()
    np.testing.assert_array_equal(order[order], np.arange(68))


def test_the_real_landmarks(data_dir):
    found = landmarks.load("test", data_dir / "labels")
    assert len(found.points) == 2000
    every = np.stack(list(found.points.values()))
    assert np.abs(np.median(every, axis=0) - landmarks.mean_shape()).max() < 0.06
    frontal = found.frontal()
    assert 0.15 < len(frontal) / 2000 < 0.5
    assert all(abs(found.quality[name][1]) < 8 for name in frontal)


def test_missing_sets_and_files_are_named(tmp_path):
    with pytest.raises(DataError, match=r"landmarks\.npz"):
        landmarks.load("test", tmp_path)
    np.savez(
        tmp_path / "landmarks.npz",
        test_names=["a"],
        test_points=np.zeros((1, 5, 2)),
        test_quality=np.zeros((1, 4)),
    )
    with pytest.raises(DataError, match="train"):
        landmarks.load("train", tmp_path)
    with pytest.raises(DataError, match="68 points"):
        landmarks.load("test", tmp_path)
