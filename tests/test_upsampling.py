import keras
import numpy as np
import pytest
import tensorflow as tf

from ifrp_tf.errors import ConfigError
from ifrp_tf.upsampling import ResizeConv2D, transposed_kernel, upsample


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
