import json
from dataclasses import replace

import numpy as np
import pictures
import pytest
import small_model

from ifrp_tf import images, photos, protocols
from ifrp_tf.config import DataConfig
from ifrp_tf.uncertainty_quality import CHOSEN, Row, correlate
from ifrp_tf.uncertainty_report import Request, chosen, held_out, run, table


def rows_of(count):
    return [
        Row(
            "oil",
            f"face/{k}",
            {"error": 10.0 + k, "dssim": 0.5},
            {CHOSEN: k / 100, "trivial": -k},
            0.25,
            0.125,
        )
        for k in range(count)
    ]


def test_the_tables_say_what_was_measured():
    rows = rows_of(8)
    text = table(rows, correlate(rows, resamples=20))
    assert "| the number | 1.00 [1.00, 1.00] | 1.00 [1.00, 1.00] | 0.00 [0.00, 0.00] |" in text
    assert "| trivial | -1.00 [-1.00, -1.00] |" in text
    assert "8 recovered faces of 8 persons in 1 styles (oil)" in text
    assert "correlate by 0.25 on average" in text
    assert "| lowest quarter | 0.000 to 0.010 | 10.5 | 0.5 |" in text
    assert "| highest quarter | 0.060 to 0.070 | 16.5 | 0.5 |" in text
    assert "| highest quarter |  |" in table(rows[:2], correlate(rows[:2], resamples=2))


@pytest.fixture
def faces(tmp_path):
    for person in range(6):
        for k in range(2):
            picture = np.roll(pictures.scene(64, 64), 9 * person + k, axis=1)
            images.write_png(tmp_path / "faces" / "set" / f"person {person}" / f"{k}.0.png", picture)
    return tmp_path / "faces"


def test_what_training_holds_out(faces):
    everything = photos.load(faces, DataConfig(side=16))
    held = photos.split(everything, 4)[1].names
    assert held_out(faces, 4) == [name.removesuffix(".png") for name in held]
    assert len(held) == 4


def test_of_what_is_held_out_as_many_as_are_asked_for(faces):
    protocol = protocols.build("procedural", side=32, faces=str(faces), styles="oil")
    asked = Request(model="", faces=str(faces), held_out=4, limit=3)
    names = chosen(protocol, asked)
    assert len(names) == 3
    assert set(names) < set(held_out(faces, 4)) < set(protocol.photos)
    assert chosen(protocol, replace(asked, limit=0, held_out=4)) is not None
    assert chosen(protocol, replace(asked, held_out=0)) is None


def test_a_run_measures_the_model_on_what_was_asked_for(tmp_path):
    srn = small_model.write_run(tmp_path / "run", small_model.TINY)
    for k in range(2):
        picture = np.roll(pictures.scene(64, 64), 9 * k, axis=1)
        images.write_png(tmp_path / "drawn" / "set" / "photo" / f"{k}.png", picture)
        images.write_png(tmp_path / "drawn" / "set" / "sketch" / f"{k}.png", 255 - picture)
    request = Request(
        model=str(srn), protocol="sketches", sketches=str(tmp_path / "drawn"), descriptor="none",
        json=str(tmp_path / "found.json"),
    )  # fmt: skip
    assert "4 recovered faces of 2 persons in 2 styles (set, set_misaligned)" in run(request)
    found = json.loads((tmp_path / "found.json").read_text())
    assert [row["name"] for row in found["rows"]][:2] == [row["name"] for row in found["rows"]][2:]
    assert found["model"]["name"] == "run"
    assert len(found["correlations"][CHOSEN]["error"]["overall"]) == 3


def test_wrong_usage_of_the_tool_costs_no_time():
    done = small_model.tool("check_uncertainty", "--limit=-1")
    assert done.returncode == 2, done.stderr
    assert "limit" in done.stderr
    assert "Traceback" not in done.stderr
