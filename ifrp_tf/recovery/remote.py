"""A served model as a `Recoverer`: without the model, and without TensorFlow."""

from __future__ import annotations

import hashlib

import numpy as np

from ifrp_tf.client.client import Client
from ifrp_tf.client.wire import ModelInfo, RemoteError
from ifrp_tf.core.errors import ModelError
from ifrp_tf.recovery.detection import Detector
from ifrp_tf.recovery.recoverer import Recoverer


def recoverer(client: Client, *, detector: Detector | None = None) -> Recoverer:
    """The model that a server serves now; portraits of its size travel, faces are found on this machine.

    Args:
        client: of the server; every answer comes of the version that it chooses now.
        detector: finds faces, in place of mtcnn, which needs TensorFlow.

    Raises:
        RemoteError: the server is not there, or has no such model.
    """
    info = client.metadata()

    def network(portraits: np.ndarray) -> np.ndarray:
        client.version = info.version
        return recover(client, portraits)

    name, known_by = f"{info.name}/{info.version} at {client.address}", fingerprint(client.address, info)
    return Recoverer(network, side=info.side, name=name, fingerprint=known_by, detector=detector)


def recover(client: Client, portraits: np.ndarray) -> np.ndarray:
    """The answers to a batch, for a run over a folder, which asks for every picture alone if a batch fails.

    Args:
        client: of the server.
        portraits: uint8 [N, side, side, 3].

    Returns:
        uint8 [N, side, side, 3].

    Raises:
        ModelError: one of the portraits may be at fault.
        RemoteError: the server is not there, or has no such model.
    """
    try:
        return client.recover_batch(portraits)
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
