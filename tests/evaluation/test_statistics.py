"""Tests of `evaluation/statistics`."""

import json

import numpy as np
import pytest
from drawn_protocol import PixelDescriptor, pair, photo, vector

from ifrp_tf.evaluation import retrieval, statistics
from ifrp_tf.evaluation.statistics import Bootstrap, Evidence, Gallery, Sample
from ifrp_tf.evaluation.store import GalleryRow


def sample(values, subjects=None):
    values = np.asarray(values, np.float64)
    return Sample(np.arange(len(values)) if subjects is None else np.asarray(subjects), values)


def test_the_mean_is_over_styles_of_means_over_subjects():
    assert statistics.mean([sample([1, 2, 3]), sample([10])]) == 6.0
    assert statistics.mean([sample([1, np.inf]), sample([np.inf])]) == 1.0
    assert statistics.mean([sample([np.inf])]) is None
    assert statistics.mean([]) is None


def test_the_interval_is_that_of_normal_theory():
    values = np.random.default_rng(0).normal(5.0, 2.0, 400)
    low, high = Bootstrap(400).interval([sample(values)])
    half = 1.96 * values.std() / np.sqrt(400)
    assert low == pytest.approx(values.mean() - half, abs=0.1 * half)
    assert high == pytest.approx(values.mean() + half, abs=0.1 * half)


def test_more_portraits_of_the_same_faces_do_not_narrow_it():
    values = np.random.default_rng(1).random(60)
    draws = Bootstrap(120)
    one = draws.interval([sample(values)])
    again = draws.interval([sample(values), sample(values)])
    others = draws.interval([sample(values), sample(values, np.arange(60, 120))])
    assert again == pytest.approx(one)
    assert others[1] - others[0] < 0.85 * (one[1] - one[0])


def test_it_is_the_same_every_time_and_another_seed_another():
    values = sample(np.random.default_rng(2).random(20))
    assert Bootstrap(20).interval([values]) == Bootstrap(20).interval([values])
    assert Bootstrap(20, seed=1).interval([values]) != Bootstrap(20).interval([values])


def test_what_is_not_finite_is_left_out():
    draws = Bootstrap(3)
    assert draws.interval([sample([4.0, np.inf, np.nan])]) == (4.0, 4.0)
    assert draws.interval([sample([np.inf] * 3)]) is None
    missed = np.flatnonzero(np.bincount(np.random.default_rng(0).integers(0, 8, 8), minlength=8) == 0)[:1]
    assert Bootstrap(8, resamples=1, seed=0).interval([sample([2.0], missed)]) is None
    assert draws.interval([sample([2.0]), sample([])]) == (2.0, 2.0)


def test_differences_are_taken_subject_by_subject():
    """A constant gain is certain, however much the subjects differ."""
    values = np.random.default_rng(3).random(30)
    gain = sample(values + 0.25).minus(sample(values))
    assert Bootstrap(30).interval([gain]) == pytest.approx((0.25, 0.25))
    assert np.isnan(sample([np.inf]).minus(sample([np.inf])).values[0])


@pytest.fixture
def found():
    """Photographs on a line; of three, two have portraits. The second recovery of b looks like c."""
    return Evidence(
        styles={
            "ink": [pair("ink", "a", 20.0, 0.1), pair("ink", "b", 16.0, 1.1)],
            "oil": [pair("oil", "b", 18.0, 1.9)],
        },
        photos={row.name: row for row in (photo("a", 0.0), photo("b", 1.0), photo("c", 2.0))},
        mean_face=vector(1.2),
        descriptor=PixelDescriptor(),
    )


def test_subjects_are_those_with_portraits(found):
    assert found.subjects == ["a", "b"]


def test_the_photographs_are_the_gallery_unless_there_is_one(found):
    assert Gallery(found).index == {"a": 0, "b": 1, "c": 2}
    assert Gallery(found).own_added == 0
    own = Evidence(**{**vars(found), "gallery": [GalleryRow("b", vector(7.0)), GalleryRow("z", vector(8.0))]})
    searched = Gallery(own)
    assert searched.index == {"b": 0, "z": 1, "a": 2}, "c is looked for by nobody"
    assert searched.own_added == 1
    np.testing.assert_array_equal(searched.vectors[:, 0], [7.0, 8.0, 0.0])


def test_chance_is_k_of_the_gallery(found):
    assert Gallery(found).chance(1) == pytest.approx(1 / 3)
    assert Gallery(found).chance(5) == 1.0


