"""Refined and completed faces measured, with real weights on drawn faces."""

import json

import foreign_table
import numpy as np
import pytest
from scipy import ndimage

from ifrp_tf.data import toy_faces
from ifrp_tf.evaluation.diagnostics import texture
from ifrp_tf.evaluation.foreign import Foreign
from ifrp_tf.nn.perceptual import Perceptual
from ifrp_tf.pictures import images
from ifrp_tf.recovery.texture import Textures


@pytest.fixture(scope="module")
def squeeze(data_dir):
    return Perceptual("squeeze", data_dir / "weights", side=128)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """A database, test photographs that are not in it, and two foreign portraits of them."""
    folder = tmp_path_factory.mktemp("texture")
    for k, face in enumerate(toy_faces.draw(7, side=128, seed=3).pixels):
        images.write_png(folder / ("database" if k < 4 else "faces/test/toy") / f"{k}.png", face)
    rows = [(f"a{k}", f"test/toy/{k}.png", 60 * k - 200, 0.1) for k in (4, 5)]
    foreign_table.write(folder / "foreign", rows, table="val.csv")
    return folder


@pytest.fixture(scope="module")
def textures(folders, data_dir):
    return Textures(folders / "database", data_dir / "weights", iterations=2)


@pytest.mark.slow
def test_refined_answers_stand_beside_answers_as_they_are(folders, textures, squeeze):
    photos = [images.read(path).pixels for path in sorted((folders / "faces/test/toy").glob("*.png"))]

    def recover(portraits):
        """Softly what the photograph is, known by the portrait's level."""
        chosen = np.stack([photos[0 if one.mean() < 70 else 1] for one in portraits]).astype(float)
        return np.round(ndimage.gaussian_filter(chosen, (0, 2, 2, 0))).astype(np.uint8)

    protocol = Foreign(folders / "foreign", folders / "faces/test", side=128)
    asked = texture.Refining(recover, "soft", "0" * 64, protocol, None, None, [squeeze])
    said = []
    found = texture.refined(asked, textures, folders / "run", say=said.append)
    assert found["portraits"] == found["subjects"] == 2
    assert len(said) == 2
    assert tuple(found["answers"]) == texture.ANSWERS
    sharp = {name: row["sharpness"][".125-.25"] for name, row in found["answers"].items()}
    assert sharp["as recovered"] < 0.5
    assert sharp["refined"] > sharp["as recovered"]
    assert sharp["unsharp mask"] > sharp["as recovered"]
    assert found["answers"]["as recovered"]["gain"]["psnr"]["value"] == 0
    gain = found["answers"]["refined"]["gain"]["psnr"]["value"]
    difference = (
        found["answers"]["refined"]["mean"]["psnr"] - found["answers"]["as recovered"]["mean"]["psnr"]
    )
    assert gain == pytest.approx(difference, abs=1e-4)
    text = texture.write({"refined": found}, folders / "run")
    assert "| refined |" in " ".join(text.split())
    json.loads((folders / "run" / "table.json").read_text())
    assert (folders / "run" / "refined.png").is_file()
    again = texture.refined(asked, textures, folders / "run", say=said.append)  # nothing is done again
    assert again["answers"] == found["answers"]
    assert len(said) == 2


@pytest.mark.slow
def test_holes_are_filled_beside_fillings_without_textures_and_gone_on_with(folders, textures, squeeze):
    said = []
    masks = {"eye band": texture.MASKS["eye band"]}

    def done():
        return texture.completed(
            textures,
            folders / "faces/test",
            folders / "run",
            count=3,
            perceptual=squeeze,
            masks=masks,
            say=said.append,
        )

    found = done()["eye band"]
    assert len(said) == 3
    assert set(found) == {"completed", "biharmonic", "principal_components", "nearest_face", "mean_face"}
    own = found["completed"]
    for row in found.values():
        assert row["gain"][0] == pytest.approx(row["distance"][0] - own["distance"][0], abs=1e-5)
        assert row["psnr"][1] <= row["psnr"][0] <= row["psnr"][2]
    assert found["biharmonic"]["sharpness"] < 0.8
    assert done()["eye band"] == found
    assert len(said) == 3  # nothing is left to do
    (folders / "run" / "completed.png").unlink()
    assert done()["eye band"] == found
    assert len(said) == 5  # two are on the sheet
    assert "completed is nearer by" in texture.tables({"completed": {"eye band": found}})


def test_masks_hide_what_they_are_called():
    band = texture.MASKS["eye band"](np.random.default_rng(0))
    assert band[50, 40]
    assert not band[80].any()
    for seed in range(3):
        assert 0.15 <= texture.MASKS["strokes"](np.random.default_rng(seed)).mean() < 0.25


def test_combinations_explain_textures_better_than_the_mean(folders, textures):
    found = texture.explained(textures, folders / "faces/test", count=2)
    assert found["convex"] <= min(found["nearest"], found["uniform"]) + 1e-3
    assert f"{found['uniform']:.3f}" in texture.tables({"explained": found})
