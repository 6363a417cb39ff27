"""HTTP/1.1 on asyncio, as much of it as a REST API needs: short requests, bounded in size, time and number.

A connection costs no thread. A client that hangs is dropped after a while, and one that leaves early stops
the work done for it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import ssl
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus

from ifrp_tf.serving_requests import Malformed, Request, RequestSource

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
