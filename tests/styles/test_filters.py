import numpy as np
import pytest
from helpers import both_ways
from scipy import ndimage

from ifrp_tf.styles import filters

RANDOM = np.random.default_rng(1)
PLANE = RANDOM.random((2, 96, 96), dtype="float32")
PICTURE = RANDOM.random((2, 96, 96, 3), dtype="float32")
UNIT = 96 / 128  # lengths are in pixels of a side of 128


def per_picture(*values):
    return np.array(values, "float32")[:, None, None]


def test_smooth_is_a_gaussian_of_each_pictures_own_width():
    sigma = per_picture(1.5, 4.0)
    blurred = both_ways(filters.smooth, PICTURE, sigma)
    for picture, ours, width in zip(PICTURE, blurred, (1.5, 4.0), strict=True):
        expected = ndimage.gaussian_filter(picture, (width * UNIT, width * UNIT, 0), truncate=8)
        inside = slice(20, -20)
        np.testing.assert_allclose(ours[inside, inside], expected[inside, inside], atol=2e-4)


def test_smooth_keeps_even_grey_up_to_the_border():
    grey = np.full((1, 48, 64), 0.3, "float32")
    np.testing.assert_allclose(filters.smooth(grey, 9.0, 3.0), grey, atol=1e-6)


def test_smooth_looks_beside_the_pixel_if_told():
    dot = np.zeros((1, 64, 128), "float32")
    dot[0, 30, 60] = 1.0
    moved = np.asarray(filters.smooth(dot, 1.0, move_y=4.0, move_x=-6.0))[0]
    assert np.unravel_index(moved.argmax(), moved.shape) == (26, 66)


def test_gradient_is_the_slope_a_pixel_and_nothing_on_flat_ground():
    y, x = np.mgrid[:96, :96].astype("float32") / UNIT
    slope = (0.02 * y - 0.01 * x)[None]
    down, across = (np.asarray(part)[0, 12:-12, 12:-12] for part in filters.gradient(slope, 1.2))
    np.testing.assert_allclose(down, 0.02, atol=1e-4)
    np.testing.assert_allclose(across, -0.01, atol=1e-4)
    for part in filters.gradient(np.full((1, 96, 96), 0.7, "float32"), 1.2):
        np.testing.assert_allclose(part, 0.0, atol=1e-6)


@pytest.mark.parametrize(("sigma", "sigma_x"), [(0.7, None), (2.0, None), (12.0, None), (0.6, 5.0)])
def test_grain_has_spread_one(sigma, sigma_x):
    noise = RANDOM.random((24, 128, 128), dtype="float32")
    grain = np.asarray(filters.grain(noise, sigma, sigma_x))[:, 24:-24, 24:-24]
    assert abs(grain.mean()) < 0.1
    assert 0.8 < grain.std() < 1.2


def test_sample_takes_nearest_pixels_and_clamps():
    y, x = np.meshgrid(np.arange(96, dtype="float32"), np.arange(96, dtype="float32"), indexing="ij")
    y, x = np.stack([y, y]) / UNIT, np.stack([x, x]) / UNIT
    np.testing.assert_array_equal(filters.sample(PICTURE, y, x), PICTURE)
    moved = both_ways(filters.sample, PLANE, y + 3.3 / UNIT, x - 200.0)
    np.testing.assert_array_equal(moved[:, :90], PLANE[:, 3:93, :1].repeat(96, axis=2))
    np.testing.assert_array_equal(moved[:, -1], PLANE[:, -1, :1].repeat(96, axis=1))


