import numpy as np
import pytest

from ifrp_tf.pictures.membrane import Region, Soft


@pytest.fixture
def hole():
    inside = np.zeros((20, 24), bool)
    inside[5:15, 4:18] = True
    inside[8:10, 8:12] = False  # an island of known values
    return inside


def test_a_harmonic_function_is_found_again(hole):
    rows, columns = np.mgrid[:20, :24].astype(float)
    truth = np.stack([3 * rows - 2 * columns, rows * columns, np.square(rows) - np.square(columns)], axis=-1)
    given = np.where(hole[..., None], 1e6, truth)
    np.testing.assert_allclose(Region(hole).membrane(given), truth, atol=1e-4)


def test_a_composite_meets_its_surroundings_and_keeps_the_gradients_of_the_source(hole):
    target = np.random.default_rng(0).uniform(0, 255, (20, 24, 3))
    found = Region(hole).composite(target, target + 40.0)
    np.testing.assert_allclose(found, target, atol=1e-4)  # a constant difference vanishes
    source = np.random.default_rng(1).uniform(0, 255, (20, 24, 3))
    found = Region(hole).composite(target, source)
    np.testing.assert_array_equal(found[~hole], target[~hole])

    def laplacian(x):
        return 4 * x[1:-1, 1:-1] - x[:-2, 1:-1] - x[2:, 1:-1] - x[1:-1, :-2] - x[1:-1, 2:]

    deep = hole[1:-1, 1:-1] & hole[:-2, 1:-1] & hole[2:, 1:-1] & hole[1:-1, :-2] & hole[1:-1, 2:]
    np.testing.assert_allclose(laplacian(found)[deep], laplacian(source)[deep], atol=1e-4)


def test_a_hole_up_to_the_border_and_no_hole_at_all():
    inside = np.zeros((6, 6), bool)
    inside[:, 3:] = True
    values = np.repeat(np.arange(6.0)[None, :, None], 6, axis=0)
    np.testing.assert_allclose(Region(inside).membrane(values)[:, 3:], 2.0, atol=1e-4)
    np.testing.assert_array_equal(Region(np.zeros((6, 6), bool)).membrane(values), values)


def test_a_soft_composite_keeps_the_inner_picture_and_the_outer_gradients():
    random = np.random.default_rng(4)
    outer, inner = random.uniform(0, 255, (2, 24, 20, 3))
    np.testing.assert_allclose(Soft(np.ones((24, 20))).composite(outer, inner), inner, atol=1e-6)
    mask = np.zeros((24, 20))
    mask[8:16, 6:14] = 1.0
    soft = Soft(mask)
    smooth = np.full((24, 20, 3), 200.0)
    made = soft.composite(outer, smooth)
    assert np.abs(made - smooth)[10:14, 8:12].max() < 0.15 * np.abs(outer - smooth).max()
    inner_rows = slice(1, 5)  # outside: the outer picture's second differences, whatever its level

    def laplacian(x):
        return 4 * x[1:-1, 1:-1] - x[:-2, 1:-1] - x[2:, 1:-1] - x[1:-1, :-2] - x[1:-1, 2:]

    np.testing.assert_allclose(laplacian(made)[inner_rows], laplacian(outer)[inner_rows], atol=1e-3)
    shifted = soft.composite(outer + 40, smooth)
    np.testing.assert_allclose(shifted, made, atol=1e-3)  # the surroundings take on the inner colours
    np.testing.assert_allclose(soft.composite(outer, smooth + 40) - made, 40, atol=1e-3)
