import math

import numpy as np
import pytest
from helpers import both_ways

from ifrp_tf.core.errors import ConfigError
from ifrp_tf.data.misalign import (
    FILLS,
    LARGE_ANGLES,
    SMALL_ANGLES,
    between,
    misalign,
    parameters_of,
    similarity_parameters,
    undoing_parameters,
)
from ifrp_tf.nn.layers import affine_grid, bilinear_sample

IDENTITY = np.array([[0.0, 1.0, 0.0, 0.0]], "float32")


def smooth_photos(count=4, height=96, width=96):
    """Pictures without edges, so that what bilinear sampling loses twice stays small."""
    y = np.linspace(-1, 1, height)[:, None, None]
    x = np.linspace(-1, 1, width)[None, :, None]
    phase = np.arange(3)[None, None, :]
    pictures = [np.sin(2.5 * y + phase + k) * np.cos(2.0 * x - phase) for k in range(count)]
    return np.stack(pictures).astype("float32")


def sampled(picture, theta, s, t1, t2):
    """The sampling transform of the module's docstring, written out: the picture, and where it is known."""
    height, width, _ = picture.shape
    y, x = np.meshgrid(np.linspace(-1, 1, height), np.linspace(-1, 1, width), indexing="ij")
    cos, sin = math.cos(theta), math.sin(theta)
    from_y = s * cos * y - s * sin * x + s * (cos * t1 - sin * t2)
    from_x = s * sin * y + s * cos * x + s * (sin * t1 + cos * t2)
    row, column = (from_y + 1) * (height - 1) / 2, (from_x + 1) * (width - 1) / 2
    inside = (row >= 0) & (row <= height - 1) & (column >= 0) & (column <= width - 1)
    top = np.clip(np.floor(row), 0, height - 2).astype(int)
    left = np.clip(np.floor(column), 0, width - 2).astype(int)
    down, across = (row - top)[..., None], (column - left)[..., None]
    upper = picture[top, left] * (1 - across) + picture[top, left + 1] * across
    lower = picture[top + 1, left] * (1 - across) + picture[top + 1, left + 1] * across
    return upper * (1 - down) + lower * down, inside


def test_noise_fills_the_stated_ranges():
    noise = np.random.default_rng(0).random((4000, 4), dtype="float32")
    noise[0], noise[1] = 0.0, np.nextafter(np.float32(1), np.float32(0))
    parameters = both_ways(similarity_parameters, noise)
    assert parameters.dtype == np.float32
    assert parameters.shape == (4000, 4)
    angle = np.degrees(parameters[:, 0])
    np.testing.assert_allclose([angle.min(), angle.max()], [-30, 30], atol=1e-3)
    np.testing.assert_allclose([parameters[:, 1].min(), parameters[:, 1].max()], [0.85, 1.15], atol=1e-5)
    for column in (2, 3):  # 8 pixels of a side of 128, where 2.0 is the side
        values = parameters[:, column]
        np.testing.assert_allclose([values.min(), values.max()], [-8 / 64, 8 / 64], atol=1e-5)
    np.testing.assert_allclose(np.corrcoef(parameters.T), np.eye(4), atol=0.08)


@pytest.mark.parametrize("angles", [SMALL_ANGLES, LARGE_ANGLES])
def test_angles_come_evenly_from_the_set(angles):
    noise = np.full((1100, 4), 0.5, "float32")
    noise[:, 0] = np.arange(1100) / 1100
    noise[-1, 0] = np.nextafter(np.float32(1), np.float32(0))
    drawn = np.degrees(both_ways(lambda n: similarity_parameters(n, angles=angles), noise)[:, 0])
    values, counts = np.unique(drawn.round(3), return_counts=True)
    np.testing.assert_allclose(values, sorted(angles), atol=1e-3)
    assert counts.max() - counts.min() <= 1


@pytest.mark.parametrize(
    "setting",
    [
        {"max_angle": 181.0},
        {"max_angle": -1.0},
        {"max_scale": 1.0},
        {"max_scale": -0.1},
        {"max_shift": 65.0},
        {"max_shift": float("nan")},
        {"angles": ()},
    ],
)
def test_impossible_limits_are_refused(setting):
    with pytest.raises(ConfigError, match=next(iter(setting))):
        similarity_parameters(IDENTITY, **setting)


@pytest.mark.parametrize("fill", FILLS)
def test_nothing_moves_by_the_identity(fill):
    photos = smooth_photos(1)
    np.testing.assert_allclose(misalign(photos, IDENTITY, fill), photos, atol=1e-5)


