"""Tests of `serving/rest`."""

import asyncio
import base64
import contextlib
import gzip
import json
import logging
import re
import socket
import time

import numpy as np
import pytest
import served
import tensorflow as tf
from aiohttp import web
from served import NAME, SIDE, direct, portraits

from ifrp_tf.serving.rest import HttpServer

# ---- The HTTP server over real sockets, with a handler of a few lines ----


@contextlib.asynccontextmanager
async def listening(handler, **options):
    settings = {"max_body": 1000, "idle_seconds": 20, "body_seconds": 20, **options}
    server = HttpServer(handler, **settings)
    port = await server.start("127.0.0.1", 0)
    try:
        yield server, port
    finally:
        await server.stop(1.0)
        assert server.connections == 0


async def echo(request):
    return web.Response(text=f"{request.method} {request.path} {request.body.decode()}")


async def exchange(port, data, end=True):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(data)
    answer = await asyncio.wait_for(reader.read(), 20) if end else b""
    writer.close()
    return answer


def status_of(answer):
    """HTTP/1.1 or, to clients of that version, HTTP/1.0."""
    version, status, _ = answer.split(b" ", 2)
    assert version in (b"HTTP/1.1", b"HTTP/1.0")
    return int(status)


def body_of(answer):
    return answer.split(b"\r\n\r\n", 1)[1]


