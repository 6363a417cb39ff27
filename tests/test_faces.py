import composed
import numpy as np
import pytest
from PIL import Image
from skimage.data import astronaut

from ifrp_tf.alignment import Place, overlap
from ifrp_tf.errors import ConfigError
from ifrp_tf.face_detector import Mtcnn
from ifrp_tf.faces import find, find_in_box

FACE = Place(224.5, 121, 118, 2)


@pytest.fixture(scope="module")
def detector():
    return Mtcnn()


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
