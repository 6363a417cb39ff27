"""Tests of `release/graph_weights`."""

import json
import shutil

import keras
import numpy as np
import pytest
import small_model
import tensorflow as tf

from ifrp_tf.core.errors import ModelError
from ifrp_tf.nn.folding import partners
from ifrp_tf.pictures import images
from ifrp_tf.release import folder, graph_weights
from ifrp_tf.release import folder as model_folder


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


PORTRAITS = np.random.default_rng(0).uniform(-1, 1, (20, 128, 128, 3)).astype("float32")


@pytest.fixture(scope="module")
def released():
    return graph_weights.load_released(small_model.exported(), PORTRAITS)


def test_it_answers_like_the_network_that_was_exported(released):
    expected, received = (
        np.asarray(srn(PORTRAITS[:4], training=False)) for srn in (small_model.network(), released)
    )
    assert expected.std() > 0.1
    assert np.abs(received - expected).mean() < 0.003 * np.abs(expected).max()  # float16 is rounded


def test_its_norms_are_back_and_know_what_they_normalise(released):
    pairs = partners(released)
    assert len(pairs) > 10
    inner = keras.Model(released.input, [released.get_layer(layer).output for layer in pairs.values()])
    for name, output in zip(pairs, inner(PORTRAITS, training=False), strict=True):
        norm, values = released.get_layer(name), np.asarray(output, np.float64)
        values = values.reshape(-1, values.shape[-1])
        np.testing.assert_allclose(np.asarray(norm.moving_mean), values.mean(0), atol=1e-4)
        np.testing.assert_allclose(np.asarray(norm.moving_variance), values.var(0), atol=1e-4, rtol=1e-3)


def test_weights_of_another_configuration_are_refused(tmp_path):
    folder = tmp_path / "9"
    shutil.copytree(small_model.exported(), folder)
    config = json.loads((folder / "config.json").read_text())
    config["model"]["width"] = 16
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(ModelError, match="SHA-256"):
        graph_weights.load_released(folder, PORTRAITS)
    (folder / model_folder.CHECKSUMS).unlink()
    model_folder.write_checksums(folder)
    with pytest.raises(ModelError, match="arrays of the configuration"):
        graph_weights.load_released(folder, PORTRAITS)
