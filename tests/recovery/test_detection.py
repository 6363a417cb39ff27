"""Tests of `recovery/detection` and `recovery/blazeface`."""

import composed
import numpy as np
import pytest
from PIL import Image
from skimage.data import astronaut

from benchmarks import empties
from ifrp_tf.core.errors import ConfigError
from ifrp_tf.pictures.geometry import TEMPLATE, Place, overlap, suppress
from ifrp_tf.recovery.blazeface import BlazeFace
from ifrp_tf.recovery.detection import WAYS, again, find, find_in_box, search
from ifrp_tf.recovery.detectors import SURROUND, Candidate, Mtcnn, Step

FACE = Place(224.5, 121, 118, 2)


@pytest.fixture(scope="module")
def detector():
    return Mtcnn()


@pytest.fixture(scope="module")
def blazeface():
    return BlazeFace()


@pytest.fixture(params=["blazeface", "detector"])
def every_detector(request):
    return request.getfixturevalue(request.param)


def _turned(pixels, turn):
    """A scan that is turned clockwise."""
    return np.ascontiguousarray(np.rot90(pixels, -turn // 90))


def _right_way_up(face, turn):
    middle = Place(256, 256, 1, turn).to_picture(np.array([[FACE.x - 255.5, FACE.y - 255.5]]))[0]
    np.testing.assert_allclose([face.place.x, face.place.y], middle, atol=9)
    assert abs((face.place.angle - turn - FACE.angle + 180) % 360 - 180) < 10
    assert abs(face.place.side / FACE.side - 1) < 0.15


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


@pytest.mark.parametrize("turn", WAYS)
def test_a_scan_of_any_way_up_shows_one_face_the_right_way_up(blazeface, turn):
    """What is turned by 180 was found the wrong way up before."""
    (face,) = find(_turned(astronaut(), turn), blazeface)
    _right_way_up(face, turn)
    assert face.score > 0.9


@pytest.mark.parametrize("turn", [0, 180])
def test_a_tight_face_of_either_way_up(every_detector, turn):
    (face,) = find(_turned(astronaut()[60:182, 164:286], turn), every_detector)
    assert abs((face.place.angle - turn + 180) % 360 - 180) < 12
    assert abs(face.place.side - 118) < 15


def test_which_way_a_batch_is_turned_can_be_given(blazeface):
    for turn in WAYS:
        (face,) = find(_turned(astronaut(), turn), blazeface, turn)
        _right_way_up(face, turn)
        np.testing.assert_allclose(face.place.to_frame(face.landmarks), TEMPLATE, atol=0.06)


def test_another_way_up_must_be_better_by_the_margin():
    """A detector that finds a face of its own score in each of four ways up."""

    def asked(other, given=WAYS):
        def detector(pictures, *, relaxed=False):
            frame = (0.5 + (TEMPLATE - 0.5) / SURROUND) * len(pictures[0])
            scores = [0.7, 0.6, other, 0.5] if len(given) == 4 else [0.7]
            return [[Candidate(frame, score)] for score in scores]

        detector.margin = 0.1
        (face,) = again(astronaut(), [FACE], detector, "name", 0.65, ways=given)
        return round(abs(face.place.angle)), face.score

    assert asked(0.78) == (2, 0.7)
    assert asked(0.82) == (178, 0.82)
    assert asked(0.82, (0,)) == (2, 0.7)


def test_a_small_face_is_found(every_detector):
    small = np.array(Image.fromarray(astronaut()).resize((128, 128), Image.Resampling.BICUBIC))
    (face,) = find(small, every_detector)
    assert face.place.side < 34


def test_there_is_no_face_in_noise_clutter_and_art(blazeface, data_dir):
    noise = np.random.default_rng(0).integers(0, 256, (200, 300, 3)).astype(np.uint8)
    clutter, _ = composed.scene([], 0)
    assert find(noise, blazeface) == find(clutter[:400, :600], blazeface) == []
    shown = list(empties.pictures(data_dir / "styles"))
    assert len(shown) >= 200
    assert [name for name, pixels in shown[::50] if find(pixels, blazeface)] == []


def test_a_picture_without_a_face_costs_little(blazeface):
    """Measured in calls: mtcnn was shown ten views of a picture, and all their candidates."""
    shown = []

    class Blind(BlazeFace):
        def __call__(self, pictures, *, relaxed=False):
            shown.extend(picture.shape[0] * picture.shape[1] for picture in pictures)
            return super().__call__(pictures, relaxed=relaxed)

    assert find(np.full((1600, 1600, 3), 90, np.uint8), Blind()) == []
    assert sum(shown) < 2 * 1600**2


def test_a_box_by_hand(detector, blazeface):
    down = find_in_box(_turned(astronaut(), 180), (512 - 290, 512 - 200, 140, 160), blazeface)
    _right_way_up(down, 180)
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
def test_four_tilted_faces_among_clutter(blazeface, data_dir, index):
    """The acceptance of whole pictures: see also `test_scene`."""
    picture, places = composed.scenes(data_dir)[index]
    found = find(picture, blazeface)
    for place in places:
        near = [face for face in found if overlap(face.place, place) > 0.6]
        assert len(near) == 1
        assert abs(near[0].place.angle - place.angle) < 8
        assert abs(near[0].place.side / place.side - 1) < 0.2
    assert len(found) == 4
