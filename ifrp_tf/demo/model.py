"""The model behind the web page: on this disk, or served elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import numpy as np

from ifrp_tf.client.client import Client
from ifrp_tf.client.wire import RemoteError
from ifrp_tf.core.errors import ConfigError, ModelError
from ifrp_tf.demo.result import Opened
from ifrp_tf.recovery import remote
from ifrp_tf.recovery.detectors import Detector
from ifrp_tf.recovery.recoverer import Late, Recoverer

_Answer = TypeVar("_Answer")
_PROTOCOLS = {
    "grpc": ("grpc", False), "grpcs": ("grpc", True), "http": ("rest", False), "https": ("rest", True)
}  # fmt: skip


def local(model: str, *, trust: bool = False, faces: str = "auto") -> Opened:
    """A model on this disk, loaded once.

    Args:
        model: as in `Recoverer.load`.
        trust: as in `Recoverer.load`.
        faces: as in `demo.recover`; for `auto` the detector is loaded now: the first visitor does not wait.

    Raises:
        ModelError: the model is unusable.
    """
    recoverer = Recoverer.load(model, trust=trust)
    if faces == "auto" and callable(recoverer.detector):
        recoverer.detector([np.zeros((48, 48, 3), np.uint8)])
    return lambda: recoverer


def served(server: str, model: str = "ifrp", *, detector: Detector | None = None) -> Opened:
    """A model on a server. Faces are found on this machine; only portraits of the network's size travel.

    The server is asked again for every picture, so that one that was restarted, or has got a new version, is
    no trouble, and every file names the version that made it.

    Args:
        server: `grpc://HOST:PORT` or `http://HOST:PORT`; with TLS `grpcs://` or `https://`.
        model: the name under which it serves the model.
        detector: finds faces, in place of the usual one, which needs TensorFlow on this machine.

    Raises:
        ConfigError: the address cannot be understood.

    Example:
        >>> served("grpc://localhost:8500")().name  # doctest: +SKIP
        'ifrp/2 at localhost:8500'
    """
    scheme, _, address = server.rstrip("/").partition("://")
    if scheme not in _PROTOCOLS or not address:
        hint = "Such as grpc://localhost:8500 or http://localhost:8501."
        raise ConfigError(f"Expected SCHEME://HOST:PORT for the server. Received: {server!r}.", hint=hint)
    protocol, tls = _PROTOCOLS[scheme]
    client = Client(address, model, protocol, tls=tls, timeout=60.0)

    detector = detector or Late()

    def opened() -> Recoverer:
        client.version = None
        found = _asked(lambda: remote.recoverer(client, detector=detector))
        network = found.network
        found.network = lambda portraits: _asked(lambda: network(portraits))
        return found

    return opened


def _asked(question: Callable[[], _Answer]) -> _Answer:
    try:
        return question()
    except RemoteError as error:
        raise ModelError(error.message, hint=error.hint) from error