def test_samples_hold_one_number_a_subject(found):
    samples = statistics.samples(found, "model", {"a": 0, "b": 1}, Gallery(found))
    np.testing.assert_array_equal(samples["ink"]["psnr"].values, [20.0, 16.0])
    np.testing.assert_array_equal(samples["oil"]["psnr"].subjects, [1])
    np.testing.assert_array_equal(samples["ink"]["frr_top1"].values, [1.0, 1.0])
    np.testing.assert_array_equal(samples["oil"]["frr_top1"].values, [0.0])
    np.testing.assert_allclose(samples["oil"]["distance"].values, [0.9], rtol=1e-5)
    raw = statistics.samples(found, "input", {"a": 0, "b": 1}, Gallery(found))
    np.testing.assert_array_equal(raw["ink"]["psnr"].values, [10.0, 10.0])
    np.testing.assert_array_equal(raw["ink"]["frr_top1"].values, [0.0, 0.0])
    constant = statistics.samples(found, "mean_face", {"a": 0, "b": 1}, Gallery(found))
    np.testing.assert_array_equal(constant["ink"]["psnr"].values, [13.0, 13.0])
    np.testing.assert_array_equal(constant["ink"]["frr_top1"].values, [0.0, 1.0])


def test_crossings_of_each_answer(found):
    crossed = statistics.crossings(found, "model")
    assert {(part.style, part.other, part.subjects) for part in crossed} == {
        ("ink", "oil", ("b",)), ("oil", "ink", ("b",))
    }  # fmt: skip
    # from the mean face both subjects in ink are as far: chance
    assert retrieval.fcr(statistics.crossings(found, "mean_face"), 1) == pytest.approx((1 + 1 / 2) / 2)


def test_without_a_descriptor_there_is_no_retrieval(found):
    bare = Evidence(styles=found.styles, photos=found.photos)
    gallery = Gallery(bare)
    assert gallery.chance(1) is None
    samples = statistics.samples(bare, "model", {"a": 0, "b": 1}, gallery)
    assert np.isnan(samples["ink"]["frr_top1"].values).all()
    assert statistics.crossings(bare, "model") == []


@pytest.fixture
def found_of_summary():
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


def test_the_tables_by_hand(found_of_summary):
    result = statistics.summarise(found_of_summary, resamples=200)
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


def test_the_trivial_answers_and_the_ceilings_stand_beside(found_of_summary):
    result = statistics.summarise(found_of_summary, resamples=200)
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


def test_intervals_hold_their_values_and_gains_are_paired(found_of_summary):
    result = statistics.summarise(found_of_summary, resamples=200)
    confidence = result["confidence"]
    assert (confidence["level"], confidence["resamples"], confidence["over"]) == (0.95, 200, "subjects")
    low, high = confidence["model"]["styles"]["ink"]["psnr"]
    assert 20 < low < 22.5 < high < 25
    assert confidence["model"]["styles"]["oil"]["psnr"] == [18.0, 18.0]
    assert confidence["model"]["fcr"] == [1.0, 1.0]
    assert result["gain"]["mean_face"]["psnr"]["value"] == pytest.approx(20.25 - 13.0)
    assert result["gain"]["input"]["ssim"] == {"value": 0.3, "interval": [0.3, 0.3]}


def test_angles_are_binned_alike_on_both_sides(found_of_summary):
    bins = statistics.summarise(found_of_summary, resamples=10)["by_angle"]
    assert [(part["from"], part["to"], part["count"]) for part in bins] == [
        (-30, -20, 1), (-20, -10, 1), (-10, 0, 1), (0, 10, 2), (10, 20, 1), (20, 30, 6)
    ]  # fmt: skip
    assert bins[3]["model"]["psnr"] == 23.5
    assert bins[5]["mean_face"] == {"psnr": 13.0, "ssim": 0.4}
    assert bins[0]["input"]["psnr"] == 10.0


def test_the_result_is_strict_json_and_the_same_every_time(found_of_summary):
    texts = [
        json.dumps(statistics.summarise(found_of_summary, resamples=50), allow_nan=False) for _ in range(2)
    ]
    assert texts[0] == texts[1]


def test_infinite_psnr_is_counted_not_averaged(found_of_summary):
    rows = [pair("ink", "s0", 30.0, 0.0), pair("ink", "s1", np.inf, 1.0)]
    table = statistics.summarise(
        Evidence(**{**vars(found_of_summary), "styles": {"ink": rows}}), resamples=20
    )
    assert table["styles"]["ink"]["psnr"] == 30.0
    assert table["styles"]["ink"]["psnr_infinite"] == 1
    assert table["fcr"] is None
    assert table["chance"]["fcr"] is None
    assert table["by_angle"] == []
    only = statistics.summarise(
        Evidence(**{**vars(found_of_summary), "styles": {"ink": rows[1:]}}), resamples=20
    )
    assert only["styles"]["ink"]["psnr"] is None
    assert only["mean"]["psnr"] is None
    assert only["confidence"]["model"]["mean"]["psnr"] is None
    assert only["gain"]["input"]["psnr"] == {"value": None, "interval": None}


def test_without_a_descriptor_retrieval_is_null(found_of_summary):
    table = statistics.summarise(
        Evidence(styles=found_of_summary.styles, photos=found_of_summary.photos), resamples=20
    )
    assert table["mean"]["frr_top1"] is None
    assert table["fcr"] is None
    assert table["chance"] == {"frr_top1": None, "frr_top5": None, "fcr": None}
    assert table["photos"]["mean"]["ssim"] == 1.0
