import numpy as np
import pytest
from drawn_protocol import Drawn, candidate
from skimage.data import astronaut

from ifrp_tf.detection import Detector
from ifrp_tf.evaluate import evaluate


@pytest.fixture(scope="module")
def face():
    """A public-domain photograph, cut to about the tight frame."""
    return np.ascontiguousarray(astronaut()[40:168, 160:288])


@pytest.fixture(scope="module")
def noise():
    return np.random.default_rng(0).integers(0, 256, (128, 128, 3)).astype(np.uint8)


def test_a_face_is_found_and_noise_is_not(face, noise):
    grey = np.full_like(face, 128)
    detector = Detector()
    np.testing.assert_array_equal(detector.detect(np.stack([noise, face, grey])), [False, True, False])
    assert detector.detect(np.stack([noise, grey])).tolist() == [False, False]
    assert detector.detect(face[None][:0]).shape == (0,)


def test_a_small_face_in_the_background_does_not_count(face):
    small = np.full((128, 128, 3), 128, np.uint8)
    small[48:80, 48:80] = face[::4, ::4]
    assert not Detector().detect(small[None])[0]


def test_the_shares_of_an_evaluation(face, noise, tmp_path):
    """The model answers faces to noise and noise to faces."""
    protocol = Drawn(1, 128, styles={"noise": lambda *_: noise, "face": lambda *_: face})
    protocol.pixels = dict.fromkeys(protocol.photos, face)

    def recover(portraits):
        return np.stack([face if (portrait == noise).all() else noise for portrait in portraits])

    done = evaluate(candidate(recover), protocol, tmp_path / "r", detect=1, resamples=10)
    assert done.result["detected"] == {
        "pictures": 1,
        "mean_face": True,
        "styles": {"noise": 1.0, "face": 0.0},
        "input": {"noise": 0.0, "face": 1.0},
        "photos": 1.0,
    }


def test_faces_of_the_test_set_are_found(data_dir):
    from PIL import Image

    paths = sorted((data_dir / "faces/test").rglob("*.jpg"))[::125]
    pictures = np.stack([np.asarray(Image.open(path)) for path in paths])
    assert Detector().detect(pictures).mean() >= 0.9
