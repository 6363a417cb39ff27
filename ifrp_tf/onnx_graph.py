"""The SRN as an ONNX graph, for runtimes other than TensorFlow.

Written from the Keras functional model, layer by layer, with the `onnx` package's own helpers: no tracing and
no converter. Inside, feature maps are NCHW, as ONNX wants them; at both ends they are NHWC, as ours are.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from ifrp_tf import onnx_layers
from ifrp_tf.errors import ConfigError, ModelError

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
            names[id(layer.output)] = onnx_layers.add(graph, layer, [names[id(tensor)] for tensor in inputs])
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
