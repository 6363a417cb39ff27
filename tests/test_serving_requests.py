"""Requests out of a stream; whole connections are tested in test_serving_http."""

import asyncio

import pytest

from ifrp_tf.serving_requests import MAX_HEAD, Malformed, RequestSource


def read(data, max_body=100):
    """The first request in `data`, and whether the connection stays open."""

    async def go():
        reader = asyncio.StreamReader(limit=2**18)
        reader.feed_data(data)
        reader.feed_eof()
        source = RequestSource(reader, None)
        request, keep = await source.request(await source.head(), max_body)
        return request, keep, await source.left()

    return asyncio.run(go())


def test_a_request():
    request, keep, left = read(b"POST /a%2Fb?x HTTP/1.1\r\nA-b:  c d \r\nContent-Length: 2\r\n\r\nhiGET")
    assert (request.method, request.path, request.body) == ("POST", "/a/b", b"hi")
    assert request.headers["a-b"] == "c d"
    assert keep
    assert not left


@pytest.mark.parametrize(
    ("head", "keep"),
    [
        (b"GET / HTTP/1.1\r\n", True),
        (b"GET / HTTP/1.1\r\nConnection: Close\r\n", False),
        (b"GET / HTTP/1.0\r\n", False),
        (b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n", True),
    ],
)
def test_connections_stay_open_as_asked(head, keep):
    request, kept, left = read(head + b"\r\n")
    assert (request.body, kept, left) == (b"", keep, True)


def test_chunks_with_trailers():
    head = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
    request, _, _ = read(head + b"2\r\nab\r\n1\r\nc\r\n0\r\nTrailer: x\r\n\r\n")
    assert request.body == b"abc"
    with pytest.raises(Malformed, match="at most 2 bytes"):
        read(head + b"2\r\nab\r\n1\r\nc\r\n0\r\n\r\n", max_body=2)
    with pytest.raises(Malformed):
        read(head + b"-2\r\nab\r\n0\r\n\r\n")


@pytest.mark.parametrize(
    "data", [b"", b"GET / HTTP/1.1\r\n", b"POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\nab"]
)
def test_a_stream_that_ends_early(data):
    with pytest.raises(EOFError):
        read(data)


def test_long_heads():
    with pytest.raises(Malformed) as caught:
        read(b"GET /" + b"a" * MAX_HEAD + b" HTTP/1.1\r\n\r\n")
    assert caught.value.status == 431
