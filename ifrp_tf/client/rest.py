"""REST transport of the client: HTTP connections with a deadline, TensorFlow Serving's JSON."""

from __future__ import annotations

import base64
import binascii
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
from urllib.parse import quote

import numpy as np

from ifrp_tf.client.wire import (
    FILES,
    MAX_MESSAGE,
    ModelInfo,
    RemoteError,
    Signatures,
    bad_answer,
    model_info,
    parse_address,
    read_certificates,
    refusal,
)
from ifrp_tf.core.errors import ImageError
from ifrp_tf.pictures import images

# ---- Questions and answers in JSON over HTTP/1.1: kept connections, one deadline, a limit on ----

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


# ---- A model server over REST, without TensorFlow: JSON over HTTP/1.1, pictures as PNG files ----


class RestTransport:
    """Connections to `HOST:PORT`, kept open and reused; may be used from several threads.

    Args:
        address: of the server.
        model: under which name it serves the model.
        tls: False for plain text; True for TLS; a path for TLS with the certificates in that PEM file.

    Example:
        >>> RestTransport("localhost:8501", "ifrp").metadata(None, 5.0).side  # doctest: +SKIP
        128
    """

    def __init__(self, address: str, model: str, tls: bool | str | Path = False) -> None:
        self.model = model
        self._http = HttpConnections(address, tls)

    def predict(self, portraits: np.ndarray, version: int | None, timeout: float) -> np.ndarray:
        """Recovered faces.

        Args:
            portraits: uint8 [N, side, side, 3], few enough for `MAX_MESSAGE`.
            version: of the model; None for the one that the server chooses.
            timeout: seconds.

        Raises:
            RemoteError: there is no usable answer.
        """
        signature, given, wanted = FILES
        files = [{"b64": base64.b64encode(images.encode_png(one)).decode()} for one in portraits]
        question = {"signature_name": signature, "inputs": {given: files}}
        answer = self._http.ask(
            "POST", f"{self._path(version)}:predict", timeout, json.dumps(question).encode()
        )
        found = answer.get("outputs")
        if isinstance(found, dict) and "b64" not in found:  # a server that names its only output
            found = found.get(wanted)
        if not isinstance(found, list) or len(found) != len(portraits):
            received = f"{len(found)}" if isinstance(found, list) else f"{str(answer)[:200]}"
            raise bad_answer(f"{len(portraits)} pictures in 'outputs'", received)
        return np.stack([_read_photo(one, portraits.shape[1:]) for one in found])

    def metadata(self, version: int | None, timeout: float) -> ModelInfo:
        """What the model says of itself.

        Args:
            version: of the model; None for the one that the server chooses.
            timeout: seconds.

        Raises:
            RemoteError: there is no such model, or it is not one of this package.
        """
        answer = self._http.ask("GET", f"{self._path(version)}/metadata", timeout)
        try:
            found = answer["metadata"]["signature_def"]["signature_def"]
            signatures: Signatures = {
                name: {part: _tensors(one.get(part, {})) for part in ("inputs", "outputs")}
                for name, one in found.items()
            }
            number = int(answer["model_spec"]["version"])
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise bad_answer("the metadata of a model", f"{str(answer)[:200]}") from error
        return model_info(self.model, number, signatures, FILES)

    def status(self, timeout: float) -> dict[int, str]:
        """The state of every version of the model, such as `{1: "AVAILABLE"}`.

        Args:
            timeout: seconds.

        Raises:
            RemoteError: there is no such model.
        """
        answer = self._http.ask("GET", self._path(None), timeout)
        try:
            return {int(one["version"]): str(one["state"]) for one in answer["model_version_status"]}
        except (KeyError, TypeError, ValueError) as error:
            raise bad_answer("the status of a model", f"{str(answer)[:200]}") from error

    def close(self) -> None:
        """Closes the connections that are not in use; the others when they are done."""
        self._http.close()

    def _path(self, version: int | None) -> str:
        path = f"/v1/models/{quote(self.model, safe='')}"
        return path if version is None else f"{path}/versions/{version}"


def decode_base64(text: str | bytes) -> bytes:
    """The bytes behind base64 text as it occurs: web-safe or not, padded or not, in lines, or a data URI.

    Args:
        text: such as `"data:image/png;base64,iVBORw0..."`.

    Raises:
        ImageError: with the reason `not_an_image`: it is no base64.

    Example:
        >>> decode_base64("data:image/png;base64,aWZy cF8")
        b'ifrp_'
    """
    given = text.decode("latin-1") if isinstance(text, bytes) else text
    plain = re.sub(r"\s|%0[AaDd]", "", re.sub(r"^\s*data:[^,]*,", "", given)).rstrip("=")
    plain = plain.replace("-", "+").replace("_", "/")
    try:
        return base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
    except (binascii.Error, ValueError) as error:
        raise ImageError("not_an_image", f"expected base64, received {given[:40]!r}: {error}.") from error


def _read_photo(found: Any, shape: tuple[int, ...]) -> np.ndarray:
    text = found.get("b64") if isinstance(found, dict) else None
    if not isinstance(text, str):
        raise bad_answer("a picture {'b64': ...}", f"{str(found)[:100]}")
    try:
        picture = images.read(decode_base64(text))
    except ImageError as error:
        raise bad_answer("a PNG file", str(error)) from error
    if picture.format != "PNG" or picture.pixels.shape != shape:
        raise bad_answer(
            f"a PNG file of {list(shape)}", f"a {picture.format} of {list(picture.pixels.shape)}"
        )
    return picture.pixels


def _tensors(infos: Any) -> dict[str, tuple[str, tuple[int, ...] | None]]:
    return {name: (str(info["dtype"]), _shape(info["tensor_shape"])) for name, info in infos.items()}


def _shape(shape: Any) -> tuple[int, ...] | None:
    return None if shape.get("unknown_rank") else tuple(int(dim["size"]) for dim in shape.get("dim", []))
