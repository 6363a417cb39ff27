"""Tests of `serving/server`."""

import contextlib
import importlib.util
import json
import signal
import socket
import ssl
import subprocess
import threading
import time
import urllib.request
from pathlib import Path

import grpc
import numpy as np
import pytest
import served
import small_model
from served import NAME, direct, portraits, wait_for

from ifrp_tf.core.errors import ConfigError, ModelError
from ifrp_tf.serving import server
from ifrp_tf.serving.server import Options

# ---- Settings ----


def options(**settings):
    return Options("ifrp", "models", **settings)


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """A certificate for localhost, which is its own authority, and its key."""
    folder = tmp_path_factory.mktemp("tls")
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    try:
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
             "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1",
             "-keyout", key, "-out", certificate],
            check=True, capture_output=True,
        )  # fmt: skip
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("needs the program openssl to make a certificate")
    return str(certificate), str(key)


def test_a_certificate_needs_its_key(pair, tmp_path):
    certificate, key = pair
    assert options().tls() is None
    context = options(tls_cert=certificate, tls_key=key).tls()
    assert context.verify_mode is ssl.CERT_NONE
    context = options(tls_cert=certificate, tls_key=key, tls_client_ca=certificate).tls()
    assert context.verify_mode is ssl.CERT_REQUIRED
    for settings in ({"tls_cert": certificate}, {"tls_key": key}, {"tls_client_ca": certificate}):
        with pytest.raises(ConfigError, match="both tls_cert and tls_key"):
            options(**settings)
    (tmp_path / "empty.pem").write_text("")
    for settings in (
        {"tls_cert": key},
        {"tls_key": str(tmp_path / "empty.pem")},
        {"tls_client_ca": "nowhere"},
    ):
        with pytest.raises(ConfigError, match=r"Expected PEM files .* Received: "):
            options(**{"tls_cert": certificate, "tls_key": key} | settings)


def test_channel_arguments():
    made = options(grpc_channel_arguments="grpc.max_concurrent_streams=9,grpc.primary_user_agent=x")
    assert made.channel_arguments() == [("grpc.max_concurrent_streams", 9), ("grpc.primary_user_agent", "x")]
    with pytest.raises(ConfigError, match="name=value"):
        options(grpc_channel_arguments="grpc.max")


@pytest.mark.parametrize(
    "settings",
    [
        {"port": -1},
        {"rest_api_port": 70000},
        {"port": 0, "rest_api_port": 0},
        {"num_batch_threads": 0},
        {"max_request_bytes": 1},
        {"drain_seconds": 60},
        {"max_batch_size": 5000},
        {"metrics_path": "metrics"},
        {"tls_cert": "nowhere", "tls_key": "nowhere"},
    ],
)
def test_wrong_settings(settings):
    with pytest.raises(ConfigError, match="Expected"):
        options(**settings)


@pytest.mark.parametrize("name", ["", "a/b", "a:predict"])
def test_names_that_no_address_can_hold(name):
    with pytest.raises(ConfigError, match="model_name"):
        Options(name, "models")


# ---- The server as a program: ports, signals, draining, encryption, clients that hang ----


def test_sigterm_finishes_what_was_asked_and_ends():
    """The program: starts, answers, and after SIGTERM finishes requests under way and exits with 0."""
    with served.outside(served.released(), "--max_batch_size=1", "--max_enqueued_batches=1000") as endpoint:
        pictures = portraits(30)
        np.testing.assert_array_equal(endpoint.photos(pictures), direct(pictures))
        many = portraits(200)
        pending = endpoint.prediction.Predict.future(served.request(portrait=many), timeout=60)
        wait_for(lambda: endpoint.metric("ifrp_queue_rows") > 0 or pending.done())
        endpoint.process.send_signal(signal.SIGTERM)
        started = time.monotonic()
        np.testing.assert_array_equal(served.tf.make_ndarray(pending.result().outputs["photo"]), direct(many))
        assert endpoint.process.wait(20) == 0
        assert time.monotonic() - started < 20
        with pytest.raises(grpc.RpcError) as caught:
            endpoint.photos(pictures)
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
        assert "Traceback" not in endpoint.process.stderr.read()


def test_a_port_in_use_is_reported():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        for settings in ({"port": port}, {"rest_api_port": port}):
            with pytest.raises(ConfigError, match="Expected free ports"), served.inside(**settings):
                pass


@pytest.mark.parametrize(
    ("flags", "code", "words"),
    [
        (["--model_base_path=nowhere"], 3, "Expected a folder of versions"),
        (["--port=1", "--rest_api_port=1"], 2, "two different ports"),
        (["--max_batch_size=0"], 2, "max_batch_size from 1"),
        (["--tls_cert=nowhere", "--tls_key=nowhere"], 2, "Expected PEM files"),
    ],
)
def test_wrong_usage_is_reported_at_once(flags, code, words):
    finished = small_model.tool("serve", *flags)
    assert finished.returncode == code
    assert words in finished.stderr
    assert "Traceback" not in finished.stderr


def test_a_version_itself_is_no_folder_of_versions():
    with pytest.raises(ConfigError, match="Use model_base_path="):
        server.run(Options(NAME, str(served.released() / "1")))


def test_an_empty_folder_is_no_model(tmp_path):
    with pytest.raises(ModelError, match="numbered version folders"), served.inside(tmp_path):
        pass


