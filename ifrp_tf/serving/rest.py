"""TensorFlow Serving's REST API: predict, metadata and status; beside it metrics and health.

aiohttp parses HTTP and runs the connections. What it lacks is added here: a limit on connections, deadlines
for a body that does not arrive and for an answer that is not read, errors in TensorFlow Serving's JSON, and a
pause before closing in which a client that still sends can read why it is refused.
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
import ssl
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from aiohttp import web
from aiohttp.http_exceptions import LineTooLong
from google.protobuf import json_format

from ifrp_tf.client.wire import PATIENCE
from ifrp_tf.serving import codec, metrics
from ifrp_tf.serving.service import Service
from ifrp_tf.serving.signature import Refusal, refusal

METRICS_PATH = "/monitoring/prometheus/metrics"
HEALTH_PATH = "/healthz"

MAX_LINE = 8 * 1024
"""Longest request line and longest header, bytes."""

MAX_HEADERS = 64
"""Most headers of a request."""

_MODEL = re.compile(
    r"/v1/models/([^/:]+)(?:/versions/([0-9]{1,18})|/labels/([^/:]+))?"
    r"(?::(predict|classify|regress)|/(metadata))?"
)
_LARGE = 32 * 1024
_READ_AHEAD = 2**18  # bytes; large bodies take twice the time at a quarter and at four times of it
_MAX_LINGER, _LINGER_SECONDS = 2**26, 2.0
_SERVER = "ifrp_tf"

_log = logging.getLogger("ifrp_tf.serving")


@dataclass(frozen=True)
class Request:
    """A request that has arrived as a whole.

    Attributes:
        method: such as `POST`.
        path: decoded, without a query.
        body: at most as many bytes as the server takes; decompressed.
    """

    method: str
    path: str
    body: bytearray


Handler = Callable[[Request], Awaitable[web.Response]]


class HttpServer:
    """An HTTP server for one handler; to be used inside one event loop.

    Args:
        handler: answers; it is cancelled if the client leaves.
        max_body: longest body, bytes; a longer one is answered with 413.
        max_connections: at the same time; one more is answered with 503.
        idle_seconds: until the headers of the first or next request must have arrived.
        body_seconds: how long a body may take to arrive, and an answer to be read.
    """

    def __init__(
        self,
        handler: Handler,
        *,
        max_body: int,
        max_connections: int = 512,
        idle_seconds: float = 60.0,
        body_seconds: float = 30.0,
    ) -> None:
        self._handler, self._max_body = handler, max_body
        self._max_connections = max_connections
        self._idle_seconds, self._body_seconds = idle_seconds, body_seconds
        self._listener: asyncio.Server | None = None
        self._manager: web.Server | None = None
        self._is_stopping = False
        self._busy: set[web.RequestHandler] = set()

    @property
    def connections(self) -> int:
        """How many are open."""
        return len(self._manager.connections) if self._manager is not None else 0

    async def start(self, host: str, port: int, tls: ssl.SSLContext | None = None) -> int:
        """Listens.

        Args:
            host: name or address.
            port: 0 = any that is free.
            tls: certificate and key, for HTTPS.

        Returns:
            The port.

        Raises:
            OSError: the port is in use, or the address is not of this machine.
        """
        loop = asyncio.get_running_loop()
        self._manager = manager = web.Server(self._answer, handler_cancellation=True)
        self._listener = await loop.create_server(
            lambda: _Connection(
                manager,
                loop=loop,
                max_connections=self._max_connections,
                write_seconds=self._body_seconds,
                keepalive_timeout=self._idle_seconds,
                access_log=None,
                logger=_log,
                max_line_size=MAX_LINE,
                max_field_size=MAX_LINE,
                max_headers=MAX_HEADERS,
                read_bufsize=_READ_AHEAD,
                lingering_time=0.0,  # `_LastResponse` does it
            ),
            host,
            port,
            ssl=tls,
            backlog=512,
        )
        return int(self._listener.sockets[0].getsockname()[1])

    async def stop(self, grace: float) -> None:
        """Takes no more requests, and waits for those under way.

        Args:
            grace: seconds; what takes longer is cut off.
        """
        self._is_stopping = True
        if self._listener is None or self._manager is None:
            return
        self._listener.close()
        until = time.monotonic() + grace
        while self._manager.connections and time.monotonic() < until:
            for connection in self._manager.connections:
                if connection not in self._busy:
                    connection.force_close()  # when what is written to it has been sent
            await asyncio.sleep(0.01)
        await self._manager.shutdown(timeout=0.1)

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        self._busy.add(request.protocol)
        try:
            response = await self._handled(request)
        finally:
            self._busy.discard(request.protocol)
        if self._is_stopping:
            response.force_close()
        return response

    async def _handled(self, request: web.BaseRequest) -> web.Response:
        try:
            async with asyncio.timeout(self._body_seconds):
                body = await self._body(request)
        except TimeoutError:
            request.protocol.force_close()
            return _LastResponse(408, "The body did not arrive in time.")  # which is not sent any more
        except web.RequestPayloadError as error:
            return _LastResponse(400, f"Expected a body as its headers say. Received: {_line(error)}.")
        if body is None:
            words = f"Expected a body of at most {self._max_body} bytes. Send fewer pictures in a request."
            return _LastResponse(413, words)
        return await self._handler(Request(request.method, request.path, body))

    async def _body(self, request: web.BaseRequest) -> bytearray | None:
        """The body of a request, None if it is too long."""
        if (request.content_length or 0) > self._max_body:
            return None
        if request.headers.get("Expect", "").lower() == "100-continue":
            await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            request.writer.output_size = 0  # or an error after it would count as the second answer
        body = bytearray()  # not copied to bytes: that would double the time of a large request
        async for piece in request.content.iter_any():
            body += piece
            if len(body) > self._max_body:
                return None
        return body


class _Connection(web.RequestHandler):
    """A connection of `HttpServer`, from its first byte to its last."""

    def __init__(
        self,
        manager: web.Server,
        *,
        loop: asyncio.AbstractEventLoop,
        max_connections: int,
        write_seconds: float,
        **options: Any,
    ) -> None:
        super().__init__(manager, loop=loop, **options)
        self._event_loop, self._server = loop, manager
        self._max_connections, self._write_seconds = max_connections, write_seconds
        self._abort: asyncio.TimerHandle | None = None
        self._lingers, self._discarded = False, 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        if len(self._server.connections) >= self._max_connections:
            body = _error("Too many connections.")
            head = f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\nRetry-After: 1\r\n"
            transport.write(
                f"HTTP/1.1 503 Service Unavailable\r\n{head}Connection: close\r\n\r\n".encode() + body
            )
            transport.close()
            self.force_close()
            return
        transport.set_write_buffer_limits(high=1, low=0)  # so that `pause_writing` reports any byte unsent
        super().connection_made(transport)

    def connection_lost(self, exc: BaseException | None) -> None:
        if self._abort is not None:
            self._abort.cancel()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        super().pause_writing()
        if self.transport is not None:  # a client that reads nothing would hold the connection for ever
            self._abort = self._event_loop.call_later(self._write_seconds, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._abort is not None:
            self._abort.cancel()

    def data_received(self, data: bytes) -> None:
        if not self._lingers:
            super().data_received(data)
            return
        self._discarded += len(data)
        if self._discarded > _MAX_LINGER:
            self.force_close()

    async def linger(self) -> None:
        """Reads and discards for a moment; the client ends it by closing its end."""
        transport = self.transport
        if transport is None:
            return
        self._lingers = True
        transport.resume_reading()
        if transport.can_write_eof():
            transport.write_eof()
        await asyncio.sleep(_LINGER_SECONDS)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """The answer to what is not a request, and to what a handler did not expect."""
        if request.writer.output_size > 0:
            raise ConnectionResetError("Part of another answer has been sent.")
        if isinstance(exc, LineTooLong):
            return _LastResponse(431, f"Expected headers of at most {MAX_LINE} bytes each.")
        if status == HTTPStatus.BAD_REQUEST:
            return _LastResponse(status, f"Expected an HTTP/1.1 request. Received: {_line(message)}.")
        _log.error("A request failed.", exc_info=exc)
        return _LastResponse(status, "The server failed.")


def _respond(
    status: int, body: bytes, content_type: str = "application/json", **headers: str
) -> web.Response:
    return web.Response(
        status=status, body=body, headers={"Content-Type": content_type, "Server": _SERVER, **headers}
    )


class _LastResponse(web.Response):
    """An error after which the connection is closed, when the client has had the time to read it.

    Closing at once would take the answer back from a client that still sends.
    """

    def __init__(self, status: int, words: str) -> None:
        headers = {"Content-Type": "application/json", "Server": _SERVER}
        super().__init__(status=status, body=_error(words), headers=headers)
        self.force_close()

    async def prepare(self, request: web.BaseRequest) -> Any:
        self._connection = request.protocol
        return await super().prepare(request)

    async def write_eof(self, data: bytes = b"") -> None:
        await super().write_eof(data)
        if isinstance(self._connection, _Connection):
            await self._connection.linger()


class Rest:
    """Answers TensorFlow Serving's REST requests, and those for metrics and health.

    Args:
        service: of the model.
        timeout: seconds that a prediction may take, the time in the queue included; `PATIENCE` times as many
            for a whole picture.
        metrics_path: of the metrics; empty = none.
    """

    def __init__(self, service: Service, *, timeout: float = 30.0, metrics_path: str = METRICS_PATH) -> None:
        self._service, self._timeout, self._metrics_path = service, timeout, metrics_path

    async def answer(self, request: Request) -> web.Response:
        """The answer to a request; an error is one too.

        Args:
            request: any.
        """
        if request.path == HEALTH_PATH:
            ready = self._service.ready
            return _respond(200 if ready else 503, b"ok\n" if ready else b"not ready\n", "text/plain")
        if self._metrics_path and request.path == self._metrics_path:
            return _respond(200, self._service.metrics.text().encode(), metrics.CONTENT_TYPE)
        started, status, api = time.monotonic(), "CANCELLED", "other"
        try:
            found = _MODEL.fullmatch(request.path)
            if not found:
                raise Refusal(
                    "NOT_FOUND",
                    f"Malformed request: {request.method[:10]} {request.path[:100]}.",
                    hint=f"Try GET /v1/models/{self._service.versions.name}.",
                )
            name, version, label, verb, part = found.groups()
            api = verb or part or "status"
            wanted = name, int(version) if version else None, label or ""
            response = await self._model(request, api, *wanted)
            status = "OK" if response.status == HTTPStatus.OK else "INVALID_ARGUMENT"
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
    ) -> web.Response:
        method = "POST" if api in ("predict", "classify", "regress") else "GET"
        if request.method != method and (request.method, method) != ("HEAD", "GET"):
            return complain(405, f"Expected {method}. Received: {request.method[:10]}.", Allow=method)
        if api == "status":
            return _message(self._service.status(name, version, label))
        if api == "metadata":
            return _message(self._service.metadata(name, version, label))
        if api != "predict":
            raise Refusal("UNIMPLEMENTED", f"{api} is not offered.", hint="Use :predict.")
        return await self._predict(request.body, name, version, label)

    async def _predict(self, body: bytearray, name: str, version: int | None, label: str) -> web.Response:
        self._service.versions.find(name, version, label)  # before any work
        limit = time.monotonic() + self._timeout
        parsed = await _aside(len(body), codec.parse, body)
        call = self._service.find(name, version, label, parsed.get("signature_name", ""))
        inputs = await _aside(len(body), codec.to_arrays, parsed, call.signature)
        rows = "instances" in parsed
        del parsed
        if call.signature.is_single:
            limit += (PATIENCE - 1) * self._timeout
        outputs = await self._service.predict(call, inputs, limit - time.monotonic())
        size = sum(array.nbytes for array in outputs.values())
        return _respond(200, await _aside(size, lambda: codec.to_json(outputs, rows=rows)))


def complain(status: int, words: str, **headers: str) -> web.Response:
    """An answer that says what is wrong, as TensorFlow Serving does: `{"error": ...}`.

    Args:
        status: of HTTP.
        words: for people.
        **headers: more of them.
    """
    if status in (429, 503):
        headers["Retry-After"] = "1"
    return _respond(status, _error(words), **headers)


def _error(words: str) -> bytes:
    return json.dumps({"error": words}).encode()


def _line(words: object) -> str:
    return " ".join(str(words).split())[:200].rstrip(".")


async def _aside(size: int, work: Any, *args: Any) -> Any:
    """Calls in another thread what takes long, so that other requests go on."""
    return await asyncio.to_thread(work, *args) if size > _LARGE else work(*args)


def _message(message: Any) -> web.Response:
    text = json_format.MessageToJson(
        message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )
    return _respond(200, text.encode())
