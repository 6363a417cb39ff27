"""Tests of `nn/layers`."""

import math

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers import both_ways, check_layer, smooth_picture
from scipy import ndimage

from ifrp_tf.core.errors import ConfigError
from ifrp_tf.nn.layers import (
    BoundTransform,
    ResizeConv2D,
    SpatialTransformer,
    affine_grid,
    bilinear_sample,
    normalize,
    residual_block,
    transposed_kernel,
    upsample,
)

IDENTITY = np.array([[0.0, 1.0, 0.0, 0.0]], "float32")
PARAMETERS = ("theta", "s", "t_y", "t_x")


def transform(theta=0.0, s=1.0, t_y=0.0, t_x=0.0):
    return np.array([[theta, s, t_y, t_x]], "float32")


def warp(picture, parameters, fill="zero"):
    return np.asarray(SpatialTransformer(fill)([picture, parameters]))


# The grid.


def test_identity_grid_names_every_pixel():
    grid = np.asarray(affine_grid(IDENTITY, 3, 5))
    assert grid.shape == (1, 3, 5, 2)
    np.testing.assert_allclose(grid[0, :, :, 0], np.repeat([[0], [1], [2]], 5, axis=1), atol=1e-6)
    np.testing.assert_allclose(grid[0, :, :, 1], np.repeat([[0, 1, 2, 3, 4]], 3, axis=0), atol=1e-6)


def test_parameter_order_is_theta_scale_shift_y_shift_x():
    """Literal positions on 5x5 pixels, whose centre is (2, 2) and where 1 in the coordinates is 2 pixels."""
    at = (1, 4)  # y = -0.5, x = 1 in coordinates
    for parameters, expected in [
        (transform(theta=math.pi / 2), (2 + 2 * -1.0, 2 + 2 * -0.5)),  # y' = -x, x' = y
        (transform(s=0.5), (2 + 2 * -0.25, 2 + 2 * 0.5)),
        (transform(t_y=0.25), (1 + 0.5, 4)),
        (transform(t_x=0.25), (1, 4 + 0.5)),
        (transform(s=2.0, t_y=0.5), (2 + 2 * 2 * (-0.5 + 0.5), 2 + 2 * 2 * 1.0)),  # shift first, then scale
        (transform(theta=math.pi / 2, t_x=-1.0), (2 - 2 * (1.0 - 1.0), 2 + 2 * -0.5)),  # shift, then rotation
    ]:
        np.testing.assert_allclose(np.asarray(affine_grid(parameters, 5, 5))[0][at], expected, atol=1e-5)


def test_authors_start_is_a_rotation_by_57_degrees():
    """A bias of [1, 1, 0, 0], thought to be the identity, is M = [[.54, -.84, 0], [.84, .54, 0]]."""
    side = 33
    pixels = np.asarray(affine_grid(transform(theta=1.0), side, side))[0]
    grid = pixels / ((side - 1) / 2) - 1.0
    centre, (down, right) = grid[16, 16], (grid[32, 16], grid[16, 32])
    matrix = np.stack([down - centre, right - centre, centre], axis=1)
    np.testing.assert_allclose(matrix, [[0.54, -0.84, 0.0], [0.84, 0.54, 0.0]], atol=2e-3)
    assert math.degrees(math.acos(matrix[0, 0])) == pytest.approx(57.3, abs=0.01)
    lost = warp(np.ones((1, 32, 32, 1), "float32"), transform(theta=1.0)) == 0.0
    assert lost.mean() == pytest.approx(0.13, abs=0.02)


# The sampler.


def test_identity_gives_the_picture_back():
    picture = np.random.uniform(-1, 1, (2, 128, 128, 3)).astype("float32")
    for fill in ("zero", "edge"):
        assert np.abs(warp(picture, np.repeat(IDENTITY, 2, axis=0), fill) - picture).max() <= 1e-4


def test_each_picture_gets_its_own_transform():
    pictures = np.random.uniform(-1, 1, (3, 6, 7, 2)).astype("float32")
    transforms = np.concatenate([transform(t_x=1 / 3), IDENTITY, transform(theta=math.pi)])
    warped = warp(pictures, transforms)
    np.testing.assert_allclose(warped[0, :, :-1], pictures[0, :, 1:], atol=1e-5)  # 1/3 of 6 / 2 pixels
    np.testing.assert_allclose(warped[1], pictures[1], atol=1e-5)
    np.testing.assert_allclose(warped[2], pictures[2, ::-1, ::-1], atol=1e-4)


