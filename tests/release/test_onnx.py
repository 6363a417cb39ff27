"""Tests of `release/onnx`."""

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
from ifrp_tf.release import onnx as onnx_graph
from ifrp_tf.release import onnx as onnx_layers
from ifrp_tf.systems.ifrp.localisation import ComposeTransforms
from ifrp_tf.systems.ifrp.settings import PRESETS, ModelConfig

TRANSFORMS = np.array(
    [[0.0, 1.0, 0.0, 0.0], [0.5, 1.3, 0.3, -0.2], [-1.2, 0.6, 0.0, 0.5], [0.3, 3.0, -0.7, 0.9]], "float32"
)


@pytest.mark.parametrize("fill", ["zero", "edge"])
@pytest.mark.parametrize("shape", [(16, 16), (9, 14)])
def test_the_spatial_transformer_turns_scales_and_shifts_the_same_way(fill, shape):
    warped = check_transformer(SpatialTransformer(fill), numbers(len(TRANSFORMS), *shape, 2), TRANSFORMS)
    # The transforms reach outside, so that the two ways to fill differ.
    assert (np.abs(warped).sum(axis=-1) == 0).any() == (fill == "zero")


def check_transformer(layer, *inputs):
    layer([keras.Input(array.shape[1:]) for array in inputs])
    expected = keras.ops.convert_to_numpy(layer(list(inputs)))
    np.testing.assert_allclose(in_onnx(layer, *inputs), expected, atol=1e-4)
    return expected


def test_bounded_transforms():
    bounded = check(BoundTransform(max_angle=0.7, max_scale=1.3, max_shift=0.2), 2 * numbers(5, 4))
    assert np.ptp(bounded, axis=0).min() > 0.1


def test_composed_transforms():
    other = TRANSFORMS[::-1].copy()
    composed = check_transformer(ComposeTransforms(), TRANSFORMS, other)
    assert np.abs(composed - TRANSFORMS).max() > 0.1


onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")


def numbers(*shape):
    return np.random.default_rng(5).standard_normal(shape).astype("float32")


def in_onnx(layer, *inputs):
    """The answer of a layer that stands alone, through ONNX Runtime; feature maps are NHWC."""
    graph = onnx_graph.Graph(onnx)
    names = [f"input_{k}" for k in range(len(inputs))]
    inner = [
        graph.to_nchw(name) if array.ndim == 4 else name for name, array in zip(names, inputs, strict=True)
    ]
    output = onnx_layers.add(graph, layer, inner)
    rank = len(layer.output.shape)
    output = graph.to_nhwc(output) if rank == 4 else output
    helper, float32 = onnx.helper, onnx.TensorProto.FLOAT
    proto = helper.make_model(
        helper.make_graph(
            graph.nodes,
            "alone",
            [
                helper.make_tensor_value_info(name, float32, [None, *array.shape[1:]])
                for name, array in zip(names, inputs, strict=True)
            ],
            [helper.make_tensor_value_info(output, float32, [None] * rank)],
            graph.constants,
        ),
        opset_imports=[helper.make_opsetid("", onnx_graph.OPSET)],
        ir_version=onnx_graph.IR_VERSION,
    )
    onnx.checker.check_model(proto, full_check=True)
    import onnxruntime

    session = onnxruntime.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, dict(zip(names, inputs, strict=True)))[0]


def check(layer, *inputs):
    specs = [keras.Input(array.shape[1:]) for array in inputs]
    layer(specs if len(specs) > 1 else specs[0])
    for weight in layer.weights:
        value = numbers(*weight.shape)
        weight.assign(np.abs(value) + 0.5 if "variance" in weight.path else value)
    given = list(inputs) if len(inputs) > 1 else inputs[0]
    expected = keras.ops.convert_to_numpy(layer(given))
    received = in_onnx(layer, *inputs)
    assert received.shape == expected.shape
    np.testing.assert_allclose(received, expected, rtol=1e-4, atol=1e-4)
    return expected


@pytest.mark.parametrize("side", [8, 9])
@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize(("kernel", "stride"), [(4, 2), (3, 2), (5, 2), (3, 1), (1, 1), (2, 3), ((3, 5), 1)])
def test_convolutions(side, padding, kernel, stride):
    check(keras.layers.Conv2D(4, kernel, strides=stride, padding=padding), numbers(2, side, side + 2, 3))


def test_convolutions_with_holes_groups_and_without_bias():
    check(keras.layers.Conv2D(4, 3, dilation_rate=2, padding="same"), numbers(2, 9, 8, 3))
    check(keras.layers.Conv2D(4, 3, groups=2, use_bias=False), numbers(2, 9, 8, 6))


@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize(("kernel", "stride"), [(4, 2), (3, 2), (5, 2), (3, 1), (2, 2), (2, 3), (1, 2)])
def test_transposed_convolutions(padding, kernel, stride):
    layer = keras.layers.Conv2DTranspose(4, kernel, strides=stride, padding=padding)
    check(layer, numbers(2, 5, 6, 3))


