"""Networks as LiteRT answer in its interpreter as they do in Keras."""

import keras
import numpy as np
import pytest
import small_model

from ifrp_tf.core.errors import ModelError
from ifrp_tf.nn.folding import fold_batch_norms
from ifrp_tf.nn.layers import SpatialTransformer
from ifrp_tf.release.litert import Session, build


def numbers(*shape):
    return np.random.default_rng(5).standard_normal(shape).astype("float32")


def rounded(network):
    """As weights are released."""
    for weight in network.weights:
        weight.assign(keras.ops.convert_to_numpy(weight).astype(np.float16))
    return network


def test_a_network_with_a_transformer_answers_as_in_keras_at_half_the_size():
    network = rounded(fold_batch_norms(small_model.network()))
    assert [layer for layer in network.layers if isinstance(layer, SpatialTransformer)]
    model = build(network)
    assert len(model) < 2.4 * network.count_params() + 60_000
    portraits = np.tanh(numbers(3, 8, 8, 3)).repeat(16, axis=1).repeat(16, axis=2)
    expected = keras.ops.convert_to_numpy(network(portraits, training=False))
    assert expected.std() > 0.05
    np.testing.assert_allclose(Session(model)(portraits), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.usefixtures("bfloat16")
def test_one_of_mixed_precision_that_is_told_attributes():
    half = rounded(small_model.network(small_model.TOLD))
    keras.config.set_dtype_policy("float32")
    full = rounded(small_model.network(small_model.TOLD))
    inputs = [np.tanh(numbers(2, 32, 32, 3)), np.tanh(numbers(2, 14))]
    expected = keras.ops.convert_to_numpy(full(inputs, training=False))
    np.testing.assert_allclose(Session(build(half))(*inputs), expected, rtol=1e-4, atol=1e-4)


def test_a_model_with_two_outputs_is_refused():
    x = keras.Input((8, 8, 3))
    outputs = [keras.layers.ReLU()(x), keras.layers.Activation("tanh")(x)]
    with pytest.raises(ModelError, match="one output. Received: 1 and 2"):
        build(keras.Model(x, outputs))


def test_an_operation_that_phones_lack_is_named():
    x = keras.Input((8, 8, 3))
    with pytest.raises(ModelError, match="Erfinv"):
        build(keras.Model(x, keras.ops.erfinv(x)))
