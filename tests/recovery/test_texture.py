"""Refining and completing faces, with real weights on drawn faces."""

import json

import numpy as np
import pytest

from ifrp_tf.core.errors import ConfigError, DataError, ImageError
from ifrp_tf.data import toy_faces
from ifrp_tf.pictures import images
from ifrp_tf.recovery import texture
from ifrp_tf.recovery.recoverer import Options, Recoverer
from ifrp_tf.recovery.texture import Textures, hidden_by, mask_of


@pytest.fixture(scope="module")
def faces():
    return toy_faces.draw(7, side=128, seed=3).pixels


@pytest.fixture(scope="module")
def textures(faces, data_dir, tmp_path_factory):
    folder = tmp_path_factory.mktemp("faces")
    for k, face in enumerate(faces[:6]):
        images.write_png(folder / f"{k}.png", face)
    (folder / "bad.png").write_bytes(b"no picture")
    return Textures(folder, data_dir / "weights", iterations=3, cache=folder / "cache")


def test_a_blurred_face_is_sharper_and_the_blur_is_found(textures, faces):
    soft = texture._blurred(faces[6:], 2.0)[0]
    done = textures.refine(soft)
    assert done.report["blur"] == 2.0
    before, after = np.array(done.report["power_before_and_after"])
    assert after[1] > before[1]
    assert done.report["loss_after"] < done.report["loss_before"]
    assert done.report["fit_error"] <= min(done.report["nearest_error"], done.report["uniform_error"]) + 1e-3
    assert done.report["dlib_distance"] <= texture.FARTHEST
    assert list((textures._cache).glob("textures-*.npz"))


def test_visible_pixels_stay_to_the_bit_and_the_trivial_answers_are_beside(textures, faces):
    hidden = np.zeros((128, 128), bool)
    hidden[50:70, 20:60] = True
    picture = faces[6].copy()
    picture[hidden] = 0
    done = textures.complete(picture, hidden)
    np.testing.assert_array_equal(done.picture[~hidden], picture[~hidden])
    assert set(done.others) == {"mirror", "principal_components", "nearest_face", "mean_face"}
    truth = faces[6][hidden].astype(float)
    for name in ("principal_components", "mirror"):
        assert np.abs(done.others[name][hidden] - truth).mean() < 0.5 * truth.mean(), name
    across = hidden | hidden[:, ::-1]
    across[50:70, 50:80] = True
    assert "mirror" not in textures._fillings(picture, across)


def test_another_person_is_blended_back(textures, faces):
    kept, step, distance = textures._same_person(faces[6], 255 - faces[6])
    assert step < 1.0
    assert distance <= texture.FARTHEST


def test_recovered_faces_get_detail_where_it_is_asked_for_and_the_report_says_so(textures, faces, tmp_path):
    def network(portraits):
        return texture._blurred(portraits, 2.0)

    recoverer = Recoverer(network, side=128, name="soft", fingerprint="0" * 64).with_detail(textures)
    source, output = tmp_path / "portrait.png", tmp_path / "out"
    images.write_png(source, faces[6])
    for detail, expected in (("none", "recovered"), ("texture", "failed")):
        options = Options(faces="whole", detail=detail)
        report = recoverer.recover_folder(source, output, options=options)
        assert getattr(report, expected) == 1, "one made otherwise is not replaced unasked"
    recoverer.recover_folder(source, output, options=options, overwrite=True)
    soft = network(faces[6:])[0]
    answer = images.read(output / "portrait_recovered.png").pixels
    np.testing.assert_array_equal(answer, textures.refine(soft).picture)
    (entry,) = json.loads((output / "report.json").read_text())["pictures"]
    assert any("detail is invented" in note for note in entry["notes"])
    small = Recoverer(network, side=32, name="small", fingerprint="0" * 64).with_detail(textures)
    with pytest.raises(ConfigError, match="small of 32"):
        small.function(options)
    with pytest.raises(ConfigError, match="detail=none"):
        Options(detail="texture", answers=3)
    with pytest.raises(ConfigError, match="`detail` to be one of none, texture"):
        Options(detail="more")


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_a_mask_of_nothing_or_everything_is_refused(textures, faces, share):
    with pytest.raises(ImageError, match="hides a part"):
        textures.complete(faces[0], np.full((128, 128), bool(share)))


def test_wrong_pictures_and_folders_are_named(textures, tmp_path, data_dir):
    with pytest.raises(ImageError, match=r"uint8 \[128, 128, 3\]"):
        textures.refine(np.zeros((64, 64, 3), np.uint8))
    images.write_png(tmp_path / "one.png", np.zeros((128, 128, 3), np.uint8))
    with pytest.raises(DataError, match="at least 2"):
        Textures(tmp_path, data_dir / "weights")


def test_masks_are_found_by_name_and_must_have_the_size_of_the_picture(tmp_path):
    levels = np.zeros((60, 40, 3), np.uint8)
    levels[:30] = 255
    images.write_png(tmp_path / "ann.png", levels)
    photos = tmp_path / "photos"
    photos.mkdir()
    assert mask_of(tmp_path, photos / "inner" / "ann.jpg", photos) == tmp_path / "inner" / "ann.png"
    hidden = hidden_by(mask_of(tmp_path, photos / "ann.jpg", photos), (60, 40))
    assert hidden[:60, 40:90].all()
    assert not hidden[70:].any()
    assert not hidden[:, :15].any(), "what is beside the picture is not hidden"
    with pytest.raises(ImageError, match=r"40 x 61.*Received: 40 x 60"):
        hidden_by(mask_of(tmp_path / "ann.png", photos / "x.jpg", photos), (61, 40))
    with pytest.raises(ImageError, match="no such file"):
        hidden_by(mask_of(tmp_path, photos / "bob.jpg", photos), (60, 40))
