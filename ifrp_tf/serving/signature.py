"""A function of a served model: what it takes, what it gives, and how a request for it is refused."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, NoReturn

import numpy as np
import tensorflow as tf

from ifrp_tf.client.wire import GRPC_NUMBERS, HTTP_STATUSES
from ifrp_tf.core.errors import ServingError

MAX_MESSAGE = 1000
"""Longest error message in characters: gRPC carries it in a header, and clients refuse long headers."""

Arrays = dict[str, np.ndarray]
"""Tensors by name; strings as arrays of bytes objects."""

# Codes that TensorFlow's errors may keep on their way to a client; others become INTERNAL.
_KEPT_CODES = {
    GRPC_NUMBERS[name]: name
    for name in (
        "CANCELLED",
        "INVALID_ARGUMENT",
        "DEADLINE_EXCEEDED",
        "RESOURCE_EXHAUSTED",
        "UNIMPLEMENTED",
        "UNAVAILABLE",
    )
}


class Refusal(ServingError):
    """A request that is answered with an error.

    Args:
        code: the name of a gRPC status code, one of `HTTP_STATUSES`.
        message: what was expected, what was received.
        hint: one sentence saying what to do about it; may be empty.
        overloaded: refused only because the queue is full: the HTTP status is 429 then, not 503.

    Example:
        >>> Refusal("NOT_FOUND", "No such model.").http
        404
    """

    def __init__(self, code: str, message: str, *, hint: str = "", overloaded: bool = False) -> None:
        super().__init__(message, hint=hint)
        self.code = code
        self.overloaded = overloaded

    @property
    def http(self) -> int:
        """HTTP status of the answer."""
        return 429 if self.overloaded else HTTP_STATUSES[self.code]

    @property
    def words(self) -> str:
        """Message and hint on one line, of `MAX_MESSAGE` characters at most."""
        words = " ".join(str(self).split())
        return words if len(words) <= MAX_MESSAGE else f"{words[: MAX_MESSAGE - 3]}..."


def refusal(error: BaseException) -> Refusal:
    """The refusal for any error of a model: with the error's code where it has one, else INTERNAL.

    Args:
        error: what running the model raised, such as a `tf.errors.OpError`.

    Returns:
        The error itself if it is a refusal; else one without traces of the graph in its message.
    """
    if isinstance(error, Refusal):
        return error
    code = _KEPT_CODES.get(getattr(error, "error_code", None) or 0, "INTERNAL")
    return Refusal(code, _plain(str(getattr(error, "message", "") or error)) or type(error).__name__)


def _plain(message: str) -> str:
    # A failed assertion inside a function: its place in the graph, then "assertion failed: [a] [b]".
    found = re.search(r"assertion failed: ((?:\[[^\n]*?\] ?)+)", message)
    if found:
        return " ".join(part.strip() for part in re.findall(r"\[(.*?)\](?= \[|\s*$)", found[1]))
    lines = [line.strip() for line in message.splitlines()]
    kept = [line for line in lines if line and not re.match(r"\[\[|Detected at|Graph execution|File ", line)]
    return " ".join(kept).split(" [[")[0].split(" [Op:")[0]


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
        is_single: takes one picture in a call, and seconds for it, so that others must not wait.
        siblings: all signatures of the model by name, for hints.
    """

    is_single = False
    _optional: tuple[str, ...] = ()
    siblings: Mapping[str, Signature] = MappingProxyType({})

    def __init__(self, name: str, definition: Any, function: Any, optional: tuple[str, ...] = ()) -> None:
        self.name = name
        self.inputs = {key: _spec(info) for key, info in definition.inputs.items()}
        self.outputs = {key: _spec(info) for key, info in definition.outputs.items()}
        specs = [*self.inputs.values(), *self.outputs.values()]
        self.batched = bool(self.inputs) and all(spec.shape and spec.shape[0] is None for spec in specs)
        self._optional = optional
        self._function = function

    @property
    def required(self) -> set[str]:
        """Names of the inputs that must be given."""
        return set(self.inputs) - set(self._optional)

    def check_names(self, names: Iterable[str]) -> None:
        """Makes sure that there are all inputs that must be, and no others.

        Args:
            names: of the inputs.

        Raises:
            Refusal: INVALID_ARGUMENT, saying which are expected.
        """
        given = sorted(names)
        missing = sorted(self.required - set(given))
        extra = sorted(set(given) - set(self.inputs))
        if missing or extra:
            hint = f"Missing: {', '.join(missing) or 'none'}; unknown: {len(extra)}."
            raise Refusal(
                "INVALID_ARGUMENT",
                f"Expected the inputs {sorted(self.inputs)} of signature {self.name!r}. "
                f"Received: {[name[:100] for name in given[:16]]}.",
                hint=self._elsewhere(lambda other: bool(given) and set(given) <= set(other.inputs)) or hint,
            )

    def refuse_files(self, key: str) -> NoReturn:
        """Says that files are sent where numbers are expected, and which signature takes them.

        Args:
            key: of the input.

        Raises:
            Refusal: INVALID_ARGUMENT.
        """
        hint = self._elsewhere(lambda other: [spec.is_string for spec in other.inputs.values()] == [True])
        words = f"{key}: expected {self.inputs[key]}. Received: the bytes of files."
        raise Refusal("INVALID_ARGUMENT", words, hint=hint)

    def _elsewhere(self, takes: Callable[[Signature], bool]) -> str:
        names = [f'"{name}"' for name, other in self.siblings.items() if takes(other)]
        return f'Set "signature_name" to {" or ".join(names)}, which takes that.' if names else ""

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
        for key, array in inputs.items():
            if not self.inputs[key].fits(array):
                kind = np.dtype(object) if array.dtype.kind in "OSU" else array.dtype
                received = Spec(kind, tuple(array.shape))
                raise Refusal(
                    "INVALID_ARGUMENT", f"{key}: expected {self.inputs[key]}. Received: {received}."
                )
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


def _spec(info: Any) -> Spec:
    dtype = np.dtype(tf.as_dtype(info.dtype).as_numpy_dtype)
    if info.tensor_shape.unknown_rank:
        return Spec(dtype, None)
    return Spec(dtype, tuple(None if axis.size < 0 else axis.size for axis in info.tensor_shape.dim))
