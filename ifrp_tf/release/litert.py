"""A network as LiteRT (TensorFlow Lite), for phones: `keras.Model.export`, which needs TensorFlow alone."""

from __future__ import annotations

import tempfile
import warnings
from pathlib import Path

import keras
import numpy as np

from ifrp_tf.core import runtime
from ifrp_tf.core.errors import ModelError
from ifrp_tf.release.onnx import in_float32


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
                optimizations=[tf.lite.Optimize.DEFAULT],
                target_spec={
                    "supported_ops": [tf.lite.OpsSet.TFLITE_BUILTINS],
                    "supported_types": [tf.float16],
                },
            )
            return path.read_bytes()
        except Exception as error:  # the converter's own kind has no public name
            words = str(error).strip().splitlines()
            message = "Expected a network of operations that LiteRT has."
            raise ModelError(f"{message} Received: {words[0] if words else type(error).__name__}") from error


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
