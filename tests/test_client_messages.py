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

from ifrp_tf import client_messages
from ifrp_tf.client_messages import message

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
                getattr(one, field.name)[key].CopyFrom(
                    filled(client_messages.message(value.message_type.full_name))
                )
        elif field.message_type:
            part = filled(client_messages.message(field.message_type.full_name))
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
    assert set(STOCK) | wrappers == set(client_messages._SCHEMA)


def test_the_paths_are_those_of_the_stock_services():
    services = [prediction_service_pb2.DESCRIPTOR, model_service_pb2.DESCRIPTOR]
    paths = {
        f"/{service.full_name}/{method.name}"
        for file in services
        for service in file.services_by_name.values()
        for method in service.methods
    }
    assert {
        client_messages.PREDICT, client_messages.GET_MODEL_METADATA, client_messages.GET_MODEL_STATUS
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
