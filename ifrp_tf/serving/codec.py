"""Requests to arrays, and arrays to answers: `TensorProto` for gRPC, TensorFlow Serving's JSON for REST.

Requests are not trusted: whatever they claim is checked before memory is allocated for it.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from typing import Any, NoReturn

import numpy as np
import tensorflow as tf

from ifrp_tf.serving.signature import Arrays, Refusal, Signature, Spec

MAX_FILLED = 2**22
"""Most elements of a tensor that is given by fewer values than it has elements."""

MAX_DEPTH = 16
"""Most JSON lists inside each other."""


def read_tensors(protos: Any, signature: Signature) -> Arrays:
    """The tensors of a request.

    Args:
        protos: map of name to `TensorProto`.
        signature: that they are for.

    Returns:
        Arrays by name.

    Raises:
        Refusal: INVALID_ARGUMENT, if one does not hold what it says, or has an unknown name.
    """
    signature.check_names(protos)
    arrays = {}
    for key, proto in protos.items():
        try:
            sizes = [axis.size for axis in proto.tensor_shape.dim]
            # A few bytes can claim to be a tensor of any size, filled with one value.
            if min(sizes, default=1) < 0 or np.prod(sizes, dtype=object) > max(_values(proto), MAX_FILLED):
                raise ValueError(f"{_values(proto)} values for the shape {sizes[:16]}")
            arrays[key] = np.asarray(tf.make_ndarray(proto))
        except Exception as error:  # many kinds, from TensorFlow, NumPy and Python
            words = " ".join(str(error).split())[:200]
            raise Refusal(
                "INVALID_ARGUMENT", f"{key[:100]}: expected a tensor. Received: {words}."
            ) from error
    return arrays


def write_tensor(proto: Any, array: np.ndarray) -> None:
    """Fills a `TensorProto`.

    Args:
        proto: gets the array.
        array: of numbers, or of bytes objects.
    """
    proto.CopyFrom(tf.make_tensor_proto(array))


def _values(proto: Any) -> int:
    if proto.tensor_content:
        size = tf.as_dtype(proto.dtype).size or 1
        return len(proto.tensor_content) // size
    return max((len(value) for field, value in proto.ListFields() if field.name.endswith("_val")), default=0)


def parse(body: bytes | bytearray) -> dict[str, Any]:
    """A request's body as an object.

    Args:
        body: UTF-8.

    Raises:
        Refusal: INVALID_ARGUMENT, if it is not a JSON object with `instances` or `inputs`.
    """
    try:
        request = json.loads(body, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise _bad(f"Expected a JSON body. Received: {str(error)[:200]}.") from error
    if not isinstance(request, dict) or ("instances" in request) == ("inputs" in request):
        raise _bad('Expected a JSON object with either "instances" (rows) or "inputs" (columns).')
    if not isinstance(request.get("signature_name", ""), str):
        raise _bad("signature_name: expected a string.")
    return request


def to_arrays(request: Mapping[str, Any], signature: Signature) -> Arrays:
    """The inputs of a request.

    Args:
        request: what `parse` returned.
        signature: that it asks for.

    Returns:
        Arrays by name, of the types that the signature wants; shapes are not checked.

    Raises:
        Refusal: INVALID_ARGUMENT.

    Example:
        >>> to_arrays({"instances": [{"b64": "iVBORw0K"}]}, signature)  # doctest: +SKIP
        {'portrait_bytes': array([b'\\x89PNG\\r\\n'], dtype=object)}
    """
    if "instances" in request:
        if signature.is_single:
            form = '{"inputs": {"picture_bytes": {"b64": "..."}}}'
            raise _bad(f"Expected one picture for {signature.name!r}, as {form}. Received: instances.")
        columns = _columns(request["instances"], signature)
    else:
        columns = request["inputs"]
        if not isinstance(columns, dict) or _is_bytes(columns):
            columns = {_only(signature): columns}
    signature.check_names(columns)
    for key, values in columns.items():
        first = values[0] if isinstance(values, list) and values else values
        if _is_bytes(first) and not signature.inputs[key].is_string:
            signature.refuse_files(key)
    return {key: _array(key, values, signature.inputs[key]) for key, values in columns.items()}


def to_json(outputs: Arrays, *, rows: bool) -> bytes:
    """The body of an answer.

    Args:
        outputs: by name; strings are written in base64 where the name ends in `_bytes`, else as UTF-8.
        rows: whether the request was in row form.

    Returns:
        `{"predictions": [...]}` or `{"outputs": ...}`, the only output's value without its name.

    Raises:
        Refusal: INTERNAL, if an output has no JSON form, such as NaN.
    """
    try:
        plain = {key: _plain(array, encode=key.endswith("_bytes")) for key, array in outputs.items()}
        if not rows:
            return _dump({"outputs": next(iter(plain.values())) if len(plain) == 1 else plain})
        if len(plain) == 1:
            return _dump({"predictions": next(iter(plain.values()))})
        parts = zip(*plain.values(), strict=True)
        return _dump({"predictions": [dict(zip(plain, part, strict=True)) for part in parts]})
    except (ValueError, TypeError) as error:
        raise Refusal("INTERNAL", f"The answer has no JSON form: {error}.") from error


def _columns(instances: Any, signature: Signature) -> dict[str, list[Any]]:
    if not isinstance(instances, list):
        raise _bad(f"instances: expected a list. Received: {type(instances).__name__}.")
    if not instances:
        return {key: [] for key in signature.inputs}
    named = [isinstance(row, dict) and not _is_bytes(row) for row in instances]
    if not any(named):
        return {_only(signature): instances}
    if not all(named):
        raise _bad("instances: expected objects everywhere or nowhere.")
    names = set(instances[0])
    if any(set(row) != names for row in instances):
        raise _bad("instances: expected the same names in every row.")
    return {name: [row[name] for row in instances] for name in names}


def _only(signature: Signature) -> str:
    names = signature.required
    if len(names) != 1:
        raise _bad(f"Expected values by name, of {sorted(names)}. Received: values without names.")
    return next(iter(names))


def _array(key: str, values: Any, spec: Spec) -> np.ndarray:
    if spec.is_string:
        return _strings(key, values)
    if spec.shape and isinstance(values, list) and not values:  # an empty batch says nothing of its rows
        return np.zeros([side or 0 for side in spec.shape], spec.dtype)
    try:
        array = np.array(values)
    except (ValueError, OverflowError, RecursionError) as error:
        raise _bad(
            f"{key}: expected numbers in lists of equal length. Received: {str(error)[:100]}."
        ) from error
    wanted = spec.dtype.kind
    allowed = {"b": "b", "f": "iuf"}.get(wanted, "iu")
    if array.dtype.kind not in allowed:
        raise _bad(f"{key}: expected {spec}. Received: {_names(array.dtype.kind)}.")
    if wanted in "iu" and array.size:
        bounds = np.iinfo(spec.dtype)
        low, high = int(array.min()), int(array.max())
        if low < bounds.min or high > bounds.max:
            raise _bad(
                f"{key}: expected numbers from {bounds.min} to {bounds.max}. Received: {low} to {high}."
            )
    return array.astype(spec.dtype)


def _strings(key: str, values: Any) -> np.ndarray:
    shape, level = [], values
    while isinstance(level, list):
        shape.append(len(level))
        if len(shape) > MAX_DEPTH:
            raise _bad(f"{key}: expected at most {MAX_DEPTH} lists inside each other.")
        level = level[0] if level else None
    flat = [values]
    for length in shape:
        if not all(isinstance(part, list) and len(part) == length for part in flat):
            raise _bad(f"{key}: expected lists of equal length.")
        flat = [element for part in flat for element in part]
    array = np.empty(len(flat), object)
    array[:] = [_bytes(key, value) for value in flat]
    return array.reshape(shape)


def _bytes(key: str, value: Any) -> bytes:
    if isinstance(value, str):
        return value.encode("utf-8", "surrogatepass")
    if not _is_bytes(value) or not isinstance(value["b64"], str):
        raise _bad(f'{key}: expected {{"b64": "..."}} or a string. Received: {type(value).__name__}.')
    text = value["b64"].rstrip("=")
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError) as error:
        raise Refusal(
            "INVALID_ARGUMENT", f"{key}: unable to base64 decode: {error}.", hint=_advice(text)
        ) from error


def _advice(text: str) -> str:
    if text.lstrip()[:5].lower() == "data:":
        return "Leave out what precedes the comma of a data: address."
    if "-" in text or "_" in text:
        return "The web-safe alphabet is not accepted: write + for - and / for _."
    if any(character.isspace() for character in text):
        return "Leave out line breaks and blanks, as `base64 -w0` does."
    return "Encode the bytes of the file with the standard alphabet."


def _is_bytes(value: Any) -> bool:
    return isinstance(value, dict) and set(value) == {"b64"}


def _plain(array: np.ndarray, *, encode: bool) -> Any:
    if array.dtype.kind != "O":
        return array.tolist()
    flat = np.empty(array.size, object)
    flat[:] = [
        {"b64": base64.b64encode(value).decode("ascii")} if encode else value.decode("utf-8")
        for value in array.reshape(-1)
    ]
    return flat.reshape(array.shape).tolist()


def _dump(value: Any) -> bytes:
    return json.dumps(value, allow_nan=False, separators=(",", ":")).encode()


def _names(kind: str) -> str:
    return {"f": "fractions", "b": "booleans", "O": "mixed or too large values", "U": "strings"}.get(
        kind, kind
    )


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _bad(message: str) -> Refusal:
    return Refusal("INVALID_ARGUMENT", message)
