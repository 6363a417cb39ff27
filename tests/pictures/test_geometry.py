"""Tests of `pictures/geometry`."""

import json

import numpy as np
import pytest
from skimage.data import astronaut

from ifrp_tf.pictures.geometry import TEMPLATE, WHOLE, Face, Place, align, cut, overlap, suppress

PLACES = [Place(64, 64, 128), Place(300.5, -20.0, 77.0, 33.0), Place(10, 900, 3.0, -170.0)]


@pytest.mark.parametrize("place", PLACES)
def test_landmarks_give_the_frame_they_lie_in(place):
    found, left_over = align(place.to_picture(TEMPLATE))
    values = [found.x, found.y, found.side, found.angle]
    np.testing.assert_allclose(values, [place.x, place.y, place.side, place.angle], atol=1e-6)
    assert left_over < 1e-9


@pytest.mark.parametrize("place", PLACES)
def test_points_go_there_and_back(place):
    points = np.random.default_rng(0).uniform(0, 1, (7, 2))
    np.testing.assert_allclose(place.to_frame(place.to_picture(points)), points, atol=1e-9)


def test_a_positive_angle_is_clockwise_on_the_screen():
    eyes = Place(0, 0, 100, 20).to_picture(TEMPLATE)[:2]
    assert eyes[1, 1] > eyes[0, 1]  # the right eye lower than the left


def test_what_is_no_face_does_not_fit():
    mirrored = 100 * TEMPLATE * [1, -1]
    assert align(mirrored)[1] > 0.12
    assert align(np.zeros((5, 2)))[0].side > 0  # one point: no division by nothing


def test_the_whole_picture_is_cut_as_it_is():
    picture = np.random.default_rng(0).integers(0, 256, (96, 96, 3)).astype(np.uint8)
    np.testing.assert_array_equal(cut(picture, Place(48, 48, 96), 96), picture)
    np.testing.assert_allclose(cut(picture, Place(48, 48, 96, 90), 96).astype(int), np.rot90(picture), atol=1)
    np.testing.assert_array_equal(cut(picture, Place(30, 40, 20), 20), picture[30:50, 20:40])


def test_border_pixels_are_repeated_outside():
    picture = np.full((40, 60, 3), 90, np.uint8)
    picture[:, -1] = 200
    np.testing.assert_array_equal(
        cut(picture, Place(300, 20, 30, 10), 16), np.full((16, 16, 3), 200, np.uint8)
    )


def test_large_frames_are_shrunk_with_a_filter():
    noise = np.random.default_rng(0).integers(0, 256, (1024, 1024, 3)).astype(np.uint8)
    assert cut(noise, Place(512, 512, 1000, 15), 32).std() < 8
    face = cut(astronaut(), Place(224, 121, 118, 2), 128)
    assert np.abs(cut(np.repeat(np.repeat(astronaut(), 4, 0), 4, 1), Place(896, 484, 472, 2), 128).astype(int)
                  - face).mean() < 4  # fmt: skip


def test_very_large_frames_are_cut_from_a_smaller_picture_at_the_same_place(monkeypatch):
    picture = np.repeat(np.repeat(astronaut(), 4, 0), 4, 1)[:2045]  # no whole number of blocks
    place = Place(1000, 700, 1500, 12)
    quick = cut(picture, place, 64).astype(int)
    moved = cut(picture, Place(1012, 700, 1500, 12), 64)
    monkeypatch.setattr("ifrp_tf.pictures.geometry._KEPT", 1000)
    whole = cut(picture, place, 64)
    assert np.abs(quick - whole).mean() < 1.5
    assert np.abs(moved.astype(int) - whole).mean() > 4  # half a pixel of the answer


def test_overlap_is_a_part_of_the_smaller():
    assert overlap(Place(0, 0, 10), Place(0, 0, 4)) == 1
    assert overlap(Place(0, 0, 4), Place(2, 0, 4)) == 0.5
    assert overlap(Place(0, 0, 4), Place(20, 0, 4)) == 0
    assert overlap(Place(2, 0, 4), Place(0, 0, 6)) == pytest.approx(0.75)


def test_boxes_stay_within_the_picture():
    assert Place(50, 40, 20, 30).box(100, 100) == (40, 30, 20, 20)
    assert Place(5, 98, 20).box(100, 100) == (0, 88, 15, 12)


def face(x, side, score, angle=0.0):
    place = Place(x, 50, side, angle)
    return Face(place, place.to_picture(TEMPLATE), score, "mtcnn")


def test_the_surest_of_several_finds_of_a_face_stays():
    faces = [face(50, 40, 0.9), face(55, 42, 0.99, 10), face(52, 12, 0.95), face(150, 40, 0.6), WHOLE]
    kept = suppress(faces)
    assert [one.score for one in kept] == [0.99, 0.6, None]
    assert suppress([]) == []
    assert len(suppress([face(50, 40, 0.9), face(75, 40, 0.8)])) == 2  # cheek to cheek


def test_the_entry_is_plain_json_in_pixels():
    entry = face(60, 40, 0.98765, 12).entry(100, 70)
    assert json.loads(json.dumps(entry)) == entry
    assert entry["box"] == [40, 30, 30, 40]
    assert (entry["score"], entry["found_by"], entry["side"], entry["tilt"]) == (0.9877, "mtcnn", 40.0, 12.0)
    assert list(entry["landmarks"]) == ["left_eye", "right_eye", "nose", "mouth_left", "mouth_right"]
    assert entry["landmarks"]["left_eye"][0] < entry["landmarks"]["right_eye"][0]


def test_a_picture_as_a_whole_has_no_landmarks():
    entry = WHOLE.entry(100, 70)
    assert entry == {"box": [0, 0, 70, 100], "landmarks": None, "score": None, "found_by": "whole"}
    assert np.prod(entry["box"][2:]) == 7000
