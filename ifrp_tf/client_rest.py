"""A model server over REST, without TensorFlow: JSON over HTTP/1.1, pictures as PNG files in base64."""

from __future__ import annotations

import base64
import binascii
import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np

from ifrp_tf import images
from ifrp_tf.client_http import HttpConnections
from ifrp_tf.client_wire import FILES, ModelInfo, Signatures, bad_answer, model_info
from ifrp_tf.errors import ImageError


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
