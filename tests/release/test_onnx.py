"""Networks as ONNX answer in ONNX Runtime as they do in Keras."""

import dataclasses
import sys

import keras
import numpy as np
import pytest
import small_model
from helpers import as_list

from ifrp_tf.core.config import Config, DataConfig
from ifrp_tf.core.errors import ConfigError, ModelError
from ifrp_tf.nn.folding import fold_batch_norms
from ifrp_tf.nn.layers import BoundTransform, ResizeConv2D, SpatialTransformer
from ifrp_tf.pictures import images
from ifrp_tf.release.onnx import Session, build, halved
from ifrp_tf.systems.ifrp.localisation import ComposeTransforms
from ifrp_tf.systems.ifrp.settings import PRESETS, ModelConfig

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")
pytest.importorskip("tf2onnx")

TRANSFORMS = np.array(
    [[0.0, 1.0, 0.0, 0.0], [0.5, 1.3, 0.3, -0.2], [-1.2, 0.6, 0.0, 0.5], [0.3, 3.0, -0.7, 0.9]], "float32"
)
OTHERS = {
    "no transformer, no norm": ModelConfig(
        width=8, stn="none", skips="unet", upsampling="resize", output="tanh", normalization="none"
    ),
    "dense bottleneck": ModelConfig(width=8, stn="input", bottleneck="dense", normalization="group"),
}


def numbers(*shape):
    return np.random.default_rng(5).standard_normal(shape).astype("float32")


def layer_alone(layer, *inputs):
    """The answers of a layer in Keras and through ONNX; transforms, if any, come with the features."""
    specs = [keras.Input(array.shape[1:], name=f"input{k}") for k, array in enumerate(inputs)]
    joined = keras.layers.Concatenate()([keras.layers.Flatten()(spec) for spec in specs])
    sizes = np.cumsum([0] + [int(np.prod(array.shape[1:])) for array in inputs])
    whole = keras.Input((int(sizes[-1]),), name="whole")
    parts = [
        keras.layers.Reshape(array.shape[1:])(whole[:, start:end])
        for array, start, end in zip(inputs, sizes[:-1], sizes[1:], strict=True)
    ]
    model = keras.Model(whole, layer(parts if len(parts) > 1 else parts[0]))
    for weight in layer.weights:
        weight.assign(numbers(*weight.shape))
    given = keras.Model(specs, joined).predict(list(inputs), verbose=0)
    expected = keras.ops.convert_to_numpy(model(given))
    return expected, Session(build(model), threads=1)(given)


@pytest.mark.parametrize("fill", ["zero", "edge"])
@pytest.mark.parametrize("shape", [(16, 16), (9, 14)])
def test_the_spatial_transformer_turns_scales_and_shifts_the_same_way(fill, shape):
    features = numbers(len(TRANSFORMS), *shape, 2)
    warped, received = layer_alone(SpatialTransformer(fill), features, TRANSFORMS)
    np.testing.assert_allclose(received, warped, atol=1e-4)
    # The transforms reach outside, so that the two ways to fill differ.
    assert (np.abs(warped).sum(axis=-1) == 0).any() == (fill == "zero")


@pytest.mark.parametrize(
    ("layer", "inputs"),
    [
        (BoundTransform(max_angle=0.7, max_scale=1.3, max_shift=0.2), (2 * numbers(5, 4),)),
        (ComposeTransforms(), (TRANSFORMS, TRANSFORMS[::-1].copy())),
        (ResizeConv2D(3), (numbers(3, 5, 6, 4),)),
    ],
    ids=["bound", "compose", "resize"],
)
def test_the_other_layers_of_ours(layer, inputs):
    expected, received = layer_alone(layer, *inputs)
    assert np.ptp(expected, axis=0).min() > 0.01
    np.testing.assert_allclose(received, expected, rtol=1e-4, atol=1e-4)


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
    found = [keras.ops.convert_to_numpy(values) for values in as_list(outputs["transforms"])]
    return keras.ops.convert_to_numpy(outputs["photo"]), [
        (np.abs(values - [0, 1, 0, 0]).max(axis=1).min(), np.ptp(values, axis=0).max()) for values in found
    ]


def check(srn, side, tolerance=1e-4):
    session = Session(build(srn), threads=1)
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


