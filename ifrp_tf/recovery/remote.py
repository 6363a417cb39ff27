"""A folder of portraits through a model server: `recover` without the model, and without TensorFlow."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np

from ifrp_tf.client.client import Client
from ifrp_tf.client.wire import ModelInfo, RemoteError
from ifrp_tf.core.errors import ModelError
from ifrp_tf.core.runtime import Console
from ifrp_tf.recovery import folder
from ifrp_tf.recovery.folder import Task
from ifrp_tf.recovery.scene import Options


def run(
    source: str,
    output: str,
    *,
    address: str,
    model: str = "ifrp",
    version: int | None = None,
    protocol: str = "grpc",
    side_by_side: bool = False,
    overwrite: bool = False,
    uncertainty: bool = False,
    timeout: float = 60.0,
    retries: int = 8,
    tls: bool | str | Path = False,
) -> int:
    """What `tools/recover_remote.py` does: failures and progress to stderr, a summary line to stdout.

    One version answers all pictures, the one that the server chooses at the start, so that the report is true
    of every one of them. If it is taken away meanwhile, the run ends.

    Args:
        source: a file, a folder or a pattern.
        output: the output folder.
        address: of the server, `HOST:PORT`.
        model: the name under which it serves the model.
        version: of the model; None for the one that the server chooses.
        protocol: `grpc` or `rest`.
        side_by_side: also write the portrait beside the recovered face.
        overwrite: replace existing outputs.
        uncertainty: also write how far the answers to 16 versions of each portrait spread: 16 times the load.
        timeout: seconds for 16 pictures with all retries.
        retries: how often they are sent again to a server that is full or not there.
        tls: as in `Client`.

    Returns:
        Exit code: 0 all good, 1 some inputs failed, 130 interrupted.

    Raises:
        ConfigError: wrong usage; the output folder cannot be written to.
        DataError: no input was found, or another run writes to the output folder.
        ModelError: the server is not there, goes away, or has no such model.
    """
    client = Client(address, model, protocol, version, timeout=timeout, retries=retries, tls=tls)
    with client, folder.opened(source, output) as work:
        try:
            info = client.metadata()
            client.version = info.version
            options = Options(uncertainty=uncertainty)
            task = Task(work.output, info.side, fingerprint(address, info), side_by_side, overwrite, options)
            name = f"{info.name}/{info.version} at {address}"
            with Console(len(work.jobs)) as console:
                report = folder.process(lambda batch: recover(client, batch), work, task, name, console.show)
        except RemoteError as error:
            raise ModelError(str(error), hint="What is finished stays: run it again to go on.") from error
    print(f"{report.summary(len(work.jobs))}; model {name}; {report.path}")  # noqa: T201
    return report.exit_code


def recover(client: Client, portraits: np.ndarray) -> np.ndarray:
    """The answers to a batch, for `folder.process`, which asks for every picture alone if a batch fails.

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
