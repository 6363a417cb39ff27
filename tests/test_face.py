import json

import numpy as np

from ifrp_tf.alignment import TEMPLATE, Place
from ifrp_tf.face import WHOLE, Face, suppress


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