GET, POST = b"GET / HTTP/1.1\r\nHost: x\r\n", b"POST / HTTP/1.1\r\nHost: x\r\n"
CHUNKED, CLOSE = b"Transfer-Encoding: chunked\r\n", b"Connection: close\r\n"
CASES = {
    "get": (b"GET /a%20b?c=d HTTP/1.1\r\nHost: x\r\n" + CLOSE + b"\r\n", 200, b"GET /a b "),
    "old": (b"GET / HTTP/1.0\r\n\r\n", 200, b"GET / "),
    "post": (POST + CLOSE + b"Content-Length: 3\r\n\r\nabc", 200, b"POST / abc"),
    "chunks": (
        b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=1\r\nde\r\n0\r\n\r\n",
        200,
        b"POST / abcde",
    ),
    "two": (GET + b"\r\nGET /2 HTTP/1.1\r\n" + CLOSE + b"Host: x\r\n\r\n", 200, b"GET /2 "),
    "no HTTP": (b"hello\r\n\r\n", 400, b""),
    "no host": (b"GET / HTTP/1.1\r\n\r\n", 400, b""),
    "HTTP/2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400, b""),
    "TLS": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(50) + b"\r\n\r\n", 400, b""),
    "header": (GET + b"no colon\r\n\r\n", 400, b""),
    "two lengths": (POST + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd", 400, b""),
    "both lengths": (
        POST + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400, b"",
    ),
    "negative length": (POST + b"Content-Length: -3\r\n\r\n", 400, b""),
    "trailers": (
        POST + CLOSE + CHUNKED + b"\r\n2\r\nab\r\n0\r\nA: b\r\n\r\n",
        200,
        b"POST / ab",
    ),
    "slash": (b"GET /a%2Fb?x HTTP/1.1\r\nHost: x\r\n" + CLOSE + b"\r\n", 200, b"GET /a/b "),
    "close": (GET + b"Connection: Close\r\n\r\n", 200, b"GET / "),
    "h2c": (  # as Java's client sends
        POST + b"Connection: Upgrade, close\r\nUpgrade: h2c\r\nContent-Length: 3\r\n\r\nabc",
        200,
        b"POST / abc",
    ),
    "websocket": (
        GET + b"Connection: Upgrade, close\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\r\n",
        200,
        b"GET / ",
    ),
    "long": (POST + b"Content-Length: 1001\r\n\r\n", 413, b""),
    "long chunks": (
        POST + CHUNKED + b"\r\n3e9\r\n" + bytes(1001), 413, b'in a request."}',
    ),
    "bad chunk": (POST + CHUNKED + b"\r\nxyz\r\n", 400, b""),
    "many headers": (GET + b"A: b\r\n" * 99 + b"\r\n", 400, b""),
    "headers": (GET + b"A: " + b"a" * 20_000 + b"\r\n\r\n", 431, b""),
    "endless headers": (GET + b"A: " + b"a" * 600_000, 431, b""),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_requests(case):
    data, status, end = CASES[case]

    async def check():
        async with listening(echo) as (_, port):
            answer = await exchange(port, data)
            assert status_of(answer) == status
            assert answer.endswith(end)
            if status != 200:
                assert json.loads(body_of(answer))["error"].startswith("Expected")
            if case == "two":
                assert answer.count(b"HTTP/1.1 200 OK") == 2

    asyncio.run(check())


def test_connections_stay_open_as_asked():
    async def check():
        async with listening(echo) as (_, port):
            for head in (
                GET + b"\r\n",
                b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
            ):
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                for _ in range(3):
                    writer.write(head)
                    assert status_of(await reader.readuntil(b"GET / ")) == 200
                writer.close()

    asyncio.run(check())


def test_many_requests_at_once_are_answered_in_order():
    async def check():
        async with listening(echo) as (_, port):
            paths = [f"/{number}".encode() for number in range(200)]
            heads = [b"GET " + path + b" HTTP/1.1\r\nHost: x\r\n" for path in paths]
            answer = await exchange(port, b"\r\n".join([*heads[:-1], heads[-1] + CLOSE]) + b"\r\n")
            assert re.findall(rb"\r\n\r\nGET (/[0-9]+) ", answer) == paths

    asyncio.run(check())


def test_a_compressed_body_is_read_up_to_the_limit():
    def post(data):
        head = f"Content-Encoding: gzip\r\nContent-Length: {len(data)}\r\n\r\n"
        return POST + CLOSE + head.encode() + data

    async def check():
        async with listening(echo) as (_, port):
            answer = await exchange(port, post(gzip.compress(b"abc")))
            assert (status_of(answer), body_of(answer)) == (200, b"POST / abc")
            bomb = gzip.compress(bytes(10**8))  # 97 KB
            assert status_of(await exchange(port, post(bomb[:900]))) in (400, 413)
        async with listening(echo, max_body=10**6) as (_, port):
            assert status_of(await exchange(port, post(bomb))) == 413
            assert status_of(await exchange(port, post(b"no gzip"))) == 400

    asyncio.run(check())


def test_curl_is_asked_to_send_its_body():
    async def check():
        async with listening(echo) as (_, port):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(POST + b"Expect: 100-continue\r\nContent-Length: 2\r\n\r\n")
            assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
            writer.write(b"ok")
            assert b"POST / ok" in await reader.readuntil(b"POST / ok")
            writer.close()

    asyncio.run(check())


def test_slow_clients_are_dropped():
    async def check():
        async with listening(echo, idle_seconds=0.1, body_seconds=0.1) as (server, port):
            for data in (b"", b"GET", POST + b"Content-Length: 9\r\n\r\nabc"):
                assert await exchange(port, data) == b""
            assert server.connections == 0

    asyncio.run(check())


def test_a_client_that_reads_nothing_is_dropped():
    """The answer is larger than what the system buffers; the client stays connected."""

    async def large(request):
        return web.Response(body=bytes(64 * 2**20))

    async def check():
        async with listening(large, body_seconds=0.3) as (server, port):
            with socket.create_connection(("127.0.0.1", port)) as client:
                client.sendall(GET + b"\r\n")
                await until(lambda: server.connections == 1)
                await until(lambda: server.connections == 0)

    asyncio.run(check())


def test_a_client_that_reads_slowly_gets_its_answer():
    async def large(request):
        return web.Response(body=bytes(30 * 2**20))

    async def check():
        async with listening(large, body_seconds=1.0) as (_, port):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(GET + CLOSE + b"\r\n")
            size = 0
            while piece := await reader.read(2**20):
                size += len(piece)
                await asyncio.sleep(0.005)
            assert size > 30 * 2**20
            writer.close()

    asyncio.run(check())


def test_a_client_that_leaves_while_it_sends_is_forgotten(caplog):
    async def check():
        async with listening(echo) as (server, port):
            await exchange(port, POST + b"Content-Length: 9\r\n\r\nabc", end=False)
            await until(lambda: server.connections == 1)
            await until(lambda: server.connections == 0)

    asyncio.run(check())
    assert not caplog.records


async def until(condition):
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.01)


def test_a_client_that_leaves_stops_the_work():
    stopped = []

    async def slow(request):
        try:
            await asyncio.sleep(20)
        except asyncio.CancelledError:
            stopped.append(request.path)
            raise

    async def check():
        async with listening(slow) as (_, port):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
            await asyncio.sleep(0.1)
            writer.close()
            for _ in range(200):
                await asyncio.sleep(0.02)
                if stopped:
                    break

    asyncio.run(check())
    assert stopped == ["/slow"]