# Converting takes seconds: the other presets have these networks, or smaller ones.
@pytest.mark.slow
@pytest.mark.parametrize("name", ["paper", "modern"])
def test_the_networks_of_the_presets_answer_as_in_keras(name):
    config = PRESETS[name]()
    config = dataclasses.replace(config, model=dataclasses.replace(config.model, width=8))
    transforms = check(small_model.network(config), config.data.side)
    assert len(transforms) == {"paper": 4, "modern": 2}[name]


@pytest.mark.slow
@pytest.mark.parametrize("name", OTHERS)
def test_other_options_answer_as_in_keras(name):
    config = Config(data=DataConfig(side=64), model=OTHERS[name])
    # With random weights these answer up to 8 and amplify rounding: they are 3e-4 from float64 themselves.
    check(small_model.network(config), 64, tolerance=5e-4)


def test_a_folded_network_has_no_batch_norm_and_answers_the_same():
    srn = small_model.network(small_model.TINY)
    folded = build(fold_batch_norms(srn))
    assert not [node for node in folded.graph.node if node.op_type == "BatchNormalization"]
    batch = portraits(2, 32)
    np.testing.assert_allclose(Session(folded)(batch), answers(srn, batch), rtol=1e-4, atol=1e-4)


def test_the_model_says_what_it_takes_and_gives(tmp_path):
    proto = build(small_model.network(small_model.TINY))
    onnx.save(proto, tmp_path / "srn.onnx")
    proto = onnx.load(tmp_path / "srn.onnx")
    onnx.checker.check_model(proto, full_check=True)
    assert {entry.domain: entry.version for entry in proto.opset_import}[""] == 17
    for values, name in ((proto.graph.input, "portrait"), (proto.graph.output, "photo")):
        (value,) = values
        assert value.name == name
        assert value.type.tensor_type.elem_type == onnx.TensorProto.FLOAT
        batch, *rest = value.type.tensor_type.shape.dim
        assert batch.dim_param == "batch"
        assert [dim.dim_value for dim in rest] == [32, 32, 3]


@pytest.mark.usefixtures("bfloat16")
def test_a_network_of_mixed_precision_becomes_one_of_float32():
    half = small_model.network(small_model.TINY)
    keras.config.set_dtype_policy("float32")
    full = small_model.network(small_model.TINY)
    assert half.get_layer("e1_conv").compute_dtype == "bfloat16"
    batch = portraits(1, 32)
    received = Session(build(half))(batch)
    np.testing.assert_allclose(received, answers(full, batch), rtol=1e-4, atol=1e-4)


def test_a_model_with_two_outputs_is_refused():
    x = keras.Input((8, 8, 3))
    outputs = [keras.layers.ReLU()(x), keras.layers.Activation("tanh")(x)]
    with pytest.raises(ModelError, match="one output. Received: 1 and 2"):
        build(keras.Model(x, outputs))


def test_an_operation_without_an_onnx_form_is_named():
    x = keras.Input((8, 8, 3))
    with pytest.raises(ModelError, match="Lgamma|Igamma|Erfinv|Bessel|FFT"):
        build(keras.Model(x, keras.ops.erfinv(x)))


@pytest.mark.parametrize("package", ["onnx", "tf2onnx", "onnxruntime"])
def test_a_missing_package_is_named_with_the_remedy(monkeypatch, package):
    x = keras.Input((8, 8, 3))
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ConfigError, match=rf"package {package}. .*ifrp_tf\[onnx\]"):
        Session(onnx.ModelProto()) if package == "onnxruntime" else build(keras.Model(x, keras.ops.sin(x)))


def test_weights_that_are_rounded_to_float16_answer_the_same_at_half_the_size():
    portrait = keras.Input((8, 8, 3))
    network = keras.Model(portrait, keras.layers.Conv2D(3, 3)(keras.layers.Conv2D(32, 3)(portrait)))
    for weight in network.weights:
        weight.assign(numbers(*weight.shape).astype(np.float16))
    data = build(network).SerializeToString()
    small = halved(data)
    assert len(small) < 0.65 * len(data)
    pictures = numbers(2, 8, 8, 3)
    answers = [Session(onnx.ModelProto.FromString(one), threads=1)(pictures) for one in (data, small)]
    np.testing.assert_array_equal(*answers)
