"""Questions and answers in JSON over HTTP/1.1: kept connections, one deadline, a limit on what comes back."""

from __future__ import annotations

import contextlib
import http.client
import json
import re
import socket
import ssl
import threading
import time
from collections import deque
from pathlib import Path
from typing import Any

from ifrp_tf.client_wire import (
    MAX_MESSAGE,
    RemoteError,
    bad_answer,
    parse_address,
    read_certificates,
    refusal,
)

_CODES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    408: "DEADLINE_EXCEEDED",
    412: "FAILED_PRECONDITION",
    413: "RESOURCE_EXHAUSTED",
    429: "UNAVAILABLE",
    500: "INTERNAL",
    501: "UNIMPLEMENTED",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}


class HttpConnections:
    """Connections to one server, kept open and reused; may be used from several threads.

    Args:
        address: `HOST:PORT`.
        tls: False for plain text; True for TLS; a path for TLS with the certificates in that PEM file.

    Raises:
        ConfigError: the address or the certificates cannot be used.

    Example:
        >>> HttpConnections("localhost:8501").ask("GET", "/v1/models/ifrp", 5.0)  # doctest: +SKIP
    """

    def __init__(self, address: str, tls: bool | str | Path = False) -> None:
        self.address = address
        self._host, self._port = parse_address(address)
        self._tls: ssl.SSLContext | None = None
        if tls is not False:
            roots = None if tls is True else read_certificates(tls).decode()
            self._tls = ssl.create_default_context(cadata=roots)
        self._idle: deque[http.client.HTTPConnection] = deque()
        self._closed = False

    def close(self) -> None:
        """Closes the connections that are not in use; the others when they are done."""
        self._closed = True
        while self._idle:
            self._idle.pop().close()

    def ask(self, method: str, path: str, timeout: float, body: bytes | None = None) -> dict[str, Any]:
        """One question and its answer.

        Args:
            method: `GET` or `POST`.
            path: what is asked for, quoted.
            timeout: seconds for all of it, however slowly the answer trickles in.
            body: JSON.

        Returns:
            The JSON object of an answer with status 200.

        Raises:
            RemoteError: there is none; its code follows from the status.
        """
        if self._closed:
            raise RemoteError("CANCELLED", f"The client to {self.address} is closed.")
        end = time.monotonic() + timeout
        while True:
            connection, is_fresh = self._connection()
            try:
                return self._exchange(connection, method, path, body, end)
            except (OSError, http.client.HTTPException) as error:
                # A server may close a connection that it has kept open just as it is used again.
                if is_fresh or isinstance(error, TimeoutError) or time.monotonic() >= end:
                    raise self._lost(error, end) from error

    def _connection(self) -> tuple[http.client.HTTPConnection, bool]:
        with contextlib.suppress(IndexError):
            return self._idle.pop(), False
        if self._tls is None:
            return http.client.HTTPConnection(self._host, self._port), True
        return http.client.HTTPSConnection(self._host, self._port, context=self._tls), True

    def _exchange(
        self, connection: http.client.HTTPConnection, method: str, path: str, body: bytes | None, end: float
    ) -> dict[str, Any]:
        is_done = False
        with contextlib.ExitStack() as stack:
            stack.callback(lambda: self._keep(connection) if is_done else connection.close())
            connection.timeout = _left(end)
            if connection.sock is None:
                connection.connect()
            connection.sock.settimeout(_left(end))
            # A socket's own timeout starts anew with every byte.
            watch = threading.Timer(_left(end), _cut, [connection.sock])
            watch.daemon = True
            watch.start()
            stack.callback(watch.cancel)
            connection.request(method, path, body, {"Content-Type": "application/json"} if body else {})
            response = connection.getresponse()
            data = response.read(MAX_MESSAGE + 1)
            is_done = response.isclosed() and not response.length
        if time.monotonic() >= end:
            raise TimeoutError("cut off")
        if len(data) > MAX_MESSAGE:
            words = (
                f"Expected an answer of at most {MAX_MESSAGE:,} bytes from {self.address}. Received: more."
            )
            raise RemoteError("RESOURCE_EXHAUSTED", words)
        if response.length:
            raise http.client.IncompleteRead(data, response.length)
        return self._judge(response, data)

    def _keep(self, connection: http.client.HTTPConnection) -> None:
        if self._closed or connection.sock is None:
            connection.close()
        else:
            self._idle.append(connection)

    def _judge(self, response: http.client.HTTPResponse, data: bytes) -> dict[str, Any]:
        try:
            answer = json.loads(data, parse_constant=_refuse_constant)
        except (ValueError, RecursionError):
            answer = None
        if response.status == 200:
            if not isinstance(answer, dict):
                raise bad_answer("a JSON object of finite numbers", f"{data[:200]!r}")
            return answer
        said = answer.get("error") if isinstance(answer, dict) else None
        code = _CODES.get(response.status, "UNKNOWN")
        wait = response.headers.get("Retry-After", "")
        details = f"HTTP {response.status}: {said or data[:200].decode(errors='replace')}"
        raise refusal(self.address, code, details, float(wait) if re.fullmatch("[0-9]{1,4}", wait) else 0.0)

    def _lost(self, error: Exception, end: float) -> RemoteError:
        words = f"{type(error).__name__}: {error}"
        if time.monotonic() >= end or isinstance(error, TimeoutError):
            return refusal(self.address, "DEADLINE_EXCEEDED", f"no whole answer in time ({words})")
        return refusal(self.address, "UNAVAILABLE", words)


def _left(end: float) -> float:
    return max(0.001, end - time.monotonic())


def _cut(sock: socket.socket) -> None:
    with contextlib.suppress(OSError):
        sock.shutdown(socket.SHUT_RDWR)


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is no number")
