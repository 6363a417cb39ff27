import numpy as np
import pytest

from ifrp_tf.styles import tiling


def noise(count, side=128, seed=0):
    generator = np.random.default_rng(seed)
    return (
        generator.random((count, 16)).astype("float32"),
        generator.random((count, side, side, 3)).astype("float32"),
    )


@pytest.mark.parametrize("style", [tiling.mosaic, tiling.stained_glass, tiling.facets])
def test_pieces_are_calmer_within_than_from_one_to_the_next(style):
    """On grey ground a pixel resembles its neighbour, in the same piece, more than a pixel 20 away."""
    params, field = noise(8)
    portraits = np.asarray(style(np.zeros((8, 128, 128, 3), "float32"), params, field))
    near = np.abs(portraits[:, :, 1:] - portraits[:, :, :-1]).mean(axis=(1, 2, 3))
    far = np.abs(portraits[:, :, 20:] - portraits[:, :, :-20]).mean(axis=(1, 2, 3))
    assert np.median(near / far) < 0.8


@pytest.mark.parametrize("style", [tiling.mosaic, tiling.stained_glass, tiling.facets])
def test_noise_finer_than_a_piece_is_averaged_away(style):
    photos = np.random.default_rng(2).uniform(-1, 1, (6, 128, 128, 3)).astype("float32")
    params, field = noise(6)
    portraits = np.asarray(style(photos, params, field))
    assert np.abs(np.diff(portraits, axis=2)).mean() < 0.6 * np.abs(np.diff(photos, axis=2)).mean()


@pytest.mark.parametrize("style", [tiling.mosaic, tiling.stained_glass, tiling.facets])
def test_large_shapes_survive(style):
    photos = np.full((12, 128, 128, 3), -0.7, "float32")
    photos[:, :, 64:] = 0.7
    params, field = noise(12)
    portraits = np.asarray(style(photos, params, field))
    left, right = portraits[:, :, :50].mean(axis=(1, 2)), portraits[:, :, 78:].mean(axis=(1, 2))
    assert np.median(np.abs(left - right).max(axis=1)) > 0.2
