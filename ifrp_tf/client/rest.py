"""The REST transport of the client: TensorFlow Serving's JSON over urllib3, pictures as PNG files.

urllib3 keeps connections open and reuses them, but its timeouts begin again with every byte. Here a request
has one deadline for all of it, however slowly a server reads or answers.
"""

from __future__ import annotations

import base64
import binascii
import http.client
import io
import json
import re
import socket
import ssl
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import urllib3
import urllib3.connection

from ifrp_tf.client.wire import (
    FILES,
    MAX_MESSAGE,
    MAX_PICTURE,
    PICTURE,
    TOLD,
    ModelInfo,
    RemoteError,
    bad_answer,
    code_of_http,
    model_info,
    parse_address,
    read_certificates,
    read_metadata,
    refusal,
)
from ifrp_tf.core.errors import ImageError
from ifrp_tf.pictures import images

_PIECE = 2**16
_RECORD = 2**14
_KEPT = 64


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
        host, port = parse_address(address)
        self._pool: urllib3.HTTPConnectionPool
        if tls is False:
            self._pool = urllib3.HTTPConnectionPool(host, port, maxsize=_KEPT)
            self._pool.ConnectionCls = _Connection
        else:
            roots = None if tls is True else read_certificates(tls).decode()
            context = ssl.create_default_context(cadata=roots)
            self._pool = urllib3.HTTPSConnectionPool(host, port, maxsize=_KEPT, ssl_context=context)
            self._pool.ConnectionCls = _TlsConnection

    def close(self) -> None:
        """Closes the connections that are not in use; the others when they are done."""
        self._pool.close()

    def ask(
        self, method: str, path: str, timeout: float, body: bytes | None = None, most: int = MAX_MESSAGE
    ) -> dict[str, Any]:
        """Sends a request and reads the answer.

        Args:
            method: `GET` or `POST`.
            path: of the resource, quoted.
            timeout: seconds for all of it, however slowly the answer arrives.
            body: JSON.
            most: bytes that the answer may have.

        Returns:
            The JSON object of an answer with status 200.

        Raises:
            RemoteError: there is none; its code follows from the status.
        """
        end = time.monotonic() + timeout
        while True:
            opened = self._pool.num_connections
            try:
                return self._exchange(method, path, body, end, most)
            except urllib3.exceptions.ClosedPoolError as error:
                raise RemoteError("CANCELLED", f"The client to {self.address} is closed.") from error
            except urllib3.exceptions.HTTPError as error:
                # A server may close a connection that it has kept open just as it is used again.
                is_kept = self._pool.num_connections == opened
                is_cut = isinstance(error, urllib3.exceptions.ProtocolError)
                if not (is_kept and is_cut) or time.monotonic() >= end:
                    raise self._lost(error, end) from error

    def _exchange(self, method: str, path: str, body: bytes | None, end: float, most: int) -> dict[str, Any]:
        response = self._pool.urlopen(
            method,
            path,
            body,
            {"Content-Type": "application/json"} if body else {},
            retries=False,
            redirect=False,
            timeout=urllib3.Timeout(total=_left(end)),
            preload_content=False,
            decode_content=False,
        )
        data = bytearray()
        try:
            while piece := response.read(_PIECE):
                data += piece
                if len(data) > most:
                    words = f"Expected an answer of at most {most:,} bytes from {self.address}."
                    raise RemoteError("RESOURCE_EXHAUSTED", f"{words} Received: more.")
        finally:
            response.close()  # and with it the connection, unless the answer was read to its end
            response.release_conn()
        return self._judge(response, bytes(data))

    def _judge(self, response: urllib3.BaseHTTPResponse, data: bytes) -> dict[str, Any]:
        try:
            answer = json.loads(data, parse_constant=_refuse_constant)
        except (ValueError, RecursionError):
            answer = None
        if response.status == 200:
            if not isinstance(answer, dict):
                raise bad_answer("a JSON object of finite numbers", f"{data[:200]!r}")
            return answer
        reported = answer.get("error") if isinstance(answer, dict) else None
        wait = response.headers.get("Retry-After", "")
        details = f"HTTP {response.status}: {reported or data[:200].decode(errors='replace')}"
        wait_s = float(wait) if re.fullmatch("[0-9]{1,4}", wait) else 0.0
        raise refusal(self.address, code_of_http(response.status), details, wait_s)

    def _lost(self, error: Exception, end: float) -> RemoteError:
        words = f"{type(error).__name__}: {error}"
        is_refused = isinstance(error, urllib3.exceptions.NewConnectionError)  # by inheritance also a timeout
        is_timeout = isinstance(error, urllib3.exceptions.TimeoutError) and not is_refused
        if is_timeout or time.monotonic() >= end:
            return refusal(self.address, "DEADLINE_EXCEEDED", f"no whole answer in time ({words})")
        return refusal(self.address, "UNAVAILABLE", words)