def test_a_crowd_is_turned_away():
    async def check():
        async with listening(echo, max_connections=2) as (server, port):
            quiet = [await asyncio.open_connection("127.0.0.1", port) for _ in range(2)]
            while server.connections < 2:
                await asyncio.sleep(0.01)
            refused = await exchange(port, b"")
            assert status_of(refused) == 503
            assert json.loads(body_of(refused)) == {"error": "Too many connections."}
            for _, writer in quiet:
                writer.close()
            while server.connections:
                await asyncio.sleep(0.01)
            assert status_of(await exchange(port, CASES["get"][0])) == 200

    asyncio.run(check())


def test_stopping_finishes_requests_and_closes_idle_connections():
    async def slow(request):
        await asyncio.sleep(0.3)
        return await echo(request)

    async def check():
        async with listening(slow) as (server, port):
            idle, _ = await asyncio.open_connection("127.0.0.1", port)
            busy = asyncio.ensure_future(exchange(port, b"GET /last HTTP/1.1\r\nHost: x\r\n\r\n"))
            await asyncio.sleep(0.1)
            started = time.monotonic()
            await server.stop(10.0)
            assert time.monotonic() - started < 5
            assert b"Connection: close" in (answer := await busy)
            assert answer.endswith(b"GET /last ")
            assert await idle.read() == b""
            with pytest.raises(ConnectionError), socket.create_connection(("127.0.0.1", port), timeout=2):
                pass

    asyncio.run(check())


def test_stopping_waits_for_a_body_that_arrives():
    async def check():
        async with listening(echo) as (server, port):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(POST + b"Content-Length: 3\r\n\r\na")
            await asyncio.sleep(0.1)
            stopping = asyncio.ensure_future(server.stop(10.0))
            await asyncio.sleep(0.1)
            writer.write(b"bc")
            answer = await asyncio.wait_for(reader.read(), 20)
            assert (status_of(answer), body_of(answer)) == (200, b"POST / abc")
            assert b"Connection: close" in answer
            await asyncio.wait_for(stopping, 5)
            writer.close()

    asyncio.run(check())


def test_stopping_cuts_off_what_takes_longer():
    async def slow(request):
        await asyncio.sleep(60)

    async def check():
        async with listening(slow) as (server, port):
            busy = asyncio.ensure_future(exchange(port, GET + b"\r\n"))
            await asyncio.sleep(0.1)
            started = time.monotonic()
            await server.stop(0.2)
            assert time.monotonic() - started < 5
            assert await busy == b""

    asyncio.run(check())


def test_a_failing_handler_costs_one_connection(caplog):
    async def broken(request):
        raise KeyError("oh")

    async def check():
        async with listening(broken) as (_, port):
            for _ in range(2):
                answer = await exchange(port, CASES["post"][0])
                assert status_of(answer) == 500
                assert json.loads(body_of(answer)) == {"error": "The server failed."}

    asyncio.run(check())
    assert [record.levelno for record in caplog.records] == [logging.ERROR] * 2
    assert all("KeyError" in record.exc_text for record in caplog.records)


# ---- REST over real sockets; where IFRP_MODEL_SERVER names TensorFlow Serving, against that ----

ours_only = pytest.mark.skipif(bool(served.BINARY), reason="TensorFlow Serving answers this in its own way")


@pytest.fixture(scope="module")
def endpoint():
    with served.any_server() as opened:
        yield opened


def b64(data):
    return {"b64": base64.b64encode(data).decode()}


def test_rows_and_columns_give_the_numbers_of_the_saved_model(endpoint):
    pictures = portraits(3)
    expected = direct(pictures).tolist()
    bare, named = pictures.tolist(), [{"portrait": row} for row in pictures.tolist()]
    assert endpoint.post({"instances": bare}) == (200, {"predictions": expected})
    assert endpoint.post({"instances": named}) == (200, {"predictions": expected})
    assert endpoint.post({"inputs": bare}) == (200, {"outputs": expected})
    assert endpoint.post({"inputs": {"portrait": bare}}) == (200, {"outputs": expected})
    first = endpoint.post({"instances": bare, "signature_name": "serving_default"}, "/versions/1:predict")
    assert first == (200, {"predictions": expected})


def test_files_in_base64(endpoint):
    files = served.files(2)
    function = served.signatures()["recover_bytes"]
    expected = [b64(data) for data in function(portrait_bytes=tf.constant(files))["photo_bytes"].numpy()]
    rows = {"signature_name": "recover_bytes", "instances": [b64(data) for data in files]}
    assert endpoint.post(rows) == (200, {"predictions": expected})
    rows["instances"] = [{"portrait_bytes": b64(data)} for data in files]
    assert endpoint.post(rows) == (200, {"predictions": expected})
    columns = {"signature_name": "recover_bytes", "inputs": {"portrait_bytes": [b64(data) for data in files]}}
    status, answer = endpoint.post(columns)
    assert (status, answer) == (200, {"outputs": expected})
    photo = tf.io.decode_png(base64.b64decode(answer["outputs"][0]["b64"]))
    assert photo.shape == (SIDE, SIDE, 3)


