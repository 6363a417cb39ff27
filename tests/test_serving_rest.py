"""REST over real sockets; where IFRP_MODEL_SERVER names TensorFlow Serving, against that."""

import base64
import json
import socket

import numpy as np
import pytest
import served
import tensorflow as tf
from served import NAME, SIDE, direct, portraits

ours_only = pytest.mark.skipif(bool(served.BINARY), reason="TensorFlow Serving answers this in its own way")


@pytest.fixture(scope="module")
def door():
    with served.any_server() as open_door:
        yield open_door


def b64(data):
    return {"b64": base64.b64encode(data).decode()}


def test_rows_and_columns_give_the_very_numbers_of_the_saved_model(door):
    pictures = portraits(3)
    expected = direct(pictures).tolist()
    bare, named = pictures.tolist(), [{"portrait": row} for row in pictures.tolist()]
    assert door.post({"instances": bare}) == (200, {"predictions": expected})
    assert door.post({"instances": named}) == (200, {"predictions": expected})
    assert door.post({"inputs": bare}) == (200, {"outputs": expected})
    assert door.post({"inputs": {"portrait": bare}}) == (200, {"outputs": expected})
    first = door.post({"instances": bare, "signature_name": "serving_default"}, "/versions/1:predict")
    assert first == (200, {"predictions": expected})


def test_files_in_base64(door):
    files = served.files(2)
    function = served.signatures()["recover_bytes"]
    expected = [b64(data) for data in function(portrait_bytes=tf.constant(files))["photo_bytes"].numpy()]
    rows = {"signature_name": "recover_bytes", "instances": [b64(data) for data in files]}
    assert door.post(rows) == (200, {"predictions": expected})
    rows["instances"] = [{"portrait_bytes": b64(data)} for data in files]
    assert door.post(rows) == (200, {"predictions": expected})
    columns = {"signature_name": "recover_bytes", "inputs": {"portrait_bytes": [b64(data) for data in files]}}
    status, answer = door.post(columns)
    assert (status, answer) == (200, {"outputs": expected})
    photo = tf.io.decode_png(base64.b64decode(answer["outputs"][0]["b64"]))
    assert photo.shape == (SIDE, SIDE, 3)


def test_status_and_metadata(door):
    status, answer = door.http("GET", f"/v1/models/{NAME}")
    assert status == 200
    assert answer["model_version_status"] == [
        {"version": "1", "state": "AVAILABLE", "status": {"error_code": "OK", "error_message": ""}}
    ]
    assert door.http("GET", f"/v1/models/{NAME}/versions/1") == (200, answer)
    status, answer = door.http("GET", f"/v1/models/{NAME}/metadata")
    assert (status, answer["model_spec"]["version"]) == (200, "1")
    definition = answer["metadata"]["signature_def"]["signature_def"]["serving_default"]
    assert definition["inputs"]["portrait"]["dtype"] == "DT_UINT8"
    assert [axis["size"] for axis in definition["inputs"]["portrait"]["tensor_shape"]["dim"]] == [
        "-1", str(SIDE), str(SIDE), "3",
    ]  # fmt: skip


