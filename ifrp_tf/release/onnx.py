"""A network as ONNX, for runtimes other than TensorFlow: `keras.Model.export` with tf2onnx (extra `onnx`)."""

from __future__ import annotations

import importlib
import logging
import tempfile
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from ifrp_tf.core.errors import ConfigError, ModelError

if TYPE_CHECKING:
    import onnx

OPSET = 17
"""Old enough for runtimes of 2022."""


_LARGE = 64  # numbers of a weight that is worth a cast


def build(network: keras.Model) -> onnx.ModelProto:
    """Converts a network to ONNX, weights included, computing in float32.

    Args:
        network: model with one output, [N, H, W, C], and such an input, or also one of attributes [N, A];
            better folded first (`nn.folding.fold_batch_norms`). A network of mixed precision becomes one of
            float32.

    Returns:
        A checked model of operator set 17: inputs and one output under the names of the Keras model's
        (`portrait`, `attributes`, `photo`), float32 [batch, H, W, C], of any batch size. Portraits are in
        [-1, 1]; photographs about so: clip before use.

    Raises:
        ConfigError: the package `onnx` or `tf2onnx` is not installed.
        ModelError: the network has more inputs or outputs, or an operation without an ONNX form.

    Example:
        >>> model = build(networks.build_srn(config.model))  # doctest: +SKIP
        >>> onnx.save(model, "ifrp.onnx")  # doctest: +SKIP
    """
    onnx = _required("onnx")
    _required("tf2onnx")
    if len(network.inputs) > 2 or len(network.outputs) != 1:
        raise ModelError(
            "Expected a model with one input, or two, and one output. "
            f"Received: {len(network.inputs)} and {len(network.outputs)}."
        )
    signature = [keras.InputSpec(shape=x.shape, dtype="float32", name=x.name) for x in network.inputs]
    if len(signature) > 1:
        signature = [signature]
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of tf2onnx, about NumPy 2
        logging.getLogger("tf2onnx").setLevel(logging.ERROR)
        path = Path(folder) / "network.onnx"
        try:
            in_float32(network).export(
                str(path), format="onnx", verbose=False, input_signature=signature, opset_version=OPSET
            )
            model = onnx.load(path)
            _rename_output(model, network.output_names[0])
            for value in (*model.graph.input, *model.graph.output):
                value.type.tensor_type.shape.dim[0].dim_param = "batch"
            onnx.checker.check_model(model, full_check=True)
        except (ValueError, RuntimeError, NotImplementedError, onnx.checker.ValidationError) as error:
            raise ModelError(
                f"Expected a network that tf2onnx converts to operator set {OPSET}. Received: {error}."
            ) from error
    return model


def halved(data: bytes) -> bytes:
    """A model of half the size: its weights as float16, to be cast when it is loaded; it computes in float32.

    Weights that were rounded to float16 before, as those of released models, stay what they are.

    Args:
        data: a serialised model of float32 weights.

    Returns:
        A serialised model of the same inputs and outputs.

    Raises:
        ConfigError: the package `onnx` is not installed.
    """
    onnx = _required("onnx")
    model = onnx.ModelProto.FromString(data)
    casts = []
    for weight in model.graph.initializer:
        values = onnx.numpy_helper.to_array(weight)
        if values.dtype == np.float32 and values.size >= _LARGE:
            half = f"{weight.name}__half"
            casts.append(onnx.helper.make_node("Cast", [half], [weight.name], to=onnx.TensorProto.FLOAT))
            weight.CopyFrom(onnx.numpy_helper.from_array(values.astype(np.float16), half))
    for cast in reversed(casts):
        model.graph.node.insert(0, cast)
    onnx.checker.check_model(model, full_check=True)
    return model.SerializeToString()


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
        onnxruntime = _required("onnxruntime")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        # Threads that go on spinning after an answer would take the cores from whatever runs next.
        options.add_session_config_entry("session.force_spinning_stop", "1")
        self._session = onnxruntime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
        self._inputs = [each.name for each in self._session.get_inputs()]
        self._output = self._session.get_outputs()[0].name

    def __call__(self, *inputs: np.ndarray) -> np.ndarray:
        """The network's answer, not clipped, to portraits float32 [N, H, W, C] in [-1, 1] and attributes."""
        (photos,) = self._session.run([self._output], dict(zip(self._inputs, inputs, strict=True)))
        return photos


def in_float32(network: keras.Model) -> keras.Model:
    """A network that computes in float32, with the weights of one of any precision."""
    if all(layer.compute_dtype == "float32" for layer in network.layers):
        return network

    def copy(layer: keras.layers.Layer) -> keras.layers.Layer:
        return type(layer).from_config({**layer.get_config(), "dtype": "float32"})

    single = keras.models.clone_model(network, clone_function=copy)
    single.set_weights(network.get_weights())
    return single


def _rename_output(model: onnx.ModelProto, name: str) -> None:
    """tf2onnx calls the output after an operation of TensorFlow, such as `Identity:0`."""
    former = model.graph.output[0].name
    model.graph.output[0].name = name
    for node in model.graph.node:
        for names in (node.input, node.output):
            for k, each in enumerate(names):
                if each == former:
                    names[k] = name


def _required(package: str) -> Any:
    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise ConfigError(
            f"Expected the Python package {package}. Received: it is not installed.",
            hint='Only the ONNX form needs it: pip install "ifrp_tf[onnx]".',
        ) from error
