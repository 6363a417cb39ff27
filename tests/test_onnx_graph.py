import dataclasses
import sys

import keras
import numpy as np
import pytest
import small_model

from ifrp_tf import images, onnx_graph
from ifrp_tf.config import Config, DataConfig, ModelConfig
from ifrp_tf.errors import ConfigError, ModelError
from ifrp_tf.folding import fold_batch_norms
from ifrp_tf.layers import SpatialTransformer
from ifrp_tf.presets import PRESETS

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

OTHERS = {
    "no transformer": ModelConfig(width=8, stn="none", skips="unet", upsampling="resize", output="tanh"),
    "light, bounded": ModelConfig(width=8, stn_bounded=True, localisation="light", skip_merge="add"),
    "dense bottleneck": ModelConfig(width=8, stn="input", bottleneck="dense", normalization="group"),
    "no norm": ModelConfig(width=8, stn="none", skips="none", normalization="none"),
}


def portraits(count, side):
    """Coarse noise: unlike fine noise it looks different enough to localisation networks."""
    noise = np.random.default_rng(count).integers(0, 256, (count, 8, 8, 3)).astype(np.uint8)
    return images.to_model_range(np.stack([images.resize(pixels, side) for pixels in noise]))


def answers(srn, batch):
    return keras.ops.convert_to_numpy(srn(batch, training=False))


def with_transforms(srn, batch):
    """The answers, and how far the transforms of the batch are from the identity and from each other."""
    transforms = [layer.input[1] for layer in srn.layers if isinstance(layer, SpatialTransformer)]
    outputs = keras.Model(srn.input, {"photo": srn.output, "transforms": transforms})(batch, training=False)
    found = [keras.ops.convert_to_numpy(values) for values in outputs["transforms"]]
    return keras.ops.convert_to_numpy(outputs["photo"]), [
        (np.abs(values - [0, 1, 0, 0]).max(axis=1).min(), np.ptp(values, axis=0).max()) for values in found
    ]


def check(srn, side, tolerance=1e-4):
    session = onnx_graph.Session(onnx_graph.build(srn), threads=1)
    for count in (1, 3):
        batch = portraits(count, side)
        expected, transforms = with_transforms(srn, batch)
        received = session(batch)
        assert received.dtype == np.float32
        assert expected.std() > 0.05
        np.testing.assert_allclose(received, expected, rtol=tolerance, atol=tolerance)
    for distance, variety in transforms:
        assert distance > 0.02
        assert variety > 2e-4
    return transforms


@pytest.mark.parametrize("name", PRESETS)
def test_the_networks_of_the_presets_answer_as_in_keras(name):
    config = PRESETS[name]()
    config = dataclasses.replace(config, model=dataclasses.replace(config.model, width=8))
    transforms = check(small_model.network(config), config.data.side)
    assert len(transforms) == {"paper": 4, "wacv": 3, "fdnn": 0, "modern": 2, "aligner": 2}.get(name, 1)


@pytest.mark.parametrize("name", OTHERS)
def test_other_options_answer_as_in_keras(name):
    config = Config(data=DataConfig(side=64), model=OTHERS[name])
    # With random weights these answer up to 8 and amplify rounding: they are 3e-4 from float64 themselves.
    check(small_model.network(config), 64, tolerance=5e-4)


def test_a_folded_network_is_smaller_and_answers_the_same():
    srn = small_model.network(small_model.TINY)
    whole, folded = onnx_graph.build(srn), onnx_graph.build(fold_batch_norms(srn))
    assert len(folded.graph.node) < len(whole.graph.node)
    assert not [node for node in folded.graph.node if node.op_type == "BatchNormalization"]
    batch = portraits(2, 32)
    np.testing.assert_allclose(onnx_graph.Session(folded)(batch), answers(srn, batch), rtol=1e-4, atol=1e-4)


def test_the_model_says_what_it_takes_and_gives(tmp_path):
    proto = onnx_graph.build(small_model.network(small_model.TINY))
    onnx.save(proto, tmp_path / "srn.onnx")
    proto = onnx.load(tmp_path / "srn.onnx")
    onnx.checker.check_model(proto, full_check=True)
    assert [entry.version for entry in proto.opset_import] == [17]
    for values, name in ((proto.graph.input, "portrait"), (proto.graph.output, "photo")):
        (value,) = values
        assert value.name == name
        assert value.type.tensor_type.elem_type == onnx.TensorProto.FLOAT
        batch, *rest = value.type.tensor_type.shape.dim
        assert batch.dim_param == "batch"
        assert [dim.dim_value for dim in rest] == [32, 32, 3]


def test_names_tell_the_layer():
    srn = small_model.network(small_model.TINY)
    scopes = {node.name.split("/")[0] for node in onnx_graph.build(srn).graph.node}
    assert {"e1_conv", "bottleneck_conv", "out_deconv"} <= scopes
    assert scopes <= {layer.name for layer in srn.layers} | {""}


@pytest.mark.usefixtures("bfloat16")
def test_a_network_of_mixed_precision_becomes_one_of_float32():
    half = small_model.network(small_model.TINY)
    keras.config.set_dtype_policy("float32")
    full = small_model.network(small_model.TINY)
    assert half.get_layer("e1_conv").compute_dtype == "bfloat16"
    batch = portraits(1, 32)
    received = onnx_graph.Session(onnx_graph.build(half))(batch)
    np.testing.assert_allclose(received, answers(full, batch), rtol=1e-4, atol=1e-4)


def test_a_layer_without_an_onnx_form_is_named():
    x = keras.Input((8, 8, 3))
    model = keras.Model(x, keras.layers.DepthwiseConv2D(3, name="odd_one")(x))
    with pytest.raises(ModelError, match="'odd_one', a DepthwiseConv2D"):
        onnx_graph.build(model)


def test_an_operation_without_a_layer_is_named():
    x = keras.Input((8, 8, 3))
    with pytest.raises(ModelError, match="a Sin"):
        onnx_graph.build(keras.Model(x, keras.ops.sin(x)))


def test_a_layer_that_is_used_twice_is_named():
    x = keras.Input((8, 8, 3))
    twice = keras.layers.Conv2D(3, 1, name="twice")
    with pytest.raises(ModelError, match="'twice', used several times"):
        onnx_graph.build(keras.Model(x, twice(twice(x))))


def test_a_model_with_two_outputs_is_refused():
    x = keras.Input((8, 8, 3))
    outputs = [keras.layers.ReLU()(x), keras.layers.Activation("tanh")(x)]
    with pytest.raises(ModelError, match="one output. Received: 1 and 2"):
        onnx_graph.build(keras.Model(x, outputs))


@pytest.mark.parametrize("package", ["onnx", "onnxruntime"])
def test_a_missing_package_is_named_with_the_remedy(monkeypatch, package):
    proto = onnx_graph.build(small_model.network(small_model.TINY))
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ConfigError, match=f"package {package}. .*pip install onnx onnxruntime"):
        onnx_graph.Session(proto) if package == "onnxruntime" else onnx_graph.build(small_model.network())