def test_content_moves_as_documented():
    photos = np.full((4, 65, 65, 3), -1.0, "float32")
    photos[:, 16, 32] = 1.0  # above the middle, half way to the border
    moves = np.array(
        [
            [math.pi / 2, 1.0, 0.0, 0.0],  # counter-clockwise on the screen: up goes to the left
            [0.0, 1.5, 0.0, 0.0],  # away from the middle
            [0.0, 1.0, 0.25, 0.0],  # 8 of 64 pixels down
            [0.0, 1.0, 0.0, -0.5],  # 16 of 64 pixels to the left
        ],
        "float32",
    )
    moved = np.asarray(misalign(photos, moves))[..., 0]
    places = [np.unravel_index(np.argmax(picture), picture.shape) for picture in moved]
    assert [tuple(int(k) for k in place) for place in places] == [(32, 16), (8, 32), (24, 32), (16, 16)]


def test_the_undoing_transform_gives_the_photo_back():
    photos = smooth_photos(6)
    parameters = similarity_parameters(np.random.default_rng(3).random((6, 4), dtype="float32"))
    tilted = both_ways(misalign, photos, np.asarray(parameters))
    undoing = both_ways(undoing_parameters, np.asarray(parameters))
    for photo, picture, transform in zip(photos, tilted, undoing, strict=True):
        back, known = sampled(picture, *transform)
        assert known.mean() > 0.6
        # Twice bilinear, on waves of at most 2.5 radians a half side.
        assert np.abs(back - photo)[known].max() < 0.02
        assert np.abs(picture - photo).mean() > 0.05


def test_the_spatial_transformer_of_the_layers_undoes_it_too():
    photos = smooth_photos(3)
    noise = np.random.default_rng(4).random((3, 4), dtype="float32")
    parameters = similarity_parameters(noise, max_angle=15.0, max_shift=4.0)
    grid = affine_grid(undoing_parameters(parameters), 96, 96)
    back = np.asarray(bilinear_sample(misalign(photos, parameters), grid))
    middle = slice(24, 72)  # never left the picture
    np.testing.assert_allclose(back[:, middle, middle], photos[:, middle, middle], atol=0.02)


def test_a_shift_alone_is_undone_by_its_opposite_divided_by_the_scale():
    undoing = np.asarray(undoing_parameters(np.array([[0.0, 2.0, 0.5, -0.25]], "float32")))
    np.testing.assert_allclose(undoing, [[0.0, 2.0, 0.25, -0.125]])


def test_pictures_need_not_be_square():
    photos = smooth_photos(2, height=64, width=96)
    parameters = np.array([[0.4, 1.1, 0.1, -0.1], [-0.2, 0.9, 0.0, 0.2]], "float32")
    tilted = np.asarray(misalign(photos, parameters))
    for photo, picture, transform in zip(
        photos, tilted, np.asarray(undoing_parameters(parameters)), strict=True
    ):
        back, known = sampled(picture, *transform)
        assert np.abs(back - photo)[known].max() < 0.03


def test_fills_differ_only_outside():
    photos = 0.5 + 0.4 * smooth_photos(1)
    far = np.array([[0.0, 1.0, 0.0, 0.5]], "float32")
    by_fill = {fill: np.asarray(misalign(photos, far, fill))[0] for fill in FILLS}
    np.testing.assert_array_equal(by_fill["nearest"][:, :23], photos[0, :, :1].repeat(23, axis=1))
    np.testing.assert_array_equal(by_fill["constant"][:, :23], 0.0)
    np.testing.assert_allclose(by_fill["reflect"][:, 1:23], photos[0, :, 22:0:-1], atol=0.06)
    for fill in FILLS:
        np.testing.assert_allclose(by_fill[fill][:, 24:], by_fill["nearest"][:, 24:])
    with pytest.raises(ConfigError, match="wrap"):
        misalign(photos, far, "wrap")


def test_parameters_come_back_from_what_undoes_them():
    parameters = np.asarray(similarity_parameters(np.random.default_rng(6).random((9, 4), dtype="float32")))
    back = np.asarray(parameters_of(undoing_parameters(parameters)))
    np.testing.assert_allclose(back, parameters, atol=1e-6)


def test_one_movement_and_the_one_between_make_the_other():
    photos = smooth_photos(4)
    noise = np.random.default_rng(8).random((2, 4, 4), dtype="float32")
    first, second = (
        np.asarray(similarity_parameters(part, max_angle=12.0, max_scale=0.1, max_shift=3.0))
        for part in noise
    )
    both = np.asarray(misalign(misalign(photos, first), between(first, second)))
    once = np.asarray(misalign(photos, second))
    middle = slice(24, 72)
    np.testing.assert_allclose(both[:, middle, middle], once[:, middle, middle], atol=0.03)
    assert np.abs(np.asarray(misalign(photos, first)) - once)[:, middle, middle].max() > 0.1
