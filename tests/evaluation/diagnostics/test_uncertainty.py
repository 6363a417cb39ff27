"""Tests of `evaluation/diagnostics/uncertainty`."""

import json
from dataclasses import replace

import numpy as np
import pictures
import pytest
import small_model
from drawn_protocol import Drawn, PixelDescriptor, noise_of_name
from scipy import stats

from ifrp_tf.core.config import DataConfig
from ifrp_tf.data import photos
from ifrp_tf.evaluation import protocols
from ifrp_tf.evaluation.diagnostics.uncertainty import (
    CHOSEN,
    Request,
    Row,
    chosen,
    correlate,
    held_out,
    measure,
    run,
    spearman,
    table,
)
from ifrp_tf.pictures import images


def test_rank_correlations_are_scipys_and_a_constant_has_none():
    random = np.random.default_rng(0)
    a, b = random.normal(size=(40, 3)), random.integers(0, 6, (40, 2)).astype(float)  # with ties
    found = spearman(a, b)
    for i in range(3):
        for j in range(2):
            assert found[i, j] == pytest.approx(stats.spearmanr(a[:, i], b[:, j]).statistic)
    assert spearman(np.ones((40, 1)), b).tolist() == [[0.0, 0.0]]


def rows_of(errors, numbers, styles):
    return [
        Row(style, f"face/{k // 2}", {"error": float(error)}, {CHOSEN: float(number)}, 0.0, 0.0)
        for k, (error, number, style) in enumerate(zip(errors, numbers, styles, strict=True))
    ]


def test_a_number_that_knows_the_error_and_one_that_knows_only_the_style():
    random = np.random.default_rng(1)
    styles = ["oil", "ink"] * 60
    errors = random.random(120) + np.tile([0.0, 3.0], 60)
    knowing = correlate(rows_of(errors, 2 * errors, styles), resamples=50)[CHOSEN]["error"]
    assert knowing.overall == pytest.approx((1.0, 1.0, 1.0))
    assert knowing.within == pytest.approx((1.0, 1.0, 1.0))
    style_only = random.random(120) + np.tile([0.0, 3.0], 60)
    found = correlate(rows_of(errors, style_only, styles), resamples=200)[CHOSEN]["error"]
    low, middle, high = found.overall
    assert 0.6 < low < middle < high < 0.9
    low, middle, high = found.within
    assert low < 0 < high
    assert abs(middle) < 0.25


def test_errors_and_numbers_of_drawn_faces():
    """An answer that is the portrait: what was spoiled more is further from the photograph."""
    protocol = Drawn(4, styles={"clean": lambda pixels, name: pixels, "noisy": noise_of_name(60)})
    rows = measure(lambda batch: batch, protocol, descriptor=PixelDescriptor())
    assert [(row.style, row.name) for row in rows] == [
        (style, f"face/{k}") for style in ("clean", "noisy") for k in range(4)
    ]
    clean, noisy = rows[0], rows[4]
    assert clean.errors == pytest.approx({"error": 0.0, "dssim": 0.0, "identity": 0.0}, abs=1e-5)
    assert noisy.errors["error"] == pytest.approx(30, abs=3)
    assert noisy.errors["dssim"] > 0.3
    assert 0 < noisy.errors["identity"] < 1
    assert {"mean spread", "maximum of the spread", "descriptor distance"} < set(clean.numbers)
    assert (
        noisy.numbers["trivial: edges of the portrait"]
        > 1.5 * clean.numbers["trivial: edges of the portrait"]
    )
    assert all(-1 <= row.pixels <= 1 for row in rows)
    assert rows[0].usual == 0.0  # nothing came before it
    some = measure(lambda batch: batch, protocol, names=["face/2"])
    assert [(row.style, row.name) for row in some] == [("clean", "face/2"), ("noisy", "face/2")]
    assert set(some[0].errors) == {"error", "dssim"}


def rows_of_of_uncertainty_report(count):
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
    rows = rows_of_of_uncertainty_report(8)
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


def test_wrong_usage_of_the_tool_exits_2():
    done = small_model.called("check_uncertainty", "--limit=-1")
    assert done.returncode == 2, done.stderr
    assert "limit" in done.stderr
    assert "Traceback" not in done.stderr