WRONG = {
    "no JSON": b"{",
    "no object": b"[]",
    "neither": {"signature_name": "serving_default"},
    "both": {"instances": [], "inputs": []},
    "ragged": {"instances": [[[1, 2, 3], [1, 2]]]},
    "shape": {"instances": [[[1, 2, 3]]]},
    "strings": {"instances": ["portrait"]},
    "unknown name": {"instances": [{"face": 1}]},
    "numbers for strings": {"signature_name": "recover_bytes", "instances": [1, 2]},
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_body_is_a_bad_request(door, case):
    status, answer = door.post(WRONG[case])
    assert status == 400
    assert answer["error"]


@ours_only
@pytest.mark.parametrize(
    ("case", "body", "words"),
    [
        ("level", {"instances": [256]}, "from 0 to 255"),
        ("negative", {"instances": [-1]}, "from 0 to 255"),
        ("fraction", {"instances": [0.5]}, "fractions"),
        ("truth", {"instances": [True]}, "booleans"),
        ("huge", {"instances": [10**30]}, "mixed or too large"),
        ("nan", b'{"instances": [NaN]}', "NaN"),
        ("deep", b'{"instances": ' + b"[" * 90_000 + b"]" * 90_000 + b"}", "Expected"),
        ("web-safe", {"signature_name": "recover_bytes", "instances": [{"b64": "_-8="}]}, "web-safe"),
        ("data address", {"signature_name": "recover_bytes", "instances": [{"b64": "data:;base64,AA"}]},
         "comma"),
        ("lines", {"signature_name": "recover_bytes", "instances": [{"b64": "iVBO\nRw0K"}]}, "line breaks"),
        ("list", {"instances": 5}, "instances: expected a list"),
    ],
)  # fmt: skip
def test_a_bad_request_says_what_is_wrong(door, case, body, words):
    status, answer = door.post(body)
    assert status == 400
    assert words in answer["error"], case


@ours_only
def test_an_empty_batch_has_an_empty_answer(door):
    assert door.post({"instances": []}) == (200, {"predictions": []})
    assert door.post({"inputs": []}) == (200, {"outputs": []})
    empty = {"signature_name": "recover_bytes", "instances": []}
    assert door.post(empty) == (200, {"predictions": []})


def test_what_is_not_there_is_not_found(door):
    body = {"instances": portraits(1).tolist()}
    assert door.http("POST", "/v1/models/nobody:predict", body)[0] == 404
    assert door.post(body, "/versions/99:predict")[0] == 404
    assert door.http("GET", f"/v1/models/{NAME}/versions/99")[0] == 404
    assert door.http("GET", "/v1/models/nobody")[0] == 404


@ours_only
def test_other_paths_and_methods(door):
    assert door.http("GET", "/")[0] == 404
    assert door.http("GET", "/v1/models/toy/versions/1/../../../../etc/passwd")[0] == 404
    assert door.http("GET", f"/v1/models/{NAME}:predict")[0] == 405
    assert door.http("DELETE", f"/v1/models/{NAME}")[0] == 405
    assert door.http("POST", f"/v1/models/{NAME}:classify", {})[0] == 501
    unknown = door.post({"instances": [], "signature_name": "upside_down"})
    assert unknown[0] == 412
    assert "recover_bytes, serving_default" in unknown[1]["error"]
    assert door.http("GET", "/healthz") == (200, "ok\n")


def test_metrics_count_what_was_answered(door):
    if served.BINARY:
        pytest.skip("TensorFlow Serving has no metrics without a monitoring file")
    before = door.metric(":tensorflow:serving:request_count")
    door.post({"instances": portraits(2).tolist()})
    door.photos(portraits(1))
    assert door.metric(":tensorflow:serving:request_count") == before + 2
    assert door.metric("ifrp_model_version") == 1
    assert door.metric("process_resident_memory_bytes") > 1e7
    _, text = door.http("GET", "/monitoring/prometheus/metrics")
    assert 'status="OK"' in text
    assert (
        ':tensorflow:serving:request_latency_bucket{API="predict",entrypoint="REST",model_name="toy",le="'
        in text
    )


def test_a_client_that_leaves_takes_its_request_along(door):
    if served.BINARY:
        pytest.skip("looks inside the server")
    batcher = door.server.batcher
    body = json.dumps({"instances": portraits(1).tolist()}).encode()
    with served.Held(batcher):
        with socket.create_connection(("127.0.0.1", door.rest_port)) as client:
            head = f"POST /v1/models/{NAME}:predict HTTP/1.1\r\nContent-Length: {len(body)}\r\n\r\n"
            client.sendall(head.encode() + body)
            served.wait_for(lambda: batcher.waiting == 1)
        served.wait_for(lambda: batcher.waiting == 0)


def test_fuzzed_bodies_leave_the_server_alive(door):
    """Bodies with pieces changed, cut and doubled: always an answer, always JSON."""
    random = np.random.default_rng(1)
    whole = json.dumps(
        {"instances": np.zeros((1, 2, 2, 3), int).tolist(), "signature_name": "serving_default"}
    )
    seen = set()
    for _ in range(300):
        data = bytearray(whole.encode())
        for _ in range(int(random.integers(1, 5))):
            at, kind = int(random.integers(0, len(data))), int(random.integers(0, 3))
            if kind == 0:
                data[at] = int(random.integers(0, 256))
            elif kind == 1:
                del data[at : at + int(random.integers(1, 9))]
            else:
                data[at:at] = [b'"', b"[", b"{", b"1e999", b"null", b"\\ud800"][int(random.integers(0, 6))]
        status, answer = door.post(bytes(data))
        seen.add(status)
        assert answer["error"]
    assert seen <= {400, 404, 412}
    pictures = portraits(1)
    assert door.post({"instances": pictures.tolist()}) == (200, {"predictions": direct(pictures).tolist()})
