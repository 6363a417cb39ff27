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

import logging
import os
import sys
from typing import Any

from absl import flags
from launch import MODEL, launch

_FLAGS = (
    flags.DEFINE_string("model_name", "ifrp", "Name that clients ask for."),
    flags.DEFINE_string("model_base_path", MODEL, "Folder of numbered versions."),
    flags.DEFINE_integer("port", 8500, "Port of gRPC; 0: none."),
    flags.DEFINE_integer("rest_api_port", 8501, "Port of HTTP; 0: none."),
    flags.DEFINE_string("host", "127.0.0.1", "Address to listen on. Others than this machine: 0.0.0.0."),
    flags.DEFINE_boolean("enable_batching", True, "Requests that come together share a call of the model."),
    flags.DEFINE_integer("max_batch_size", 16, "Pictures in a call."),
    flags.DEFINE_integer("batch_timeout_micros", 0, "How long a picture waits for company."),
    flags.DEFINE_integer("max_enqueued_batches", 10, "Batches that may wait; more is refused."),
    flags.DEFINE_integer("num_batch_threads", 1, "Calls of the model at the same time."),
    flags.DEFINE_float("file_system_poll_wait_seconds", 1.0, "Between two looks for versions; 0: one look."),
    flags.DEFINE_integer("rest_api_timeout_in_ms", 30_000, "Longest time for a prediction over HTTP."),
    flags.DEFINE_integer("max_request_bytes", 32 * 2**20, "Longest request."),
    flags.DEFINE_string("grpc_channel_arguments", "", "name=value,... for gRPC."),
    flags.DEFINE_string("metrics_path", "/monitoring/prometheus/metrics", "Path of metrics; empty: none."),
    flags.DEFINE_string("tls_cert", "", "PEM file with the certificate; with --tls_key both ports have TLS."),
    flags.DEFINE_string("tls_key", "", "PEM file with the certificate's key."),
    flags.DEFINE_string("tls_client_ca", "", "PEM file: clients need a certificate of one of these."),
    flags.DEFINE_integer("tensorflow_session_parallelism", 0, "Threads; 0: one a core."),
    flags.DEFINE_float("drain_seconds", 15.0, "Longest time for requests under way after SIGTERM."),
    flags.DEFINE_boolean("trust", False, "Load versions whose checksums do not match: they are programs."),
)


def main() -> int:
    """Returns the exit code."""
    from ifrp_tf.serving import server
    from ifrp_tf.serving.server import Options

    settings: dict[str, Any] = {flag.name: flag.value for flag in _FLAGS}
    code = server.run(Options(**settings), ready=lambda line: print(line, flush=True))
    sys.stdout.flush()
    logging.shutdown()
    os._exit(code)  # all is stopped; taking TensorFlow apart would take seconds, on a busy machine many


if __name__ == "__main__":
    launch(main, __doc__)
