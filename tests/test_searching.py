import numpy as np
import pytest
from PIL import Image
from skimage.data import astronaut

from ifrp_tf.alignment import Place, overlap
from ifrp_tf.face import suppress
from ifrp_tf.face_detector import Mtcnn
from ifrp_tf.searching import Step, again, search

FACE = Place(224.5, 121, 118, 2)


@pytest.fixture(scope="module")
def detector():
    return Mtcnn()


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
