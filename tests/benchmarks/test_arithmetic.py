import keras
import numpy as np
import pytest

from benchmarks import arithmetic
from ifrp_tf.core.errors import ModelError
from ifrp_tf.nn.layers import ResizeConv2D, SpatialTransformer
from ifrp_tf.systems.ifrp import networks
from ifrp_tf.systems.ifrp.settings import ModelConfig


def model(layer, shape):
    x = keras.Input(shape)
    return keras.Model(x, layer(x))


def products(network, shape):
    """How many products end up in the output where every number is one and every product is used."""
    for weight in network.weights:
        weight.assign(np.zeros(weight.shape) if weight.path.endswith("bias") else np.ones(weight.shape))
    return int(np.asarray(network(np.ones((1, *shape), "float32"))).sum())


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (keras.layers.Conv2D(5, 3), (9, 7, 4)),
        (keras.layers.Conv2D(5, (2, 3), strides=2), (9, 7, 4)),
        (keras.layers.Conv2D(6, 3, groups=2), (9, 7, 4)),
        (keras.layers.Conv2DTranspose(5, 4, strides=2, padding="valid"), (5, 6, 3)),
        (keras.layers.Dense(6), (11,)),
    ],
    ids=lambda value: type(value).__name__,
)
def test_every_product_is_counted_once(layer, shape):
    network = model(layer, shape)
    assert arithmetic.multiply_adds(network) == products(network, shape) > 0


def test_taps_on_the_padding_count():
    assert (
        arithmetic.multiply_adds(model(keras.layers.Conv2D(5, 3, padding="same"), (8, 8, 4))) == 64 * 9 * 20
    )


def test_doubling_and_a_convolution_take_sixteen_taps():
    assert arithmetic.multiply_adds(model(ResizeConv2D(5), (8, 6, 4))) == 8 * 6 * 16 * 4 * 5


def test_a_sampler_reads_four_pixels_for_one():
    features, parameters = keras.Input((8, 6, 5)), keras.Input((4,))
    network = keras.Model([features, parameters], SpatialTransformer()([features, parameters]))
    assert arithmetic.multiply_adds(network) == 4 * 8 * 6 * 5


def test_what_does_not_multiply_is_free():
    x = keras.Input((8, 8, 4))
    y = keras.layers.MaxPooling2D(2)(keras.layers.ReLU()(keras.layers.BatchNormalization()(x)))
    assert arithmetic.multiply_adds(keras.Model(x, y)) == 0


def test_a_layer_that_cannot_be_counted_is_named():
    with pytest.raises(ModelError, match="'odd_one', a DepthwiseConv2D"):
        arithmetic.multiply_adds(model(keras.layers.DepthwiseConv2D(3, name="odd_one"), (8, 8, 3)))


def test_the_whole_is_the_sum_of_its_layers():
    network = networks.build_srn(ModelConfig(width=8, stn="none"), side=32)
    counts = arithmetic.by_layer(network)
    assert list(counts) == [layer.name for layer in network.layers]
    assert sum(counts.values()) == arithmetic.multiply_adds(network)
    assert counts["e1_conv"] == 16 * 16 * 4 * 4 * 3 * 8
    assert counts["out_deconv"] == 16 * 16 * 4 * 4 * 16 * 3
