"""gRPC over real sockets with the stock stubs; or TensorFlow Serving, if IFRP_MODEL_SERVER names it."""

import grpc
import numpy as np
import pytest
import served
import tensorflow as tf
from google.protobuf import wrappers_pb2
from served import NAME, SIDE, direct, portraits, request
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    predict_pb2,
)

ours_only = pytest.mark.skipif(bool(served.BINARY), reason="TensorFlow Serving answers this in its own way")


@pytest.fixture(scope="module")
def endpoint():
    with served.any_server() as opened:
        yield opened


def refused(call, *arguments, **options):
    with pytest.raises(grpc.RpcError) as caught:
        call(*arguments, timeout=20, **options)
    return caught.value.code().name, caught.value.details()


@pytest.mark.parametrize("count", [0, 1, 7, 16])
def test_answers_are_the_very_bytes_of_the_saved_model(endpoint, count):
    pictures = portraits(count, seed=count)
    answer = endpoint.predict(portrait=pictures)
    received = tf.make_ndarray(answer.outputs["photo"])
    assert received.dtype == np.uint8
    np.testing.assert_array_equal(received, direct(pictures))
    assert answer.model_spec.name == NAME
    assert answer.model_spec.version.value == 1
    assert answer.model_spec.signature_name == "serving_default"


def test_a_request_larger_than_a_batch_is_answered_whole(endpoint):
    pictures = portraits(41)
    difference = np.abs(endpoint.photos(pictures).astype(int) - direct(pictures))
    assert difference.max() <= 1


def test_files_in_files_out(endpoint):
    files = served.files(3)
    expected = served.signatures()["recover_bytes"](portrait_bytes=tf.constant(files))["photo_bytes"].numpy()
    answer = endpoint.prediction.Predict(request(signature="recover_bytes", portrait_bytes=files), timeout=20)
    assert tf.make_ndarray(answer.outputs["photo_bytes"]).tolist() == expected.tolist()


WRONG = {
    "height": np.zeros((1, SIDE + 1, SIDE, 3), np.uint8),
    "channels": np.zeros((1, SIDE, SIDE, 4), np.uint8),
    "rank": np.zeros((SIDE, SIDE, 3), np.uint8),
    "dtype": np.zeros((1, SIDE, SIDE, 3), np.float32),
    "strings": np.array([b"portrait"], object),
}


@pytest.mark.parametrize("case", WRONG)
def test_another_shape_or_type_is_an_invalid_argument(endpoint, case):
    code, words = refused(endpoint.prediction.Predict, request(portrait=WRONG[case]))
    assert code == "INVALID_ARGUMENT"
    if not served.BINARY:
        assert f"expected uint8 [N, {SIDE}, {SIDE}, 3]. Received:" in words


def test_missing_and_unknown_inputs_are_invalid_arguments(endpoint):
    code, words = refused(endpoint.prediction.Predict, request())
    assert (code, "portrait" in words) == ("INVALID_ARGUMENT", True)
    both = request(portrait=portraits(1), mask=portraits(1))
    code, words = refused(endpoint.prediction.Predict, both)
    assert (code, "mask" in words) == ("INVALID_ARGUMENT", True)


def test_outputs_can_be_chosen(endpoint):
    wanted = request(portrait=portraits(1))
    wanted.output_filter.append("photo")
    assert list(endpoint.prediction.Predict(wanted, timeout=20).outputs) == ["photo"]
    for names in (["face"], ["photo", "photo"]):
        wanted = request(portrait=portraits(1))
        wanted.output_filter.extend(names)
        assert refused(endpoint.prediction.Predict, wanted)[0] == "INVALID_ARGUMENT"


def test_what_is_not_there_is_not_found(endpoint):
    predict = endpoint.prediction.Predict
    code, words = refused(predict, request(name="nobody", portrait=portraits(1)))
    assert (code, "nobody" in words) == ("NOT_FOUND", True)
    code, words = refused(predict, request(version=99, portrait=portraits(1)))
    assert (code, "99" in words) == ("NOT_FOUND", True)
    code, words = refused(predict, request(signature="upside_down", portrait=portraits(1)))
    assert (code, "upside_down" in words) == ("FAILED_PRECONDITION", True)
    assert refused(predict, predict_pb2.PredictRequest())[0] == "INVALID_ARGUMENT"


@ours_only
def test_what_is_not_there_is_told_with_what_is(endpoint):
    words = refused(endpoint.prediction.Predict, request(signature="upside_down", portrait=portraits(1)))[1]
    assert "recover_bytes, recover_picture, serving_default" in words
    assert NAME in refused(endpoint.prediction.Predict, request(name="nobody"))[1]


