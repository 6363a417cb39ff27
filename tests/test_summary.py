import json

import numpy as np
import pytest
from drawn_protocol import PixelDescriptor, pair, photo, vector

from ifrp_tf import summary
from ifrp_tf.evidence import Evidence


@pytest.fixture
def found():
    """Six subjects on a line, each recovered exactly in ink, and one place too far in oil."""
    names = [f"s{k}" for k in range(6)]
    return Evidence(
        styles={
            "ink": [pair("ink", n, 20.0 + k, float(k), angle=10.0 * k - 30) for k, n in enumerate(names)],
            "oil": [pair("oil", n, 18.0, k + 0.9, angle=30.0) for k, n in enumerate(names)],
        },
        photos={n: photo(n, float(k)) for k, n in enumerate(names)},
        mean_face=vector(2.6),
        descriptor=PixelDescriptor(),
    )


def test_the_tables_by_hand(found):
    result = summary.summarise(found, resamples=200)
    assert result["styles"]["ink"]["psnr"] == 22.5
    assert result["styles"]["oil"]["psnr"] == 18.0
    assert result["mean"]["psnr"] == 20.25
    assert result["styles"]["ink"]["frr_top1"] == 1.0
    # in oil the last one lies beyond everybody, so that its own photograph is nearest
    assert result["styles"]["oil"]["frr_top1"] == pytest.approx(1 / 6, abs=1e-6)
    assert result["styles"]["oil"]["frr_top5"] == 1.0
    assert result["styles"]["ink"]["count"] == 6
    assert result["styles"]["oil"]["distance"] == pytest.approx(0.9, abs=1e-6)
    assert result["input"]["mean"]["psnr"] == 10.0
    assert result["mean_face"]["styles"]["oil"]["ssim"] == 0.4
    assert result["fcr"] == 1.0
    # ink k lies nearest to oil k - 1, but for the first; oil k to ink k + 1, but for the last
    assert result["fcr_top1"] == pytest.approx(1 / 6, abs=1e-6)


def test_the_trivial_answers_and_the_ceilings_stand_beside(found):
    result = summary.summarise(found, resamples=200)
    assert result["chance"] == {
        "frr_top1": pytest.approx(1 / 6, abs=1e-6), "frr_top5": pytest.approx(5 / 6, abs=1e-6),
        "fcr": pytest.approx(5 / 6, abs=1e-6)
    }  # fmt: skip
    for key in ("frr_top1", "frr_top5"):
        assert result["mean_face"]["mean"][key] == result["chance"][key]
    assert result["mean_face"]["fcr"] == result["chance"]["fcr"]
    photos = result["photos"]
    assert photos["mean"]["psnr"] is None
    assert photos["psnr_infinite"] == 6
    assert photos["mean"]["ssim"] == photos["mean"]["fsim"] == photos["mean"]["frr_top1"] == 1.0
    assert photos["mirrored"] == {"frr_top1": 1.0, "frr_top5": 1.0, "distance": 0.0}
    assert result["gallery"] == {"size": 6, "own_added": 0}


def test_intervals_hold_their_values_and_gains_are_paired(found):
    result = summary.summarise(found, resamples=200)
    confidence = result["confidence"]
    assert (confidence["level"], confidence["resamples"], confidence["over"]) == (0.95, 200, "subjects")
    low, high = confidence["model"]["styles"]["ink"]["psnr"]
    assert 20 < low < 22.5 < high < 25
    assert confidence["model"]["styles"]["oil"]["psnr"] == [18.0, 18.0]
    assert confidence["model"]["fcr"] == [1.0, 1.0]
    assert result["gain"]["mean_face"]["psnr"]["value"] == pytest.approx(20.25 - 13.0)
    assert result["gain"]["input"]["ssim"] == {"value": 0.3, "interval": [0.3, 0.3]}


def test_angles_are_binned_alike_on_both_sides(found):
    bins = summary.summarise(found, resamples=10)["by_angle"]
    assert [(part["from"], part["to"], part["count"]) for part in bins] == [
        (-30, -20, 1), (-20, -10, 1), (-10, 0, 1), (0, 10, 2), (10, 20, 1), (20, 30, 6)
    ]  # fmt: skip
    assert bins[3]["model"]["psnr"] == 23.5
    assert bins[5]["mean_face"] == {"psnr": 13.0, "ssim": 0.4}
    assert bins[0]["input"]["psnr"] == 10.0


def test_the_result_is_strict_json_and_the_same_every_time(found):
    texts = [json.dumps(summary.summarise(found, resamples=50), allow_nan=False) for _ in range(2)]
    assert texts[0] == texts[1]


def test_infinite_psnr_is_counted_not_averaged(found):
    rows = [pair("ink", "s0", 30.0, 0.0), pair("ink", "s1", np.inf, 1.0)]
    table = summary.summarise(Evidence(**{**vars(found), "styles": {"ink": rows}}), resamples=20)
    assert table["styles"]["ink"]["psnr"] == 30.0
    assert table["styles"]["ink"]["psnr_infinite"] == 1
    assert table["fcr"] is None
    assert table["chance"]["fcr"] is None
    assert table["by_angle"] == []
    only = summary.summarise(Evidence(**{**vars(found), "styles": {"ink": rows[1:]}}), resamples=20)
    assert only["styles"]["ink"]["psnr"] is None
    assert only["mean"]["psnr"] is None
    assert only["confidence"]["model"]["mean"]["psnr"] is None
    assert only["gain"]["input"]["psnr"] == {"value": None, "interval": None}


def test_without_a_descriptor_retrieval_is_null(found):
    table = summary.summarise(Evidence(styles=found.styles, photos=found.photos), resamples=20)
    assert table["mean"]["frr_top1"] is None
    assert table["fcr"] is None
    assert table["chance"] == {"frr_top1": None, "frr_top5": None, "fcr": None}
    assert table["photos"]["mean"]["ssim"] == 1.0
