"""Tests of `client/wire`."""

import grpc
import numpy as np
import pytest
import tensorflow as tf
from google.protobuf import descriptor_pool
from tensorflow.core.framework import tensor_pb2, tensor_shape_pb2
from tensorflow.core.protobuf import meta_graph_pb2
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_pb2,
    model_service_pb2,
    predict_pb2,
    prediction_service_pb2,
    status_pb2,
)

from ifrp_tf.client import wire
from ifrp_tf.client.wire import (
    FILES,
    PIXELS,
    RemoteError,
    message,
    model_info,
    parse_address,
    read_certificates,
    refusal,
    uint8_array,
    uint8_tensor,
)
from ifrp_tf.core.errors import ConfigError

STOCK = {
    "tensorflow.TensorShapeProto": tensor_shape_pb2.TensorShapeProto,
    "tensorflow.TensorProto": tensor_pb2.TensorProto,
    "tensorflow.TensorInfo": meta_graph_pb2.TensorInfo,
    "tensorflow.SignatureDef": meta_graph_pb2.SignatureDef,
    "tensorflow.serving.SignatureDefMap": get_model_metadata_pb2.SignatureDefMap,
    "tensorflow.serving.ModelSpec": model_pb2.ModelSpec,
    "tensorflow.serving.PredictRequest": predict_pb2.PredictRequest,
    "tensorflow.serving.PredictResponse": predict_pb2.PredictResponse,
    "tensorflow.serving.GetModelMetadataRequest": get_model_metadata_pb2.GetModelMetadataRequest,
    "tensorflow.serving.GetModelMetadataResponse": get_model_metadata_pb2.GetModelMetadataResponse,
    "tensorflow.serving.StatusProto": status_pb2.StatusProto,
    "tensorflow.serving.ModelVersionStatus": get_model_status_pb2.ModelVersionStatus,
    "tensorflow.serving.GetModelStatusRequest": get_model_status_pb2.GetModelStatusRequest,
    "tensorflow.serving.GetModelStatusResponse": get_model_status_pb2.GetModelStatusResponse,
}


def kind(field):
    """What the field looks like on the wire: an enum is an integer."""
    return field.TYPE_INT32 if field.type == field.TYPE_ENUM else field.type


def filled(cls):
    """A message with something in every field, and in every field of those."""
    one = cls()
    for field in one.DESCRIPTOR.fields:
        if field.message_type and field.message_type.GetOptions().map_entry:
            value = field.message_type.fields_by_name["value"]
            for key in ("b", "a"):
                getattr(one, field.name)[key].CopyFrom(filled(wire.message(value.message_type.full_name)))
        elif field.message_type:
            part = filled(wire.message(field.message_type.full_name))
            if field.is_repeated:
                getattr(one, field.name).extend([part, part])
            else:
                getattr(one, field.name).CopyFrom(part)
        else:
            values = {field.CPPTYPE_STRING: "text", field.CPPTYPE_BOOL: True}
            value = b"\xff\0" if field.type == field.TYPE_BYTES else values.get(field.cpp_type, 30)
            if field.is_repeated:
                getattr(one, field.name).extend([value, value])
            else:
                setattr(one, field.name, value)
    return one


@pytest.mark.parametrize("name", STOCK)
def test_fields_have_the_numbers_names_and_types_of_the_stock_messages(name):
    stock = {field.number: field for field in STOCK[name].DESCRIPTOR.fields}
    ours = message(name).DESCRIPTOR
    assert ours.full_name == STOCK[name].DESCRIPTOR.full_name
    for field in ours.fields:
        other = stock[field.number]
        assert (field.name, kind(field), field.is_repeated) == (other.name, kind(other), other.is_repeated)
        if field.message_type:
            assert field.message_type.full_name == other.message_type.full_name


@pytest.mark.parametrize("name", STOCK)
def test_bytes_survive_the_stock_messages(name):
    ours = filled(message(name))
    stock = STOCK[name].FromString(ours.SerializeToString())
    stock.DiscardUnknownFields()
    back = message(name).FromString(stock.SerializeToString())
    assert back == ours
    assert stock.SerializeToString(deterministic=True) == ours.SerializeToString(deterministic=True)


