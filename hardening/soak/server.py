"""A server in a process of its own, for measurements and soaks."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from ifrp_tf.core.errors import ServingError


@contextlib.contextmanager
def started(model_base_path: str | Path, name: str, *flags: str) -> Iterator[tuple[str, int]]:
    """A server in a process of its own, stopped at the end.

    Args:
        model_base_path: folder of versions.
        name: of the model.
        *flags: more flags of `tools/serve.py`.

    Yields:
        Address of gRPC, and the port of HTTP.

    Raises:
        ServingError: it does not start.
    """
    port, rest_port = _free_port(), _free_port()
    tool = Path(__file__).resolve().parents[2] / "tools" / "serve.py"
    command = [
        sys.executable, str(tool), f"--model_name={name}", f"--model_base_path={model_base_path}",
        f"--port={port}", f"--rest_api_port={rest_port}", *flags,
    ]  # fmt: skip
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        try:
            assert process.stdout is not None
            if not process.stdout.readline():  # it says so when it is ready
                raise ServingError(f"The server did not start: {' '.join(command)}")
            yield f"127.0.0.1:{port}", rest_port
        finally:
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
