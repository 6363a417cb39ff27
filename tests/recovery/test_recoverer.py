import io

import composed
import numpy as np
import pictures
import pytest
import small_model
from helpers import ROOT
from PIL import Image
from skimage.data import astronaut

from ifrp_tf.core.errors import ConfigError, ImageError
from ifrp_tf.pictures import geometry, images
from ifrp_tf.pictures.geometry import overlap
from ifrp_tf.recovery.blazeface import BlazeFace
from ifrp_tf.recovery.detectors import SURROUND, Candidate
from ifrp_tf.recovery.recoverer import NO_FACE, Options, Recoverer, look

SCENE = pictures.scene(150, 125)


@pytest.fixture(scope="module")
def recoverer():
    return Recoverer.load(small_model.exported())


def test_a_path_bytes_an_image_an_array_and_a_batch_are_one_portrait(recoverer, tmp_path):
    data = pictures.save(SCENE, "PNG")
    (tmp_path / "portrait.png").write_bytes(data)
    expected = recoverer(SCENE)
    assert expected.shape == (128, 128, 3)
    assert expected.dtype == np.uint8
    assert expected.std() > 20
    forms = (tmp_path / "portrait.png", str(tmp_path / "portrait.png"), data, Image.fromarray(SCENE))
    for source in (*forms, bytearray(data), io.BytesIO(data)):
        np.testing.assert_array_equal(recoverer(source), expected)
    np.testing.assert_array_equal(recoverer(list(forms)), np.stack([expected] * 4))
    with pytest.raises(ImageError, match="Picture 1: .*int"):
        recoverer([SCENE, 7])
    batch = recoverer(images.letterbox(SCENE)[None])
    np.testing.assert_array_equal(batch[0], expected)


def test_pillow_images_are_taken_as_their_files_are(recoverer):
    for data in (
        pictures.with_exif("PNG", 6, SCENE),
        pictures.save(np.dstack([SCENE, SCENE[..., 0]]), "PNG"),
    ):
        np.testing.assert_array_equal(recoverer(Image.open(io.BytesIO(data))), recoverer(data))


def test_a_batch_of_any_length_is_worked_through_in_pieces(recoverer):
    portraits = np.random.default_rng(0).integers(0, 256, (19, 128, 128, 3)).astype(np.uint8)
    recovered = recoverer.recover_batch(portraits)
    assert recovered.shape == portraits.shape
    for k in (0, 15, 16, 18):
        assert np.abs(recoverer(portraits[k]).astype(int) - recovered[k]).max() <= 1
    assert recoverer.recover_batch(portraits[:0]).shape == (0, 128, 128, 3)


@pytest.mark.parametrize(
    "source",
    [
        np.zeros((2, 64, 64, 3), np.uint8),
        np.zeros((2, 128, 128, 3), np.float32),
        np.zeros((5, 5, 3), np.uint8),
        np.full((128, 128, 3), np.nan),
        b"text",
        "/no/such/file.png",
        Image.new("RGB", (4, 4)),
    ],
    ids=["small batch", "float batch", "tiny", "nan", "text", "missing", "tiny image"],
)
def test_what_is_no_portrait_is_refused(recoverer, source):
    with pytest.raises(ImageError):
        recoverer(source)


def test_a_run_and_its_weights_answer_as_their_export_does(recoverer):
    half = Recoverer.load(small_model.exported() / "srn.weights.h5")
    assert np.abs(half(SCENE).astype(int) - recoverer(SCENE)).mean() < 0.5
    whole = Recoverer.load(small_model.run_folder())
    assert (whole.name, whole.side, len(whole.fingerprint)) == ("small", 128, 64)
    assert whole.fingerprint != half.fingerprint


def test_a_picture_is_recovered_alike_alone_and_among_others(recoverer, tmp_path):
    (tmp_path / "in").mkdir()
    for k in range(3):
        (tmp_path / "in" / f"{k}.png").write_bytes(pictures.save(np.roll(SCENE, 50 * k, axis=0), "PNG"))
    recoverer.recover_folder(tmp_path / "in", tmp_path / "all")
    recoverer.recover_folder(tmp_path / "in" / "2.png", tmp_path / "one")
    one, all_ = (tmp_path / name / "2_recovered.png" for name in ("one", "all"))
    assert one.read_bytes() == all_.read_bytes()


