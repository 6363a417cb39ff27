"""Tests of `client/rest`."""

import base64
import contextlib
import socket
import ssl
import threading
import time

import numpy as np
import pictures
import pytest
from model_servers import Model, certificate, rest_server

from ifrp_tf.client.rest import HttpConnections, RestTransport, decode_base64
from ifrp_tf.client.wire import MAX_MESSAGE, RemoteError
from ifrp_tf.core.errors import ConfigError, ImageError
from ifrp_tf.pictures import images

PATH = "/v1/models/ifrp"


@contextlib.contextmanager
def talking(*answers, pause=0.0, stay=0.0):
    """Sends the n-th answer to the n-th connection, byte by byte if it pauses, and hangs up."""
    listener = socket.create_server(("localhost", 0))
    taken = []

    def serve():
        with contextlib.suppress(OSError):
            for answer in answers:
                connection, _ = listener.accept()
                taken.append(connection)
                with connection, contextlib.suppress(OSError):
                    connection.recv(65536)
                    for k in range(len(answer)) if pause else ():
                        connection.sendall(answer[k : k + 1])
                        time.sleep(pause)
                    if not pause:
                        connection.sendall(answer)
                    time.sleep(stay)

    thread = threading.Thread(target=serve)
    thread.start()
    http = HttpConnections(f"localhost:{listener.getsockname()[1]}")
    try:
        yield http, taken
    finally:
        http.close()
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


def answer(body, status="200 OK", headers="", length=None):
    length = f"Content-Length: {len(body) if length is None else length}\r\n"
    return f"HTTP/1.1 {status}\r\n{length}{headers}\r\n".encode() + body


def fails(http, code, words=None, timeout=5.0):
    with pytest.raises(RemoteError, match=words) as error:
        http.ask("GET", PATH, timeout)
    assert error.value.code == code
    return error.value


def idle(http):
    """The connection that waits for the next request."""
    return next(connection for connection in reversed(http._pool.pool.queue) if connection)


def test_a_connection_is_kept_and_used_again():
    model = Model()
    with rest_server(model) as address:
        http = HttpConnections(address)
        for _ in range(3):
            assert "model_version_status" in http.ask("GET", PATH, 5.0)
        assert len(model.connections) == 1
        model.headers = {"Connection": "close"}
        http.ask("GET", PATH, 5.0)
        model.headers = {}
        http.ask("GET", PATH, 5.0)
        assert len(model.connections) == 2
        http.close()


def test_a_connection_that_died_while_idle_is_replaced_unnoticed():
    with talking(answer(b"{}"), answer(b'{"a": 1}')) as (http, taken):
        assert http.ask("GET", PATH, 5.0) == {}
        time.sleep(0.1)
        assert http.ask("GET", PATH, 5.0) == {"a": 1}
        assert len(taken) == 2


@pytest.mark.parametrize(
    ("status", "code"),
    [
        ("400 Bad Request", "INVALID_ARGUMENT"),
        ("404 Not Found", "NOT_FOUND"),
        ("413 Content Too Large", "RESOURCE_EXHAUSTED"),
        ("429 Too Many Requests", "UNAVAILABLE"),
        ("500 Internal Server Error", "INTERNAL"),
        ("503 Service Unavailable", "UNAVAILABLE"),
        ("504 Gateway Timeout", "DEADLINE_EXCEEDED"),
        ("301 Moved Permanently", "UNKNOWN"),
    ],
)
def test_statuses_become_codes(status, code):
    with talking(answer(b'{"error": "portrait: expected uint8"}', status)) as (http, _):
        fails(http, code, f"HTTP {status[:3]}: portrait: expected uint8")


def test_errors_without_json_are_quoted():
    with talking(answer(b"<h1>\xff</h1>", "502 Bad Gateway")) as (http, _):
        fails(http, "UNKNOWN", "<h1>")


@pytest.mark.parametrize(("value", "seconds"), [("7", 7.0), ("soon", 0.0), ("-1", 0.0), ("9" * 30, 0.0)])
def test_a_full_server_may_say_for_how_long(value, seconds):
    with talking(answer(b"{}", "503 Service Unavailable", f"Retry-After: {value}\r\n")) as (http, _):
        assert fails(http, "UNAVAILABLE").wait_s == seconds


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"null", b"\xff", b'{"outputs": [NaN]}', b'{"a": Infinity}', b"[" * 100_000, b"{"],
    ids=["empty", "list", "null", "bytes", "nan", "infinity", "deep", "cut"],
)
def test_what_is_no_finite_json_object_is_refused(body):
    with talking(answer(body)) as (http, _):
        fails(http, "BAD_ANSWER", "finite")


