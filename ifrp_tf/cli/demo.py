"""A web page on this machine: drop a picture or use the camera, see and keep the faces behind it.

python tools/demo.py                                      # http://127.0.0.1:7860
python tools/demo.py --server=grpc://localhost:8500       # a served model; no model is loaded here
python tools/demo.py --server=http://localhost:8501 --faces=whole     # nor is TensorFlow

`make demo` installs what it needs, Gradio, and starts it. Only this machine can open the page; with
--host=0.0.0.0 whoever can reach it may use it: there is no password and no TLS. A --server that takes whole
pictures, as ours does, finds their faces; else they are found here, and only portraits of the network's size
travel. A face that is not found is recovered in a rectangle drawn by hand.

Exit code: 0 after SIGTERM, 2 wrong usage, Gradio is missing or the port is taken, 3 model unusable or no
server, 130 interrupted.
"""

from __future__ import annotations

import dataclasses
import os
import sys
from typing import Literal

from ifrp_tf.cli.command import option
from ifrp_tf.core.assets import MODEL


@dataclasses.dataclass(frozen=True, kw_only=True)
class Request:
    """What `demo` is asked for.

    Attributes:
        model: A version, a folder of versions, or a run's folder.
        trust: Load a model whose checksums do not match: it is a program.
        server: A served model: grpc://HOST:PORT or http://HOST:PORT; TLS: grpcs, https.
        model_name: The name under which --server serves it.
        faces: auto: faces are found. whole: a picture is one face.
        host: Address to listen on. Others than this machine: 0.0.0.0.
        port: Port to listen on; 0: a free one.
    """

    model: str = MODEL
    trust: bool = False
    server: str = ""
    model_name: str = "ifrp"
    faces: Literal["auto", "whole"] = "auto"
    host: str = "127.0.0.1"
    port: int = option(7860, low=0, high=65535)


def run(request: Request) -> int:
    """Returns the exit code."""
    from ifrp_tf.demo import app  # late: --help and wrong usage need no TensorFlow

    code = app.run(
        model=request.model,
        trust=request.trust,
        server=request.server,
        model_name=request.model_name,
        faces=request.faces,
        host=request.host,
        port=request.port,
    )
    sys.stdout.flush()
    os._exit(code)  # all is deleted; taking TensorFlow apart would take seconds, on a busy machine many
