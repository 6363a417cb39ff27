import math

import numpy as np
import pytest
from drawn_protocol import Drawn, candidate
from skimage.metrics import peak_signal_noise_ratio

from ifrp_tf.core.errors import DataError
from ifrp_tf.data import toy_faces
from ifrp_tf.evaluation import statistics
from ifrp_tf.evaluation.measure import BATCH, Measurement, score
from ifrp_tf.evaluation.pairs import Pictures, Problem
from ifrp_tf.evaluation.store import FailedRow, Journal, PairRow, PhotoRow
from ifrp_tf.nn import metrics
from ifrp_tf.pictures import sharpness


def test_scores_are_those_of_the_metrics_whatever_the_batch():
    photos = toy_faces.draw(BATCH + 3, side=32, seed=1).pixels
    pictures = 255 - photos
    found = score(pictures, photos)
    assert len(found) == BATCH + 3
    for one, again in zip(found[BATCH:], score(pictures[BATCH:], photos[BATCH:]), strict=True):
        assert vars(one) == pytest.approx(vars(again), abs=1e-5, nan_ok=True)
    for k in (0, BATCH + 2):
        assert found[k].psnr == pytest.approx(
            peak_signal_noise_ratio(photos[k], pictures[k], data_range=255), abs=1e-4
        )
    a, b = pictures[:2], photos[:2]
    for name in ("ssim", "fsim"):
        expected = np.asarray(getattr(metrics, name)(a, b))
        np.testing.assert_allclose([getattr(one, name) for one in found[:2]], expected, atol=1e-5)
    assert score(photos[:0], photos[:0]) == []


class Levels:
    """A perceptual distance that is easy to know."""

    name, fingerprint = "squeeze", "0"

    def distances(self, pictures, photos):
        return np.abs(pictures.astype(float) - photos).mean(axis=(1, 2, 3))


def test_detail_is_measured_where_it_is_asked_for(tmp_path):
    photos = toy_faces.draw(BATCH + 1, side=32, seed=1).pixels
    found = score(photos // 2, photos, [Levels()])
    assert all(math.isnan(one.squeeze_distance) for one in score(photos // 2, photos))
    expected = np.abs(photos // 2 - photos.astype(float)).mean(axis=(1, 2, 3))
    np.testing.assert_allclose([one.squeeze_distance for one in found], expected, rtol=1e-6)
    assert all(math.isnan(one.vgg_distance) for one in found)
    powers = sharpness.band_powers(photos // 2)
    np.testing.assert_allclose(
        [[one.power_low, one.power_middle, one.power_high] for one in found], powers, rtol=1e-6
    )
    # What stands in the result: half the contrast is a quarter of the power, in every band and style.
    _, evidence, _ = measured(Drawn(3), tmp_path / "r", recover=lambda p: p, perceptual=(Levels(),))
    result = statistics.summarise(evidence, resamples=10)
    dark = result["sharpness"]["model"]["styles"]["dark"]
    assert dark[".06-.125"] == pytest.approx(0.25, abs=0.05)
    assert result["styles"]["dark"]["squeeze_distance"] > result["styles"]["noisy"]["squeeze_distance"] > 0
    assert result["styles"]["dark"]["vgg_distance"] is None
    assert result["mean_face"]["mean"]["squeeze_distance"] > 0


class Failing(Drawn):
    """Face 1 has no photograph, face 2 no portrait in the first style."""

    def read_photos(self, names):
        bad = {name: Problem(name, "corrupt", "bad photo.") for name in names if name == "face/1"}
        good = super().read_photos([name for name in names if name not in bad])
        return Pictures(good.names, good.pixels, bad)

    def read_portraits(self, style, names):
        bad = {
            n: Problem(n, "truncated", "bad portrait.") for n in names if (style, n) == ("noisy", "face/2")
        }
        good = super().read_portraits(style, [name for name in names if name not in bad])
        return Pictures(good.names, good.pixels, bad, good.angles)


def measured(protocol, path, **options):
    with Journal(path, {}) as journal:
        mean = np.full((protocol.side, protocol.side, 3), 128, np.uint8)
        work = Measurement(candidate(**options), protocol, None, mean, journal)
        work.measure_photos()
        work.measure_portraits()
        return work, work.evidence(), journal


def test_bad_files_cost_themselves(tmp_path):
    work, evidence, journal = measured(Failing(4), tmp_path / "r")
    assert [row.name for row in evidence.styles["noisy"]] == ["face/0", "face/3"]
    assert [row.name for row in evidence.styles["dark"]] == ["face/0", "face/2", "face/3"]
    assert list(evidence.photos) == ["face/0", "face/2", "face/3"]
    assert [(problem.file, problem.reason) for problem in work.problems()] == [
        ("face/1", "corrupt"), ("face/2", "truncated")
    ]  # fmt: skip
    counts = work.counts(evidence)
    assert (counts["portraits"], counts["measured"], counts["failed"]) == (8, 5, 3)
    assert counts["styles"]["noisy"] == {"portraits": 4, "measured": 2}
    assert len(journal.of(FailedRow)) == 2


def test_what_is_measured_is_not_measured_again(tmp_path):
    calls = []

    def recover(portraits):
        calls.append(len(portraits))
        return portraits

    measured(Drawn(4), tmp_path / "r", recover=recover)
    assert calls == [4, 4]
    _, evidence, journal = measured(Drawn(4), tmp_path / "r", recover=recover)
    assert calls == [4, 4]
    assert journal.resumed == 12
    assert len(journal.of(PairRow)) == 8
    assert len(journal.of(PhotoRow)) == 4
    assert evidence.styles["dark"][1].angle == 20.0


def test_nothing_to_measure_is_an_error(tmp_path):
    class Empty(Drawn):
        def read_portraits(self, style, names):
            bad = {name: Problem(name, "corrupt", "bad.") for name in names}
            return Pictures((), np.zeros((0, 32, 32, 3), np.uint8), bad)

    with pytest.raises(DataError, match="none; face/0: bad"):
        measured(Empty(2), tmp_path / "r")
