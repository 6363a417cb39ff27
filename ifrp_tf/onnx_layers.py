"""How each Keras layer of our networks looks in ONNX: `add` appends one layer to a graph."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from ifrp_tf import onnx_transforms
from ifrp_tf.errors import ModelError
from ifrp_tf.layers import BoundTransform, SpatialTransformer
from ifrp_tf.localisation import ComposeTransforms
from ifrp_tf.upsampling import ResizeConv2D

if TYPE_CHECKING:
    from ifrp_tf.onnx_graph import Graph

_ACTIVATIONS = {"linear": "", "relu": "Relu", "tanh": "Tanh", "sigmoid": "Sigmoid"}
_NCHW_AXIS = {0: 0, 1: 2, 2: 3, 3: 1}


def add(graph: Graph, layer: keras.layers.Layer, inputs: list[str]) -> str:
    """Appends a layer.

    Args:
        graph: appended to.
        layer: a built layer; its weights become constants.
        inputs: names of its inputs; those that Keras knows as NHWC are NCHW.

    Returns:
        The name of its output, NCHW where Keras has NHWC.

    Raises:
        ModelError: the layer, or an option of it, has no ONNX form here.
    """
    graph.scope = layer.name
    writer = _WRITERS.get(type(layer))
    if writer is None:
        known = ", ".join(kind.__name__ for kind in _WRITERS)
        raise ModelError(
            f"Expected layers with an ONNX form ({known}). "
            f"Received: {layer.name!r}, a {type(layer).__name__}.",
            hint="Add a writer for it to onnx_layers.py.",
        )
    return writer(graph, layer, *inputs)


def _require(layer: Any, **wanted: Any) -> None:
    for option, values in wanted.items():
        received = getattr(layer, option)
        if received not in (values if isinstance(values, tuple) else (values,)):
            raise ModelError(
                f"Expected {option} of {layer.name!r} to be {values} for ONNX. Received: {received}."
            )


def _values(variable: Any) -> np.ndarray:
    return keras.ops.convert_to_numpy(variable).astype(np.float32)


def _activate(graph: Graph, layer: Any, value: str) -> str:
    name = keras.activations.serialize(layer.activation)
    if not isinstance(name, str) or name not in _ACTIVATIONS:
        raise ModelError(
            f"Expected the activation of {layer.name!r} to be one of {', '.join(_ACTIVATIONS)}. "
            f"Received: {name}."
        )
    return graph.node(_ACTIVATIONS[name], [value]) if _ACTIVATIONS[name] else value


def _pads(layer: Any, window: Sequence[int]) -> list[int]:
    """Top, left, bottom, right; where `same` needs an odd number, TensorFlow adds more below and right."""
    _require(layer, padding=("same", "valid"))
    if layer.padding == "valid":
        return [0, 0, 0, 0]
    totals = [
        max((out - 1) * stride + size - side, 0)
        for side, out, stride, size in zip(
            layer.input.shape[1:3], layer.output.shape[1:3], layer.strides, window, strict=True
        )
    ]
    return [*(total // 2 for total in totals), *(total - total // 2 for total in totals)]


def _with_bias(graph: Graph, layer: Any, value: str, kernel: np.ndarray) -> list[str]:
    inputs = [value, graph.constant(kernel)]
    return [*inputs, graph.constant(_values(layer.bias))] if layer.use_bias else inputs


def _conv(graph: Graph, layer: Any, value: str) -> str:
    _require(layer, data_format="channels_last")
    window = [
        (size - 1) * rate + 1 for size, rate in zip(layer.kernel_size, layer.dilation_rate, strict=True)
    ]
    inputs = _with_bias(graph, layer, value, _values(layer.kernel).transpose(3, 2, 0, 1))
    value = graph.node(
        "Conv",
        inputs,
        kernel_shape=layer.kernel_size,
        strides=layer.strides,
        dilations=layer.dilation_rate,
        group=layer.groups,
        pads=_pads(layer, window),
    )
    return _activate(graph, layer, value)


def _deconv(graph: Graph, layer: Any, value: str) -> str:
    _require(layer, data_format="channels_last", dilation_rate=((1, 1),), output_padding=None)
    # What the full transposed convolution has more than Keras keeps; less than nothing is filled up.
    excess = [
        (side - 1) * stride + size - out
        for side, out, stride, size in zip(
            layer.input.shape[1:3], layer.output.shape[1:3], layer.strides, layer.kernel_size, strict=True
        )
    ]
    cut = [max(total, 0) for total in excess]
    value = graph.node(
        "ConvTranspose",
        _with_bias(graph, layer, value, _values(layer.kernel).transpose(3, 2, 0, 1)),
        kernel_shape=layer.kernel_size,
        strides=layer.strides,
        output_padding=[max(-total, 0) for total in excess],
        pads=[*(total // 2 for total in cut), *(total - total // 2 for total in cut)],
    )
    return _activate(graph, layer, value)


def _dense(graph: Graph, layer: Any, value: str) -> str:
    if len(layer.input.shape) != 2:
        raise ModelError(f"Expected {layer.name!r} to get vectors. Received: {layer.input.shape}.")
    return _activate(graph, layer, graph.node("Gemm", _with_bias(graph, layer, value, _values(layer.kernel))))


def _batch_norm(graph: Graph, layer: Any, value: str) -> str:
    _require(layer, axis=(-1, len(layer.input.shape) - 1))
    mean, variance = _values(layer.moving_mean), _values(layer.moving_variance)
    scale = _values(layer.gamma) if layer.scale else np.ones_like(mean)
    offset = _values(layer.beta) if layer.center else np.zeros_like(mean)
    constants = [graph.constant(values) for values in (scale, offset, mean, variance)]
    return graph.node("BatchNormalization", [value, *constants], epsilon=layer.epsilon)


def _group_norm(graph: Graph, layer: Any, value: str) -> str:
    _require(layer, axis=(-1, 3))
    channels, count = layer.input.shape[-1], layer.groups
    ones, zeros = graph.constant(np.ones(count)), graph.constant(np.zeros(count))
    # ONNX's own group norm had one scale a group before operator set 21.
    value = graph.node(
        "InstanceNormalization", [graph.reshape(value, 0, count, -1), ones, zeros], epsilon=layer.epsilon
    )
    value = graph.reshape(value, 0, channels, *layer.input.shape[1:3])
    if layer.scale:
        value = graph.node("Mul", [value, graph.constant(_values(layer.gamma).reshape(1, -1, 1, 1))])
    if layer.center:
        value = graph.node("Add", [value, graph.constant(_values(layer.beta).reshape(1, -1, 1, 1))])
    return value


def _relu(graph: Graph, layer: Any, value: str) -> str:
    _require(layer, max_value=None, negative_slope=0.0, threshold=0.0)
    return graph.node("Relu", [value])


def _leaky_relu(graph: Graph, layer: Any, value: str) -> str:
    return graph.node("LeakyRelu", [value], alpha=float(layer.negative_slope))


def _pool(op: str) -> Callable[..., str]:
    def write(graph: Graph, layer: Any, value: str) -> str:
        _require(layer, data_format="channels_last")
        pads = _pads(layer, layer.pool_size)
        return graph.node(op, [value], kernel_shape=layer.pool_size, strides=layer.strides, pads=pads)

    return write


def _upsample(graph: Graph, layer: Any, value: str) -> str:
    _require(layer, data_format="channels_last", interpolation="nearest")
    return _resize(graph, value, layer.size)


def _resize(graph: Graph, value: str, factors: Sequence[int]) -> str:
    scales = graph.constant([1.0, 1.0, *factors])
    modes = {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
    return graph.node("Resize", [value, "", scales], mode="nearest", **modes)


def _resize_conv(graph: Graph, layer: Any, value: str) -> str:
    inputs = _with_bias(
        graph, layer, _resize(graph, value, (2, 2)), _values(layer.kernel).transpose(3, 2, 0, 1)
    )
    return _activate(graph, layer, graph.node("Conv", inputs, kernel_shape=[3, 3], pads=[1, 1, 1, 1]))


def _flatten(graph: Graph, layer: Any, value: str) -> str:
    value = graph.to_nhwc(value) if len(layer.input.shape) == 4 else value
    return graph.reshape(value, 0, -1)


def _reshape(graph: Graph, layer: Any, value: str) -> str:
    value = graph.to_nhwc(value) if len(layer.input.shape) == 4 else value
    value = graph.reshape(value, 0, *layer.output.shape[1:])
    return graph.to_nchw(value) if len(layer.output.shape) == 4 else value


def _concatenate(graph: Graph, layer: Any, *values: str) -> str:
    axis = layer.axis % len(layer.output.shape)
    return graph.node("Concat", values, axis=_NCHW_AXIS[axis] if len(layer.output.shape) == 4 else axis)


def _add(graph: Graph, layer: Any, *values: str) -> str:
    return graph.node("Add" if len(values) == 2 else "Sum", values)


_WRITERS: dict[type, Callable[..., str]] = {
    keras.layers.Conv2D: _conv,
    keras.layers.Conv2DTranspose: _deconv,
    keras.layers.Dense: _dense,
    keras.layers.BatchNormalization: _batch_norm,
    keras.layers.GroupNormalization: _group_norm,
    keras.layers.ReLU: _relu,
    keras.layers.LeakyReLU: _leaky_relu,
    keras.layers.MaxPooling2D: _pool("MaxPool"),
    keras.layers.AveragePooling2D: _pool("AveragePool"),
    keras.layers.UpSampling2D: _upsample,
    ResizeConv2D: _resize_conv,
    keras.layers.Flatten: _flatten,
    keras.layers.Reshape: _reshape,
    keras.layers.Concatenate: _concatenate,
    keras.layers.Add: _add,
    keras.layers.Activation: _activate,
    SpatialTransformer: onnx_transforms.spatial_transformer,
    BoundTransform: onnx_transforms.bound_transform,
    ComposeTransforms: onnx_transforms.compose_transforms,
}