class _UntilDeadline(io.RawIOBase):
    """What a socket receives within its timeout, counted from now and not from each byte."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock, self._file = sock, sock.makefile("rb", buffering=0)
        self._end = time.monotonic() + (sock.gettimeout() or 0.0)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        self._sock.settimeout(_left(self._end))
        return self._file.readinto(buffer)

    def close(self) -> None:
        self._file.close()
        super().close()


class _Response(http.client.HTTPResponse):
    """An answer whose status, headers and body arrive before one deadline."""

    def __init__(self, sock: socket.socket, *args: Any, **options: Any) -> None:
        super().__init__(sock, *args, **options)
        self.fp.close()
        self.fp = io.BufferedReader(_UntilDeadline(sock))


class _Connection(urllib3.connection.HTTPConnection):
    """A connection whose timeout holds for a whole request, and then for a whole answer."""

    response_class = _Response
    _end = 0.0

    def request(self, *args: Any, **options: Any) -> None:
        self._end = time.monotonic() + float(self.timeout or 0.0)
        super().request(*args, **options)

    def send(self, data: Any) -> None:
        if self.sock is None:
            self.connect()
        self.sock.settimeout(_left(self._end))
        super().send(data)


class _TlsConnection(_Connection, urllib3.connection.HTTPSConnection):
    """The same with TLS, where the timeout of a socket begins again with every record that is sent."""

    def send(self, data: Any) -> None:
        for start in range(0, len(data), _RECORD):
            super().send(data[start : start + _RECORD])


def _left(end: float) -> float:
    return max(0.001, end - time.monotonic())


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is not a JSON number")


class RestTransport:
    """A model server over REST: connections kept open and reused; may be used from several threads.

    Args:
        address: `HOST:PORT` of the server.
        model: under which name it serves the model.
        tls: False for plain text; True for TLS; a path for TLS with the certificates in that PEM file.

    Example:
        >>> RestTransport("localhost:8501", "ifrp").metadata(None, 5.0).side  # doctest: +SKIP
        128
    """

    def __init__(self, address: str, model: str, tls: bool | str | Path = False) -> None:
        self.model = model
        self._http = HttpConnections(address, tls)

    def predict(
        self,
        portraits: np.ndarray,
        version: int | None,
        timeout: float,
        attributes: np.ndarray | None = None,
    ) -> np.ndarray:
        """See `Transport`."""
        if attributes is not None:
            return self._told(portraits, attributes, version, timeout)
        signature, given, wanted = FILES
        files = [_in_base64(images.encode_png(one)) for one in portraits]
        found = self._ask(signature, {given: files}, version, timeout)
        if isinstance(found, dict) and "b64" not in found:  # a server that names its only output
            found = found.get(wanted)
        if not isinstance(found, list) or len(found) != len(portraits):
            received = f"{len(found)}" if isinstance(found, list) else f"{str(found)[:200]}"
            raise bad_answer(f"{len(portraits)} pictures in 'outputs'", received)
        return np.stack([_read_photo(one, portraits.shape[1:]) for one in found])

    def _told(
        self, portraits: np.ndarray, attributes: np.ndarray, version: int | None, timeout: float
    ) -> np.ndarray:
        """As `predict`, by the signature with attributes, which takes and gives numbers, no files."""
        signature, given, told, wanted = TOLD
        inputs = {given: portraits.tolist(), told: attributes.tolist()}
        found = self._ask(signature, inputs, version, timeout)
        if isinstance(found, dict):
            found = found.get(wanted)
        try:
            photos = np.array(found, np.int64)
        except (TypeError, ValueError, OverflowError) as error:
            raise bad_answer("numbers in 'outputs'", f"{str(found)[:200]}") from error
        if photos.shape != portraits.shape or not ((photos >= 0) & (photos <= 255)).all():
            raise bad_answer(f"levels {list(portraits.shape)}", f"an array {list(photos.shape)}")
        return photos.astype(np.uint8)

    def picture(
        self, data: bytes, options: bytes, version: int | None, timeout: float
    ) -> dict[str, list[Any]]:
        """See `Transport`."""
        signature, *names = PICTURE
        inputs = dict(zip(names, (_in_base64(data), _in_base64(options)), strict=True))
        found = self._ask(signature, inputs, version, timeout, MAX_PICTURE)
        if not isinstance(found, dict):
            raise bad_answer("outputs by name", f"{str(found)[:200]}")
        return {name: list(_flat(value)) for name, value in found.items()}

    def metadata(self, version: int | None, timeout: float) -> ModelInfo:
        """See `Transport`."""
        answer = self._http.ask("GET", f"{self._path(version)}/metadata", timeout)
        return model_info(self.model, *read_metadata(answer), FILES)

    def status(self, timeout: float) -> dict[int, str]:
        """See `Transport`."""
        answer = self._http.ask("GET", self._path(None), timeout)
        try:
            return {int(one["version"]): str(one["state"]) for one in answer["model_version_status"]}
        except (KeyError, TypeError, ValueError) as error:
            raise bad_answer("the status of a model", f"{str(answer)[:200]}") from error

    def close(self) -> None:
        """Closes the connections that are not in use; the others when they are done."""
        self._http.close()

    def _ask(
        self,
        signature: str,
        inputs: dict[str, Any],
        version: int | None,
        timeout: float,
        most: int = MAX_MESSAGE,
    ) -> Any:
        body = json.dumps({"signature_name": signature, "inputs": inputs}).encode()
        return self._http.ask("POST", f"{self._path(version)}:predict", timeout, body, most).get("outputs")

    def _path(self, version: int | None) -> str:
        path = f"/v1/models/{quote(self.model, safe='')}"
        return path if version is None else f"{path}/versions/{version}"


def _in_base64(data: bytes) -> dict[str, str]:
    return {"b64": base64.b64encode(data).decode()}


def _flat(value: Any) -> Iterator[Any]:
    """The numbers, texts and files of an output as it is in JSON, one after the other."""
    if isinstance(value, list):
        for part in value:
            yield from _flat(part)
    elif isinstance(value, dict):
        yield decode_base64(str(value.get("b64")))
    else:
        yield value.encode() if isinstance(value, str) else value


def decode_base64(text: str | bytes) -> bytes:
    """The bytes behind base64 text as it occurs: web-safe or not, padded or not, in lines, or a data URI.

    Args:
        text: such as `"data:image/png;base64,iVBORw0..."`.

    Raises:
        ImageError: with the reason `not_an_image`: it is not base64.

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
        raise ImageError("not_an_image", f"Expected base64. Received: {given[:40]!r}: {error}.") from error


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
