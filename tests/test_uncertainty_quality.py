import numpy as np
import pytest
from drawn_protocol import Drawn, PixelDescriptor, noise_of_name
from scipy import stats

from ifrp_tf.uncertainty_quality import CHOSEN, Row, correlate, measure, spearman


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
