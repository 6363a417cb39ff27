"""What a model server and its clients share: messages, tensors, status codes, limits and errors.

TensorFlow Serving's messages are in a private protobuf pool, because the stock stubs import all of TensorFlow
and would register the same names twice.
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from ifrp_tf.core.errors import ConfigError, ServingError
from ifrp_tf.pictures.decoding import MAX_SIDE

PREDICT = "/tensorflow.serving.PredictionService/Predict"
GET_MODEL_METADATA = "/tensorflow.serving.PredictionService/GetModelMetadata"
GET_MODEL_STATUS = "/tensorflow.serving.ModelService/GetModelStatus"

MAX_MESSAGE = 4 * 2**20
"""The most bytes in a request or an answer: what gRPC accepts unless configured otherwise."""

OVERHEAD = 64 * 2**10
"""Bytes of a message that are left to names, headers and braces."""

PIXELS = ("serving_default", "portrait", "photo")
"""Signature, input and output for pictures as uint8 [N, side, side, 3]."""

FILES = ("recover_bytes", "portrait_bytes", "photo_bytes")
"""Signature, input and output for pictures as PNG files [N]."""

PICTURE = ("recover_picture", "picture_bytes", "options")
"""Signature and inputs for a whole picture with any number of faces, which only our server has."""

TOLD = ("recover_attributes", "portrait", "attributes", "photo")
"""The signature of models that are told attributes of the sitter, its inputs, and its output."""

STATES = {0: "UNKNOWN", 10: "START", 20: "LOADING", 30: "AVAILABLE", 40: "UNLOADING", 50: "END"}
"""The states of a served version, by their numbers on the wire."""

MAX_PICTURE = 64 * 2**20
"""The most bytes in a request or an answer with a whole picture."""

PATIENCE = 4
"""How many times as long as a portrait a whole picture may take."""

_DTYPES = {1: "DT_FLOAT", 2: "DT_DOUBLE", 3: "DT_INT32", 4: "DT_UINT8", 7: "DT_STRING", 9: "DT_INT64"}
_UINT8, _STRING = 4, 7

# gRPC's status codes: name, number, and the HTTP status with which TensorFlow Serving answers over REST.
_CODES = (
    ("OK", 0, 200),
    ("CANCELLED", 1, 499),
    ("UNKNOWN", 2, 500),
    ("INVALID_ARGUMENT", 3, 400),
    ("DEADLINE_EXCEEDED", 4, 504),
    ("NOT_FOUND", 5, 404),
    ("ALREADY_EXISTS", 6, 409),
    ("PERMISSION_DENIED", 7, 403),
    ("RESOURCE_EXHAUSTED", 8, 429),
    ("FAILED_PRECONDITION", 9, 412),
    ("ABORTED", 10, 409),
    ("OUT_OF_RANGE", 11, 400),
    ("UNIMPLEMENTED", 12, 501),
    ("INTERNAL", 13, 500),
    ("UNAVAILABLE", 14, 503),
    ("DATA_LOSS", 15, 500),
    ("UNAUTHENTICATED", 16, 401),
)

GRPC_NUMBERS = {name: number for name, number, _ in _CODES}
"""The number of a gRPC status code, by its name."""

HTTP_STATUSES = {name: status for name, _, status in _CODES}
"""The HTTP status of a gRPC status code, by its name."""

_CODE_OF_HTTP = {status: name for name, _, status in reversed(_CODES)} | {
    408: "DEADLINE_EXCEEDED",
    413: "RESOURCE_EXHAUSTED",
    429: "UNAVAILABLE",  # a full queue, which gRPC reports as UNAVAILABLE: worth another attempt
    500: "INTERNAL",
}


def code_of_http(status: int) -> str:
    """The name of the gRPC status code that an HTTP status means.

    Args:
        status: of an HTTP response.

    Returns:
        `"UNKNOWN"` for a status that no model server gives.

    Example:
        >>> code_of_http(404)
        'NOT_FOUND'
    """
    return _CODE_OF_HTTP.get(status, "UNKNOWN")


_ABOUT_PICTURES = "BAD_ANSWER DATA_LOSS INTERNAL INVALID_ARGUMENT OUT_OF_RANGE RESOURCE_EXHAUSTED UNKNOWN"

Signatures = Mapping[str, Mapping[str, Mapping[str, tuple[str, tuple[int, ...] | None]]]]
"""Signature -> `inputs` or `outputs` -> tensor -> type and shape; -1 any size, None any rank."""


class RemoteError(ServingError):
    """A model server refused, failed, could not be reached, or answered something unusable.

    Args:
        code: the name of a gRPC status code, such as `"INVALID_ARGUMENT"`; `"BAD_ANSWER"` where the server
            answered with OK.
        message: what was expected, what was received.
        hint: one sentence saying what to do about it; may be empty.
        wait_s: seconds that the server asks to wait before another request.
    """

    def __init__(self, code: str, message: str, *, hint: str = "", wait_s: float = 0.0) -> None:
        super().__init__(message, hint=hint)
        self.code = code
        self.wait_s = wait_s

    @property
    def is_about_pictures(self) -> bool:
        """Whether one of several pictures may be at fault, so that the others can be answered."""
        return self.code in _ABOUT_PICTURES.split()


@dataclass(frozen=True)
class ModelInfo:
    """A served model, as it describes itself.

    Attributes:
        name: under which it is served.
        version: that answered.
        side: of its pictures, pixels.
        signatures: what it can be asked.
    """

    name: str
    version: int
    side: int
    signatures: Signatures

    @property
    def attributes(self) -> int:
        """How many attributes of the sitter the model is told; 0 of most models."""
        kind, shape = self.signatures.get(TOLD[0], {}).get("inputs", {}).get(TOLD[2], ("", None))
        return shape[1] if kind == "DT_FLOAT" and shape is not None and len(shape) == 2 else 0


@dataclass(frozen=True, eq=False)
class RemoteFace:
    """A face that a server found in a picture.

    Attributes:
        photo: uint8 [side, side, 3], the recovered face; None where `reason` says why there is none.
        box: x, y, width, height in pixels of the upright picture.
        place: x and y of the middle, side and angle of the frame that was recovered, as in `geometry.Place`;
            the side is 0 where that is the picture as a whole.
        score: of the detector, 0 to 1; 0 where it was not asked.
        found_by: how the face was found.
        reason: such as `too_small`; empty for a recovered face.
    """

    photo: np.ndarray | None
    box: tuple[float, float, float, float]
    place: tuple[float, float, float, float]
    score: float
    found_by: str
    reason: str


@dataclass(frozen=True, eq=False)
class RemotePicture:
    """What a server recovered from a whole picture.

    Attributes:
        faces: from the left to the right.
        pasted: a file of the picture with the recovered faces; empty where that was not asked for, or where
            no face has a place.
        notes: what was done to the picture, and noticed.
    """

    faces: tuple[RemoteFace, ...]
    pasted: bytes
    notes: tuple[str, ...]


class Transport(Protocol):
    """One protocol to one server, for several threads. Every method returns by its deadline.

    `version` is None for the one that the server chooses; `timeout` is in seconds. Every method raises a
    `RemoteError` where there is no usable answer: no server, no such model, or one of another package.
    """

    def predict(
        self,
        portraits: np.ndarray,
        version: int | None,
        timeout: float,
        attributes: np.ndarray | None = None,
    ) -> np.ndarray:
        """Recovered faces uint8 [N, side, side, 3] of portraits of the same kind, within `MAX_MESSAGE`.

        With attributes, float32 [N, A], by the signature `TOLD`.
        """

    def picture(
        self, data: bytes, options: bytes, version: int | None, timeout: float
    ) -> dict[str, list[Any]]:
        """The outputs of `PICTURE`, flat lists of bytes or numbers, for a file and JSON."""

    def metadata(self, version: int | None, timeout: float) -> ModelInfo:
        """What the model says of itself."""

    def status(self, timeout: float) -> dict[int, str]:
        """The state of every version, such as `{1: "AVAILABLE"}`."""

    def close(self) -> None:
        """Closes all connections."""


def parse_address(address: str) -> tuple[str, int]:
    """Host and port of `HOST:PORT` or `[IPv6]:PORT`; a URL is refused.

    Raises:
        ConfigError: the address is something else.

    Example:
        >>> parse_address("[::1]:8500")
        ('::1', 8500)
    """
    match = re.fullmatch(r"(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9._-]+)):([0-9]{1,5})", address)
    if not match or not 1 <= int(match[3]) <= 65535:
        hint = "For example localhost:8500 for gRPC, localhost:8501 for REST."
        raise ConfigError(f"Expected an address HOST:PORT. Received: {address!r}.", hint=hint)
    return match[1] or match[2], int(match[3])


def read_certificates(path: str | Path) -> bytes:
    """The certificates to trust, from a PEM file.

    Raises:
        ConfigError: there are none.
    """
    try:
        data = Path(path).read_bytes()
        ssl.create_default_context().load_verify_locations(cadata=data.decode("ascii"))
    except (OSError, ValueError) as error:  # an SSLError is an OSError
        received = f"{str(path)!r}: {error}"
        raise ConfigError(f"Expected a PEM file of certificates. Received: {received}.") from error
    return data


def read_metadata(metadata: Any) -> tuple[int, Signatures]:
    """Version and signatures from the JSON form of a `GetModelMetadataResponse`.

    Raises:
        RemoteError: it is none.
    """
    try:
        return int(metadata["model_spec"]["version"]), {
            name: {part: _tensors(one.get(part, {})) for part in ("inputs", "outputs")}
            for name, one in metadata["metadata"]["signature_def"]["signature_def"].items()
        }
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise bad_answer("the metadata of a model", f"{str(metadata)[:200]}") from error


def model_info(name: str, version: int, signatures: Signatures, needed: tuple[str, str, str]) -> ModelInfo:
    """Checks that a served model is one of this package.

    Args:
        name: of the model.
        version: that answered.
        signatures: what it says it can be asked.
        needed: the signature that the transport uses, `PIXELS` or `FILES`.

    Raises:
        RemoteError: it is another kind of model.
    """
    expected = "portrait uint8 [N, side, side, 3] -> photo of the same kind in 'serving_default'"
    found = signatures.get(PIXELS[0], {})
    kinds = [found.get("inputs", {}).get(PIXELS[1]), found.get("outputs", {}).get(PIXELS[2])]
    shape = kinds[0][1] if kinds[0] else None
    side = shape[1] if shape is not None and len(shape) == 4 else 0
    if not 1 <= side <= MAX_SIDE or kinds != [("DT_UINT8", (-1, side, side, 3))] * 2:
        received = {signature: dict(parts) for signature, parts in signatures.items()}
        text = f"Expected the model {name!r} to take {expected}. Received: {str(received)[:500]}."
        raise RemoteError("BAD_ANSWER", text, hint="Another kind of model is served under this name.")
    if needed[0] not in signatures:
        text = f"Expected the model {name!r} to have the signature {needed[0]!r}. Received: {[*signatures]}."
        raise RemoteError("BAD_ANSWER", text, hint="Export it again, or use the other protocol.")
    return ModelInfo(name, version, side, signatures)


def _tensors(infos: Any) -> dict[str, tuple[str, tuple[int, ...] | None]]:
    return {name: (dtype_name(info["dtype"]), _shape(info["tensor_shape"])) for name, info in infos.items()}


def _shape(shape: Any) -> tuple[int, ...] | None:
    return None if shape.get("unknown_rank") else tuple(int(dim["size"]) for dim in shape.get("dim", []))


# A message's fields as (number, name, type). A type is a scalar or the name of a message; with `[]` it is
# repeated, with `{}` a map from strings.
Schema = Mapping[str, tuple[tuple[int, str, str], ...]]

_SCHEMA: Schema = {
    "google.protobuf.Any": ((1, "type_url", "string"), (2, "value", "bytes")),
    "google.protobuf.Int64Value": ((1, "value", "int64"),),
    "tensorflow.TensorShapeProto": (
        (2, "dim", "tensorflow.TensorShapeProto.Dim[]"),
        (3, "unknown_rank", "bool"),
    ),
    "tensorflow.TensorShapeProto.Dim": ((1, "size", "int64"), (2, "name", "string")),
    "tensorflow.TensorProto": (
        (1, "dtype", "int32"),
        (2, "tensor_shape", "tensorflow.TensorShapeProto"),
        (4, "tensor_content", "bytes"),
        (5, "float_val", "float[]"),
        (7, "int_val", "int32[]"),
        (8, "string_val", "bytes[]"),
    ),
    "tensorflow.TensorInfo": (
        (1, "name", "string"),
        (2, "dtype", "int32"),
        (3, "tensor_shape", "tensorflow.TensorShapeProto"),
    ),
    "tensorflow.SignatureDef": (
        (1, "inputs", "tensorflow.TensorInfo{}"),
        (2, "outputs", "tensorflow.TensorInfo{}"),
        (3, "method_name", "string"),
    ),
    "tensorflow.serving.SignatureDefMap": ((1, "signature_def", "tensorflow.SignatureDef{}"),),
    "tensorflow.serving.ModelSpec": (
        (1, "name", "string"),
        (2, "version", "google.protobuf.Int64Value"),
        (3, "signature_name", "string"),
    ),
    "tensorflow.serving.PredictRequest": (
        (1, "model_spec", "tensorflow.serving.ModelSpec"),
        (2, "inputs", "tensorflow.TensorProto{}"),
        (3, "output_filter", "string[]"),
    ),
    "tensorflow.serving.PredictResponse": (
        (1, "outputs", "tensorflow.TensorProto{}"),
        (2, "model_spec", "tensorflow.serving.ModelSpec"),
    ),
    "tensorflow.serving.GetModelMetadataRequest": (
        (1, "model_spec", "tensorflow.serving.ModelSpec"),
        (2, "metadata_field", "string[]"),
    ),
    "tensorflow.serving.GetModelMetadataResponse": (
        (1, "model_spec", "tensorflow.serving.ModelSpec"),
        (2, "metadata", "google.protobuf.Any{}"),
    ),
    "tensorflow.serving.StatusProto": ((1, "error_code", "int32"), (2, "error_message", "string")),
    "tensorflow.serving.ModelVersionStatus": (
        (1, "version", "int64"),
        (2, "state", "int32"),
        (3, "status", "tensorflow.serving.StatusProto"),
    ),
    "tensorflow.serving.GetModelStatusRequest": ((1, "model_spec", "tensorflow.serving.ModelSpec"),),
    "tensorflow.serving.GetModelStatusResponse": (
        (1, "model_version_status", "tensorflow.serving.ModelVersionStatus[]"),
    ),
}

_Field = descriptor_pb2.FieldDescriptorProto


def message(name: str) -> Any:
    """A message class of the private pool.

    Args:
        name: its full name, such as `"tensorflow.TensorProto"`.

    Raises:
        KeyError: it is not one of those in the pool.

    Example:
        >>> message("tensorflow.serving.ModelSpec")(name="ifrp").name
        'ifrp'
    """
    return message_factory.GetMessageClass(_POOL.FindMessageTypeByName(name))


def make_pool(schema: Schema) -> descriptor_pool.DescriptorPool:
    """A descriptor pool of its own, so that its messages never meet those of other libraries.

    Args:
        schema: full name of each message -> its fields, packages after those that they use.

    Example:
        >>> make_pool({"a.B": ((1, "c", "int64"),)}).FindMessageTypeByName("a.B").fields[0].name
        'c'
    """
    files: dict[str, descriptor_pb2.FileDescriptorProto] = {}
    for full_name, fields in schema.items():
        package, _, name = full_name.rpartition(".")
        if package in schema:  # a message inside another, which comes before it
            target = files[package.rpartition(".")[0]].message_type[-1].nested_type.add(name=name)
        else:
            file = files.setdefault(package, descriptor_pb2.FileDescriptorProto(package=package))
            target = file.message_type.add(name=name)
        for field in fields:
            _add_field(target, full_name, *field)
    pool = descriptor_pool.DescriptorPool()
    earlier: list[str] = []
    for package, file in files.items():  # a package needs only those before it
        file.name, file.syntax = f"{package.replace('.', '/')}.proto", "proto3"
        file.dependency.extend(earlier)
        earlier.append(file.name)
        pool.Add(file)
    return pool


def _add_field(
    target: descriptor_pb2.DescriptorProto, full_name: str, number: int, name: str, kind: str
) -> None:
    base, many = kind.removesuffix("[]").removesuffix("{}"), kind.endswith(("[]", "{}"))
    if kind.endswith("{}"):  # on the wire a map is a list of entries
        entry = target.nested_type.add(name=f"{name.title().replace('_', '')}Entry")
        entry.options.map_entry = True
        _add_field(entry, "", 1, "key", "string")
        _add_field(entry, "", 2, "value", base)
        base = f"{full_name}.{entry.name}"
    field = target.field.add(name=name, number=number)
    field.label = _Field.LABEL_REPEATED if many else _Field.LABEL_OPTIONAL
    if "." in base:
        field.type, field.type_name = _Field.TYPE_MESSAGE, f".{base}"
    else:
        field.type = _Field.Type.Value(f"TYPE_{base.upper()}")


_POOL = make_pool(_SCHEMA)


def uint8_tensor(array: np.ndarray) -> Any:
    """A `TensorProto` of a uint8 array."""
    tensor = message("tensorflow.TensorProto")(dtype=_UINT8, tensor_content=array.tobytes())
    for size in array.shape:
        tensor.tensor_shape.dim.add(size=size)
    return tensor


def float_tensor(array: np.ndarray) -> Any:
    """A `TensorProto` of a float32 array."""
    tensor = message("tensorflow.TensorProto")(dtype=1, tensor_content=array.astype("<f4").tobytes())
    for size in array.shape:
        tensor.tensor_shape.dim.add(size=size)
    return tensor


def uint8_array(tensor: Any, shape: tuple[int, ...]) -> np.ndarray:
    """The array in a `TensorProto`, whichever way the server has written it.

    Args:
        tensor: what the server sent.
        shape: what it must have; nothing larger is ever allocated.

    Raises:
        RemoteError: with the code `BAD_ANSWER`: another type or shape, or numbers missing.
    """
    sizes = tuple(dim.size for dim in tensor.tensor_shape.dim)
    if tensor.dtype != _UINT8 or sizes != shape:
        kind = dtype_name(tensor.dtype)
        raise bad_answer(f"{PIXELS[2]} DT_UINT8 {list(shape)}", f"{kind} {list(sizes)}")
    count = int(np.prod(shape))
    if tensor.tensor_content:
        values = np.frombuffer(tensor.tensor_content, np.uint8)
    else:
        # TensorFlow drops repetitions of the last number, and everything if it is zero.
        given = np.array(tensor.int_val[: count + 1], np.int64)
        if given.size and not (given.min() >= 0 and given.max() <= 255):
            raise bad_answer("levels 0-255", f"{given.min()} to {given.max()}")
        missing = max(0, count - given.size)
        values = np.pad(given, (0, missing), mode="edge" if given.size else "constant").astype(np.uint8)
    if values.size != count:
        raise bad_answer(f"{count} levels", f"{values.size}")
    return values.reshape(shape).copy()


def plain_list(tensor: Any) -> list[Any]:
    """The strings or numbers in a `TensorProto` of strings or float32, without its shape."""
    if tensor.dtype == _STRING:
        return list(tensor.string_val)
    values = np.frombuffer(tensor.tensor_content, "<f4") if tensor.tensor_content else tensor.float_val
    return [float(value) for value in values]


def dtype_name(kind: int | str) -> str:
    """The name of a type by its number on the wire; a name stays."""
    return kind if isinstance(kind, str) else _DTYPES.get(kind, f"type {kind}")


def bad_answer(expected: str, received: str) -> RemoteError:
    """The error for an answer that is not what was asked for."""
    text = f"Expected {expected} from the server. Received: {received}."
    return RemoteError("BAD_ANSWER", text, hint="The server does not serve a model of this package.")


def refusal(address: str, code: str, details: str, wait_s: float = 0.0) -> RemoteError:
    """The error for a server that refuses, fails or is not there.

    Args:
        address: of the server.
        code: the name of a gRPC status code.
        details: what the server, or the network, said.
        wait_s: seconds that the server asks to wait before another request.
    """
    hint = ""
    if code == "UNAVAILABLE" and "http1" in details.lower():
        hint = "That is no gRPC port: TensorFlow Serving has gRPC on 8500, REST on 8501."
    elif code == "UNAVAILABLE":
        hint = "Is it running there? tools/serve.py starts one; gRPC is on 8500, REST on 8501."
    elif code == "UNIMPLEMENTED":
        hint = "Something else than a model server listens there."
    elif code == "DEADLINE_EXCEEDED":
        hint = "Set a longer timeout, or a smaller batch."
    words = f"Expected an answer of the model server at {address}. Received: {code}: {details[:600]}"
    return RemoteError(code, words if words.endswith(".") else f"{words}.", hint=hint, wait_s=wait_s)
