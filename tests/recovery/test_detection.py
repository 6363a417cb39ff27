"""Tests of `recovery/detection`."""

import threading

import composed
import numpy as np
import pytest
from drawn_protocol import Drawn, candidate
from PIL import Image
from skimage.data import astronaut

from ifrp_tf.core.errors import ConfigError
from ifrp_tf.evaluation.run import evaluate
from ifrp_tf.pictures.geometry import Place, align, overlap, suppress
from ifrp_tf.recovery.detection import Mtcnn, Step, again, find, find_in_box, search, shows_face


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


FACE = Place(224.5, 121, 118, 2)


@pytest.mark.parametrize("angle", [-35.0, 35.0, 180.0])
def test_turned_faces_are_found_at_their_place_and_tilt(detector, angle):
    turned = np.array(Image.fromarray(astronaut()).rotate(-angle, Image.Resampling.BILINEAR))
    (face,) = suppress(search(turned, detector, Step("turned", (angle,))))
    middle = Place(256, 256, 1, angle).to_picture(np.array([[FACE.x - 255.5, FACE.y - 255.5]]))[0]
    np.testing.assert_allclose([face.place.x, face.place.y], middle, atol=6)
    assert abs((face.place.angle - angle - FACE.angle + 180) % 360 - 180) < 6
    assert abs(face.place.side - FACE.side) < 12


@pytest.mark.parametrize("treatment", ["contrast", "smoothed"])
def test_treatments_bring_faces_out(detector, treatment):
    faint = (110 + astronaut() * 0.04).astype(np.uint8)
    (face,) = suppress(search(faint, detector, Step(treatment, (0.0,), True, treatment, least=0.7)))
    assert overlap(face.place, FACE) > 0.7


def test_frames_without_a_face_are_dropped(detector):
    frames = [Place(230, 130, 100, -10), Place(400, 100, 90), Place(-50, 900, 60)]
    (face,) = again(astronaut(), frames, detector, "name", 0.8)
    assert overlap(face.place, FACE) > 0.8
    assert abs(face.place.angle - FACE.angle) < 4
    assert face.found_by == "name"
    assert again(astronaut(), [], detector, "name", 0.8) == []


def test_the_work_is_bounded_for_scans():
    """Of a large picture no more than a smaller one is shown to the detector."""
    shown = []

    def detector(pictures, *, relaxed=False):
        shown.extend(picture.shape for picture in pictures)
        return [[] for _ in pictures]

    search(np.zeros((4000, 6000, 3), np.uint8), detector, Step("mtcnn", (0.0,)))
    assert max(max(shape) for shape in shown) <= 1600
    assert len(shown) <= 5
    shown.clear()
    search(np.zeros((20, 400, 3), np.uint8), detector, Step("mtcnn", (0.0,)))
    assert all(min(shape[:2]) >= 20 for shape in shown)


def test_one_face_and_nothing_else(detector):
    (face,) = find(astronaut(), detector)
    assert overlap(face.place, FACE) > 0.8
    assert face.found_by == "mtcnn"
    assert face.score > 0.9


def test_a_tight_face_and_one_that_is_sideways(detector):
    tight = np.ascontiguousarray(astronaut()[60:182, 164:286])
    (face,) = find(tight, detector)
    assert abs(face.place.side - 118) < 15
    (face,) = find(np.ascontiguousarray(np.rot90(astronaut())), detector)
    assert face.found_by in ("relaxed", "contrast", "smoothed", "sideways")
    assert abs(face.place.angle + 90) < 8


def test_a_small_face_is_found(detector):
    small = np.array(Image.fromarray(astronaut()).resize((128, 128), Image.Resampling.BICUBIC))
    (face,) = find(small, detector)
    assert face.place.side < 32


def test_there_is_no_face_in_noise_and_clutter(detector):
    noise = np.random.default_rng(0).integers(0, 256, (200, 300, 3)).astype(np.uint8)
    assert find(noise, detector) == []
    empty, _ = composed.scene([], 0)
    assert find(empty[:600, :900], detector) == []


def test_a_box_by_hand(detector):
    face = find_in_box(astronaut(), (150, 40, 140, 160), detector)
    assert face.found_by == "box+"
    assert overlap(face.place, FACE) > 0.8
    face = find_in_box(astronaut(), (350, 300, 100, 80), detector)
    assert (face.found_by, face.landmarks, face.score) == ("box", None, None)
    assert face.place == Place(400, 340, 100, 0)
    for box in ((600, 10, 50, 50), (-60, 10, 50, 50), (10, 10, 0, 50)):
        with pytest.raises(ConfigError, match="512 x 512"):
            find_in_box(astronaut(), box, detector)


@pytest.mark.parametrize("index", range(3))
def test_four_tilted_faces_among_clutter(detector, data_dir, index):
    """The acceptance of whole pictures: see also `test_scene`."""
    picture, places = composed.scenes(data_dir)[index]
    found = find(picture, detector)
    for place in places:
        near = [face for face in found if overlap(face.place, place) > 0.6]
        assert len(near) == 1
        assert abs(near[0].place.angle - place.angle) < 8
        assert abs(near[0].place.side / place.side - 1) < 0.2
    assert len(found) == 4
