"""The input layer against geometry, the lean PReLU against Keras's, dtypes and outputs."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers import check_layer, smooth_picture

from ifrp_tf.core.errors import ConfigError
from ifrp_tf.nn.features.frozen import FrozenPReLU, NetworkInput, policy_name, select_outputs

SHRINKING = (112, 0.8531, 1.928, 15.641)
GROWING = (150, 1.2423, -5.494, -7.494)


def ramps():
    """Red grows along x, green along y, blue is white; [1, 128, 128, 3] in [-1, 1]."""
    along = (np.arange(128) + 0.5) / 64 - 1
    return np.stack([*np.meshgrid(along, along), np.ones((128, 128))], axis=-1)[None].astype("float32")


@pytest.mark.parametrize("crop", [SHRINKING, GROWING])
def test_the_crop_puts_every_point_where_the_map_says(crop, tmp_path):
    side, scale, across, down = crop
    found = np.asarray(check_layer(NetworkInput((0, 0, 0), crop=crop), ramps(), tmp_path))[0]
    centres = np.arange(side) + 0.5
    x, y = (centres - across) / scale, (centres - down) / scale
    inside_x, inside_y = ((c > 2) & (c < 126) for c in (x, y))
    levels = 255 / 128  # the ramps run from 0 to 255 over 128 pixels, linear, so that resampling keeps them
    red, green = np.meshgrid(levels * x[inside_x], levels * y[inside_y])
    expected = np.stack([red, green, np.full_like(red, 255)], axis=-1)
    # A sampled triangle of broken width moves the picture by up to a tenth of a pixel (0.2 levels).
    np.testing.assert_allclose(found[inside_y][:, inside_x], expected, atol=0.2 if scale < 1 else 0.01)


def test_outside_the_photo_is_black():
    white = np.ones((1, 128, 128, 3), "float32")
    found = np.asarray(NetworkInput((10, 20, 30), 4.0, crop=SHRINKING)(white))[0]
    np.testing.assert_allclose(found[:14, :, :], np.broadcast_to([-2.5, -5, -7.5], (14, 112, 3)), atol=1e-5)
    assert (found[40, 111] - [-2.5, -5, -7.5] < 0.2 * 255 / 4).all()  # the frame ends at 111.1
    np.testing.assert_allclose(found[40, 50], [245 / 4, 235 / 4, 225 / 4], rtol=1e-5)


def test_shrinking_antialiases_and_growing_does_not_blur():
    stripes = np.tile(np.where(np.arange(128) % 2, 1, -1), (128, 1))[None, ..., None].astype("float32")
    stripes = np.repeat(stripes, 3, axis=-1)
    half = np.asarray(NetworkInput((0, 0, 0), crop=(64, 0.5, 0, 0))(stripes))[0, 8:-8, 8:-8]
    np.testing.assert_allclose(half, 127.5, atol=0.01)
    same = np.asarray(NetworkInput((0, 0, 0), crop=(128, 1.0, 0, 0))(stripes))
    np.testing.assert_allclose(same, (stripes + 1) * 127.5, atol=1e-3)


def test_levels_mean_divisor_and_channel_order(tmp_path):
    photo = smooth_picture(12, channels=3)
    found = check_layer(NetworkInput((1, 2, 3), 2.0, bgr=True), photo, tmp_path)
    expected = ((photo + 1) * 127.5)[..., ::-1] - np.array([1, 2, 3])
    np.testing.assert_allclose(found, expected / 2, atol=1e-4)


def test_the_input_layer_passes_gradients_on():
    photo = tf.constant(smooth_picture(128, channels=3))
    layer = NetworkInput((0, 0, 0), 127.5, crop=SHRINKING)
    with tf.GradientTape() as tape:
        tape.watch(photo)
        value = tf.reduce_sum(layer(photo))
    gradient = tape.gradient(value, photo).numpy()
    # Every pixel in the middle is spread over 0.8531^2 output pixels.
    assert gradient[0, 20:-20, 20:-20].mean() == pytest.approx(0.8531**2, rel=1e-3)
    assert gradient.min() >= 0


def test_frozen_prelu_is_prelu(tmp_path):
    x = smooth_picture(16, channels=5)
    ours, keras_own = (kind(shared_axes=[1, 2]) for kind in (FrozenPReLU, keras.layers.PReLU))
    for layer in (ours, keras_own):
        layer.build(x.shape)
        layer.alpha.assign(np.linspace(-1.5, 2.4, 5).reshape(1, 1, 5))
    np.testing.assert_allclose(ours(x), keras_own(x), atol=1e-6)
    check_layer(FrozenPReLU(shared_axes=[1, 2]), x, tmp_path)


def test_policy_names():
    assert policy_name("float32") == policy_name(None) == "float32"
    assert policy_name("bfloat16") == "mixed_bfloat16"
    keras.config.set_dtype_policy("mixed_bfloat16")
    assert policy_name(None) == "mixed_bfloat16"
    with pytest.raises(ConfigError, match="Received: 'half'"):
        policy_name("half")


def test_outputs_are_chosen_by_name_in_float32():
    keras.config.set_dtype_policy("mixed_bfloat16")
    inputs = keras.Input((4,))
    named = {"a": keras.layers.Dense(2)(inputs), "b": keras.layers.Dense(3)(inputs)}
    x = np.ones((5, 4), "float32")
    one, both = (select_outputs(inputs, named, names, "net") for names in (["a"], ("b", "a")))
    assert one(x).shape == (5, 2)
    assert one(x).dtype == tf.float32
    assert {name: tuple(value.shape) for name, value in both(x).items()} == {"a": (5, 2), "b": (5, 3)}
    assert not both.trainable_variables
    for wrong in (["c"], [], ["a", "c"]):
        with pytest.raises(ConfigError, match="net expects one or more of these outputs: a, b"):
            select_outputs(inputs, named, wrong, "net")
