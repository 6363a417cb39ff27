"""Phase congruency, gradients and the averaging down, each against what it must be."""

import numpy as np
import pytest
from helpers import both_ways, smooth_picture

from ifrp_tf.nn.fsim import averaged_down, phase_congruency, squared_gradient


@pytest.fixture
def disc():
    """A bright disc on grey, [1, 96, 97]: edges of every direction, an even and an odd side."""
    y, x = np.meshgrid(np.arange(96) - 47.5, np.arange(97) - 48.0, indexing="ij")
    return (100.0 + 60.0 * (np.hypot(x, y) < 25))[None].astype("float32")


def test_phase_congruency_marks_edges_whatever_their_contrast(disc):
    found = both_ways(phase_congruency, disc, tolerance=1e-4)
    assert found.shape == disc.shape
    assert found.min() >= 0
    assert found.max() <= 1
    y, x = np.meshgrid(np.arange(96) - 47.5, np.arange(97) - 48.0, indexing="ij")
    distance = np.abs(np.hypot(x, y) - 25)
    assert found[0][distance < 1].min() > 2 * found[0][distance > 12].mean()
    np.testing.assert_allclose(phase_congruency(0.1 * disc + 7), found, atol=2e-3)


def test_phase_congruency_turns_with_the_picture(disc):
    picture = disc[:, :, :96] + 30 * smooth_picture(96)[..., 0]
    turned = np.asarray(phase_congruency(np.rot90(picture, axes=(1, 2)).copy()))
    inside = (slice(None), slice(4, -4), slice(4, -4))
    expected = np.rot90(phase_congruency(picture), axes=(1, 2))
    # For even sides the highest frequency exists with one sign only: not exactly equal.
    np.testing.assert_allclose(turned[inside], expected[inside], atol=0.03)


def test_a_flat_picture_has_no_phase_congruency():
    assert np.abs(phase_congruency(np.full((1, 32, 32), 200.0, "float32"))).max() < 1e-6


def test_squared_gradient_of_a_ramp_and_of_a_border():
    ramp = np.tile(3.0 * np.arange(20, dtype="float32"), (20, 1))[None]
    found = both_ways(squared_gradient, ramp)[0]
    np.testing.assert_allclose(found[1:-1, 1:-1], 36.0, rtol=1e-6)
    np.testing.assert_allclose(
        both_ways(squared_gradient, ramp.transpose(0, 2, 1).copy())[0], found.T, rtol=1e-5
    )
    # Black lies outside: the last column sees 16/16 of 54 on one side.
    np.testing.assert_allclose(found[10, -1], 54.0**2, rtol=1e-6)


@pytest.mark.parametrize(("height", "width"), [(300, 383), (385, 400), (650, 701), (1025, 900)])
def test_averaging_down_is_that_of_matlab(height, width):
    from scipy.signal import convolve2d

    picture = np.random.default_rng(3).uniform(0, 255, (height, width)).astype("float32")
    factor = max(1, int(np.floor(min(height, width) / 256 + 0.5)))
    full = convolve2d(picture, np.full((factor, factor), 1 / factor**2))
    start = factor // 2  # MATLAB's "same": the central part, from ceil((F + 1) / 2), counting from 1
    expected = full[start : start + height : factor, start : start + width : factor]
    np.testing.assert_allclose(averaged_down(picture[None])[0], expected, rtol=1e-4)
