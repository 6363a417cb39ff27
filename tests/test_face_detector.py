import threading

import numpy as np
import pytest
from skimage.data import astronaut

from ifrp_tf.alignment import align
from ifrp_tf.face_detector import Mtcnn


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