def test_a_full_queue_sheds_and_recovers():
    with served.inside(max_batch_size=2, max_enqueued_batches=2) as endpoint:
        pictures = portraits(2)
        with served.Held(endpoint.server.batcher):
            pending = [
                endpoint.prediction.Predict.future(served.request(portrait=pictures)) for _ in range(2)
            ]
            wait_for(lambda: endpoint.server.batcher.waiting == 4)
            with pytest.raises(grpc.RpcError) as caught:
                endpoint.photos(pictures)
            assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
            assert "queue is full" in caught.value.details()
            status, answer = endpoint.post({"instances": pictures.tolist()})
            assert (status, "queue is full" in answer["error"]) == (429, True)
        for future in pending:
            assert future.result(20).outputs
        np.testing.assert_array_equal(endpoint.photos(pictures), direct(pictures))
        with pytest.raises(grpc.RpcError) as caught:
            endpoint.photos(portraits(5))
        assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT


def test_a_deadline_counts_the_time_in_the_queue_and_cancelling_frees_it():
    with served.inside(rest_api_timeout_in_ms=200) as endpoint:
        batcher, pictures = endpoint.server.batcher, portraits(1)
        with served.Held(batcher):
            with pytest.raises(grpc.RpcError) as caught:
                endpoint.photos(pictures, timeout=0.2)
            assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
            assert endpoint.post({"instances": pictures.tolist()})[0] == 504
            wait_for(lambda: batcher.waiting == 0)

            future = endpoint.prediction.Predict.future(served.request(portrait=pictures), timeout=20)
            wait_for(lambda: batcher.waiting == 1)
            future.cancel()
            wait_for(lambda: batcher.waiting == 0)
        np.testing.assert_array_equal(endpoint.photos(pictures), direct(pictures))


def test_a_request_that_is_too_long_is_refused():
    with served.inside(max_request_bytes=20_000) as endpoint:
        with pytest.raises(grpc.RpcError) as caught:
            endpoint.photos(portraits(40))
        assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert endpoint.post(b" " * 20_001)[0] == 413
        assert len(endpoint.photos(portraits(2))) == 2


def test_clients_that_hang_hold_up_nobody():
    """Connections that say nothing, half a request, and ones that read no answer, beside ones that work."""
    with served.inside() as endpoint, contextlib.ExitStack() as stack:
        body = json.dumps({"instances": portraits(4).tolist()}).encode()
        path = f"/v1/models/{NAME}:predict"
        head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n".encode()
        for number in range(60):
            client = stack.enter_context(socket.create_connection(("127.0.0.1", endpoint.rest_port)))
            client.sendall([b"", head[:20], head + body[:100], head + body][number % 4])
        for _ in range(20):
            quiet = stack.enter_context(socket.create_connection(("127.0.0.1", endpoint.port)))
            quiet.sendall(b"PRI * HTTP/2.0\r\n")
        pictures = portraits(3)
        assert endpoint.post({"instances": pictures.tolist()})[0] == 200
        np.testing.assert_array_equal(endpoint.photos(pictures), direct(pictures))
        stack.close()
        wait_for(lambda: endpoint.metric("ifrp_http_connections") <= 1)


def test_stopping_leaves_no_thread():
    with served.inside() as endpoint:
        endpoint.photos(portraits(1))
    wait_for(lambda: not [t for t in threading.enumerate() if t.name.startswith(("batch_", "versions"))])


def test_encrypted_ports(pair):
    certificate, key = pair
    with served.inside(tls_cert=certificate, tls_key=key) as endpoint:
        credentials = grpc.ssl_channel_credentials(Path(certificate).read_bytes())
        assert answers(endpoint, credentials)
        with pytest.raises(grpc.RpcError):
            endpoint.photos(portraits(1), timeout=2)
        trust = ssl.create_default_context(cafile=certificate)
        assert health(endpoint, trust) == b"ok\n"


def test_clients_without_a_certificate_are_not_answered_where_one_is_asked_for(pair):
    certificate, key = pair
    with served.inside(tls_cert=certificate, tls_key=key, tls_client_ca=certificate) as endpoint:
        roots = Path(certificate).read_bytes()
        assert answers(endpoint, grpc.ssl_channel_credentials(roots, Path(key).read_bytes(), roots))
        with pytest.raises(grpc.RpcError):
            answers(endpoint, grpc.ssl_channel_credentials(roots))
        trust = ssl.create_default_context(cafile=certificate)
        with pytest.raises(OSError, match=r"(?i)certificate required|reset|EOF|closed"):
            health(endpoint, trust)
        trust.load_cert_chain(certificate, key)
        assert health(endpoint, trust) == b"ok\n"


def answers(endpoint, credentials):
    with grpc.secure_channel(f"localhost:{endpoint.port}", credentials) as channel:
        stub = served.prediction_service_pb2_grpc.PredictionServiceStub(channel)
        return stub.Predict(served.request(portrait=portraits(1)), timeout=20).outputs


def health(endpoint, trust):
    with urllib.request.urlopen(f"https://localhost:{endpoint.rest_port}/healthz", context=trust) as answer:
        return answer.read()


def test_the_metrics_are_where_the_settings_say():
    with served.inside(metrics_path="/metrics") as endpoint:
        assert endpoint.http("GET", "/metrics")[0] == 200
        assert endpoint.http("GET", "/monitoring/prometheus/metrics")[0] == 404
    with served.inside(metrics_path="") as endpoint:
        assert endpoint.http("GET", "/monitoring/prometheus/metrics")[0] == 404


def test_missing_packages_are_named(monkeypatch):
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "aiohttp" else found(name))
    with pytest.raises(ConfigError, match=r"Received: no aiohttp\. .*pip install 'ifrp_tf\[serve\]'"):
        server.Server(Options(NAME, str(served.released())))