@pytest.mark.parametrize(
    "options",
    [
        {"faces": "some"},
        {"detector": "eyes"},
        {"turn": "45"},
        {"faces": "auto", "paste": True, "strength": 1.5},
        {"faces": "auto", "paste": True, "strength": float("nan")},
        {"faces": "whole", "paste": True},
        {"faces": "whole", "boxes": ((1, 2, 3, 4),)},
        {"fallback": True},
        {"faces": "auto", "strength": 0.5},
        {"size": 300},
        {"size": "256"},
        {"answers": 1},
        {"answers": 17},
    ],
)
def test_what_is_out_of_range_or_contradictory_is_refused(options):
    with pytest.raises(ConfigError, match="Received"):
        Options(**options)


def test_settings_tell_options_apart_that_make_other_outputs():
    every = [
        Options(faces="whole"),
        Options(faces="whole", flip_average=True),
        Options(faces="auto"),
        Options(faces="auto", fallback="none"),
        Options(faces="auto", fallback="whole"),
        Options(faces="auto", detector="mtcnn"),
        Options(faces="whole", turn="180"),
        Options(faces="auto", turn="0"),
        Options(faces="auto", boxes=((1, 2, 3, 4),)),
        Options(faces="auto", boxes=((1, 2, 3, 4), (5, 6, 7, 8))),
        Options(faces="auto", paste=True),
        Options(faces="auto", paste=True, strength=0.8),
        Options(size=256),
        Options(size=512),
    ]
    assert len({options.settings() for options in every}) == len(every)
    assert every[0].settings() == ""  # manifests from before there were options
    adding = Options(faces="whole", uncertainty=True, answers=5, save_crops=True)
    assert adding.settings() == ""  # outputs are added, none is changed


AUTO = Options(faces="auto")


@pytest.fixture(scope="module")
def detector():
    return BlazeFace()


def test_a_face_is_laid_out_as_the_network_was_trained(detector):
    scene = look(astronaut(), AUTO, detector, 128)
    assert scene.portraits.shape == (1, 128, 128, 3)
    again = look(scene.portraits[0], Options(paste=True), detector, 128)
    eyes = again.faces[0].landmarks[:2] / 128
    np.testing.assert_allclose(eyes, [[0.326, 0.34], [0.674, 0.34]], atol=0.06)
    assert scene.entries[0]["found_by"] == "blazeface"
    assert scene.places == (scene.faces[0].place,)


def test_small_faces_are_reported_not_recovered(detector):
    small = np.ascontiguousarray(
        astronaut()[:, :, :].reshape(128, 4, 128, 4, 3).mean((1, 3)).astype(np.uint8)
    )
    scene = look(small, Options(paste=True), detector, 128)
    (entry,) = scene.entries
    assert entry["reason"] == "too_small"
    assert entry["side"] < 32
    assert (scene.chosen, scene.portraits.shape) == ((), (0, 128, 128, 3))


def test_a_blank_picture_is_refused(recoverer):
    blank = np.full((60, 90, 3), 250, np.uint8)
    blank[::7, ::5] -= 9  # grain
    for ask in (
        recoverer,
        recoverer.recover_faces,
        recoverer.uncertainty,
        lambda one: look(one, AUTO, None, 32),
    ):
        with pytest.raises(ImageError) as caught:
            ask(blank)
        assert caught.value.reason == "flat"


def test_a_face_that_fills_the_picture_is_taken_as_a_whole_others_are_cut_out(detector):
    def places(pixels, options=AUTO):
        return look(pixels, options, detector, 128).places

    large = np.array(Image.fromarray(astronaut()[:228, 110:338]).resize((400, 400)))
    cut = places(large, Options(paste=True))[0]
    tight = np.array(Image.fromarray(geometry.cut(large, cut, 300)))
    assert places(tight) == (None,)
    assert places(tight, Options(paste=True)) != (None,)  # which needs a place
    assert places(large)[0].side < 300
    assert places(np.ascontiguousarray(large[::2, ::2]))[0].side < 150  # a thumbnail is looked at, too
    glances = []

    def glancing(pictures, *, relaxed=False):
        glances.append(relaxed)
        return detector(pictures, relaxed=relaxed)

    assert look(geometry.cut(large, cut, 200), AUTO, glancing, 128).places == (None,)
    assert glances == [False]
    aligned = geometry.cut(large, cut, 150)
    assert look(aligned, AUTO, None, 128).places == (None,)  # so small and square: without looking
    np.testing.assert_array_equal(
        look(aligned, AUTO, None, 128).portraits, look(aligned, Options(faces="whole"), None, 128).portraits
    )


