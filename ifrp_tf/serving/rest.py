"""TensorFlow Serving's REST API on asyncio."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import re
import ssl
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any
from urllib.parse import unquote, urlsplit

from google.protobuf import json_format

from ifrp_tf.serving import codec, metrics
from ifrp_tf.serving.grpc import metadata, model_status
from ifrp_tf.serving.model import Refusal, refusal
from ifrp_tf.serving.service import Service

# ---- HTTP/1.1 requests as they come out of a connection, bounded in size and strict in form ----

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


# ---- HTTP/1.1 on asyncio, as much of it as a REST API needs: short requests, bounded in ----

_log = logging.getLogger("ifrp_tf.serving")


@dataclass(frozen=True)
class Response:
    """An answer.

    Attributes:
        status: of HTTP.
        body: any bytes.
        content_type: of the body.
        headers: more of them.
    """

    status: int
    body: bytes
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)


Handler = Callable[[Request], Awaitable[Response]]
Complaint = Callable[[int, str], Response]


class HttpServer:
    """A server of one handler.

    Args:
        handler: answers; its task is cancelled if the client leaves.
        complain: makes the answer to a request that is no HTTP, from status and words.
        max_body: bytes; a longer one is answered with 413.
        max_connections: more are answered with 503.
        idle_seconds: how long a connection may be silent before its next request.
        body_seconds: how long a request may take to arrive.
    """

    def __init__(
        self,
        handler: Handler,
        complain: Complaint,
        *,
        max_body: int,
        max_connections: int = 512,
        idle_seconds: float = 60.0,
        body_seconds: float = 30.0,
    ) -> None:
        self._handler, self._complain = handler, complain
        self._max_body, self._max_connections = max_body, max_connections
        self._idle_seconds, self._body_seconds = idle_seconds, body_seconds
        self._connections: dict[asyncio.Task[None], bool] = {}
        self._server: asyncio.Server | None = None
        self._stopping = False

    @property
    def connections(self) -> int:
        """Open ones."""
        return len(self._connections)

    async def start(self, host: str, port: int, tls: ssl.SSLContext | None = None) -> int:
        """Listens.

        Args:
            host: name or address.
            port: 0 = any that is free.
            tls: certificate and key, for HTTPS.

        Returns:
            The port.

        Raises:
            OSError: the port is taken, or the address not ours.
        """
        self._server = await asyncio.start_server(
            self._connected, host, port, ssl=tls, limit=2**18, backlog=512
        )
        return int(self._server.sockets[0].getsockname()[1])

    async def stop(self, grace: float) -> None:
        """Takes no more requests, and waits for those it has.

        Args:
            grace: seconds; what takes longer is cut off.
        """
        self._stopping = True
        if self._server is not None:
            self._server.close()
        for task, busy in list(self._connections.items()):
            if not busy:
                task.cancel()
        if self._connections:
            await asyncio.wait(list(self._connections), timeout=grace)
        for task in list(self._connections):
            task.cancel()
        if self._connections:
            await asyncio.wait(list(self._connections), timeout=1.0)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        crowded = len(self._connections) >= self._max_connections
        self._connections[task] = False
        try:
            if crowded:
                await self._write(writer, self._complain(503, "Too many connections."), last=True)
            else:
                await self._serve(RequestSource(reader, writer), writer, task)
        except (OSError, EOFError, TimeoutError, asyncio.CancelledError):
            pass  # the client is gone or too slow, or the server stops
        except Exception:
            _log.exception("A connection failed.")
        finally:
            del self._connections[task]
            with contextlib.suppress(OSError):
                writer.close()

    async def _serve(
        self, source: RequestSource, writer: asyncio.StreamWriter, task: asyncio.Task[None]
    ) -> None:
        while not self._stopping:
            try:
                async with asyncio.timeout(self._idle_seconds):
                    head = await source.head()
                self._connections[task] = True
                async with asyncio.timeout(self._body_seconds):
                    request, keep = await source.request(head, self._max_body)
            except Malformed as error:
                await self._write(writer, self._complain(error.status, str(error)), last=True)
                await source.linger(writer)
                return
            response = await self._answer(request, source)
            if response is None:
                return
            last = not keep or self._stopping
            await self._write(writer, response, last=last, empty=request.method == "HEAD")
            self._connections[task] = False
            if last:
                return

    async def _answer(self, request: Request, source: RequestSource) -> Response | None:
        """The handler's answer, or None where the client left before it was ready."""
        work = asyncio.ensure_future(self._handler(request))
        leaving = asyncio.ensure_future(source.left())
        try:
            await asyncio.wait([work, leaving], return_when=asyncio.FIRST_COMPLETED)
            if not work.done() and leaving.result():
                return None
            return await work
        finally:
            for future in (work, leaving):
                future.cancel()
            await asyncio.wait([work, leaving])

    async def _write(
        self, writer: asyncio.StreamWriter, response: Response, *, last: bool, empty: bool = False
    ) -> None:
        try:
            phrase = HTTPStatus(response.status).phrase
        except ValueError:
            phrase = "Error"
        headers = {
            "Content-Type": response.content_type,
            "Content-Length": str(len(response.body)),
            **response.headers,
            **({"Connection": "close"} if last else {}),
        }
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        writer.write(f"HTTP/1.1 {response.status} {phrase}\r\n{lines}\r\n".encode("latin-1"))
        if not empty:
            writer.write(response.body)
        async with asyncio.timeout(self._body_seconds):  # or a client that reads nothing holds it for ever
            await writer.drain()


