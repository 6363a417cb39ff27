"""Recovers the faces behind portraits on a model server; neither the model nor TensorFlow is needed here.

python tools/recover_remote.py --address=localhost:8500 --input=portrait.jpg --output=recovered
python tools/recover_remote.py --address=localhost:8501 --protocol=rest --input=portraits --output=recovered

The server is tools/serve.py or TensorFlow Serving; the former also finds faces, for the latter this machine
does, with TensorFlow. Writes what tools/recover.py writes. Exit code: 0 good, 1 some inputs failed or none
was found, 2 wrong usage, 3 no such server or model, 130 interrupted (run it again to go on).
"""

from __future__ import annotations

import dataclasses
from typing import Literal

from ifrp_tf.cli import recover
from ifrp_tf.core.errors import ModelError


@dataclasses.dataclass(frozen=True, kw_only=True)
class Request(recover.Wanted):
    """What `recover_remote` is asked for.

    Attributes:
        address: The server, HOST:PORT.
        protocol: What the port speaks.
        model_name: The name under which the model is served.
        model_version: Of the model; without it the server's newest.
        timeout: Seconds for 16 pictures with all retries.
        retries: How often they are sent again to a full or absent server.
        tls: Encrypt. Without it whoever is on the way sees the pictures.
        certificates: PEM file to trust instead of the system's.
    """

    address: str
    protocol: Literal["grpc", "rest"] = "grpc"
    model_name: str = "ifrp"
    model_version: int | None = None
    timeout: float = 60.0
    retries: int = 8
    tls: bool = False
    certificates: str | None = None


def run(request: Request) -> int:
    """Recovers: failures and progress go to the error stream, a summary to the output.

    One version answers all pictures, the one that the server chooses at the start, so that the report is true
    of every one of them. If it is taken away meanwhile, the run ends.

    Returns:
        Exit code: 0 all good, 1 some inputs failed, 130 interrupted.

    Raises:
        ConfigError: wrong usage; the output folder cannot be written to.
        DataError: no input was found, or another run writes to the output folder.
        ModelError: the server is not there, goes away, or has no such model.
    """
    from ifrp_tf.client.client import Client  # late: --help and wrong usage need no grpcio
    from ifrp_tf.client.wire import RemoteError
    from ifrp_tf.recovery import remote

    client = Client(
        request.address,
        request.model_name,
        request.protocol,
        request.model_version,
        timeout=request.timeout,
        retries=request.retries,
        tls=request.certificates or request.tls,
    )
    with client:
        try:
            return recover.carry_out(request, lambda: remote.recoverer(client))
        except RemoteError as error:
            raise ModelError(str(error), hint="What is finished stays: run it again to go on.") from error
