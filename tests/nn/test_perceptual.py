import numpy as np
import pytest

from ifrp_tf.core.errors import ConfigError, DataError
from ifrp_tf.data import toy_faces
from ifrp_tf.nn import perceptual


def test_names_and_what_auto_means(tmp_path, data_dir):
    assert perceptual.load("none", tmp_path) == perceptual.load("", tmp_path) == []
    assert perceptual.load("auto", tmp_path) == []  # no weights there
    assert perceptual.load("auto", data_dir / "weights", side=16) == []
    assert [part.name for part in perceptual.load("auto", data_dir / "weights")] == ["squeeze"]
    with pytest.raises(ConfigError, match="lpips"):
        perceptual.load("squeeze,lpips", data_dir / "weights")
    with pytest.raises(DataError):
        perceptual.load("squeeze", tmp_path)


def test_a_photograph_is_at_no_distance_and_another_face_is_far(data_dir):
    photos = toy_faces.draw(3, side=64, seed=2).pixels
    for part in perceptual.load("squeeze,vgg", data_dir / "weights", side=64):
        near = np.clip(photos.astype(int) + 3, 0, 255).astype(np.uint8)
        same, close, far = (part.distances(x, photos) for x in (photos, near, photos[::-1]))
        assert same.shape == (3,)
        np.testing.assert_allclose(same, 0, atol=1e-5)
        assert (close < 0.5 * far)[[0, 2]].all()
        assert part.distances(photos[:0], photos[:0]).shape == (0,)
        assert len(part.fingerprint) == 16
