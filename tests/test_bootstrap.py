import numpy as np
import pytest

from ifrp_tf import bootstrap
from ifrp_tf.bootstrap import Bootstrap, Sample


def sample(values, subjects=None):
    values = np.asarray(values, np.float64)
    return Sample(np.arange(len(values)) if subjects is None else np.asarray(subjects), values)


def test_the_mean_is_over_styles_of_means_over_subjects():
    assert bootstrap.mean([sample([1, 2, 3]), sample([10])]) == 6.0
    assert bootstrap.mean([sample([1, np.inf]), sample([np.inf])]) == 1.0
    assert bootstrap.mean([sample([np.inf])]) is None
    assert bootstrap.mean([]) is None


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
    assert draws.interval([sample([2.0]), sample([])]) == (2.0, 2.0)


def test_differences_are_taken_subject_by_subject():
    """A constant gain is certain, however much the subjects differ."""
    values = np.random.default_rng(3).random(30)
    gain = sample(values + 0.25).minus(sample(values))
    assert Bootstrap(30).interval([gain]) == pytest.approx((0.25, 0.25))
    assert np.isnan(sample([np.inf]).minus(sample([np.inf])).values[0])