def test_half_a_pixel_is_the_mean_of_neighbours():
    picture = np.array([[[[1.0], [3.0], [7.0]]]], "float32")
    positions = np.array([[[[0.0, 0.5], [0.0, 1.25], [0.0, 2.0]]]], "float32")
    np.testing.assert_allclose(
        np.asarray(bilinear_sample(picture, positions)).ravel(), [2.0, 4.0, 7.0], atol=1e-6
    )


def test_what_lies_outside():
    picture = np.array([[[[2.0], [4.0]]]], "float32")
    positions = np.array([[[[0.0, x] for x in (-9e9, -1.0, -0.5, 0.0, 1.0, 1.5, 2.0, 9e9)]]], "float32")
    zero, edge = (np.asarray(bilinear_sample(picture, positions, fill)).ravel() for fill in ("zero", "edge"))
    np.testing.assert_allclose(zero, [0.0, 0.0, 1.0, 2.0, 4.0, 2.0, 0.0, 0.0], atol=1e-6)
    np.testing.assert_allclose(edge, [2.0, 2.0, 2.0, 2.0, 4.0, 4.0, 4.0, 4.0], atol=1e-6)


def test_a_transform_that_is_not_a_number_stays_visible():
    """Neither a crash within the graph nor a black picture that looks like an answer."""
    picture = np.ones((2, 4, 4, 1), "float32")
    for fill in ("zero", "edge"):
        warped = warp(picture, np.concatenate([IDENTITY, transform(theta=math.nan)]), fill)
        np.testing.assert_allclose(warped[0], 1.0, atol=1e-5)
        assert np.isnan(warped[1]).all()


