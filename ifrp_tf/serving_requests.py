"""HTTP/1.1 requests as they come out of a connection, bounded in size and strict in form."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

MAX_HEAD = 16 * 1024
MAX_LINGER, LINGER_SECONDS = 2**26, 2.0


@dataclass(frozen=True)
class Request:
    """A request, complete.

    Attributes:
        method: such as POST.
        path: decoded, without a query.
        headers: names in lower case.
        body: of at most the size that the server takes.
    """

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


class Malformed(Exception):
    """What came is no request that can be answered; the connection is closed after saying so.

    Args:
        status: of HTTP.
        words: for people.
    """

    def __init__(self, status: int, words: str) -> None:
        super().__init__(words)
        self.status = status


class RequestSource:
    """The requests of a connection, one after the other.

    Args:
        reader: of the connection.
        writer: of the connection; told to go on where a client asks first.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._ahead = b""

    async def left(self) -> bool:
        """Waits until the client is gone (true), or sends its next request already (false)."""
        if not self._ahead:
            self._ahead = await self._reader.read(1)
        return not self._ahead

    async def linger(self, writer: asyncio.StreamWriter) -> None:
        """Reads on for a moment: closing at once would take the answer back from a client that still sends.

        Args:
            writer: of the connection, with the answer written.
        """
        if writer.can_write_eof():
            writer.write_eof()
        left = MAX_LINGER
        async with asyncio.timeout(LINGER_SECONDS):
            while left > 0 and (data := await self._reader.read(2**16)):
                left -= len(data)

    async def head(self) -> bytes:
        """The next request's first line and headers, whenever it comes.

        Raises:
            Malformed: they are too long.
            EOFError: the client is gone.
        """
        try:
            head = self._ahead + await self._reader.readuntil(b"\r\n\r\n")
        except asyncio.LimitOverrunError:
            head = bytes(MAX_HEAD + 1)
        self._ahead = b""
        if len(head) > MAX_HEAD:
            raise Malformed(431, f"Expected headers of at most {MAX_HEAD} bytes.")
        return head

    async def request(self, head: bytes, max_body: int) -> tuple[Request, bool]:
        """The rest of a request.

        Args:
            head: what `head` returned.
            max_body: bytes.

        Returns:
            The request, and whether the connection stays open after it.

        Raises:
            Malformed: it is no HTTP, or too long.
            EOFError: the client is gone.
        """
        method, path, version, headers = _parse(head)
        length, coding = headers.get("content-length"), headers.get("transfer-encoding", "").lower()
        if coding not in ("", "chunked") or (coding and length is not None):
            raise Malformed(400, "Expected either Content-Length or Transfer-Encoding: chunked.")
        if length is not None and not (length.isascii() and length.isdecimal() and len(length) < 16):
            raise Malformed(400, "Expected a number as Content-Length.")
        if int(length or 0) > max_body:
            raise _too_long(max_body)
        if headers.get("expect", "").lower() == "100-continue":
            self._writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        body = await (self._chunks(max_body) if coding else self._reader.readexactly(int(length or 0)))
        connection = headers.get("connection", "").lower()
        keep = connection != "close" if version == "HTTP/1.1" else connection == "keep-alive"
        return Request(method, path, headers, body), keep

    async def _chunks(self, max_body: int) -> bytes:
        parts: list[bytes] = []
        total = 0
        while True:
            try:
                line = await self._reader.readuntil(b"\r\n")
                size = int(line.split(b";")[0].strip()[:16], 16)
            except (ValueError, asyncio.LimitOverrunError) as error:
                raise Malformed(400, "Expected the size of a chunk.") from error
            total += size
            if size < 0 or total > max_body:
                raise _too_long(max_body)
            part = await self._reader.readexactly(size + 2) if size else b""
            if not size:
                while (await self._reader.readuntil(b"\r\n")) != b"\r\n":
                    pass  # trailers
                return b"".join(parts)
            parts.append(part[:-2])


def _too_long(max_body: int) -> Malformed:
    return Malformed(413, f"Expected a body of at most {max_body} bytes. Send fewer pictures in a request.")


def _parse(head: bytes) -> tuple[str, str, str, dict[str, str]]:
    first, *lines = head.decode("latin-1").strip("\r\n").split("\r\n")
    parts = first.split(" ")
    if len(parts) != 3 or parts[2] not in ("HTTP/1.0", "HTTP/1.1") or not parts[0].isalpha():
        raise Malformed(400, "Expected an HTTP/1.1 request line.")
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon or not name or name != name.strip():
            raise Malformed(400, "Expected headers of the form name: value.")
        name = name.lower()
        if name in headers and name in ("content-length", "transfer-encoding"):
            raise Malformed(400, f"Expected one header {name}.")
        headers[name] = value.strip()
    try:
        path = unquote(urlsplit(parts[1]).path)
    except ValueError as error:
        raise Malformed(400, "Expected a path.") from error
    return parts[0], path, parts[2], headers
