"""One version of a SavedModel, loaded, warmed up and ready to be called with NumPy arrays."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from ifrp_tf import model_folder
from ifrp_tf.errors import ModelError
from ifrp_tf.serving_status import Refusal, refusal

Arrays = dict[str, np.ndarray]
"""Tensors by name; strings as arrays of bytes objects."""

WARM_UP = "assets.extra/tf_serving_warmup_requests"
MAX_WARM_UP = 1000
DEFAULT_SIGNATURE = "serving_default"


@dataclass(frozen=True)
class Spec:
    """What a signature says about one tensor.

    Attributes:
        dtype: NumPy's type; `object` for strings.
        shape: None for an axis of any size; None in all for any shape.
    """

    dtype: np.dtype
    shape: tuple[int | None, ...] | None

    @property
    def is_string(self) -> bool:
        """Whether the elements are bytes."""
        return bool(self.dtype == np.dtype(object))

    def __str__(self) -> str:
        name = "string" if self.is_string else self.dtype.name
        if self.shape is None:
            return f"{name} of any shape"
        return f"{name} [{', '.join('N' if side is None else str(side) for side in self.shape)}]"

    def fits(self, array: np.ndarray) -> bool:
        """Whether an array is of this type and shape.

        Args:
            array: any.
        """
        kind = np.dtype(object) if array.dtype.kind in "OSU" else array.dtype
        if kind != self.dtype:
            return False
        return self.shape is None or (
            array.ndim == len(self.shape)
            and all(
                side is None or side == given for side, given in zip(self.shape, array.shape, strict=True)
            )
        )


class Signature:
    """A function of a loaded model.

    Attributes:
        name: under which it is asked for.
        inputs, outputs: name -> `Spec`.
        batched: the first axis of every input and output is the batch, so requests may share a call.
    """

    def __init__(self, name: str, definition: Any, function: Any) -> None:
        self.name = name
        self.inputs = {key: _spec(info) for key, info in definition.inputs.items()}
        self.outputs = {key: _spec(info) for key, info in definition.outputs.items()}
        specs = [*self.inputs.values(), *self.outputs.values()]
        self.batched = bool(self.inputs) and all(spec.shape and spec.shape[0] is None for spec in specs)
        self._function = function

    def check_names(self, names: Iterable[str]) -> None:
        """Makes sure that there are all inputs, and no others.

        Args:
            names: of the inputs.

        Raises:
            Refusal: INVALID_ARGUMENT, saying which are expected.
        """
        given = sorted(names)
        missing, extra = sorted(set(self.inputs) - set(given)), sorted(set(given) - set(self.inputs))
        if missing or extra:
            raise Refusal(
                "INVALID_ARGUMENT",
                f"Expected the inputs {sorted(self.inputs)} of signature {self.name!r}. "
                f"Received: {[name[:100] for name in given[:16]]}.",
                hint=f"Missing: {', '.join(missing) or 'none'}; unknown: {len(extra)}.",
            )

    def check(self, inputs: Mapping[str, np.ndarray]) -> int:
        """Makes sure that inputs fit.

        Args:
            inputs: by name.

        Returns:
            How many rows there are; 1 where the signature has no batch axis.

        Raises:
            Refusal: INVALID_ARGUMENT, saying what was expected and received.
        """
        self.check_names(inputs)
        for key, spec in self.inputs.items():
            if not spec.fits(inputs[key]):
                received = Spec(
                    np.dtype(object) if inputs[key].dtype.kind in "OSU" else inputs[key].dtype,
                    tuple(inputs[key].shape),
                )
                raise Refusal("INVALID_ARGUMENT", f"{key}: expected {spec}. Received: {received}.")
        if not self.batched:
            return 1
        rows = {key: len(array) for key, array in inputs.items()}
        if len(set(rows.values())) > 1:
            raise Refusal("INVALID_ARGUMENT", f"Expected as many rows in every input. Received: {rows}.")
        return next(iter(rows.values()))

    def run(self, inputs: Mapping[str, np.ndarray]) -> Arrays:
        """Calls the model.

        Args:
            inputs: as `check` wants them.

        Returns:
            All outputs.

        Raises:
            Refusal: the model refused, or failed.
        """
        try:
            tensors = {
                key: tf.constant(array, tf.string if self.inputs[key].is_string else None)
                for key, array in inputs.items()
            }
            outputs = self._function(**tensors)
            return {key: np.asarray(value.numpy()) for key, value in outputs.items()}
        except Exception as error:  # whatever it is, the caller gets an answer and the server goes on
            raise refusal(error) from error


class ServedModel:
    """A version that answers.

    Args:
        name: of the model, as clients call it.
        version: its number.
        folder: the version folder.
        trust: load it even if its files do not match `SHA256SUMS`.

    Raises:
        ModelError: it cannot be loaded, or does not answer its own warm-up requests.

    Example:
        >>> model = ServedModel("ifrp", 1, "saved_models/ifrp/1")  # doctest: +SKIP
        >>> model.signature("serving_default").run({"portrait": portraits})["photo"]  # doctest: +SKIP
    """

    def __init__(self, name: str, version: int, folder: str | Path, *, trust: bool = False) -> None:
        folder = Path(folder)
        self.name, self.version = name, version
        if not trust or (folder / model_folder.CHECKSUMS).is_file():
            model_folder.verify(folder, trust=trust)
        try:
            self.definitions = _definitions(folder)
            loaded = tf.saved_model.load(str(folder))
            functions = dict(loaded.signatures)
        except Exception as error:  # TensorFlow raises many kinds for a damaged model
            raise ModelError(f"The model {str(folder)!r} cannot be loaded: {refusal(error).words}") from error
        self._loaded = loaded  # its functions hold its variables only weakly
        self._signatures = {
            key: Signature(key, self.definitions[key], function) for key, function in functions.items()
        }
        if not self._signatures:
            raise ModelError(f"Expected a signature in the model {str(folder)!r}. Received: none.")
        self.warmed_up = self._warm_up(folder / WARM_UP)

    def signature(self, name: str) -> Signature:
        """A function by name.

        Args:
            name: empty means `serving_default`.

        Raises:
            Refusal: FAILED_PRECONDITION, as TensorFlow Serving says: there is none; with those that are.
        """
        wanted = name or DEFAULT_SIGNATURE
        if wanted not in self._signatures:
            raise Refusal(
                "FAILED_PRECONDITION",
                f'Serving signature key "{wanted[:100]}" not found.',
                hint=f"Available: {', '.join(sorted(self._signatures))}.",
            )
        return self._signatures[wanted]

    def _warm_up(self, path: Path) -> int:
        from tensorflow_serving.apis import prediction_log_pb2

        if not path.is_file():
            return 0
        done = 0
        try:
            records = iter(tf.data.TFRecordDataset(str(path)).as_numpy_iterator())
            for record in itertools.islice(records, MAX_WARM_UP):
                request = prediction_log_pb2.PredictionLog.FromString(record).predict_log.request
                signature = self.signature(request.model_spec.signature_name)
                inputs = {key: np.asarray(tf.make_ndarray(value)) for key, value in request.inputs.items()}
                signature.check(inputs)
                signature.run(inputs)
                done += 1
        except Exception as error:
            words = refusal(error).words
            raise ModelError(
                f"The model does not answer warm-up request {done} of {str(path)!r}: {words}"
            ) from error
        return done


def _definitions(folder: Path) -> dict[str, Any]:
    from tensorflow.core.protobuf import saved_model_pb2

    saved_model = saved_model_pb2.SavedModel.FromString((folder / "saved_model.pb").read_bytes())
    for meta_graph in saved_model.meta_graphs:
        if "serve" in meta_graph.meta_info_def.tags:
            # Copies, so that the graph with all its weights is not kept beside the loaded one.
            return {
                key: type(value).FromString(value.SerializeToString())
                for key, value in meta_graph.signature_def.items()
            }
    raise ModelError(f"Expected a graph tagged 'serve' in {str(folder)!r}. Received: none.")


def _spec(info: Any) -> Spec:
    dtype = np.dtype(tf.as_dtype(info.dtype).as_numpy_dtype)
    if info.tensor_shape.unknown_rank:
        return Spec(dtype, None)
    return Spec(dtype, tuple(None if axis.size < 0 else axis.size for axis in info.tensor_shape.dim))
