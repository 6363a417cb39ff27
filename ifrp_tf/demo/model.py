"""The model behind the web page: on this disk, or served elsewhere."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ifrp_tf.client.client import Client
from ifrp_tf.client.wire import RemoteError
from ifrp_tf.core.errors import ConfigError, ModelError
from ifrp_tf.demo.result import Opened
from ifrp_tf.recovery import remote
from ifrp_tf.recovery.detectors import Candidate
from ifrp_tf.recovery.recoverer import Late, Recoverer

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


def served(server: str, model: str = "ifrp", *, faces: str = "auto") -> Opened:
    """A model on a server. One that takes whole pictures finds their faces; else they are found here.

    The server is asked again for every picture, so that one that was restarted, or has got a new version, is
    no trouble, and every file names the version that made it.

    Args:
        server: `grpc://HOST:PORT` or `http://HOST:PORT`; with TLS `grpcs://` or `https://`.
        model: the name under which it serves the model.
        faces: as in `demo.recover`. With `whole` nothing here needs TensorFlow: unless the server finds
            faces, one in a box by hand is taken as upright.

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
    detector = Late() if faces == "auto" else _blind  # kept: it is loaded once

    def opened() -> Recoverer:
        client.version = None
        try:
            found = remote.recoverer(client)
        except RemoteError as error:
            raise ModelError(error.message, hint=error.hint) from error
        if not isinstance(found.detector, remote.ServerFinder):
            found.detector = detector
        return found

    return opened


def _blind(pictures: Sequence[np.ndarray], *, relaxed: bool = False) -> list[list[Candidate]]:
    """A `Detector` that sees nothing."""
    return [[] for _ in pictures]
