import contextlib
import socket
import ssl
import threading
import time

import pytest
from model_servers import Model, certificate, rest_server

from ifrp_tf.client_http import HttpConnections
from ifrp_tf.client_wire import MAX_MESSAGE, RemoteError
from ifrp_tf.errors import ConfigError

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
        assert http._idle[0].sock.version() in ("TLSv1.2", "TLSv1.3")
        assert isinstance(http._idle[0].sock, ssl.SSLSocket)
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
        sock = http._idle[0].sock
        http.close()
        assert sock.fileno() == -1
        fails(http, "CANCELLED", "closed")
    deadline = time.monotonic() + 5
    while threading.active_count() > before and time.monotonic() < deadline:
        time.sleep(0.02)
    assert threading.active_count() <= before
