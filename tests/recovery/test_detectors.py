"""Tests of `recovery/detectors`."""

import threading

import numpy as np
import pytest
from drawn_protocol import Drawn, candidate
from skimage.data import astronaut

from ifrp_tf.evaluation.run import evaluate
from ifrp_tf.pictures.geometry import align
from ifrp_tf.recovery.detectors import Mtcnn, shows_face


@pytest.fixture(scope="module")
def detector():
    return Mtcnn()


@pytest.fixture(scope="module")
def photo():
    """A public-domain photograph: the face of about 60 pixels, with some surround."""
    return np.ascontiguousarray(astronaut()[0:256:2, 100:356:2])


def test_a_face_is_found_with_its_landmarks(detector, photo):
    ((candidate,), none) = detector([photo, np.full_like(photo, 128)])
    assert none == []
    assert 0.9 < candidate.score <= 1
    place, left_over = align(candidate.landmarks)
    np.testing.assert_allclose([place.x, place.y, place.side], [62, 60, 59], atol=4)
    assert left_over < 0.08
    assert abs(place.angle) < 6


def test_relaxed_finds_no_less(detector, photo):
    blurred = photo.reshape(32, 4, 32, 4, 3).mean((1, 3)).repeat(4, 0).repeat(4, 1).astype(np.uint8)
    assert len(detector([blurred], relaxed=True)[0]) >= len(detector([blurred])[0])


def test_threads_take_turns(detector, photo):
    found = []
    threads = [threading.Thread(target=lambda: found.append(detector([photo])[0])) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [len(one) for one in found] == [1, 1, 1]
    assert len({one[0].score for one in found}) == 1


@pytest.fixture(scope="module")
def face():
    """A public-domain photograph, cut to about the tight frame."""
    return np.ascontiguousarray(astronaut()[40:168, 160:288])


@pytest.fixture(scope="module")
def noise():
    return np.random.default_rng(0).integers(0, 256, (128, 128, 3)).astype(np.uint8)


def test_a_face_is_found_and_noise_is_not(detector, face, noise):
    grey = np.full_like(face, 128)
    np.testing.assert_array_equal(shows_face(np.stack([noise, face, grey]), detector), [False, True, False])
    assert shows_face(np.stack([noise, grey]), detector).tolist() == [False, False]
    assert shows_face(face[None][:0], detector).shape == (0,)


def test_a_small_face_in_the_background_does_not_count(detector, face):
    small = np.full((128, 128, 3), 128, np.uint8)
    small[48:80, 48:80] = face[::4, ::4]
    assert not shows_face(small[None], detector)[0]


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


def test_faces_of_the_test_set_are_found(detector, data_dir):
    from PIL import Image

    paths = sorted((data_dir / "faces/test").rglob("*.jpg"))[::125]
    pictures = np.stack([np.asarray(Image.open(path)) for path in paths])
    assert shows_face(pictures, detector).mean() >= 0.9
