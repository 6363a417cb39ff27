from pathlib import Path

import numpy as np
import pictures
import pytest
from PIL import Image

from ifrp_tf.core.errors import ConfigError, ImageError, ModelError
from ifrp_tf.data.attributes import NAMES
from ifrp_tf.demo import result as demo
from ifrp_tf.pictures import images
from ifrp_tf.pictures.blending import paste
from ifrp_tf.pictures.geometry import Face, Place, cut
from ifrp_tf.recovery.recoverer import Recovered, Recoverer, Scene
from ifrp_tf.recovery.uncertainty import estimate

SIDE = 32
NEGATIVE = Recoverer(lambda batch: 255 - batch, side=SIDE, name="negative/1", fingerprint="ab" * 32)
PLACES = (Place(60, 70, 64, 12), Place(120, 40, 20, 0), Place(190, 90, 80, -8))


def result(pixels, stem="x"):
    """A picture with three faces, of which the one in the middle is too small."""
    faces = tuple(Face(place, None, 0.9, "blazeface") for place in PLACES)
    portraits = np.stack([cut(pixels, PLACES[k], SIDE) for k in (0, 2)])
    scene = Scene(faces, tuple(face.entry(*pixels.shape[:2]) for face in faces), (0, 2), portraits)
    done = Recovered(scene, 255 - portraits, None, notes=("low_contrast", "1 of 3 faces too small"))
    return demo.Result(stem, pixels, done, NEGATIVE)


def read(path):
    return images.read(path).pixels


@pytest.fixture
def pixels():
    return pictures.scene(160, 260)


def text(path):
    with Image.open(path) as image:
        return image.text


def test_faces_keep_their_numbers_and_say_what_made_them(pixels):
    one = result(pixels)
    assert one.message() == "3 faces found, 2 recovered."
    assert one.notes() == ["Low contrast.", "1 of 3 faces too small."]
    shown = one.faces()
    assert [(face.path.name, face.caption) for face in shown] == [
        ("x_face1_recovered.png", "Face 1"),
        ("x_face3_recovered.png", "Face 3"),
    ]
    np.testing.assert_array_equal(read(shown[1].path), one.done.recovered[1])
    files = one.files(0.5)
    assert [path.name for path in files] == [*(face.path.name for face in shown), "x_pasted.png"]
    expected = f"generated face, not evidence; model negative/1; sha256 {'ab' * 32}"
    assert all(text(path) == {"ifrp_tf": expected} for path in files)
    chosen = [PLACES[0], PLACES[2]]
    np.testing.assert_array_equal(
        read(files[2]), paste(pixels, chosen, list(one.done.recovered), strength=0.5)
    )


def test_frames_are_drawn_around_every_face(pixels):
    one = result(pixels)
    path = one.found()
    changed = (read(path) != pixels).any(-1)
    for place in PLACES:
        x, y = place.corners().mean(0)
        edge = np.round(place.to_picture(np.array([[0.5, 1.0]]))[0]).astype(int)
        assert changed[edge[1] - 2 : edge[1] + 3, edge[0]].any()
        assert not changed[round(y) - 2 : round(y) + 2, round(x) - 2 : round(x) + 2].any()
    assert text(path) == {}  # nothing in it is generated


def test_before_and_after_have_one_size_and_follow_the_strength(pixels):
    one = result(pixels)
    for strength, same in ((0.0, True), (1.0, False)):
        before, after = map(read, one.before_after(strength))
        np.testing.assert_array_equal(before, pixels)
        assert np.array_equal(after, pixels) is same


def test_a_large_picture_is_shown_small_and_kept_large(monkeypatch, pixels):
    monkeypatch.setattr(demo, "PREVIEW", 130)
    one = result(pixels)
    before, after = map(read, one.before_after(1.0))
    assert before.shape == after.shape == (80, 130, 3)
    full = read(one.files(1.0)[-1])
    assert full.shape == pixels.shape
    shrunk = images.resize(full[:160, :160], 80)
    assert np.abs(shrunk.astype(int) - after[:, :80]).mean() < 2


