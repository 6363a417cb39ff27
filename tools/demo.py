"""A web page on this machine: drop a picture or use the camera, see and keep the faces behind it.

python tools/demo.py                                      # http://127.0.0.1:7860
python tools/demo.py --server=grpc://localhost:8500       # a served model; no model is loaded here
python tools/demo.py --server=http://localhost:8501 --faces=whole     # nor is TensorFlow

`make demo` installs what it needs, Gradio, and starts it. Only this machine can open the page; with
--host=0.0.0.0 whoever can reach it may use it: there is no password and no TLS. With --server faces are found
here, and only portraits of the network's size travel. Exit code: 0 after SIGTERM, 2 wrong usage, Gradio is
missing or the port is taken, 3 model unusable or no server, 130 interrupted.
"""

from __future__ import annotations

import os
import sys

from absl import flags
from launch import MODEL, launch

_MODEL = flags.DEFINE_string("model", MODEL, "A version, a folder of versions, or a run's folder.")
_TRUST = flags.DEFINE_boolean("trust", False, "Load a model whose checksums do not match: it is a program.")
_SERVER = flags.DEFINE_string(
    "server", "", "A served model: grpc://HOST:PORT or http://HOST:PORT; TLS: grpcs, https."
)
_NAME = flags.DEFINE_string("model_name", "ifrp", "The name under which --server serves it.")
_FACES = flags.DEFINE_enum(
    "faces", "auto", ["auto", "whole"], "auto: faces are found. whole: a picture is one face."
)
_HOST = flags.DEFINE_string("host", "127.0.0.1", "Address to listen on. Others than this machine: 0.0.0.0.")
_PORT = flags.DEFINE_integer(
    "port", 7860, "Port to listen on; 0: a free one.", lower_bound=0, upper_bound=65535
)


def main() -> int:
    """Returns the exit code."""
    from ifrp_tf.demo import app  # late: --help and wrong usage need no TensorFlow

    code = app.run(
        model=_MODEL.value,
        trust=_TRUST.value,
        server=_SERVER.value,
        model_name=_NAME.value,
        faces=_FACES.value,
        host=_HOST.value,
        port=_PORT.value,
    )
    sys.stdout.flush()
    os._exit(code)  # all is deleted; taking TensorFlow apart would take seconds, on a busy machine many


if __name__ == "__main__":
    launch(main, __doc__)
