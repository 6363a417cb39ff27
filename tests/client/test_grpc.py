import socket
import threading
import time

import grpc
import numpy as np
import pytest
from model_servers import Model, certificate, grpc_server, poisoned
from tensorflow_serving.apis import predict_pb2

from ifrp_tf.client.grpc import GrpcTransport
from ifrp_tf.client.wire import PREDICT, RemoteError

PORTRAITS = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3)).astype(np.uint8)


@pytest.fixture
def model():
    return Model()


@pytest.fixture
def transport(model):
    with grpc_server(model) as address:
        transport = GrpcTransport(address, "ifrp")
        yield transport
        transport.close()


def fails(transport, code, words=None, portraits=PORTRAITS, timeout=5.0):
    with pytest.raises(RemoteError, match=words) as error:
        transport.predict(portraits, None, timeout)
    assert error.value.code == code
    return str(error.value)


@pytest.mark.parametrize("as_numbers", [False, True], ids=["content", "numbers"])
def test_pictures_there_and_back(transport, model, as_numbers):
    model.as_numbers = as_numbers
    np.testing.assert_array_equal(transport.predict(PORTRAITS, None, 5.0), 255 - PORTRAITS)
    np.testing.assert_array_equal(transport.predict(PORTRAITS[:1], 1, 5.0), 255 - PORTRAITS[:1])


def test_metadata_and_status(transport, model):
    model.versions = (2, 5)
    info = transport.metadata(None, 5.0)
    assert (info.name, info.version, info.side) == ("ifrp", 5, 32)
    assert info.signatures["serving_default"]["outputs"] == {"photo": ("DT_UINT8", (-1, 32, 32, 3))}
    assert transport.metadata(2, 5.0).version == 2
    assert transport.status(5.0) == {2: "AVAILABLE", 5: "AVAILABLE"}


def test_a_model_without_signatures_is_another_kind(transport, model):
    model.signatures = ()
    with pytest.raises(RemoteError, match="Another kind of model"):
        transport.metadata(None, 5.0)


def test_codes_and_words_of_the_server_arrive(transport, model):
    assert "gRPC" not in fails(
        transport, "INVALID_ARGUMENT", "not finite", np.stack([poisoned(PORTRAITS[0])])
    )
    model.failures.append("UNAVAILABLE")
    assert "as told" in fails(transport, "UNAVAILABLE")
    assert len(model.sizes) == 2


@pytest.mark.parametrize(
    ("photos", "words"),
    [
        (lambda portraits: portraits.astype(np.float32) * np.nan, "DT_FLOAT"),
        (lambda portraits: portraits[:2], r"Received: DT_UINT8 \[2, 32, 32, 3\]"),
        (lambda portraits: portraits[:, :16], r"Received: DT_UINT8 \[3, 16, 32, 3\]"),
        (lambda portraits: None, r"Received: \[\]"),
    ],
    ids=["nan", "too few", "small", "none"],
)
def test_unusable_answers_are_refused(transport, model, photos, words):
    model.photos = photos
    fails(transport, "BAD_ANSWER", words)


def test_an_answer_that_is_too_long_is_refused(transport, model):
    model.photos = lambda portraits: np.zeros((2000, 32, 32, 3), np.uint8)
    fails(transport, "RESOURCE_EXHAUSTED", "larger than max")


def test_bytes_that_are_no_message_are_refused():
    def garbage(request, context):
        return b"\xff\xff\xff"

    handler = grpc.method_handlers_generic_handler(
        "tensorflow.serving.PredictionService",
        {PREDICT.rpartition("/")[2]: grpc.unary_unary_rpc_method_handler(garbage)},
    )
    from concurrent.futures import ThreadPoolExecutor

    server = grpc.server(ThreadPoolExecutor(1), handlers=[handler])
    port = server.add_insecure_port("localhost:0")
    server.start()
    transport = GrpcTransport(f"localhost:{port}", "ifrp")
    fails(transport, "INTERNAL", "deserializing")
    with pytest.raises(RemoteError, match="Something else than a model server"):
        transport.status(5.0)
    transport.close()
    server.stop(None).wait()


def test_the_server_hears_of_the_deadline(transport, model):
    model.delay = 2.0
    start = time.monotonic()
    assert "longer timeout" in fails(transport, "DEADLINE_EXCEEDED", timeout=0.3)
    assert time.monotonic() - start < 1.5


def test_a_server_that_accepts_and_is_silent_costs_the_deadline():
    with socket.create_server(("localhost", 0)) as listener:
        transport = GrpcTransport(f"localhost:{listener.getsockname()[1]}", "ifrp")
        fails(transport, "DEADLINE_EXCEEDED", timeout=0.5)
        transport.close()


def test_a_server_that_hangs_up_is_unavailable():
    listener = socket.create_server(("localhost", 0))

    def hang_up():
        while True:
            try:
                listener.accept()[0].close()
            except OSError:
                return

    thread = threading.Thread(target=hang_up)
    thread.start()
    transport = GrpcTransport(f"localhost:{listener.getsockname()[1]}", "ifrp")
    fails(transport, "UNAVAILABLE")
    transport.close()
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join()


def test_tls(tmp_path, model):
    tls = certificate(tmp_path)
    with grpc_server(model, tls) as address:
        transport = GrpcTransport(address, "ifrp", tls[1])
        np.testing.assert_array_equal(transport.predict(PORTRAITS, None, 5.0), 255 - PORTRAITS)
        transport.close()
        for untrusting in (GrpcTransport(address, "ifrp", True), GrpcTransport(address, "ifrp")):
            fails(untrusting, "UNAVAILABLE")
            untrusting.close()


def test_a_closed_transport_says_so(transport):
    transport.close()
    fails(transport, "CANCELLED", "closed")


def test_requests_name_model_version_and_signature(transport, model):
    seen = []
    find = model.find
    model.find = lambda name, version: seen.append((name, version)) or find(name, version)
    transport.predict(PORTRAITS, 1, 5.0)
    assert seen == [("ifrp", 1)]
    assert predict_pb2.PredictRequest().model_spec.HasField("version") is False