HOSTILE = {
    "empty": b"",
    "text": b"GIF89a" + bytes(100),
    "bomb": b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + (60_000).to_bytes(4) * 2 + b"\x08\x02" + bytes(200),
    "cut": served.images.encode_png(np.full((40, 40, 3), 9, np.uint8))[:60],
}


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_files_are_invalid_arguments(endpoint, case):
    bad = request(signature="recover_bytes", portrait_bytes=[HOSTILE[case]])
    code, words = refused(endpoint.prediction.Predict, bad)
    assert code == "INVALID_ARGUMENT"
    if case in ("text", "bomb") and not served.BINARY:
        assert words.startswith("portrait_bytes: ")
        assert "node" not in words


def test_a_few_bytes_cannot_claim_a_huge_tensor(endpoint):
    bad = request()
    proto = bad.inputs["portrait"]
    proto.dtype = tf.uint8.as_datatype_enum
    proto.int_val.append(1)
    for size in (2**31, SIDE, SIDE, 3):
        proto.tensor_shape.dim.add(size=size)
    assert refused(endpoint.prediction.Predict, bad)[0] in ("INVALID_ARGUMENT", "RESOURCE_EXHAUSTED")


def test_the_deadline_is_kept(endpoint):
    with pytest.raises(grpc.RpcError) as caught:
        endpoint.predict(portrait=portraits(16), timeout=1e-4)
    assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert len(endpoint.photos(portraits(2))) == 2


def test_metadata_says_what_the_signatures_want(endpoint):
    asked = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
    asked.model_spec.name = NAME
    answer = endpoint.prediction.GetModelMetadata(asked, timeout=20)
    found = get_model_metadata_pb2.SignatureDefMap()
    assert answer.metadata["signature_def"].Unpack(found)
    portrait = found.signature_def["serving_default"].inputs["portrait"]
    assert portrait.dtype == tf.uint8.as_datatype_enum
    assert [axis.size for axis in portrait.tensor_shape.dim] == [-1, SIDE, SIDE, 3]
    assert "photo_bytes" in found.signature_def["recover_bytes"].outputs
    assert answer.model_spec.version.value == 1

    del asked.metadata_field[:]
    assert refused(endpoint.prediction.GetModelMetadata, asked)[0] == "INVALID_ARGUMENT"
    asked.metadata_field.append("signature_def")
    asked.model_spec.name = "nobody"
    assert refused(endpoint.prediction.GetModelMetadata, asked)[0] == "NOT_FOUND"


def test_status_tells_the_state_of_versions(endpoint):
    asked = get_model_status_pb2.GetModelStatusRequest()
    asked.model_spec.name = NAME
    (status,) = endpoint.model.GetModelStatus(asked, timeout=20).model_version_status
    assert (status.version, status.state, status.status.error_code) == (1, 30, 0)
    asked.model_spec.version.value = 5
    assert refused(endpoint.model.GetModelStatus, asked)[0] == "NOT_FOUND"
    asked.model_spec.name = "nobody"
    assert refused(endpoint.model.GetModelStatus, asked)[0] == "NOT_FOUND"


@ours_only
def test_other_methods_are_refused_by_name(endpoint):
    code, words = refused(endpoint.prediction.Classify, classification_pb2.ClassificationRequest())
    assert (code, "Predict" in words) == ("UNIMPLEMENTED", True)


@ours_only
def test_health_check_of_grpc(endpoint):
    check = endpoint.channel.unary_unary(
        "/grpc.health.v1.Health/Check",
        wrappers_pb2.StringValue.SerializeToString,
        wrappers_pb2.Int32Value.FromString,
    )
    assert check(wrappers_pb2.StringValue(), timeout=20).value == 1
    assert refused(check, wrappers_pb2.StringValue(value="other"))[0] == "NOT_FOUND"
    endpoint.server.service.draining = True
    try:
        assert check(wrappers_pb2.StringValue(value=NAME), timeout=20).value == 2
        assert endpoint.http("GET", "/healthz")[0] == 503
    finally:
        endpoint.server.service.draining = False


def test_fuzzed_protos_leave_the_server_alive(endpoint):
    """Bits flipped, pieces cut and doubled: whatever comes back comes back as a status."""
    raw = endpoint.channel.unary_unary("/tensorflow.serving.PredictionService/Predict")
    random = np.random.default_rng(0)
    whole = request(portrait=portraits(1)).SerializeToString()
    codes = set()
    for turn in range(300):
        data = bytearray(whole[: int(random.integers(1, 200))] if turn % 3 else whole)
        for _ in range(int(random.integers(1, 6))):
            data[int(random.integers(0, min(len(data), 120)))] = int(random.integers(0, 256))
        try:
            raw(bytes(data), timeout=20)
        except grpc.RpcError as error:
            codes.add(error.code().name)
    assert codes <= {
        "INVALID_ARGUMENT",
        "NOT_FOUND",
        "FAILED_PRECONDITION",
        "INTERNAL",
        "UNIMPLEMENTED",
        "RESOURCE_EXHAUSTED",
    }
    assert "INVALID_ARGUMENT" in codes
    pictures = portraits(2)
    np.testing.assert_array_equal(endpoint.photos(pictures), direct(pictures))