def test_smear_blurs_along_the_flow_only():
    across = np.ones((2, 96, 96), "float32")
    smeared = np.asarray(filters.smear(PLANE, 0 * across, across, 13.0))
    rows = lambda picture: picture[:, 20:-20, 20:-20].std(axis=2).mean()  # noqa: E731
    columns = lambda picture: picture[:, 20:-20, 20:-20].std(axis=1).mean()  # noqa: E731
    assert rows(smeared) < 0.5 * rows(PLANE)
    assert columns(smeared) < columns(PLANE)
    stripes = np.broadcast_to(PLANE[:, :, :1], PLANE.shape)
    np.testing.assert_allclose(filters.smear(stripes, 0 * across, across, 13.0), stripes, atol=1e-6)


def test_flow_follows_edges_and_elsewhere_its_own_field():
    y, x = np.mgrid[:96, :96].astype("float32")
    edge = 1 / (1 + np.exp(-(y + x - 96) / 3))[None].astype("float32")
    twist = np.zeros((1, 96, 96), "float32")
    down, across = (np.asarray(part)[0] for part in filters.flow(edge, twist, 2.0))
    np.testing.assert_allclose(down**2 + across**2, 1.0, atol=1e-4)
    # The edge runs from the lower left to the upper right; the free field along x.
    assert down[48, 48] * across[48, 48] == pytest.approx(-0.5, abs=0.05)
    assert abs(down[8, 8]) < 0.1
    assert across[8, 8] > 0.99


@pytest.mark.parametrize("side", [128, 40])
def test_tiles_are_voronoi_cells(side):
    field = RANDOM.random((2, side, side, 3), dtype="float32")
    seed_y, seed_x, border = (np.asarray(part) for part in filters.tiles(field, per_picture(12.0, 20.0), 0.9))
    y, x = np.meshgrid(np.arange(side), np.arange(side), indexing="ij")
    for k, cell in enumerate((12.0, 20.0)):
        seeds = np.unique(np.stack([seed_y[k].ravel(), seed_x[k].ravel()], 1).round(4), axis=0)
        assert 0.6 * (128 / cell) ** 2 < len(seeds) < 2.0 * (128 / cell) ** 2
        places = np.stack([y.ravel(), x.ravel()], 1) * (128 / side)
        distances = np.sqrt(((places[:, None] - seeds[None]) ** 2).sum(2))
        nearest, second = np.sort(distances, axis=1)[:, :2].T
        own = np.hypot(*(places - np.stack([seed_y[k].ravel(), seed_x[k].ravel()], 1)).T)
        np.testing.assert_allclose(own, nearest, atol=1e-2)
        # A neighbour's seed may own no pixel, or lie outside the picture: then the border is nearer.
        ours = border[k].ravel()
        assert (ours <= (second - nearest) / 2 + 1e-2).all()
        assert np.mean(np.abs(ours - (second - nearest) / 2) < 1e-2) > 0.8
    assert border.min() >= 0


def test_square_tiles_without_disorder():
    field = RANDOM.random((1, 128, 128, 3), dtype="float32")
    seed_y, _, _ = filters.tiles(field, per_picture(8.0), 0.0)
    # Row 0 is as near to the centres above the picture.
    np.testing.assert_allclose(np.unique(np.asarray(seed_y)[:, 1:]), np.arange(4.0, 128.0, 8.0))


def test_numbers_of_the_picture():
    params = RANDOM.random((5, 16), dtype="float32")
    np.testing.assert_allclose(filters.amount(params, 3, -1.0, 3.0)[:, 0, 0], 4 * params[:, 3] - 1, atol=1e-6)
    np.testing.assert_array_equal(filters.chance(params, 2, 0.5)[:, 0, 0], params[:, 2] < 0.5)
    np.testing.assert_array_equal(filters.draws(PICTURE, 2, 7), PICTURE[:, 2, :7])
    np.testing.assert_allclose(filters.luminance(np.ones((1, 4, 4, 3), "float32")), 0.9999, atol=1e-5)
    np.testing.assert_allclose(
        filters.step(np.array([-1.0, -0.5, 0.0, 0.25, 2.0], "float32"), 0.5), [0, 0, 0.5, 0.75, 1]
    )
