"""Recovers the faces behind portraits on a model server; neither the model nor TensorFlow is needed here.

python tools/recover_remote.py --address=localhost:8500 --input=portrait.jpg --output=recovered
python tools/recover_remote.py --address=localhost:8501 --protocol=rest --input=scans --output=o --faces=auto

The server is tools/serve.py or TensorFlow Serving; the former also finds faces, for the latter this machine
does, with TensorFlow. Writes what tools/recover.py writes. Exit code: 0 good, 1 some inputs failed or none
was found, 2 wrong usage, 3 no such server or model, 130 interrupted (run it again to go on).
"""

from __future__ import annotations

import dataclasses
from typing import Literal

from ifrp_tf.cli.command import option
from ifrp_tf.core.errors import ModelError
from ifrp_tf.core.runtime import Console


@dataclasses.dataclass(frozen=True, kw_only=True)
class Request:
    """What `recover_remote` is asked for.

    Attributes:
        address: The server, HOST:PORT.
        input: A picture, a folder, or a pattern in quotes.
        output: Folder for the results; made if missing.
        protocol: What the port speaks.
        model_name: The name under which the model is served.
        model_version: Of the model; without it the server's newest.
        faces: whole: every picture is one face. auto: faces are found in it, by the server if it can.
        paste: Also write <stem>_pasted.png: the faces in their picture.
        side_by_side: Also write <stem>_side_by_side.png.
        uncertainty: Also write <stem>_uncertainty.png and a number; 16 times the load.
        overwrite: Replace existing outputs.
        timeout: Seconds for 16 pictures with all retries.
        retries: How often they are sent again to a full or absent server.
        tls: Encrypt. Without it whoever is on the way sees the pictures.
        certificates: PEM file to trust instead of the system's.
    """

    address: str
    input: str = option(argument="source")
    output: str
    protocol: Literal["grpc", "rest"] = "grpc"
    model_name: str = "ifrp"
    model_version: int | None = None
    faces: Literal["whole", "auto"] = "whole"
    paste: bool = False
    side_by_side: bool = False
    uncertainty: bool = False
    overwrite: bool = False
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
    from ifrp_tf.recovery import folder, remote
    from ifrp_tf.recovery.recoverer import Options

    options = Options(faces=request.faces, paste=request.paste, uncertainty=request.uncertainty)
    client = Client(
        request.address,
        request.model_name,
        request.protocol,
        request.model_version,
        timeout=request.timeout,
        retries=request.retries,
        tls=request.certificates or request.tls,
    )
    with client, folder.opened(request.input, request.output, options) as (manifest, jobs):
        try:
            recoverer = remote.recoverer(client)
            run = folder.Run(manifest, jobs, recoverer, options, request.side_by_side, request.overwrite)
            with Console(len(jobs)) as console:
                report = run.process(console.show)
        except RemoteError as error:
            raise ModelError(str(error), hint="What is finished stays: run it again to go on.") from error
    print(f"{report.summary(len(jobs))}; model {recoverer.name}; {report.path}")
    return report.exit_code