def test_every_message_is_compared():
    wrappers = {"google.protobuf.Any", "google.protobuf.Int64Value", "tensorflow.TensorShapeProto.Dim"}
    assert set(STOCK) | wrappers == set(wire._SCHEMA)


def test_the_paths_are_those_of_the_stock_services():
    services = [prediction_service_pb2.DESCRIPTOR, model_service_pb2.DESCRIPTOR]
    paths = {
        f"/{service.full_name}/{method.name}"
        for file in services
        for service in file.services_by_name.values()
        for method in service.methods
    }
    assert {
        wire.PREDICT, wire.GET_MODEL_METADATA, wire.GET_MODEL_STATUS
    } <= paths  # fmt: skip


def test_a_request_is_what_the_stock_stubs_would_send():
    stock = predict_pb2.PredictRequest()
    stock.model_spec.name, stock.model_spec.version.value = "ifrp", 0  # 0 is a version, not nothing
    stock.inputs["portrait"].CopyFrom(tf.make_tensor_proto(np.arange(24, dtype=np.uint8).reshape(2, 2, 2, 3)))
    ours = message("tensorflow.serving.PredictRequest").FromString(stock.SerializeToString())
    assert ours.model_spec.HasField("version")
    assert ours.inputs["portrait"].tensor_content == bytes(range(24))
    assert ours.SerializeToString(deterministic=True) == stock.SerializeToString(deterministic=True)


def test_the_default_pool_knows_nothing_of_ours():
    found = descriptor_pool.Default().FindMessageTypeByName("tensorflow.TensorProto")
    assert found is tensor_pb2.TensorProto.DESCRIPTOR
    assert found is not message("tensorflow.TensorProto").DESCRIPTOR


def test_an_unknown_message_is_an_error():
    with pytest.raises(KeyError):
        message("tensorflow.GraphDef")


SHAPE = (2, 4, 4, 3)
LEVELS = np.random.default_rng(0).integers(0, 256, SHAPE).astype(np.uint8)
GOOD = ("DT_UINT8", (-1, 32, 32, 3))


def ours(proto):
    return message("tensorflow.TensorProto").FromString(proto.SerializeToString())


def numbers(values, shape=SHAPE, kind=tf.uint8):
    proto = tf.make_tensor_proto(0, tf.uint8)
    proto.dtype = kind.as_datatype_enum
    proto.tensor_shape.CopyFrom(tf.TensorShape(shape).as_proto())
    proto.ClearField("int_val")
    proto.int_val.extend(values)
    return proto


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("localhost:8500", ("localhost", 8500)),
        ("10.0.0.1:1", ("10.0.0.1", 1)),
        ("[::1]:65535", ("::1", 65535)),
    ],
)
def test_addresses(address, expected):
    assert parse_address(address) == expected


@pytest.mark.parametrize(
    "address",
    [
        "",
        "localhost",
        ":8500",
        "localhost:",
        "localhost:65536",
        "::1:8500",
        "http://a:1",
        "a:1/x",
        "a b:1",
        "a:1\n",
        "a:١",
    ],
)
def test_what_is_no_address_is_refused(address):
    with pytest.raises(ConfigError, match="HOST:PORT"):
        parse_address(address)


def test_tensorflow_reads_our_tensors_and_we_its():
    proto = tf.make_tensor_proto(LEVELS)
    assert uint8_tensor(LEVELS).SerializeToString() == proto.SerializeToString()
    np.testing.assert_array_equal(uint8_array(ours(proto), SHAPE), LEVELS)
    assert uint8_array(ours(proto), SHAPE).flags.writeable


@pytest.mark.parametrize("count", [0, 1, 2, 50, 95, 96])
def test_numbers_in_fields_are_read_as_tensorflow_reads_them(count):
    proto = numbers(LEVELS.ravel()[:count].tolist())
    np.testing.assert_array_equal(uint8_array(ours(proto), SHAPE), tf.make_ndarray(proto))


