import numpy as np
import pytest

from ifrp_tf.styles import painting


def noise(count, side=64, seed=0):
    generator = np.random.default_rng(seed)
    return (
        generator.random((count, 16)).astype("float32"),
        generator.random((count, side, side, 3)).astype("float32"),
    )


def half_and_half(count=1, side=64):
    picture = np.full((count, side, side, 3), 0.2, "float32")
    picture[:, :, side // 2 :] = 0.8
    return picture


def test_kuwahara_flattens_noise_and_keeps_the_edge():
    clean = half_and_half()
    noisy = clean + np.random.default_rng(0).normal(0, 0.05, clean.shape).astype("float32")
    painted = np.asarray(painting.kuwahara(noisy, np.full((1, 1, 1), 2.0, "float32")))[0]
    assert painted[:, 8:24].std() < 0.5 * noisy[0, :, 8:24].std()
    step = painted[:, 33:36].mean() - painted[:, 28:31].mean()
    assert step > 0.75 * 0.6


def test_relief_lights_slopes_and_leaves_flat_ground():
    flat = np.full((1, 128, 128, 3), 0.5, "float32")
    one = np.full((1, 1, 1), 0.5, "float32")
    height = np.zeros((1, 128, 128), "float32")
    np.testing.assert_allclose(painting.relief(flat, height, one, one), flat, atol=1e-4)
    height[:, :, 64:] = 1.0
    assert np.abs(np.asarray(painting.relief(flat, height, one, one)) - flat).max() > 0.02


@pytest.mark.parametrize(
    "style", [painting.oil, painting.impasto, painting.swirl, painting.watercolour, painting.pointillism]
)
def test_large_shapes_survive_the_brush(style):
    """A bright and a dark half are still told apart in most portraits, whatever the colours became."""
    photos = half_and_half(12) * 2 - 1
    params, field = noise(12)
    portraits = np.asarray(style(photos, params, field))
    left, right = portraits[:, :, :26].mean(axis=(1, 2)), portraits[:, :, 38:].mean(axis=(1, 2))
    assert np.median(np.abs(left - right).max(axis=1)) > 0.2


def test_pointillism_is_made_of_dots():
    """Colours change from dot to dot, not from pixel to pixel."""
    params, field = noise(4)
    portraits = np.asarray(painting.pointillism(np.zeros((4, 64, 64, 3), "float32"), params, field))
    near = np.abs(portraits[:, :, 1:] - portraits[:, :, :-1]).mean()
    far = np.abs(portraits[:, :, 12:] - portraits[:, :, :-12]).mean()
    assert near < 0.75 * far