def blind(pictures, *, relaxed=False):
    return [[] for _ in pictures]


def by_hand(one, box):
    return demo.recover_in_box(one, box, lambda: one.recoverer)


def test_boxes_by_hand_join_what_was_found(pixels):
    one = result(pixels)
    one.recoverer = Recoverer(lambda batch: 255 - batch, side=SIDE, name="n/1", fingerprint="0" * 64)
    one.recoverer.detector = blind
    more = by_hand(one, "100, 80, 40, 50")
    assert more.message() == "4 faces, 1 of them by hand, 3 recovered."
    assert [face.place for face in more.done.scene.faces] == [*PLACES, Place(120, 105, 50, 0)]
    portraits = more.done.scene.portraits
    np.testing.assert_array_equal(portraits[2], cut(pixels, Place(120, 105, 50, 0), SIDE))
    np.testing.assert_array_equal(more.done.recovered, 255 - portraits)
    assert [path.name for path in more.files(1.0)][2:] == ["x_face4_recovered.png", "x_pasted.png"]
    # Over a face that was found, or drawn, the new box takes its place.
    moved = by_hand(by_hand(more, "28 40 64 64"), "104, 84, 40, 50")
    assert moved.message() == "4 faces, 2 of them by hand, 3 recovered."
    assert [face.place for face in moved.done.scene.faces] == [
        *PLACES[1:], Place(60, 72, 64, 0), Place(124, 109, 50, 0)
    ]  # fmt: skip
    assert one.recoverer.detector is blind
    assert not demo.search_again(moved, lambda: one.recoverer, "whole").drawn


def test_a_box_in_a_picture_without_a_face(tmp_path):
    wide = pictures.scene(200, 600)
    images.write_png(tmp_path / "x.png", wide)
    recoverer = Recoverer(NEGATIVE.network, side=SIDE, name="n/1", fingerprint="0" * 64, detector=blind)
    one = demo.recover(tmp_path / "x.png", "x.png", lambda: recoverer)
    assert "No face was found" in one.message()
    assert read(one.found()).shape == wide.shape
    assert one.before_after(1.0) is None
    more = by_hand(one, "400,50,100,100")
    assert more.message() == "1 face, 1 of them by hand, 1 recovered."
    changed = (read(more.before_after(1.0)[1]) != wide).any(-1)
    assert changed[100, 450]
    assert not changed[:, :390].any()
    again = demo.search_again(more, lambda: recoverer)
    assert again.message() == one.message()


@pytest.mark.parametrize(
    ("box", "words"),
    [
        ("", "four numbers"),
        ("1, 2, 3", "four numbers"),
        ("nose to chin", "260 x 160 pixels"),
        ("300, 20, 50, 50", "middle in the picture"),
        ("20, 20, -50, 50", "middle in the picture"),
        ("20, 20, 12, 30", "at least 32 pixels"),
        ("-800, -800, 1800, 1800", "not far larger"),
    ],
)
def test_boxes_of_no_use_are_explained(pixels, box, words):
    with pytest.raises(ConfigError, match=words):
        by_hand(result(pixels), box)


