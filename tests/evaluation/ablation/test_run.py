"""A whole table on drawn faces by the tool, killed on the way; then what a finished one does."""

import json
import os
import shutil
import signal
import subprocess
import time

import pytest
import small_model
from helpers import ROOT

from ifrp_tf.core.errors import ConfigError
from ifrp_tf.evaluation.ablation import row as ablate_row
from ifrp_tf.evaluation.ablation import run
from ifrp_tf.styles import formulas
from ifrp_tf.training import checkpoint

SETTINGS = (
    "data.side=32", "data.validation_count=8", "data.styles=tonal", "train.batch_size=8",
    "train.epoch_pictures=64", "train.checkpoint_steps=8", "train.ema=0.0", "loss.adversarial=0.0",
)  # fmt: skip
FIRST, SECOND = "autoencoder", "top_2_skips"


def request(folder, **options):
    given = {
        "table": "architecture", "pictures": 192, "base": "toy", "run_dir": str(folder), "settings": SETTINGS,
        "rows": f"{FIRST},{SECOND}", "limit": 5, "descriptor": "none",
    }  # fmt: skip
    return run.Request(**given | options)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The folder of a table whose tool was killed, its training too, and started again."""
    folder = tmp_path_factory.mktemp("ablation")
    command = small_model.command("ablate", *request(folder).command.split()[2:])
    killed = subprocess.Popen(
        command, cwd=ROOT, env=small_model.environment(), start_new_session=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT,
    )  # fmt: skip
    deadline = time.monotonic() + 400
    while not checkpoint.list_checkpoints(folder / FIRST / "checkpoints"):
        assert time.monotonic() < deadline
        assert killed.poll() is None
        time.sleep(0.02)
    os.killpg(killed.pid, signal.SIGKILL)
    killed.wait()
    assert not (folder / FIRST / "trained.json").exists(), "killed too late to show anything"
    assert run.run(request(folder)) == 0
    return folder


@pytest.mark.slow
def test_a_killed_table_is_gone_on_with(finished):
    assert "resumed at step" in (finished / FIRST / "log.txt").read_text()
    assert "resumed at step" not in (finished / SECOND / "log.txt").read_text()
    content = json.loads((finished / "table.json").read_text())
    rows = content["rows"]
    assert [name for name, row in rows.items() if row["result"]] == ["autoencoder", "top-2 skips"]
    for row in rows.values():
        assert row["failed"] is None
        if row["result"]:
            assert row["result"]["training"]["seconds"] > 0
            for group, styles in (("unseen", list(formulas.RESERVED)), ("seen", ["tonal"])):
                part = row["result"][group]
                assert part["styles"] == styles
                assert part["counts"]["measured"] == 5 * len(styles)
                assert 3 < part["mean"]["psnr"] < 40
    parameters = [row["result"]["training"]["parameters"] for row in rows.values() if row["result"]]
    assert parameters[0] < parameters[1]
    trivial = [row["result"]["unseen"]["mean_face"] for row in rows.values() if row["result"]]
    assert trivial[0] == trivial[1], "the rows met the same portraits and the same mean face"


@pytest.mark.slow
def test_the_table_reads_well(finished):
    text = (finished / "table.md").read_text()
    assert text.startswith("# Ablation: architecture of the style removal network\n")
    assert "| *the mean training face* |" in text
    assert "Not there: U-Net, top-2 skips + residual blocks." in text
    assert request(finished).command in text


@pytest.mark.slow
def test_what_is_done_is_not_done_again(finished, monkeypatch):
    before = (finished / "table.md").read_bytes()
    monkeypatch.setattr(ablate_row, "_run", None)
    monkeypatch.setattr(ablate_row.run, "run", None)
    assert run.run(request(finished)) == 0
    assert (finished / "table.md").read_bytes() == before


@pytest.mark.slow
def test_another_test_needs_no_other_training(finished, monkeypatch, tmp_path):
    monkeypatch.setattr(ablate_row, "_run", None)
    copy = shutil.copytree(finished, finished.parent / "copy")
    output = tmp_path / "docs" / "three.md"
    assert run.run(request(copy, limit=3, rows=FIRST, output=str(output))) == 0
    rows = json.loads(output.with_suffix(".json").read_text())["rows"]
    assert rows["autoencoder"]["result"]["seen"]["counts"]["measured"] == 3
    assert rows["top-2 skips"]["result"] is None, "what was tested otherwise does not stand in one table"


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [
        {"pictures": 200},
        {"settings": (*SETTINGS, "train.seed=2")},
        {"table": "training_styles", "settings": tuple(s for s in SETTINGS if "styles" not in s), "rows": ""},
        {"initial": "runs/other"},
    ],
)
def test_other_settings_need_another_folder(finished, options):
    before = {path: path.read_bytes() for path in finished.glob("*/config.json")}
    with pytest.raises(ConfigError, match="was begun with"):
        run.run(request(finished, **options))
    assert {path: path.read_bytes() for path in finished.glob("*/config.json")} == before


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"base": "modern"}, "data=FOLDER"),
        ({"settings": ("train.pictures=5",)}, "pictures=N"),
        ({"settings": ("model.skips=unet",)}, "which the rows vary"),
        ({"settings": ("data.allow_reserved=true", "data.styles=oil,facets")}, "leave some unseen"),
        ({"rows": "autoencoders"}, "Known: autoencoder"),
    ],
)
def test_wrong_usage_is_told_before_anything_is_done(tmp_path, options, words):
    with pytest.raises(ConfigError, match=words):
        run.run(request(tmp_path / "new", **options))
    assert not (tmp_path / "new").exists()
