"""Normalised faces of photographs as people have them; the network's weights are random here."""

import json

import numpy as np
import pytest

from ifrp_tf.cli import normalise
from ifrp_tf.core.errors import ConfigError, ImageError, ModelError
from ifrp_tf.core.presets import preset
from ifrp_tf.data import landmarks, photos
from ifrp_tf.evaluation.diagnostics import normalised as checks
from ifrp_tf.pictures import images, light
from ifrp_tf.recovery import normalised
from ifrp_tf.recovery.normalised import Normaliser, gains, wavefront
from ifrp_tf.systems import base


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory):
    """A run as training leaves it, its weights random."""
    folder = tmp_path_factory.mktemp("run")
    config = preset("normalised_face_toy")
    (folder / "config.json").write_text(json.dumps(config.to_dict()))
    (folder / "model").mkdir()
    base.build_released(config).save_weights(folder / "model" / "normaliser.weights.h5")
    return folder


@pytest.fixture(scope="module")
def normaliser(run_folder):
    return Normaliser.load(run_folder)


@pytest.fixture(scope="module")
def photo(data_dir):
    return photos.read(data_dir / "faces" / "test" / "lfw" / "AJ_Cook" / "AJ_Cook_0001.jpg", 128)


@pytest.fixture(scope="module")
def two(photo):
    """Two faces in a wide picture."""
    face = images.resize(photo, 200)
    wide = np.full((300, 620, 3), 120, np.uint8)
    wide[50:250, 50:250], wide[50:250, 370:570] = face, face[:, ::-1]
    return wide


def test_the_answers_fit_together(normaliser, photo):
    features = normaliser.features(np.stack([photo, photo[:, ::-1]]))
    np.testing.assert_allclose(features[0], features[1], atol=1e-4)
    made = normaliser.decode(features[:1])
    assert made.faces.shape == made.textures.shape == (1, 128, 128, 3)
    assert made.landmarks.shape == (1, 68, 2)
    with pytest.raises(ModelError, match="no usable answer"):
        normaliser.decode(np.full((1, 512), np.nan))


def test_the_face_of_a_picture_is_chosen_or_refused(normaliser, photo, two):
    assert normaliser.look(photo).photo.shape == (128, 128, 3)
    with pytest.raises(ImageError, match=r"Expected one face. Received: 2.*`face`") as refused:
        normaliser.look(two)
    assert refused.value.reason == "several_faces"
    left, right = (normaliser.look(two, face=k).entry["box"][0] for k in (1, 2))
    assert left < 200 < right
    with pytest.raises(ImageError, match="at least 3 faces"):
        normaliser.look(two, face=3)
    noise = np.random.default_rng(0).integers(0, 256, (400, 500, 3), dtype=np.uint8)
    with pytest.raises(ImageError) as refused:
        normaliser.look(noise)
    assert refused.value.reason == "no_face"
    with pytest.raises(ImageError):
        normaliser.look(noise[:128, :128])  # so small a square is not searched, yet there is no face in it


def test_a_known_cast_is_told_by_a_face_of_known_colour():
    random = np.random.default_rng(3)
    texture = np.clip(random.normal((170, 120, 100), 12, (128, 128, 3)), 0, 255).astype(np.uint8)
    cast = light.daylight(3500) * 0.8
    shown = light.balanced(texture, cast)
    found = gains(shown, texture, across=1.0)
    np.testing.assert_allclose(found, 1 / cast, rtol=0.02)
    covered = shown.copy()
    covered[40:60, 20:100] = 0  # dark glasses are no skin
    np.testing.assert_allclose(gains(covered, texture, across=1.0), 1 / cast, rtol=0.05)
    restored = light.balanced(shown, found).astype(int)
    assert np.abs(restored - texture).mean() < 2
    green = cast * np.array([1.0, 1.2, 1.0])
    asked = gains(light.balanced(texture, green), texture)
    np.testing.assert_allclose(asked, 1 / light.near_daylight(green), rtol=0.02)


