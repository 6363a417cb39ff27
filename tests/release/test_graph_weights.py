"""Tests of `release/graph_weights`."""

import shutil

import keras
import numpy as np
import pytest
import small_model
import tensorflow as tf

from ifrp_tf.core.errors import ModelError
from ifrp_tf.pictures import images
from ifrp_tf.release import folder, graph_weights


@pytest.fixture(scope="module")
def srn():
    return graph_weights.load_srn(small_model.exported())


def test_the_network_read_back_is_the_one_that_is_served(srn):
    side = small_model.CONFIG.data.side
    pixels = np.random.default_rng(1).integers(0, 256, (2, side, side, 3)).astype(np.uint8)
    signature = tf.saved_model.load(str(small_model.exported())).signatures["serving_default"]
    expected = signature(portrait=tf.constant(pixels))["photo"].numpy()
    received = images.to_uint8(keras.ops.convert_to_numpy(srn(images.to_model_range(pixels), training=False)))
    assert expected.std() > 5
    difference = np.abs(received.astype(int) - expected.astype(int))
    assert difference.max() <= 1
    assert difference.mean() < 0.01


def test_its_norms_are_folded_and_its_weights_are_those_of_half_precision(srn):
    assert srn.count_params() < small_model.network().count_params()
    for weight in srn.weights:
        values = keras.ops.convert_to_numpy(weight)
        assert values.dtype == np.float32
        np.testing.assert_array_equal(values, values.astype(np.float16))


@pytest.mark.usefixtures("bfloat16")
def test_it_is_float32_whatever_precision_is_set():
    srn = graph_weights.load_srn(small_model.exported())
    assert {layer.compute_dtype for layer in srn.layers} == {"float32"}
    assert keras.config.dtype_policy().name == "mixed_bfloat16"


@pytest.fixture
def copy(tmp_path):
    return shutil.copytree(small_model.exported(), tmp_path / "1")


def test_a_configuration_of_another_network_is_refused(copy):
    text = (copy / folder.CONFIG).read_text()
    (copy / folder.CONFIG).write_text(text.replace('"upsampling": "resize"', '"upsampling": "transposed"'))
    with pytest.raises(ModelError, match="do not belong together"):
        graph_weights.load_srn(copy)


def test_a_foreign_model_is_refused(copy):
    tf.saved_model.save(tf.Module(), str(copy))
    with pytest.raises(ModelError, match="Received: 0 of 0"):
        graph_weights.load_srn(copy)


def test_a_damaged_model_is_refused(copy):
    (copy / "saved_model.pb").write_bytes(b"\xff" * 100)
    with pytest.raises(ModelError, match="cannot be read"):
        graph_weights.load_srn(copy)