def test_a_small_texture_is_not_taken_for_a_face_in_silence(detector):
    rows, columns = np.mgrid[0:200, 0:180]
    texture = np.stack([rows % 32 * 8, columns % 24 * 10, (rows + columns) % 16 * 15], -1).astype(np.uint8)
    scene = look(texture, AUTO, detector, 128)
    assert (scene.places, scene.notes) == ((None,), (NO_FACE,))


def test_any_callable_is_a_detector():
    calls = []

    def detector(pictures, *, relaxed=False):
        calls.append(relaxed)
        frame = np.array([[0.326, 0.34], [0.674, 0.34], [0.5, 0.53], [0.36, 0.7], [0.64, 0.7]])
        points = 0.5 + (frame - 0.5) / SURROUND
        return [[Candidate(points * len(picture), 0.9)] for picture in pictures]

    boxed = look(astronaut(), Options(boxes=((100, 100, 64, 64),)), detector, 32)
    assert boxed.entries[0]["found_by"] == "box+"
    assert calls
    with pytest.raises(ConfigError, match="detector"):
        look(astronaut(), AUTO, None, 32)
    assert look(astronaut(), Options(faces="whole"), None, 32).places == (None,)


def test_faces_are_enlarged_and_several_answers_given_but_pasted_as_the_network_makes_them():
    recoverer = Recoverer(lambda faces: 255 - faces, side=32, name="", fingerprint="", detector=nobody)
    picture, boxes = astronaut(), ((170.0, 60.0, 110.0, 120.0), (20.0, 20.0, 9.0, 9.0))
    asked = Options(boxes=boxes, paste=True, size=256, answers=3)
    plain, found = (
        recoverer.recover_faces(picture, one) for one in (Options(boxes=boxes, paste=True), asked)
    )
    expected = Image.fromarray(plain.recovered[0]).resize((256, 256), Image.Resampling.LANCZOS)
    np.testing.assert_array_equal(found.recovered, np.array(expected)[None])
    np.testing.assert_array_equal(found.pasted, plain.pasted)
    (answers,) = found.answers  # of the other, which is too small, none
    assert answers.shape == (3, 32, 32, 3)
    np.testing.assert_array_equal(answers[0], plain.recovered[0])
    assert len(np.unique(answers, axis=0)) == 3
    assert found.uncertainty == plain.answers == ()
    note = "faces of 32 pixels enlarged to 256 (Lanczos): no detail is added"
    assert [one for one in found.notes if one not in plain.notes] == [note]


def nobody(pictures, *, relaxed=False):
    """A detector that finds nothing."""
    return [[] for _ in pictures]


def test_portraits_of_a_turned_batch_are_upright():
    picture = np.ascontiguousarray(astronaut()[:300])
    turned = np.ascontiguousarray(np.rot90(picture, -1))
    upright, back = (
        look(*case, None, 32)
        for case in ((picture, Options(faces="whole")), (turned, Options(faces="whole", turn="90")))
    )
    np.testing.assert_array_equal(back.portraits, upright.portraits)


def test_the_options_name_the_detector():
    recoverer = Recoverer(lambda faces: faces, side=32, name="", fingerprint="")
    (face,) = recoverer.look(astronaut(), Options(faces="auto", detector="mtcnn")).faces
    assert face.found_by == "mtcnn"
    (face,) = recoverer.look(astronaut(), Options(faces="auto")).faces
    assert face.found_by == "blazeface"
    given = Recoverer(lambda faces: faces, side=32, name="", fingerprint="", detector=lambda *_, **__: [[]])
    assert (
        given.look(astronaut()[:90, :90], Options(faces="auto", detector="mtcnn", fallback="none")).faces
        == ()
    )


@pytest.mark.slow
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