# ---- TensorFlow Serving's REST API: predict, metadata and status, and beside it metrics and ----

METRICS_PATH = "/monitoring/prometheus/metrics"
HEALTH_PATH = "/healthz"

_MODEL = re.compile(
    r"/v1/models/([^/:]+)(?:/versions/([0-9]{1,18})|/labels/([^/:]+))?"
    r"(?::(predict|classify|regress)|/(metadata))?"
)
_LARGE = 32 * 1024


class Rest:
    """Answers HTTP requests.

    Args:
        service: of the model.
        timeout: seconds that a prediction may take, the time in the queue included.
        metrics_path: where the metrics are; empty = nowhere.
    """

    def __init__(self, service: Service, *, timeout: float = 30.0, metrics_path: str = METRICS_PATH) -> None:
        self._service, self._timeout, self._metrics_path = service, timeout, metrics_path

    async def answer(self, request: Request) -> Response:
        """The answer to a request; an error is one too.

        Args:
            request: any.
        """
        if request.path == HEALTH_PATH:
            ready = self._service.ready
            return Response(200 if ready else 503, b"ok\n" if ready else b"not ready\n", "text/plain")
        if self._metrics_path and request.path == self._metrics_path:
            text = self._service.metrics.text()
            return Response(200, text.encode(), metrics.CONTENT_TYPE)
        started, status, api = time.monotonic(), "CANCELLED", "other"
        try:
            found = _MODEL.fullmatch(request.path)
            if not found:
                raise Refusal(
                    "NOT_FOUND",
                    f"Malformed request: {request.method[:10]} {request.path[:100]}.",
                    hint=f"Try GET /v1/models/{self._service.versions.name}.",
                )
            name, version, label, verb, told = found.groups()
            api = verb or told or "status"
            wanted = name, int(version) if version else None, label or ""
            response = await self._model(request, api, *wanted)
            status = "OK" if response.status == 200 else "INVALID_ARGUMENT"
            return response
        except asyncio.CancelledError:
            raise
        except Exception as error:
            reason = refusal(error)
            status = reason.code
            return complain(reason.http, reason.words)
        finally:
            self._service.count("REST", api, status, started)

    async def _model(
        self, request: Request, api: str, name: str, version: int | None, label: str
    ) -> Response:
        method = "POST" if api in ("predict", "classify", "regress") else "GET"
        if request.method != method and (request.method, method) != ("HEAD", "GET"):
            return complain(405, f"Expected {method}. Received: {request.method[:10]}.", Allow=method)
        if api == "status":
            return _message(model_status(self._service, name, version, label))
        if api == "metadata":
            told = metadata(self._service.versions.find(name, version, label))
            return _message(told)
        if api != "predict":
            raise Refusal("UNIMPLEMENTED", f"{api} is not offered.", hint="Use :predict.")
        return await self._predict(request.body, name, version, label)

    async def _predict(self, body: bytes, name: str, version: int | None, label: str) -> Response:
        self._service.versions.find(name, version, label)  # before any work
        limit = time.monotonic() + self._timeout
        parsed = await _aside(len(body), codec.parse, body)
        call = self._service.find(name, version, label, parsed.get("signature_name", ""))
        inputs = await _aside(len(body), codec.to_arrays, parsed, call.signature)
        rows = "instances" in parsed
        del parsed
        outputs = await self._service.predict(call, inputs, limit - time.monotonic())
        size = sum(array.nbytes for array in outputs.values())
        return Response(200, await _aside(size, lambda: codec.to_json(outputs, rows=rows)))


def complain(status: int, words: str, **headers: str) -> Response:
    """An answer that says what is wrong, as TensorFlow Serving does: `{"error": ...}`.

    Args:
        status: of HTTP.
        words: for people.
        **headers: more of them.
    """
    if status in (429, 503):
        headers["Retry-After"] = "1"
    return Response(status, json.dumps({"error": words}).encode(), headers=headers)


async def _aside(size: int, work: Any, *args: Any) -> Any:
    """Calls in another thread what takes long, so that other requests go on."""
    return await asyncio.to_thread(work, *args) if size > _LARGE else work(*args)


def _message(message: Any) -> Response:
    text = json_format.MessageToJson(
        message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )
    return Response(200, text.encode())
