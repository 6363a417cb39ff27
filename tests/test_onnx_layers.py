import keras
import numpy as np
import pytest
from helpers import as_list

from ifrp_tf import onnx_graph, onnx_layers
from ifrp_tf.errors import ModelError
from ifrp_tf.upsampling import ResizeConv2D

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
