"""The released network as ONNX."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from ifrp_tf.core.errors import ConfigError, ModelError
from ifrp_tf.nn.layers import BoundTransform, ResizeConv2D, SpatialTransformer
from ifrp_tf.systems.ifrp.localisation import ComposeTransforms

# ---- How the layers of Spatial Transformers look in ONNX: writers for `onnx_layers.add` ----

if TYPE_CHECKING:
    pass


def bound_transform(graph: Graph, layer: Any, value: str) -> str:
    """`layers.BoundTransform`: `value` is [N, 4]; returns the name of the transforms, [N, 4]."""
    factors = [layer.max_angle, math.log(layer.max_scale), layer.max_shift, layer.max_shift]
    value = graph.node("Mul", [graph.node("Tanh", [value]), graph.constant([factors])])
    angle, scale, shift = graph.split(value, [1, 1, 2])
    return graph.node("Concat", [angle, graph.node("Exp", [scale]), shift], axis=1)


def spatial_transformer(graph: Graph, layer: Any, features: str, parameters: str) -> str:
    """`layers.SpatialTransformer`: `features` NCHW, `parameters` [N, 4]; returns the name of its output.

    `affine_grid` in normalised coordinates and with (x, y) last, and `bilinear_sample`.
    """
    height, width = layer.input[0].shape[1:3]
    angle, scale, shift_y, shift_x = (graph.reshape(p, 0, 1, 1) for p in graph.split(parameters, [1] * 4))
    y = graph.node("Add", [graph.constant(np.linspace(-1, 1, height).reshape(1, -1, 1)), shift_y])
    x = graph.node("Add", [graph.constant(np.linspace(-1, 1, width).reshape(1, 1, -1)), shift_x])
    cos = graph.node("Mul", [scale, graph.node("Cos", [angle])])
    sin = graph.node("Mul", [scale, graph.node("Sin", [angle])])
    rows = graph.node("Sub", [graph.node("Mul", [cos, y]), graph.node("Mul", [sin, x])])
    columns = graph.node("Add", [graph.node("Mul", [sin, y]), graph.node("Mul", [cos, x])])
    last = graph.constant(np.array([-1], np.int64))
    positions = [graph.node("Unsqueeze", [value, last]) for value in (columns, rows)]
    inputs = [features, graph.node("Concat", positions, axis=-1)]
    padding = {"zero": "zeros", "edge": "border"}[layer.fill]
    return graph.node("GridSample", inputs, mode="bilinear", padding_mode=padding, align_corners=1)


def compose_transforms(graph: Graph, layer: Any, first: str, second: str) -> str:
    """`localisation.ComposeTransforms`: both [N, 4]; returns the name of the composed transforms."""
    angle1, scale1, y1, x1 = graph.split(first, [1] * 4)
    angle2, scale2, y2, x2 = graph.split(second, [1] * 4)

    def node(op: str, *inputs: str) -> str:
        return graph.node(op, list(inputs))

    cos = node("Div", node("Cos", angle2), scale2)
    sin = node("Div", node("Sin", angle2), scale2)
    y = node("Sum", y2, node("Mul", cos, y1), node("Mul", sin, x1))
    x = node("Sub", node("Add", x2, node("Mul", cos, x1)), node("Mul", sin, y1))
    return graph.node("Concat", [node("Add", angle1, angle2), node("Mul", scale1, scale2), y, x], axis=1)


# ---- How each Keras layer of our networks looks in ONNX: `add` appends one layer to a graph ----

if TYPE_CHECKING:
    pass

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
    SpatialTransformer: spatial_transformer,
    BoundTransform: bound_transform,
    ComposeTransforms: compose_transforms,
}


# ---- The SRN as an ONNX graph, for runtimes other than TensorFlow ----

if TYPE_CHECKING:
    import onnx

OPSET, IR_VERSION = 17, 8
"""Old enough for runtimes of 2022; `GridSample` came with operator set 16."""


def build(srn: keras.Model) -> onnx.ModelProto:
    """Writes a network as ONNX, weights included, computing in float32.

    Args:
        srn: functional model with one input and one output, [N, H, W, C] both, whose layers are those of
            `networks.build_srn`; better folded first (`folding.fold_batch_norms`).

    Returns:
        A checked model of operator set 17: one input and one output under the names of the Keras model's
        (`portrait`, `photo`), float32 [batch, H, W, C], of any batch size. Portraits are in [-1, 1];
        photographs about so: clip before use.

    Raises:
        ConfigError: the package `onnx` is not installed.
        ModelError: a layer has no ONNX form here, is used more than once, or has an option that is not
            supported; the message names it.

    Example:
        >>> model = build(networks.build_srn(config.model))  # doctest: +SKIP
        >>> onnx.save(model, "ifrp.onnx")  # doctest: +SKIP
    """
    onnx = _import_onnx()
    if len(srn.inputs) != 1 or len(srn.outputs) != 1:
        raise ModelError(
            f"Expected a model with one input and one output. "
            f"Received: {len(srn.inputs)} and {len(srn.outputs)}."
        )
    portrait, photo = srn.inputs[0], srn.outputs[0]
    graph = Graph(onnx)
    names = {id(portrait): graph.to_nchw(portrait.name)}
    for layer in srn.operations:
        if not isinstance(layer, keras.layers.InputLayer):
            inputs = _inputs(layer)
            names[id(layer.output)] = add(graph, layer, [names[id(tensor)] for tensor in inputs])
    output = srn.output_names[0]
    graph.to_nhwc(names[id(photo)], output)
    helper, float32 = onnx.helper, onnx.TensorProto.FLOAT
    proto = helper.make_model(
        helper.make_graph(
            graph.nodes,
            srn.name,
            [helper.make_tensor_value_info(portrait.name, float32, ["batch", *portrait.shape[1:]])],
            [helper.make_tensor_value_info(output, float32, ["batch", *photo.shape[1:]])],
            graph.constants,
        ),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="ifrp_tf",
    )
    onnx.checker.check_model(proto, full_check=True)
    return proto


class Graph:
    """Nodes and constants gathered for an ONNX graph.

    Args:
        onnx: the package, which only those have who asked for it.

    Attributes:
        nodes: `NodeProto`s in an order in which they can run.
        constants: `TensorProto`s.
        scope: begins the names of what is appended, so that viewers and messages tell whose it is.
    """

    def __init__(self, onnx: Any) -> None:
        self._onnx = onnx
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self.scope = ""

    def node(self, op: str, inputs: Sequence[str], *, output: str = "", **attributes: Any) -> str:
        """Appends a node with one output and returns that output's name."""
        output = output or f"{self.scope}/{op}_{len(self.nodes)}"
        self.nodes.append(self._onnx.helper.make_node(op, list(inputs), [output], name=output, **attributes))
        return output

    def split(self, value: str, sizes: Sequence[int]) -> list[str]:
        """Cuts a matrix into columns of the given widths."""
        outputs = [f"{self.scope}/Split_{len(self.nodes)}_{k}" for k in range(len(sizes))]
        inputs = [value, self.constant(np.asarray(sizes, np.int64))]
        self.nodes.append(self._onnx.helper.make_node("Split", inputs, outputs, name=outputs[0], axis=1))
        return outputs

    def constant(self, values: Any) -> str:
        """Adds a constant, float32 unless it is an integer array, and returns its name."""
        array = np.asarray(values)
        array = np.ascontiguousarray(array if array.dtype == np.int64 else array.astype(np.float32))
        name = f"{self.scope}/constant_{len(self.constants)}"
        self.constants.append(self._onnx.numpy_helper.from_array(array, name))
        return name

    def reshape(self, value: str, *shape: int) -> str:
        """Another shape; 0 keeps a dimension, -1 takes what is left."""
        return self.node("Reshape", [value, self.constant(np.asarray(shape, np.int64))])

    def to_nchw(self, value: str) -> str:
        """From our layout to ONNX's."""
        return self.node("Transpose", [value], perm=[0, 3, 1, 2])

    def to_nhwc(self, value: str, output: str = "") -> str:
        """From ONNX's layout to ours."""
        return self.node("Transpose", [value], output=output, perm=[0, 2, 3, 1])


