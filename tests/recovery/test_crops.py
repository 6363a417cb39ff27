"""Tests of `recovery/crops`, and of the commands that look at photographs before they take them."""

import numpy as np
import pytest
from helpers import ROOT
from PIL import Image
from skimage.data import astronaut, coffee

from ifrp_tf.cli import ablate, compare, evaluate, prepare_faces, train, train_style_bank
from ifrp_tf.core.errors import ConfigError
from ifrp_tf.data import shards
from ifrp_tf.pictures import images
from ifrp_tf.pictures.geometry import TEMPLATE, align, cut
from ifrp_tf.recovery import crops, detection
from ifrp_tf.recovery.blazeface import BlazeFace


@pytest.fixture(scope="module")
def detector():
    return BlazeFace()


@pytest.fixture
def scenes(tmp_path):
    """People's own photographs: a portrait that is turned, one with two faces, one without."""
    folder = tmp_path / "own"
    portrait = astronaut()[:, :400]
    images.write_png(folder / "anna" / "one.png", np.ascontiguousarray(np.rot90(portrait, 2)))
    images.write_png(folder / "anna" / "two.png", np.hstack([astronaut(), astronaut()]))
    images.write_png(folder / "cup.png", coffee())
    return folder


def test_faces_are_cut_out_upright_in_the_frame_that_is_trained_on(scenes, tmp_path, detector):
    (scenes / "notes.txt").write_text("no picture")
    output = tmp_path / "crops"
    said = []
    assert crops.align(scenes, output, side=128, detector=detector, say=said.append) == 1  # notes.txt
    names = sorted(path.relative_to(output).as_posix() for path in output.rglob("*.png"))
    assert names == ["anna/one.png", "anna/two.png", "anna/two_face2.png"]
    assert "3 faces cut out" in said[0]
    for name in names:
        crop = images.read(output / name).pixels
        assert crop.shape == (128, 128, 3)
        (face,) = detection.find(crop, detector)
        np.testing.assert_allclose(face.landmarks / 128, TEMPLATE, atol=0.07)
        assert abs(align(face.landmarks)[0].angle) < 6
    crops.check(output, detector=detector)  # what is cut out may be trained on
    assert crops.align(scenes / "anna", tmp_path / "large", side=512, detector=detector) == 1  # all too small


def test_two_photographs_with_one_stem_give_two_crops(tmp_path, detector):
    folder = _folder(tmp_path / "own", [astronaut()])
    Image.fromarray(np.ascontiguousarray(astronaut()[:, ::-1])).save(folder / "0.jpg")
    assert crops.align(folder, tmp_path / "crops", side=64, detector=detector) == 0
    crop = {path.name: images.read(path).pixels for path in (tmp_path / "crops").iterdir()}
    assert sorted(crop) == ["0_jpg.png", "0_png.png"]
    assert (crop["0_jpg.png"] != crop["0_png.png"]).any()


def test_whole_scenes_are_refused_and_the_cure_is_named(scenes, tmp_path, detector):
    oblong = _folder(tmp_path / "oblong", [astronaut()[:300], coffee(), np.zeros((64, 64, 3))])
    for given in (detector, None):  # None: the shapes alone, under JAX
        with pytest.raises(ConfigError, match="2 of 3") as refused:
            crops.check(oblong, detector=given)
        assert "--align" in refused.value.hint
    square = _folder(tmp_path / "square", [astronaut(), astronaut()[:, ::-1]])
    with pytest.raises(ConfigError, match="face of"):
        crops.check(square, detector=detector)
    crops.check(square, detector=None)


def test_crops_shards_and_drawings_are_taken(tmp_path, detector):
    (face,) = detection.find(astronaut(), detector)
    tight = cut(astronaut(), face.place, 128)
    loose = cut(astronaut(), face.place.widened(1.5), 128)
    drawing = np.full((64, 64, 3), 200)
    crops.check(_folder(tmp_path / "crops", [tight, loose, drawing, drawing]), detector=detector)
    whole = _folder(tmp_path / "whole", [astronaut()[:300, :400]] * 2)
    with pytest.raises(ConfigError, match="2 of 2"):
        crops.check(whole, detector=detector)
    crops.check(whole, crop=128, detector=None)  # their middle squares
    (whole / shards.MANIFEST).write_text("{}")
    crops.check(whole, detector=detector)


def test_training_and_evaluation_look_before_they_begin(tmp_path):
    whole = _folder(tmp_path / "whole", [astronaut()[:300]] * 3)
    given = train.Request(preset="tiny", data=str(whole), run_dir=str(tmp_path / "run"))
    with pytest.raises(ConfigError, match="3 of 3"):
        train.run(given)
    assert not (tmp_path / "run").exists()
    folders = {"portraits": str(tmp_path), "photos": str(whole), "json": str(tmp_path / "r.json")}
    with pytest.raises(ConfigError, match="3 of 3"):
        evaluate.run(evaluate.Request(model=str(ROOT / "saved_models" / "ifrp"), **folders))
    common = {"run_dir": str(tmp_path / "run"), "data": str(whole)}
    with pytest.raises(ConfigError, match="3 of 3"):
        ablate.run(ablate.Request(table="losses", pictures=16, **common))
    with pytest.raises(ConfigError, match="3 of 3"):
        compare.run(compare.Request(faces=str(whole), sketches=str(whole), **common))
    bank = {"styles": (str(whole),), "photos": str(whole), "output": str(tmp_path / "bank")}
    with pytest.raises(ConfigError, match="3 of 3"):
        train_style_bank.run(train_style_bank.Request(run_dir=str(tmp_path / "run"), **bank))
    assert not (tmp_path / "run").exists()
    request = prepare_faces.Request(input=str(whole), output=str(tmp_path / "crops"), align=True, side=64)
    assert prepare_faces.run(request) == 0
    crops.check(tmp_path / "crops", detector=crops.quick_detector())


def _folder(path, pictures):
    for number, pixels in enumerate(pictures):
        images.write_png(path / f"{number}.png", np.ascontiguousarray(pixels, np.uint8))
    return path