def test_the_same_faces_are_made_as_the_model_is_told_and_every_file_says_so(pixels):
    def network(portraits, told=None):
        return 255 - portraits if told is None else portraits // 2

    able = Recoverer(network, side=SIDE, name="able/1", fingerprint="0" * 64, attributes=NAMES)
    one = result(pixels)
    one.drawn = one.done.scene.faces[:1]
    told = demo.tell(one, lambda: able.with_attributes("male=-0.5,smiling=1"))
    np.testing.assert_array_equal(told.done.recovered, one.done.scene.portraits // 2)
    np.testing.assert_array_equal(read(told.faces()[1].path), one.done.scene.portraits[1] // 2)
    assert all(text(path)["ifrp_tf"].endswith("; told Male=-0.5,Smiling=1") for path in told.files(1.0))
    assert told.notes()[-1] == "Made as it was told, which is no evidence: Male=-0.5, Smiling=1."
    assert told.message() == one.message()
    again = demo.tell(told, lambda: able)
    np.testing.assert_array_equal(again.done.recovered, one.done.recovered)
    assert again.notes() == one.notes()
    with pytest.raises(ConfigError, match="negative/1, which cannot"):
        demo.tell(one, lambda: NEGATIVE.with_attributes("smiling=1"))


def test_uncertainty_stands_beside_each_face_and_is_measured_once(pixels):
    calls = []
    one = result(pixels)
    one.recoverer = Recoverer(
        lambda batch: calls.append(len(batch)) or batch, side=SIDE, name="same/1", fingerprint="0" * 64
    )
    expected = [estimate(lambda batch: batch, portrait) for portrait in one.done.scene.portraits]
    for _ in range(2):
        shown = one.faces(uncertain=True)
        names = [face.path.name.removeprefix("x_face").removesuffix(".png") for face in shown]
        assert names == ["1_recovered", "1_uncertainty", "3_recovered", "3_uncertainty"]
        assert shown[3].caption == f"uncertainty {expected[1].value:.3f}"
        np.testing.assert_array_equal(read(shown[3].path), expected[1].picture)
    assert calls == [16, 16]


def test_files_vanish_with_the_result(pixels):
    one = result(pixels)
    folder = one.files(1.0)[0].parent
    assert folder.is_dir()
    del one
    assert not folder.exists()


def test_a_picture_as_a_whole_is_compared_as_the_network_saw_it(tmp_path, pixels):
    path = tmp_path / "upload"
    images.write_png(path, pixels)
    one = demo.recover(path, "../../Ma dame / *$(x).PNG", lambda: NEGATIVE, faces="whole")
    assert one.stem == "x"
    assert "as a whole" in one.message()
    before, after = map(read, one.before_after(0.3))
    np.testing.assert_array_equal(before, images.letterbox(pixels, SIDE))
    np.testing.assert_array_equal(after, 255 - before)
    assert [path.name for path in one.files(1.0)] == ["x_recovered.png"]


@pytest.mark.parametrize(
    ("name", "stem"),
    [("日本.jpg", "日本"), ("..", "picture"), ("", "picture"), ("a" * 99 + ".png", "a" * 40)],
)
def test_names_of_files_are_made_safe(tmp_path, pixels, name, stem):
    images.write_png(tmp_path / "upload", pixels)
    one = demo.recover(tmp_path / "upload", name, lambda: NEGATIVE, faces="whole")
    assert one.stem == stem
    assert one.files(1.0)[0].is_file()


def test_bad_files_are_refused_before_the_model_is_asked(monkeypatch, tmp_path, pixels):
    def never():
        raise AssertionError

    monkeypatch.setattr(demo, "PIXELS", pixels.shape[0] * pixels.shape[1] - 1)
    small = images.encode_png(pictures.scene(8, 8))
    for data, reason in (
        (b"no picture", "not_an_image"),
        (b"", "empty"),
        (images.encode_png(pixels), "too_large"),
        (small, "too_small"),
    ):
        (tmp_path / "x.png").write_bytes(data)
        with pytest.raises(ImageError) as refused:
            demo.recover(tmp_path / "x.png", "x.png", never)
        assert refused.value.reason == reason
        assert str(tmp_path) not in str(refused.value)
    with Path(tmp_path / "x.png").open("wb") as file:
        file.truncate(demo.FILE_BYTES + 1)
    with pytest.raises(ImageError, match="bytes"):
        demo.recover(tmp_path / "x.png", "x.png", never)


def test_a_model_that_fails_says_so(tmp_path, pixels):
    def broken(batch):
        raise ModelError("no usable answer")

    images.write_png(tmp_path / "x.png", pixels)
    recoverer = Recoverer(broken, side=SIDE, name="broken/1", fingerprint="0" * 64)
    with pytest.raises(ModelError, match="usable"):
        demo.recover(tmp_path / "x.png", "x.png", lambda: recoverer, faces="whole")