def test_an_answer_that_is_too_long_is_not_read():
    for length in (10**12, MAX_MESSAGE + 1):
        body = b" " * (MAX_MESSAGE + 1)
        with talking(answer(body, length=length), stay=0.2) as (http, _):
            fails(http, "RESOURCE_EXHAUSTED", "at most 4,194,304 bytes")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"HTTP/1.",
        answer(b"{}", length=3),
        b"SSH-2.0-OpenSSH\r\n",
        b"HTTP/1.1 200 OK\r\nA: " + b"a" * 70_000,
    ],
    ids=["nothing", "cut status", "cut body", "other protocol", "long header"],
)
def test_half_an_answer_is_none(data):
    with talking(data) as (http, _):
        fails(http, "UNAVAILABLE")


@pytest.mark.parametrize("headers", ["", "Connection: close\r\n"])
def test_an_answer_that_trickles_in_is_cut_at_the_deadline(headers):
    with talking(answer(b" " * 500 + b"{}", headers=headers), pause=0.01) as (http, _):
        start = time.monotonic()
        fails(http, "DEADLINE_EXCEEDED", "longer timeout", timeout=0.6)
        assert time.monotonic() - start < 2.0


def test_headers_that_trickle_in_are_cut_at_the_deadline():
    headers = "".join(f"X-{number}: {number}\r\n" for number in range(60))
    with talking(answer(b"{}", headers=headers), pause=0.01) as (http, _):
        start = time.monotonic()
        fails(http, "DEADLINE_EXCEEDED", "longer timeout", timeout=0.6)
        assert time.monotonic() - start < 2.0


def test_a_kept_connection_has_a_deadline_of_its_own_for_each_request():
    model = Model()
    with rest_server(model) as address:
        transport = RestTransport(address, "ifrp")
        assert transport.status(0.5)
        model.delay = 1.0  # longer than the first request was allowed to take
        np.testing.assert_array_equal(transport.predict(PORTRAITS, None, 20.0), 255 - PORTRAITS)
        model.delay = 0.0
        model.raw, model.pieces = answer(b" " * 500 + b"{}"), 0.01
        start = time.monotonic()
        with pytest.raises(RemoteError) as error:
            transport.predict(PORTRAITS, None, 0.5)
        assert error.value.code == "DEADLINE_EXCEEDED"
        assert time.monotonic() - start < 2.0
        assert len(model.connections) == 1
        transport.close()


@pytest.mark.parametrize("is_encrypted", [False, True])
def test_a_server_that_does_not_read_is_left_at_the_deadline(is_encrypted, tmp_path):
    """It accepts (and greets, with TLS), and then reads a little at a time."""
    tls = certificate(tmp_path) if is_encrypted else None
    listener = socket.create_server(("localhost", 0))
    over = threading.Event()

    def serve():
        connection, _ = listener.accept()
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(tls[1], tls[0])
            connection = context.wrap_socket(connection, server_side=True)
        with connection, contextlib.suppress(OSError):
            while not over.wait(0.1):
                connection.recv(20_000)

    thread = threading.Thread(target=serve)
    thread.start()
    http = HttpConnections(f"localhost:{listener.getsockname()[1]}", tls[1] if tls else False)
    start = time.monotonic()
    with pytest.raises(RemoteError) as error:
        http.ask("POST", PATH, 1.0, bytes(64 * 2**20))
    assert error.value.code == "DEADLINE_EXCEEDED"
    assert time.monotonic() - start < 3.0
    over.set()
    thread.join()
    http.close()
    listener.close()


def test_several_threads_share_the_connections(caplog):
    model = Model(delay=0.1)
    with rest_server(model) as address:
        transport = RestTransport(address, "ifrp")
        answers = []
        threads = [
            threading.Thread(target=lambda: answers.append(transport.predict(PORTRAITS, None, 20.0)))
            for _ in range(12)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        transport.close()
    assert len(answers) == 12
    assert not caplog.records


def test_silence_is_cut_at_the_deadline():
    with talking(b"", stay=1.0) as (http, _):
        fails(http, "DEADLINE_EXCEEDED", timeout=0.3)


def test_nobody_there():
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        http = HttpConnections(f"localhost:{probe.getsockname()[1]}")
        fails(http, "UNAVAILABLE", "refused.*Is it running there")
    fails(HttpConnections("no-such-host.invalid:1"), "UNAVAILABLE")


def test_tls(tmp_path):
    tls = certificate(tmp_path)
    with rest_server(Model(), tls) as address:
        http = HttpConnections(address, tls[1])
        assert http.ask("GET", PATH, 5.0)
        assert isinstance(idle(http).sock, ssl.SSLSocket)
        assert idle(http).sock.version() in ("TLSv1.2", "TLSv1.3")
        http.close()
        fails(HttpConnections(address, True), "UNAVAILABLE", "CERTIFICATE_VERIFY_FAILED")
        fails(HttpConnections(address), "UNAVAILABLE")
    with pytest.raises(ConfigError, match="PEM"):
        HttpConnections(address, tmp_path / "none.pem")


def test_nothing_is_left_open():
    before = threading.active_count()
    with rest_server(Model()) as address:
        http = HttpConnections(address)
        http.ask("GET", PATH, 5.0)
        sock = idle(http).sock
        http.close()
        assert sock.fileno() == -1
        fails(http, "CANCELLED", "closed")
    deadline = time.monotonic() + 5
    while threading.active_count() > before and time.monotonic() < deadline:
        time.sleep(0.02)
    assert threading.active_count() <= before


PORTRAITS = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3)).astype(np.uint8)
PNG = images.encode_png(PORTRAITS[0])