def test_a_mesh_has_its_front_towards_the_viewer():
    mesh, material = wavefront(landmarks.mean_shape() * 0.9, "ann_texture.png")
    lines = [line.split() for line in mesh.splitlines()]
    places = np.array([[float(part) for part in line[1:]] for line in lines if line[0] == "v"])
    faces = [[int(corner.split("/")[0]) - 1 for corner in line[1:]] for line in lines if line[0] == "f"]
    assert len(places) == 68
    assert {k for face in faces for k in face} == set(range(68))
    for a, b, c in faces:
        assert np.cross(places[b] - places[a], places[c] - places[a])[2] > 0
    assert places[30, 2] == places[:, 2].max()  # the tip of the nose
    assert "mtllib ann_texture.mtl" in mesh
    assert "map_Kd ann_texture.png" in material
    with pytest.raises(ConfigError, match="68"):
        wavefront(np.zeros((5, 2)), "x.png")


def test_the_command_on_pictures_of_strangers(run_folder, photo, two, tmp_path, capsys):
    source = tmp_path / "in"
    source.mkdir()
    images.write_png(source / "ann.png", photo)
    images.write_png(source / "ann2.png", photo[:, ::-1])
    images.write_png(source / "pair.png", two)
    (source / "bad.jpg").write_bytes(b"no picture")
    given = {"input": str(source), "output": str(tmp_path / "out"), "model": str(run_folder)}
    code = normalise.run(normalise.Request(**given, average=True, white_balance=True, obj=True))
    assert code == 1
    assert "2 made" in capsys.readouterr().out
    made = {path.name for path in (tmp_path / "out").iterdir()}
    stems = {
        f"{stem}_{kind}.png" for stem in ("ann", "ann2") for kind in ("normalised", "texture", "balanced")
    }
    assert stems | {"average_normalised.png", "ann_texture.obj", "ann_texture.mtl", "report.json"} <= made
    report = json.loads((tmp_path / "out" / "report.json").read_text())["pictures"]
    reasons = {entry["name"]: entry.get("reason") for entry in report}
    assert reasons["pair.png"] == "several_faces"
    assert reasons["bad.jpg"]
    (ann,) = (entry for entry in report if entry["name"] == "ann.png")
    assert np.array(ann["landmarks"]).shape == (68, 2)
    assert len(ann["gains"]) == 3
    with pytest.raises(ConfigError, match="`portraits`"):
        normalise.run(normalise.Request(**given, portraits=True, white_balance=True))


def test_another_systems_model_is_refused(tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "config.json").write_text(json.dumps(preset("toy").to_dict()))
    (tmp_path / "model" / "srn.weights.h5").write_bytes(b"")
    with pytest.raises(ModelError, match="of ifrp"):
        Normaliser.load(tmp_path)


def test_the_measures_of_the_tables():
    random = np.random.default_rng(0)
    owners = np.repeat(np.arange(200), 4)
    rows = random.normal(size=(200, 5))[owners] + 0.5 * random.normal(size=(800, 5))
    value, low, high = checks._ratio(rows, owners)
    assert low < 0.25 < high
    assert value == pytest.approx(0.25, rel=0.1)
    found = {
        "identity": {"m": {k: [0.1, 0.0, 0.2] for k in ("frr_top1", "frr_top5", "distance", "below_0.6")}},
        "variance": {"persons": 3, "m": {"texture": [1, 1, 1], "landmarks": [1, 1, 1]}},
        "shape": {"m": [1.0, 0.9, 1.1]},
        "light": {"no correction": {"degrees": [9, 8, 10]}},
        "tinted_light": {"no correction": {"degrees": [9, 8, 11]}},
    }
    assert "| m | 10.0 (0.0 to 20.0)" in checks.tables(found)
    assert normalised.MODEL.endswith("normalised_face")