@pytest.mark.parametrize(
    ("proto", "words"),
    [
        (tf.make_tensor_proto(LEVELS.astype(np.float32)), "DT_FLOAT"),
        (tf.make_tensor_proto(np.full(SHAPE, np.nan, np.float32)), "DT_FLOAT"),
        (tf.make_tensor_proto(LEVELS[:1]), r"\[1, 4, 4, 3\]"),
        (numbers([1], (2**30, 2**30, 2**30)), r"\[1073741824, 1073741824, 1073741824\]"),
        (numbers([1] * 97), "97"),
        (numbers([1, 256]), "1 to 256"),
        (numbers([-1]), "-1"),
        (tf.make_tensor_proto("text"), "DT_STRING"),
        (tf.make_tensor_proto(1j), "type 18"),
    ],
)
def test_bad_tensors_are_refused(proto, words):
    with pytest.raises(RemoteError, match=f"Received: .*{words}") as error:
        uint8_array(ours(proto), SHAPE)
    assert error.value.code == "BAD_ANSWER"


def test_content_of_another_length_is_refused():
    tensor = uint8_tensor(LEVELS)
    tensor.tensor_content += b"\0"
    with pytest.raises(RemoteError, match="Expected 96 levels .*Received: 97"):
        uint8_array(tensor, SHAPE)


def signatures(given=GOOD, found=GOOD):
    return {"serving_default": {"inputs": {"portrait": given}, "outputs": {"photo": found}}}


def test_a_model_of_this_package_is_recognised():
    info = model_info("ifrp", 3, signatures(), PIXELS)
    assert (info.name, info.version, info.side) == ("ifrp", 3, 32)


@pytest.mark.parametrize(
    "found",
    [
        {},
        {"serving_default": {}},
        signatures(("DT_FLOAT", (-1, 32, 32, 3))),
        signatures(GOOD, ("DT_FLOAT", (-1, 32, 32, 3))),
        signatures(GOOD, ("DT_UINT8", (-1, 64, 64, 3))),
        signatures(("DT_UINT8", (-1, 32, 48, 3)), ("DT_UINT8", (-1, 32, 48, 3))),
        signatures(*[("DT_UINT8", (-1, -1, -1, 3))] * 2),
        signatures(*[("DT_UINT8", (-1, 10**9, 10**9, 3))] * 2),
        signatures(*[("DT_UINT8", None)] * 2),
        signatures(*[("DT_UINT8", ())] * 2),
    ],
    ids=str,
)
def test_another_model_is_refused(found):
    with pytest.raises(RemoteError, match="Another kind of model"):
        model_info("ifrp", 3, found, PIXELS)


def test_a_model_without_the_signature_for_files_is_refused_there():
    with pytest.raises(RemoteError, match="recover_bytes"):
        model_info("ifrp", 3, signatures(), FILES)


def test_what_may_be_the_fault_of_a_picture():
    about = {
        code: RemoteError(code, "").is_about_pictures
        for code in ("INVALID_ARGUMENT", "BAD_ANSWER", "INTERNAL")
    }
    assert all(about.values())
    for code in (
        "UNAVAILABLE",
        "DEADLINE_EXCEEDED",
        "NOT_FOUND",
        "UNIMPLEMENTED",
        "CANCELLED",
        "UNAUTHENTICATED",
    ):
        assert not RemoteError(code, "").is_about_pictures


def test_refusals_say_what_to_do():
    assert str(refusal("a:1", "UNAVAILABLE", "refused")).endswith("gRPC is on 8500, REST on 8501.")
    assert "a:1" in str(refusal("a:1", "INTERNAL", "x" * 5000))
    assert len(str(refusal("a:1", "INTERNAL", "x" * 5000))) < 1000


def test_certificates(tmp_path):
    (tmp_path / "empty.pem").write_bytes(b"")
    for path in (tmp_path / "none.pem", tmp_path / "empty.pem", __file__, tmp_path):
        with pytest.raises(ConfigError, match="PEM"):
            read_certificates(path)


def test_the_codes_are_those_of_grpc():
    assert {code.name: code.value[0] for code in grpc.StatusCode} == wire.GRPC_NUMBERS


def test_a_code_survives_the_way_over_http():
    lost = {"OUT_OF_RANGE", "DATA_LOSS", "UNKNOWN", "ABORTED", "RESOURCE_EXHAUSTED"}
    for name, status in wire.HTTP_STATUSES.items():
        assert (wire.code_of_http(status) == name) is (name not in lost), name
    assert wire.code_of_http(429) == "UNAVAILABLE"
    assert wire.code_of_http(413) == "RESOURCE_EXHAUSTED"
    assert wire.code_of_http(302) == "UNKNOWN"