def test_status_and_metadata(endpoint):
    status, answer = endpoint.http("GET", f"/v1/models/{NAME}")
    assert status == 200
    assert answer["model_version_status"] == [
        {"version": "1", "state": "AVAILABLE", "status": {"error_code": "OK", "error_message": ""}}
    ]
    assert endpoint.http("GET", f"/v1/models/{NAME}/versions/1") == (200, answer)
    status, answer = endpoint.http("GET", f"/v1/models/{NAME}/metadata")
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
def test_a_wrong_body_is_a_bad_request(endpoint, case):
    status, answer = endpoint.post(WRONG[case])
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
def test_a_bad_request_says_what_is_wrong(endpoint, case, body, words):
    status, answer = endpoint.post(body)
    assert status == 400
    assert words in answer["error"], case


@ours_only
def test_an_empty_batch_has_an_empty_answer(endpoint):
    assert endpoint.post({"instances": []}) == (200, {"predictions": []})
    assert endpoint.post({"inputs": []}) == (200, {"outputs": []})
    empty = {"signature_name": "recover_bytes", "instances": []}
    assert endpoint.post(empty) == (200, {"predictions": []})


def test_what_is_not_there_is_not_found(endpoint):
    body = {"instances": portraits(1).tolist()}
    assert endpoint.http("POST", "/v1/models/nobody:predict", body)[0] == 404
    assert endpoint.post(body, "/versions/99:predict")[0] == 404
    assert endpoint.http("GET", f"/v1/models/{NAME}/versions/99")[0] == 404
    assert endpoint.http("GET", "/v1/models/nobody")[0] == 404


@ours_only
def test_other_paths_and_methods(endpoint):
    assert endpoint.http("GET", "/")[0] == 404
    assert endpoint.http("GET", "/v1/models/toy/versions/1/../../../../etc/passwd")[0] == 404
    assert endpoint.http("GET", f"/v1/models/{NAME}:predict")[0] == 405
    assert endpoint.http("DELETE", f"/v1/models/{NAME}")[0] == 405
    assert endpoint.http("POST", f"/v1/models/{NAME}:classify", {})[0] == 501
    unknown = endpoint.post({"instances": [], "signature_name": "upside_down"})
    assert unknown[0] == 412
    assert "recover_bytes, recover_picture, serving_default" in unknown[1]["error"]
    assert endpoint.http("GET", "/healthz") == (200, "ok\n")


def test_metrics_count_what_was_answered(endpoint):
    if served.BINARY:
        pytest.skip("TensorFlow Serving has no metrics without a monitoring file")
    before = endpoint.metric(":tensorflow:serving:request_count")
    endpoint.post({"instances": portraits(2).tolist()})
    endpoint.photos(portraits(1))
    assert endpoint.metric(":tensorflow:serving:request_count") == before + 2
    assert endpoint.metric("ifrp_model_version") == 1
    assert endpoint.metric("process_resident_memory_bytes") > 1e7
    _, text = endpoint.http("GET", "/monitoring/prometheus/metrics")
    assert 'status="OK"' in text
    assert (
        ':tensorflow:serving:request_latency_count{API="predict",entrypoint="REST",model_name="toy"} ' in text
    )


def test_a_client_that_leaves_takes_its_request_along(endpoint):
    if served.BINARY:
        pytest.skip("looks inside the server")
    batcher = endpoint.server.batcher
    body = json.dumps({"instances": portraits(1).tolist()}).encode()
    with served.Held(batcher):
        with socket.create_connection(("127.0.0.1", endpoint.rest_port)) as client:
            head = (
                f"POST /v1/models/{NAME}:predict HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
            )
            client.sendall(head.encode() + body)
            served.wait_for(lambda: batcher.waiting == 1)
        served.wait_for(lambda: batcher.waiting == 0)


def test_fuzzed_bodies_leave_the_server_alive(endpoint):
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
        status, answer = endpoint.post(bytes(data))
        seen.add(status)
        assert answer["error"]
    assert seen <= {400, 404, 412}
    pictures = portraits(1)
    assert endpoint.post({"instances": pictures.tolist()}) == (
        200,
        {"predictions": direct(pictures).tolist()},
    )
