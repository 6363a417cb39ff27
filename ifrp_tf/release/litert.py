"""A network as LiteRT (TensorFlow Lite), for phones: `keras.Model.export`, which needs TensorFlow alone."""

from __future__ import annotations

import copy
import tempfile
import warnings
from pathlib import Path

import keras
import numpy as np

from ifrp_tf.core import runtime
from ifrp_tf.core.errors import ModelError
from ifrp_tf.release.onnx import in_float32

_LARGE = 64  # numbers of a constant that is worth a cast


def build(network: keras.Model) -> bytes:
    """Converts a network to LiteRT: weights as float16, as they are released, cast when it is loaded.

    Args:
        network: as of `onnx.build`.

    Returns:
        The bytes of a `.tflite` of built-in operations only, for one picture: inputs and one output under the
        names of the Keras model's (`portrait`, `attributes`), float32 [1, H, W, C]. A portrait is in [-1, 1],
        a photograph about so: clip before use.

    Raises:
        ModelError: the network has more inputs or outputs, or an operation that LiteRT lacks.

    Example:
        >>> Path("ifrp.tflite").write_bytes(build(srn))  # doctest: +SKIP
    """
    import tensorflow as tf

    if len(network.inputs) > 2 or len(network.outputs) != 1:
        raise ModelError(
            "Expected a model with one input, or two, and one output. "
            f"Received: {len(network.inputs)} and {len(network.outputs)}."
        )
    specs = [keras.InputSpec(shape=(1, *x.shape[1:]), dtype="float32", name=x.name) for x in network.inputs]
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings(), runtime.start_up(loaded=True):
        warnings.simplefilter("ignore")
        path = Path(folder) / "network.tflite"
        try:
            in_float32(network).export(
                str(path),
                format="litert",
                verbose=False,
                input_signature=specs if len(specs) == 1 else [specs],
                target_spec={"supported_ops": [tf.lite.OpsSet.TFLITE_BUILTINS]},
            )
            return _halved(path.read_bytes())
        except Exception as error:  # the converter's own kind has no public name
            words = str(error).strip().splitlines()
            message = "Expected a network of operations that LiteRT has."
            raise ModelError(f"{message} Received: {words[0] if words else type(error).__name__}") from error


def _halved(data: bytes) -> bytes:
    """A model with those constants as float16 that it holds exactly, to be cast when the model is loaded.

    The converter's own float16 rounds all constants, also the coordinates at which transformers sample.
    """
    from tensorflow.lite.python import schema_py_generated as schema
    from tensorflow.lite.tools import flatbuffer_utils

    model = flatbuffer_utils.read_model_from_bytearray(bytearray(data))
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.DEQUANTIZE
    code.version = 3  # of float16
    model.operatorCodes.append(code)
    for graph in model.subgraphs:
        casts = []
        for index, tensor in enumerate(list(graph.tensors)):
            held = model.buffers[tensor.buffer].data
            if tensor.type != schema.TensorType.FLOAT32 or held is None or len(held) < 4 * _LARGE:
                continue
            values = np.frombuffer(bytes(held), np.float32)
            half = values.astype(np.float16)
            if not np.array_equal(half.astype(np.float32), values):
                continue
            buffer, stored, cast = schema.BufferT(), copy.copy(tensor), schema.OperatorT()
            buffer.data = half.view(np.uint8)
            stored.buffer, stored.type = len(model.buffers), schema.TensorType.FLOAT16
            stored.name = tensor.name + b"_half"
            model.buffers.append(buffer)
            tensor.buffer = 0  # is computed now
            cast.opcodeIndex = len(model.operatorCodes) - 1
            cast.inputs, cast.outputs = [len(graph.tensors)], [index]
            cast.builtinOptionsType = schema.BuiltinOptions.DequantizeOptions
            cast.builtinOptions = schema.DequantizeOptionsT()
            graph.tensors.append(stored)
            casts.append(cast)
        graph.operators = [*casts, *graph.operators]
    used = {tensor.buffer for graph in model.subgraphs for tensor in graph.tensors}
    used |= {entry.buffer for entry in model.metadata or ()}
    for number, buffer in enumerate(model.buffers):
        if number not in used:
            buffer.data = None
    return bytes(flatbuffer_utils.convert_object_to_bytearray(model))


class Session:
    """A LiteRT model in the interpreter that TensorFlow brings, on the CPU.

    Args:
        model: what `build` returned.
        threads: that one call may use, 1 or more.

    Example:
        >>> Session(build(srn))(np.zeros((1, 128, 128, 3), "float32")).shape  # doctest: +SKIP
        (1, 128, 128, 3)
    """

    def __init__(self, model: bytes, *, threads: int = 1) -> None:
        import tensorflow as tf

        with warnings.catch_warnings(), runtime.start_up(loaded=True):  # it names its delegate
            warnings.simplefilter("ignore")  # of its move into a package of its own
            self._interpreter = tf.lite.Interpreter(model_content=model, num_threads=threads)
            self._interpreter.allocate_tensors()
        # A portrait has more dimensions than attributes.
        inputs = sorted(self._interpreter.get_input_details(), key=lambda each: -len(each["shape"]))
        self._inputs = [each["index"] for each in inputs]
        self._output = self._interpreter.get_output_details()[0]["index"]

    def __call__(self, *inputs: np.ndarray) -> np.ndarray:
        """The network's answers, not clipped, one after the other; as of `onnx.Session`."""
        answers = []
        for row in zip(*inputs, strict=True):
            for index, value in zip(self._inputs, row, strict=True):
                self._interpreter.set_tensor(index, value[None])
            self._interpreter.invoke()
            answers.append(self._interpreter.get_tensor(self._output)[0])
        return np.stack(answers)
