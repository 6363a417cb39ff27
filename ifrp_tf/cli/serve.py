"""Serves an exported model over TensorFlow Serving's gRPC and REST interfaces.

python tools/serve.py --model_name=ifrp --model_base_path=saved_models/ifrp --port=8500 --rest_api_port=8501

The flags are those of tensorflow_model_server, but for its text files: batching, metrics and TLS have flags
of their own here; --host --max_request_bytes --drain_seconds --trust are ours too. A new numbered folder in
--model_base_path takes over when it works. GET /healthz, /monitoring/prometheus/metrics. SIGTERM finishes
the requests under way and ends.

Needs the packages of the extra `serve`: pip install 'ifrp_tf[serve]', or `make serve`.

Exit code: 0 after SIGTERM, 2 wrong usage or a port is taken, 3 no version works, 130 interrupted.
"""

from __future__ import annotations

import dataclasses
import logging
import os
import sys

from ifrp_tf.core.assets import MODEL
from ifrp_tf.serving.server import Options


@dataclasses.dataclass(frozen=True)
class Request(Options):
    """What `serve` is asked for: the options of the server, with the released model and both ports."""

    model_name: str = "ifrp"
    model_base_path: str = MODEL
    port: int = 8500
    rest_api_port: int = 8501


def run(request: Request) -> int:
    """Serves until it is asked to stop; ends the process."""
    from ifrp_tf.serving import server  # late: --help and wrong usage need no TensorFlow

    code = server.run(request, ready=lambda line: print(line, flush=True))
    sys.stdout.flush()
    logging.shutdown()
    os._exit(code)  # all is stopped; taking TensorFlow apart would take seconds, on a busy machine many
