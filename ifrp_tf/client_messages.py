"""The messages of TensorFlow Serving, without TensorFlow.

The stock stubs import all of TensorFlow, and to define their names again collides in protobuf's default pool
as soon as both are in one process. So they stand here in a private pool, with the same names and field
numbers: the bytes are the same. Fields that a client of this package has no use for are left out; enums are
plain integers, which look the same on the wire.
"""

from __future__ import annotations

from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

PREDICT = "/tensorflow.serving.PredictionService/Predict"
GET_MODEL_METADATA = "/tensorflow.serving.PredictionService/GetModelMetadata"
GET_MODEL_STATUS = "/tensorflow.serving.ModelService/GetModelStatus"

# Message: its fields as (number, name, type); a type is a scalar or a message, `[]` repeated, `{}` a map from
# strings.
_SCHEMA: dict[str, tuple[tuple[int, str, str], ...]] = {
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


def _pool() -> descriptor_pool.DescriptorPool:
    files: dict[str, descriptor_pb2.FileDescriptorProto] = {}
    for full_name, fields in _SCHEMA.items():
        package, _, name = full_name.rpartition(".")
        if package in _SCHEMA:  # a message inside another, which stands before it
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


_POOL = _pool()
