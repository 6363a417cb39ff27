"""Attributes of photographs as people have them are changed; the networks' weights are random here."""

import json

import numpy as np
import pytest

from ifrp_tf.cli import transfer as command
from ifrp_tf.core.errors import ConfigError, ModelError
from ifrp_tf.core.presets import preset
from ifrp_tf.data import photos
from ifrp_tf.evaluation.diagnostics import transfer as checks
from ifrp_tf.pictures import images
from ifrp_tf.recovery import transfer
from ifrp_tf.recovery.transfer import Transfer
from ifrp_tf.systems import base


def write_run(folder, *changes):
    config = preset("diat_a").override(["model.width=8", "model.critic_width=4", *changes])
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(config.to_dict()))
    (folder / "model").mkdir()
    base.build_released(config).save_weights(folder / "model" / "transform.weights.h5")
    return folder


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory):
    return write_run(tmp_path_factory.mktemp("runs") / "mouth")


@pytest.fixture(scope="module")
def photo(data_dir):
    return photos.read(data_dir / "faces" / "test" / "lfw" / "AJ_Cook" / "AJ_Cook_0001.jpg", 128)


def test_the_model_is_found_by_the_attribute_and_must_give_it(run_folder, tmp_path):
    assert transfer.find("mouth").endswith("diat_mouth")
    assert transfer.find("glasses=-1").endswith("diat_glasses_off")
    assert transfer.find("", str(run_folder)) == str(run_folder)
    assert transfer.find("Mouth_Slightly_Open", str(run_folder)) == str(run_folder)
    with pytest.raises(ConfigError, match="gives Smiling=1"):
        transfer.find("smile", str(run_folder))
    with pytest.raises(ConfigError, match="Did you mean 'smile'"):
        transfer.find("smiel")
    with pytest.raises(ConfigError, match="Received: neither"):
        transfer.find("")
    other = tmp_path / "other"
    (other / "model").mkdir(parents=True)
    (other / "config.json").write_text(json.dumps(preset("toy").to_dict()))
    base.build_released(preset("toy")).save_weights(other / "model" / "srn.weights.h5")
    with pytest.raises(ModelError, match="system diat"):
        Transfer.load(other)


def test_a_folder_is_changed_and_what_cannot_be_costs_one_line(run_folder, photo, tmp_path, capsys):
    source = tmp_path / "in"
    source.mkdir()
    images.write_png(source / "ann.png", photo)
    images.write_png(source / "flat.png", np.full((128, 128, 3), 90, np.uint8))
    request = command.Request(input=str(source), output=str(tmp_path / "out"), model=str(run_folder))
    assert command.run(request) == 1
    assert "1 made, 0 there already, 1 failed" in capsys.readouterr().out
    report = json.loads((tmp_path / "out" / "report.json").read_text())["pictures"]
    made, failed = report
    assert made["outputs"] == ["ann_mouth.png", "ann_mouth_sheet.png"]
    assert made["attribute"] == "mouth=1"
    assert made["mask"] == pytest.approx(1, abs=0.01)  # an untrained mask covers everything
    assert made["changed"] > 0
    assert failed["reason"] == "flat"
    sheet = images.read(tmp_path / "out" / "ann_mouth_sheet.png").pixels
    np.testing.assert_array_equal(sheet[:, :128], photo)
    np.testing.assert_array_equal(sheet[:, 128:], images.read(tmp_path / "out" / "ann_mouth.png").pixels)
    assert b"generated, not evidence" in (tmp_path / "out" / "ann_mouth.png").read_bytes()
    command.run(request)
    assert "0 made, 1 there already" in capsys.readouterr().out


@pytest.mark.slow
def test_what_is_measured_tells_a_change_from_none(run_folder, data_dir):
    model = Transfer.load(run_folder)
    found, sheet = checks.check(
        {"random": model},
        faces=data_dir / "faces",
        labels=data_dir / "labels",
        weights=data_dir / "weights",
        limit=24,
        judged=1500,
    )
    rows = found["rows"]
    assert found["ceiling"][0] > 0.6  # .8 of a judge that learns from all photographs
    assert found["ceiling"][0] - found["mistaken"][0] > 0.4
    assert rows["the photograph itself"]["distance"][0] == 0
    assert rows["the photograph itself"]["sharpness"] == [1, 1, 1]
    assert rows["the photograph itself"]["success"][0] < 0.5 < rows["another person who has it"]["success"][0]
    assert rows["another person who has it"]["distance"][0] > found["same_person"][0] > 0.2
    assert rows["random"]["mask"][0] == pytest.approx(1, abs=0.01)
    assert sheet.shape == (12 * 130 + 2, 2 * 130 + 2, 3)  # a photograph a row, and the answer beside it
    table = checks.tables(found)
    assert "another person who has it" in table
    assert "24 test photographs without it" in table
    with pytest.raises(ConfigError, match="same attribute"):
        checks.check({"a": model, "b": Transfer(None, "smile=1", 128, "b", "")})