@pytest.fixture
def model():
    return Model()


@pytest.fixture
def transport(model):
    with rest_server(model) as address:
        transport = RestTransport(address, "ifrp")
        yield transport
        transport.close()


def b64(data):
    return {"b64": base64.b64encode(data).decode()}


def test_pictures_there_and_back(transport):
    np.testing.assert_array_equal(transport.predict(PORTRAITS, None, 5.0), 255 - PORTRAITS)
    np.testing.assert_array_equal(transport.predict(PORTRAITS[:1], 1, 5.0), 255 - PORTRAITS[:1])


def test_a_server_may_name_its_only_output(transport, model):
    model.photos = lambda portraits: {
        "outputs": {"photo_bytes": [b64(images.encode_png(p)) for p in portraits]}
    }
    np.testing.assert_array_equal(transport.predict(PORTRAITS, None, 5.0), PORTRAITS)


def test_metadata_and_status(transport, model):
    model.versions = (2, 5)
    info = transport.metadata(None, 5.0)
    assert (info.name, info.version, info.side) == ("ifrp", 5, 32)
    assert info.signatures["recover_bytes"]["outputs"] == {"photo_bytes": ("DT_STRING", (-1,))}
    assert transport.metadata(2, 5.0).version == 2
    assert transport.status(5.0) == {2: "AVAILABLE", 5: "AVAILABLE"}


def test_a_model_that_takes_no_files_is_refused(transport, model):
    model.signatures = ("serving_default",)
    with pytest.raises(RemoteError, match="use the other protocol"):
        transport.metadata(None, 5.0)


@pytest.mark.parametrize("name", ["a/b", "a?b", "..", "a b\r\nX: y", "ä"])
def test_a_name_stays_one_part_of_the_path(model, name):
    with rest_server(model) as address:
        transport = RestTransport(address, name)
        with pytest.raises(RemoteError) as error:
            transport.status(5.0)
        assert error.value.code in ("NOT_FOUND", "UNAVAILABLE")
        transport.close()


@pytest.mark.parametrize(
    "outputs",
    [
        None,
        [],
        [b64(PNG)] * 2,
        [b64(PNG)] * 4,
        [b64(PNG)] * 2 + [base64.b64encode(PNG).decode()],
        [b64(PNG)] * 2 + [{"b64": "!"}],
        [b64(PNG)] * 2 + [{"b64": 7}],
        [b64(PNG)] * 2 + [b64(b"text")],
        [b64(PNG)] * 2 + [b64(PNG[:-20])],
        [b64(PNG)] * 2 + [b64(pictures.save(PORTRAITS[0], "JPEG"))],
        [b64(PNG)] * 2 + [b64(images.encode_png(np.zeros((32, 16, 3), np.uint8)))],
        [b64(PNG)] * 2 + [b64(pictures.png_bomb())],
        b64(PNG),
        {"photo_bytes": 3},
        PORTRAITS.tolist(),
    ],
    ids=str,
)
def test_unusable_answers_are_refused(transport, model, outputs):
    model.photos = lambda portraits: {"outputs": outputs}
    with pytest.raises(RemoteError, match="Expected .* Received: ") as error:
        transport.predict(PORTRAITS, None, 5.0)
    assert error.value.code == "BAD_ANSWER"
    assert len(str(error.value)) < 1000


def test_metadata_that_is_none_is_refused(transport, model, monkeypatch):
    for answer in ({}, {"metadata": 3}, {"metadata": {"signature_def": {"signature_def": {"x": None}}}}):
        monkeypatch.setattr(transport._http, "ask", lambda *_, answer=answer: answer)
        for question in (lambda: transport.metadata(None, 5.0), lambda: transport.status(5.0)):
            with pytest.raises(RemoteError) as error:
                question()
            assert error.value.code == "BAD_ANSWER"


def test_base64_as_it_occurs():
    data = bytes(range(256)) + b"\xfb\xff"
    text = base64.b64encode(data).decode()
    web_safe = base64.urlsafe_b64encode(data).decode()
    lines = "\r\n".join(text[k : k + 76] for k in range(0, len(text), 76))
    for given in (
        text,
        text.rstrip("="),
        web_safe,
        lines,
        text.encode(),
        f"data:image/png;base64,{text}",
        f" {text}\n",
    ):
        assert decode_base64(given) == data


@pytest.mark.parametrize("text", ["!", "a", "data:image/png;base64", "äöü", "=abc", "ab=cd"])
def test_what_is_no_base64_is_refused(text):
    with pytest.raises(ImageError, match=r"Expected base64\. Received: "):
        decode_base64(text)