class Session:
    """An ONNX model in ONNX Runtime, on the CPU.

    Args:
        model: what `build` returned.
        threads: that one call may use, 1 or more; 0 lets ONNX Runtime choose.

    Raises:
        ConfigError: the package `onnxruntime` is not installed.

    Example:
        >>> Session(build(srn))(np.zeros((1, 128, 128, 3), "float32")).shape  # doctest: +SKIP
        (1, 128, 128, 3)
    """

    def __init__(self, model: onnx.ModelProto, *, threads: int = 0) -> None:
        try:
            import onnxruntime
        except ImportError as error:
            raise _missing("onnxruntime") from error
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        # Threads that go on spinning after an answer would take the cores from whatever runs next.
        options.add_session_config_entry("session.force_spinning_stop", "1")
        self._session = onnxruntime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
        self._input, self._output = self._session.get_inputs()[0].name, self._session.get_outputs()[0].name

    def __call__(self, portraits: np.ndarray) -> np.ndarray:
        """Float32 [N, H, W, C] in [-1, 1] to the network's answer of the same kind, not clipped."""
        (photos,) = self._session.run([self._output], {self._input: portraits})
        return photos


def _import_onnx() -> Any:
    try:
        import onnx
    except ImportError as error:
        raise _missing("onnx") from error
    return onnx


def _missing(package: str) -> ConfigError:
    return ConfigError(
        f"Expected the Python package {package}. Received: it is not installed.",
        hint="Only the ONNX form needs it: pip install onnx onnxruntime.",
    )


def _inputs(layer: Any) -> list[Any]:
    if len(getattr(layer, "_inbound_nodes", [None])) != 1:
        raise ModelError(f"Expected layers that are used once. Received: {layer.name!r}, used several times.")
    return layer.input if isinstance(layer.input, list) else [layer.input]
