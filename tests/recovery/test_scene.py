"""Tests of `recovery/scene`."""

import composed
import numpy as np
import pytest
from helpers import ROOT
from skimage.data import astronaut

from ifrp_tf.core.errors import ConfigError
from ifrp_tf.pictures.geometry import overlap
from ifrp_tf.recovery.detection import SURROUND, Candidate, Mtcnn
from ifrp_tf.recovery.recoverer import Recoverer
from ifrp_tf.recovery.scene import Options, look, parse_boxes


@pytest.mark.parametrize(
    "options",
    [
        {"faces": "some"},
        {"faces": "auto", "paste": True, "strength": 1.5},
        {"faces": "auto", "paste": True, "strength": float("nan")},
        {"paste": True},
        {"boxes": ((1, 2, 3, 4),)},
        {"faces": "auto", "strength": 0.5},
    ],
)
def test_what_is_out_of_range_or_contradictory_is_refused(options):
    with pytest.raises(ConfigError, match="Received"):
        Options(**options)


def test_settings_tell_options_apart_that_make_other_outputs():
    every = [
        Options(),
        Options(flip_average=True),
        Options(faces="auto"),
        Options(faces="auto", fallback=False),
        Options(faces="auto", boxes=((1, 2, 3, 4),)),
        Options(faces="auto", boxes=((1, 2, 3, 4), (5, 6, 7, 8))),
        Options(faces="auto", paste=True),
        Options(faces="auto", paste=True, strength=0.8),
    ]
    assert len({options.settings() for options in every}) == len(every)
    assert every[0].settings() == ""  # manifests from before there were options
    assert Options(uncertainty=True).settings() == ""  # it adds an output and changes none


def test_boxes_are_four_numbers():
    assert parse_boxes(["1,2,3,4", " -1.5, 2, 30 ,4e1"]) == ((1, 2, 3, 4), (-1.5, 2, 30, 40))
    for text in ("", "1,2,3", "1,2,3,4,5", "a,b,c,d", "1,2,0,4", "1,2,3,-4", "nan,1,2,3", "1,2,inf,4"):
        with pytest.raises(ConfigError, match="--box"):
            parse_boxes([text])


AUTO = Options(faces="auto")


@pytest.fixture(scope="module")
def detector():
    return Mtcnn()


def test_a_face_is_laid_out_as_the_network_was_trained(detector):
    scene = look(astronaut(), AUTO, detector, 128)
    assert scene.portraits.shape == (1, 128, 128, 3)
    again = look(scene.portraits[0], AUTO, detector, 128)
    eyes = again.faces[0].landmarks[:2] / 128
    np.testing.assert_allclose(eyes, [[0.326, 0.34], [0.674, 0.34]], atol=0.06)
    assert scene.entries[0]["found_by"] == "mtcnn"
    assert scene.places == (scene.faces[0].place,)


def test_small_faces_are_reported_not_recovered(detector):
    small = np.ascontiguousarray(
        astronaut()[:, :, :].reshape(128, 4, 128, 4, 3).mean((1, 3)).astype(np.uint8)
    )
    scene = look(small, AUTO, detector, 128)
    (entry,) = scene.entries
    assert entry["reason"] == "too_small"
    assert entry["side"] < 32
    assert (scene.chosen, scene.portraits.shape) == ((), (0, 128, 128, 3))


def test_a_picture_without_a_face_is_one_as_a_whole_unless_it_may_not(detector):
    grey = np.full((60, 90, 3), 128, np.uint8)
    scene = look(grey, AUTO, detector, 32)
    assert scene.entries[0]["found_by"] == "whole"
    assert scene.places == (None,)
    assert scene.portraits.shape == (1, 32, 32, 3)
    scene = look(grey, Options(faces="auto", fallback=False), detector, 32)
    assert scene.entries == ()


def test_any_callable_is_a_detector():
    calls = []

    def detector(pictures, *, relaxed=False):
        calls.append(relaxed)
        frame = np.array([[0.326, 0.34], [0.674, 0.34], [0.5, 0.53], [0.36, 0.7], [0.64, 0.7]])
        points = 0.5 + (frame - 0.5) / SURROUND
        return [[Candidate(points * len(picture), 0.9)] for picture in pictures]

    boxed = look(astronaut(), Options(faces="auto", boxes=((100, 100, 64, 64),)), detector, 32)
    assert boxed.entries[0]["found_by"] == "box+"
    assert calls
    with pytest.raises(ConfigError, match="detector"):
        look(astronaut(), AUTO, None, 32)
    assert look(astronaut(), Options(), None, 32).places == (None,)


def test_twelve_tilted_faces_are_found_recovered_and_pasted(detector, data_dir):
    """The acceptance of whole pictures, with the released model."""
    recoverer = Recoverer.load(ROOT / "saved_models" / "ifrp", detector=detector)
    recovered, false, ratios = 0, 0, []
    for picture, places in composed.scenes(data_dir):
        done = recoverer.recover_faces(picture, Options(faces="auto", paste=True))
        assert len(done.recovered) == len(done.scene.chosen)
        assert not composed.outside(picture, done.pasted, done.scene.places).any()
        hits = [any(overlap(found, place) > 0.6 for found in done.scene.places) for place in places]
        recovered += sum(hits)
        false += len(done.scene.faces) - sum(hits)
        for place in done.scene.places:
            for within in (1.0, 0.9):
                # The cards' own edges lie at the frame: a paste must not add to what is there without it.
                own, after = (
                    composed.border_ratio(picture, one, place, within) for one in (picture, done.pasted)
                )
                ratios.append(after / own)
        for portrait, face in zip(done.scene.portraits, done.recovered, strict=True):
            assert np.abs(face.astype(int) - portrait).mean() > 4
    print(f"recovered {recovered} of 12, false {false}, border times {max(ratios):.2f} by the paste")
    assert recovered >= 11
    assert false <= 1
    assert max(ratios) <= 1.05
