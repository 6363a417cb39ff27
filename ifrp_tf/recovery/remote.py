"""A served model as a `Recoverer`: without the model, and without TensorFlow."""

from __future__ import annotations

import dataclasses
import hashlib

import numpy as np

from ifrp_tf.client.client import Client
from ifrp_tf.client.wire import PICTURE, ModelInfo, RemoteError
from ifrp_tf.core.errors import ImageError, ModelError
from ifrp_tf.data.attributes import NAMES
from ifrp_tf.pictures.geometry import WHOLE, Face, Place
from ifrp_tf.recovery.detectors import Detector
from ifrp_tf.recovery.recoverer import Finder, Options, Recoverer

_OWN = (
    "faces",
    "fallback",
    "paste",
    "strength",
    "flip_average",
    "uncertainty",
    "size",
    "answers",
    "save_crops",
    "attributes",
    "detail",
)  # what is done here, or is never asked


def recoverer(client: Client, *, detector: Detector | None = None) -> Recoverer:
    """The model that a server serves now.

    A server that takes whole pictures (`recover_picture`) finds their faces; else they are found on this
    machine. Of what is recovered portraits of the network's size travel.

    Args:
        client: of the server; every answer comes of the version that it chooses now.
        detector: finds faces, in place of the server, or of the usual one, which needs TensorFlow.

    Raises:
        RemoteError: the server is not there, or has no such model.
    """
    info = client.metadata()

    def network(portraits: np.ndarray, told: np.ndarray | None = None) -> np.ndarray:
        client.version = info.version
        return recover(client, portraits, told)

    finder: Detector | Finder | None = detector
    if detector is None and PICTURE[0] in info.signatures:
        finder = ServerFinder(client, info.version)
    name, known_by = f"{info.name}/{info.version} at {client.address}", fingerprint(client.address, info)
    return Recoverer(
        network,
        side=info.side,
        name=name,
        fingerprint=known_by,
        detector=finder,
        attributes=NAMES if info.attributes == len(NAMES) else (),
    )


class ServerFinder:
    """The faces of whole pictures, found by a server.

    Args:
        client: of the server.
        version: of the model that is asked.
    """

    def __init__(self, client: Client, version: int) -> None:
        self._client, self._version = client, version

    def find(self, pixels: np.ndarray, options: Options) -> list[Face]:
        """See `Finder`.

        Raises:
            ImageError: with reason `no_answer`: the server cannot use this picture.
            RemoteError: the server is not there, or has no such model.
        """
        self._client.version = self._version
        asked = {
            field.name: value
            for field in dataclasses.fields(options)
            if field.name not in _OWN and (value := getattr(options, field.name)) != field.default
        }
        asked["fallback"] = "none"  # what is one face as a whole is decided here
        try:
            found = self._client.recover_picture(pixels, **asked)
        except RemoteError as error:
            if error.is_about_pictures:
                raise ImageError("no_answer", error.message, hint=error.hint) from error
            raise
        return [
            Face(Place(*one.place), None, one.score or None, one.found_by) if one.place[2] else WHOLE
            for one in found.faces
        ]


def recover(client: Client, portraits: np.ndarray, told: np.ndarray | None = None) -> np.ndarray:
    """The answers to a batch, for a run over a folder, which asks for every picture alone if a batch fails.

    Args:
        client: of the server.
        portraits: uint8 [N, side, side, 3].
        told: attributes, float32 [N, 14].

    Returns:
        uint8 [N, side, side, 3].

    Raises:
        ModelError: one of the portraits may be at fault.
        RemoteError: the server is not there, or has no such model.
    """
    try:
        return client.recover_batch(portraits, told)
    except RemoteError as error:
        if error.is_about_pictures:
            raise ModelError(error.message, hint=error.hint) from error
        raise


def fingerprint(address: str, info: ModelInfo) -> str:
    """What stands for the hash of a model that cannot be seen: of where it is served, its name and version.

    Args:
        address: of the server.
        info: what the model says of itself.

    Returns:
        64 hexadecimal digits.
    """
    return hashlib.sha256(f"{address}\n{info.name}\n{info.version}".encode()).hexdigest()