@pytest.mark.parametrize("kind", [keras.layers.MaxPooling2D, keras.layers.AveragePooling2D])
@pytest.mark.parametrize("options", [(2,), (2, 2, "same"), (3, 2, "same"), (4,), (3, 1), (1,)], ids=str)
def test_pools(kind, options):
    check(kind(*options), numbers(2, 9, 11, 3) - 3.0)


@pytest.mark.parametrize(
    "layer",
    [
        keras.layers.BatchNormalization(epsilon=1e-2),
        keras.layers.BatchNormalization(scale=False, center=False),
        keras.layers.GroupNormalization(2, epsilon=1e-2),
        keras.layers.GroupNormalization(-1),
        keras.layers.GroupNormalization(4, scale=False, center=False),
        keras.layers.UpSampling2D((2, 3)),
        ResizeConv2D(3, bias_initializer="normal"),
        keras.layers.Flatten(),
        keras.layers.Reshape((6, 20)),
        keras.layers.Reshape((2, 15, -1)),
        keras.layers.ReLU(),
        keras.layers.LeakyReLU(0.2),
    ],
    ids=lambda layer: f"{type(layer).__name__}",
)
def test_what_takes_feature_maps(layer):
    check(layer, numbers(3, 5, 6, 4))


@pytest.mark.parametrize("activation", ["linear", "relu", "tanh", "sigmoid"])
def test_activations(activation):
    check(keras.layers.Activation(activation), numbers(2, 4, 4, 3))
    check(keras.layers.Dense(5, activation=activation), numbers(2, 7))
    check(keras.layers.Conv2D(4, 3, activation=activation), numbers(2, 5, 5, 3))
    check(keras.layers.Conv2DTranspose(4, 3, activation=activation), numbers(2, 5, 5, 3))


def test_what_takes_vectors():
    check(keras.layers.Dense(5, use_bias=False), numbers(2, 7))
    check(keras.layers.BatchNormalization(), numbers(2, 7))
    check(keras.layers.Reshape((2, 3, 4)), numbers(2, 24))
    check(keras.layers.Flatten(), numbers(2, 7))


@pytest.mark.parametrize("axis", [-1, 1, 2, 3])
def test_concatenation_along_any_axis(axis):
    a, b = numbers(2, 4, 4, 4), numbers(2, 4, 4, 4) + 1
    check(keras.layers.Concatenate(axis=axis), a, b)


def test_sums_and_concatenations_of_several():
    maps = [numbers(2, 4, 5, 3) * k for k in (1, 2, 3)]
    check(keras.layers.Add(), *maps[:2])
    check(keras.layers.Add(), *maps)
    check(keras.layers.Concatenate(), *maps)
    check(keras.layers.Concatenate(), numbers(2, 3), numbers(2, 4))


@pytest.mark.parametrize(
    ("layer", "shape", "words"),
    [
        (keras.layers.ReLU(max_value=6, name="six"), (4, 4, 3), "max_value of 'six'"),
        (keras.layers.UpSampling2D(interpolation="bilinear", name="up"), (4, 4, 3), "interpolation of 'up'"),
        (keras.layers.Dense(3, name="wide"), (4, 4, 3), "'wide' to get vectors"),
        (keras.layers.Conv2D(3, 1, activation="gelu", name="c"), (4, 4, 3), "activation of 'c'.*gelu"),
        (keras.layers.BatchNormalization(axis=1, name="n"), (4, 4, 3), "axis of 'n'"),
        (
            keras.layers.Conv2DTranspose(3, 3, 2, output_padding=1, name="t"),
            (4, 4, 3),
            "output_padding of 't'",
        ),
        (keras.layers.Dropout(0.1, name="d"), (4, 4, 3), "Conv2D.*'d', a Dropout.*onnx_layers.py"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_has_no_onnx_form_is_named(layer, shape, words):
    layer(keras.Input(shape))
    graph = onnx_graph.Graph(onnx)
    with pytest.raises(ModelError, match=words):
        onnx_layers.add(graph, layer, as_list("x"))


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


def check_of_onnx_graph(srn, side, tolerance=1e-4):
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
    transforms = check_of_onnx_graph(small_model.network(config), config.data.side)
    assert len(transforms) == {"paper": 4, "wacv": 3, "fdnn": 0, "modern": 2, "aligner": 2}.get(name, 1)


@pytest.mark.parametrize("name", OTHERS)
def test_other_options_answer_as_in_keras(name):
    config = Config(data=DataConfig(side=64), model=OTHERS[name])
    # With random weights these answer up to 8 and amplify rounding: they are 3e-4 from float64 themselves.
    check_of_onnx_graph(small_model.network(config), 64, tolerance=5e-4)


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
