"""The HTTP server over real sockets, with a handler of a few lines."""

import asyncio
import contextlib
import socket
import time

import pytest

from ifrp_tf.serving_http import HttpServer, Response


@contextlib.asynccontextmanager
async def listening(handler, **options):
    settings = {"max_body": 1000, "idle_seconds": 20, "body_seconds": 20, **options}
    server = HttpServer(handler, lambda status, words: Response(status, words.encode()), **settings)
    port = await server.start("127.0.0.1", 0)
    try:
        yield server, port
    finally:
        await server.stop(1.0)
        assert server.connections == 0


async def echo(request):
    return Response(200, f"{request.method} {request.path} {request.body.decode()}".encode(), "text/plain")


async def exchange(port, data, end=True):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(data)
    answer = await asyncio.wait_for(reader.read(), 20) if end else b""
    writer.close()
    return answer


CLOSE = b"Connection: close\r\n"
CASES = {
    "get": (b"GET /a%20b?c=d HTTP/1.1\r\n" + CLOSE + b"\r\n", b"200", b"GET /a b "),
    "old": (b"GET / HTTP/1.0\r\n\r\n", b"200", b"GET / "),
    "post": (b"POST / HTTP/1.1\r\n" + CLOSE + b"Content-Length: 3\r\n\r\nabc", b"200", b"POST / abc"),
    "chunks": (
        b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=1\r\nde\r\n0\r\n\r\n",
        b"200",
        b"POST / abcde",
    ),
    "two": (b"GET /1 HTTP/1.1\r\n\r\nGET /2 HTTP/1.1\r\n" + CLOSE + b"\r\n", b"200", b"GET /2 "),
    "no HTTP": (b"hello\r\n\r\n", b"400", b""),
    "HTTP/2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"400", b""),
    "TLS": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(50) + b"\r\n\r\n", b"400", b""),
    "header": (b"GET / HTTP/1.1\r\nno colon\r\n\r\n", b"400", b""),
    "two lengths": (b"POST / HTTP/1.1\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd", b"400", b""),
    "both lengths": (
        b"POST / HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", b"400", b"",
    ),
    "negative length": (b"POST / HTTP/1.1\r\nContent-Length: -3\r\n\r\n", b"400", b""),
    "long": (b"POST / HTTP/1.1\r\nContent-Length: 1001\r\n\r\n", b"413", b""),
    "long chunks": (
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3e9\r\n", b"413", b"in a request.",
    ),
    "bad chunk": (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", b"400", b""),
    "headers": (b"GET / HTTP/1.1\r\nA: " + b"a" * 20_000 + b"\r\n\r\n", b"431", b""),
    "endless headers": (b"GET / HTTP/1.1\r\nA: " + b"a" * 600_000, b"431", b""),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_requests(case):
    data, status, end = CASES[case]

    async def check():
        async with listening(echo) as (_, port):
            answer = await exchange(port, data)
            assert answer.startswith(b"HTTP/1.1 " + status)
            assert answer.endswith(end)
            if case == "two":
                assert answer.count(b"HTTP/1.1 200 OK") == 2

    asyncio.run(check())


def test_curl_is_told_to_go_on():
    async def check():
        async with listening(echo) as (_, port):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"POST / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n")
            assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
            writer.write(b"ok")
            assert b"POST / ok" in await reader.readuntil(b"POST / ok")
            writer.close()

    asyncio.run(check())


def test_slow_clients_are_dropped():
    async def check():
        async with listening(echo, idle_seconds=0.1, body_seconds=0.1) as (server, port):
            for data in (b"", b"GET", b"POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\nabc"):
                assert await exchange(port, data) == b""
            assert server.connections == 0

    asyncio.run(check())


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
            writer.write(b"GET /slow HTTP/1.1\r\n\r\n")
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
            assert (await exchange(port, b"")).startswith(b"HTTP/1.1 503")
            for _, writer in quiet:
                writer.close()
            while server.connections:
                await asyncio.sleep(0.01)
            assert (await exchange(port, CASES["get"][0])).startswith(b"HTTP/1.1 200")

    asyncio.run(check())


def test_stopping_finishes_requests_and_closes_idle_connections():
    async def slow(request):
        await asyncio.sleep(0.3)
        return await echo(request)

    async def check():
        async with listening(slow) as (server, port):
            idle, _ = await asyncio.open_connection("127.0.0.1", port)
            busy = asyncio.ensure_future(exchange(port, b"GET /last HTTP/1.1\r\n\r\n"))
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


def test_a_failing_handler_costs_one_connection():
    async def broken(request):
        raise KeyError("oh")

    async def check():
        async with listening(broken) as (_, port):
            assert await exchange(port, CASES["get"][0]) == b""
            assert await exchange(port, CASES["get"][0]) == b""

    asyncio.run(check())