@pytest.mark.parametrize("degrees", [30.0, -17.0])
def test_a_known_rotation_is_undone(degrees):
    """Another library turns the picture; the layer brings it back with the same angle, not its opposite."""
    side, angle = 64, math.radians(degrees)
    picture = smooth_picture(side, 2)
    # Content at q moves to R(angle) q, so the tilted picture is read at R(-angle).
    back = np.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])
    centre = np.full(2, (side - 1) / 2)
    tilted = np.stack(
        [
            ndimage.affine_transform(
                picture[0, ..., c], back, centre - back @ centre, order=3, mode="nearest"
            )
            for c in range(2)
        ],
        axis=-1,
    )[None]
    inner = slice(side // 4, -side // 4)
    error = np.abs(warp(tilted, transform(theta=angle)) - picture)[:, inner, inner].max()
    assert error < 5e-3
    assert np.abs(warp(tilted, transform(theta=-angle)) - picture)[:, inner, inner].max() > 0.3


def test_the_inverse_transform_undoes_a_warp():
    """M = R(theta) S(s) T(t), so its inverse is a turn, a scale and the shift -M t."""
    theta, s, shift = 0.4, 1.1, np.array([0.1, -0.05])
    turn = np.array([[math.cos(theta), -math.sin(theta)], [math.sin(theta), math.cos(theta)]])
    picture = smooth_picture(96)
    there = warp(picture, transform(theta, s, *shift))
    again = warp(there, transform(-theta, 1 / s, *(-s * turn @ shift)))
    assert np.abs(again - picture)[:, 32:-32, 32:-32].max() < 5e-3


# Gradients.


def weighted_sum(picture, parameters, fill, weight):
    """The sampler's output summed with weights in float64: differences of it are not lost in rounding."""
    return float((np.asarray(warp(picture, parameters, fill), "float64") * weight).sum())


@pytest.mark.parametrize("fill", ["zero", "edge"])
@pytest.mark.parametrize("index", range(4), ids=PARAMETERS)
def test_gradient_of_the_transform_equals_finite_differences(index, fill):
    picture, weight = smooth_picture(24, 2), smooth_picture(24, 2, waves=1.3).astype("float64") / 24**2
    at = transform(0.3, 0.9, 0.08, -0.05)
    tensor = tf.constant(at)
    with tf.GradientTape() as tape:
        tape.watch(tensor)
        value = tf.reduce_sum(SpatialTransformer(fill)([picture, tensor]) * weight.astype("float32"))
    analytic = tape.gradient(value, tensor).numpy()[0, index]
    # Small enough to cross few pixel borders, where the bilinear surface has its kinks.
    step = np.zeros((1, 4), "float32")
    step[0, index] = 2e-3
    numeric = weighted_sum(picture, at + step, fill, weight) - weighted_sum(picture, at - step, fill, weight)
    numeric /= 2 * float(step[0, index])
    assert abs(analytic) > 1e-3
    assert analytic == pytest.approx(numeric, rel=0.01)


@pytest.mark.parametrize("fill", ["zero", "edge"])
def test_gradient_of_the_features_equals_finite_differences(fill):
    """The sampler is linear in the features: its gradient is the exact adjoint, and a step of 1 is exact."""
    random = np.random.default_rng(3)
    features, weight = random.normal(size=(2, 2, 6, 6, 2)).astype("float32")
    transforms = np.concatenate([transform(0.5, 1.2, 0.1, 0.3), transform(-0.2, 0.8)])
    tensor = tf.constant(features)
    with tf.GradientTape() as tape:
        tape.watch(tensor)
        value = tf.reduce_sum(SpatialTransformer(fill)([tensor, transforms]) * weight)
    analytic = tape.gradient(value, tensor).numpy()
    assert np.vdot(analytic, features) == pytest.approx(float(value), rel=1e-4)
    for place in [(0, 0, 0, 0), (0, 3, 2, 1), (1, 5, 5, 0), (1, 2, 0, 1)]:
        moved = features.copy()
        moved[place] += 1.0
        numeric = weighted_sum(moved, transforms, fill, weight) - weighted_sum(
            features, transforms, fill, weight
        )
        assert analytic[place] == pytest.approx(numeric, abs=1e-5)


# The layers as layers.


@pytest.mark.parametrize("fill", ["zero", "edge"])
def test_spatial_transformer_is_a_good_layer(fill, tmp_path):
    inputs = [smooth_picture(16, 3).repeat(2, axis=0), np.concatenate([transform(0.2), transform(s=0.9)])]
    warped = check_layer(SpatialTransformer(fill), inputs, tmp_path)
    assert warped.shape == (2, 16, 16, 3)


def test_bound_transform_is_a_good_layer(tmp_path):
    check_layer(BoundTransform(0.5, 1.3, 0.2), np.random.normal(size=(5, 4)).astype("float32"), tmp_path)


def test_both_layers_survive_a_file_together(tmp_path):
    portrait = keras.Input((12, 12, 2))
    y = keras.layers.Dense(4)(keras.layers.Flatten()(portrait))
    model = keras.Model(portrait, SpatialTransformer("edge")([portrait, BoundTransform(0.3, 1.2, 0.1)(y)]))
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras", safe_mode=True)
    picture = np.random.normal(size=(3, 12, 12, 2)).astype("float32")
    np.testing.assert_array_equal(again(picture), model(picture))
    assert again.layers[-1].fill == "edge"


def test_unknown_fill_is_refused():
    with pytest.raises(ConfigError, match=r"fill 'zero' or 'edge'\. Received: fill='reflect'"):
        SpatialTransformer("reflect")


def test_works_in_a_data_pipeline():
    picture = smooth_picture(20, 3)
    both_ways(lambda x, p: SpatialTransformer()([x, p]), picture, transform(0.3, 1.1, 0.1, 0.2))
    both_ways(BoundTransform(), np.random.normal(size=(2, 4)).astype("float32"))


def test_bfloat16_keeps_the_grid_in_float32(bfloat16):
    picture = np.random.uniform(-1, 1, (1, 128, 128, 1)).astype("float32")
    same = warp(picture, IDENTITY).astype("float32")
    rounded = np.asarray(tf.cast(picture, tf.bfloat16)).astype("float32")
    # Sampling positions are 1e-5 of a pixel off in float32, which adds as much of the neighbours.
    np.testing.assert_allclose(same, rounded, rtol=2**-8, atol=2e-5)
    # bfloat16 has steps of 0.5 near position 127, of 0.008 near a scale of 1: waves of 8 pixels show it.
    waves = np.cos(np.arange(128, dtype="float32") * np.pi / 4)[None, None, :, None].repeat(128, axis=1)
    parameters = transform(s=1.003, t_x=0.3 * 2 / 127)
    moved = SpatialTransformer("edge")([waves, parameters])
    assert moved.dtype == tf.bfloat16
    expected = SpatialTransformer("edge", dtype="float32")([waves, parameters])
    assert np.abs(np.asarray(moved, "float32") - np.asarray(expected)).max() < 0.02


def test_bounds_hold_and_zeros_are_the_identity():
    layer = BoundTransform(math.pi / 4, 1.5, 0.5)
    np.testing.assert_array_equal(layer(np.zeros((1, 4), "float32")), IDENTITY)
    np.testing.assert_allclose(
        layer(np.full((1, 4), 50.0, "float32")), [[math.pi / 4, 1.5, 0.5, 0.5]], rtol=1e-6
    )
    np.testing.assert_allclose(
        layer(np.full((1, 4), -50.0, "float32")), [[-math.pi / 4, 1 / 1.5, -0.5, -0.5]], rtol=1e-6
    )
    np.testing.assert_allclose(
        np.asarray(layer(np.array([[0.5, 0.2, -0.1, 0.3]], "float32")))[0],
        [math.pi / 4 * math.tanh(0.5), 1.5 ** math.tanh(0.2), 0.5 * math.tanh(-0.1), 0.5 * math.tanh(0.3)],
        rtol=1e-5,
    )


def test_bounds_stay_in_float32_under_bfloat16(bfloat16):
    bounded = BoundTransform()(np.array([[0.01, 0.0, 0.0, 0.0]], "float32"))
    assert bounded.dtype == tf.float32


# The functions that append layers.


@pytest.mark.parametrize(("kind", "axes"), [("instance", (1, 2)), ("batch", (0, 1, 2))])
def test_normalisations_normalise_their_axes(kind, axes):
    x = (3.0 + 2.0 * np.random.normal(size=(4, 6, 6, 8))).astype("float32")
    entrance = keras.Input((6, 6, 8))
    model = keras.Model(entrance, normalize(entrance, kind, "norm"))
    y = np.asarray(model(x, training=True))
    np.testing.assert_allclose(y.mean(axis=axes), 0.0, atol=1e-4)
    np.testing.assert_allclose(y.std(axis=axes), 1.0, atol=1e-3)


def test_batch_normalisation_has_torchs_momentum():
    entrance = keras.Input((4, 4, 2))
    model = keras.Model(entrance, normalize(entrance, "batch", "norm"))
    model(np.full((2, 4, 4, 2), 5.0, "float32"), training=True)
    np.testing.assert_allclose(
        model.get_layer("norm").moving_mean, [0.5, 0.5], rtol=1e-6
    )  # 0.9 * 0 + 0.1 * 5
    assert model.get_layer("norm").epsilon == 1e-5


def test_normalisations_that_do_not_fit_are_refused():
    entrance = keras.Input((4, 4, 12))
    assert normalize(entrance, "none", "norm") is entrance
    with pytest.raises(ConfigError, match="multiple of 8 channels for group norm. Received: 12"):
        normalize(entrance, "group", "norm")
    with pytest.raises(ConfigError, match="batch, instance, group or none. Received: 'layer'"):
        normalize(entrance, "layer", "norm")


def test_residual_block_adds_to_its_input():
    """With a silent last convolution it is the identity; norm, ReLU, 3x3, norm, ReLU, 1x1 in this order."""
    entrance = keras.Input((5, 5, 8))
    model = keras.Model(entrance, residual_block(entrance, "block"))
    x = np.random.normal(size=(2, 5, 5, 8)).astype("float32")
    assert np.abs(np.asarray(model(x)) - x).max() > 0.01
    kernel = model.get_layer("block_conv2").kernel
    kernel.assign(np.zeros(kernel.shape))
    np.testing.assert_array_equal(model(x), x)
    order = [layer.name.removeprefix("block_") for layer in model.layers[1:]]
    assert order == ["norm1", "relu1", "conv1", "norm2", "relu2", "conv2", "add"]
    assert model.get_layer("block_conv1").kernel_size == (3, 3)
    assert model.get_layer("block_conv2").kernel_size == (1, 1)


def test_jax_agrees(two_backends):
    expected, received = two_backends
    names = [name for name in expected if name.startswith("layers/")]
    assert len(names) == 7
    for name in names:
        np.testing.assert_allclose(received[name], expected[name], rtol=1e-4, atol=1e-4, err_msg=name)


def two_layers(layer, kind="float32"):
    """What the layer stands for: doubling, then the convolution with its weights."""
    double = keras.layers.UpSampling2D(2, interpolation="nearest", dtype=kind)
    conv = keras.layers.Conv2D(layer.filters, 3, padding="same", activation=layer.activation, dtype=kind)
    both = keras.Sequential([keras.Input((None, None, layer.kernel.shape[2])), double, conv])
    both.set_weights(layer.get_weights())
    return both


def made(filters, shape, **options):
    layer = ResizeConv2D(filters, bias_initializer="random_normal", **options)
    layer.build((None, *shape))
    return layer, np.random.default_rng(3).normal(size=(2, *shape)).astype("float32")


@pytest.mark.parametrize("shape", [(1, 1, 3), (5, 6, 3), (8, 3, 20)])
@pytest.mark.parametrize("activation", [None, "relu"])
def test_it_is_doubling_and_a_convolution_at_the_borders_too(shape, activation):
    layer, x = made(4, shape, activation=activation)
    assert layer.compute_output_shape((None, *shape)) == (None, 2 * shape[0], 2 * shape[1], 4)
    np.testing.assert_allclose(layer(x), two_layers(layer)(x), atol=2e-6)


def test_its_gradients_are_those_of_the_two_layers():
    layer, x = made(4, (6, 7, 5))
    both = two_layers(layer)
    wanted = []
    for function, kernel in ((layer, layer.kernel), (both, both.layers[-1].kernel)):
        with tf.GradientTape() as tape:
            given = tf.constant(x)
            tape.watch(given)
            loss = tf.reduce_sum(function(given) ** 2)
        wanted.append(tape.gradient(loss, [given, kernel.value]))
    for received, expected in zip(*wanted, strict=True):
        np.testing.assert_allclose(received, expected, rtol=1e-4, atol=1e-4)


def test_in_bfloat16_it_is_as_good_as_the_two_layers():
    layer, x = made(8, (16, 16, 32), dtype="mixed_bfloat16")
    exact = np.asarray(two_layers(layer)(x))
    error, usual = (
        np.abs(np.asarray(keras.ops.cast(function(x), "float32")) - exact).mean()
        for function in (layer, two_layers(layer, "mixed_bfloat16"))
    )
    assert 0 < error < 1.5 * usual


def test_the_kernel_paints_what_doubling_and_the_convolution_make_of_one_pixel():
    """A one in the upper left of three taps: the doubled pixel is seen from its own place and from below."""
    kernel = np.zeros((3, 3, 1, 1), "float32")
    kernel[0, 0] = 1.0
    painted = np.asarray(transposed_kernel(kernel))[..., 0, 0]
    np.testing.assert_array_equal(painted, [[0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 1, 1], [0, 0, 1, 1]])


def test_it_survives_saving():
    layer, _ = made(4, (5, 6, 3), activation="relu")
    again = ResizeConv2D.from_config(layer.get_config())
    assert again.get_config() == layer.get_config()


@pytest.mark.parametrize("options", [{"strides": 2}, {"dilation_rate": 2}, {"groups": 2}])
def test_other_convolutions_are_refused(options):
    with pytest.raises(ConfigError, match="strides, dilation_rate and groups of 1"):
        ResizeConv2D(4, **options)


@pytest.mark.parametrize("channels", [3, 8])
@pytest.mark.parametrize(("kind", "kernel"), [("transposed", (4, 4)), ("resize", (3, 3))])
def test_upsampling_doubles_the_side(kind, kernel, channels):
    entrance = keras.Input((5, 6, 3))
    model = keras.Model(entrance, upsample(entrance, channels, kind, "up"))
    assert model.output_shape == (None, 10, 12, channels)
    assert model.layers[-1].kernel_size == kernel


def test_unknown_upsampling_is_refused():
    with pytest.raises(ConfigError, match="'transposed' or 'resize'. Received: 'bicubic'"):
        upsample(keras.Input((4, 4, 3)), 3, "bicubic", "up")
