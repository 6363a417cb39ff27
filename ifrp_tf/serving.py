"""A server for an exported model that speaks TensorFlow Serving's protocols, for a laptop or one machine.

The same clients and the same folder of versions work with TensorFlow Serving itself (`deploy/`).
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import ssl
import sys
import tempfile
from pathlib import Path

from ifrp_tf import files, model_folder, quiet
from ifrp_tf.errors import ConfigError, IfrpError, ModelError
from ifrp_tf.serving_options import LOOPBACK, Options

_log = logging.getLogger("ifrp_tf.serving")


class Server:
    """All parts of the server, for `run` and for whoever has an event loop.

    Args:
        options: of the server.

    Example:
        >>> server = Server(Options("ifrp", "saved_models/ifrp"))  # doctest: +SKIP
        >>> await server.start()  # doctest: +SKIP
    """

    def __init__(self, options: Options) -> None:
        with quiet.start_up():
            from ifrp_tf import machine, serving_metrics, serving_rest, serving_service
            from ifrp_tf.serving_batching import Batcher
            from ifrp_tf.serving_http import HttpServer
            from ifrp_tf.serving_versions import Versions
        if options.tensorflow_session_parallelism:
            machine.use_threads(options.tensorflow_session_parallelism)
        self.options = options
        self.metrics = serving_metrics.Metrics()
        serving_metrics.add_process(self.metrics)
        self.versions = Versions(
            options.model_name,
            options.model_base_path,
            poll_seconds=options.file_system_poll_wait_seconds,
            trust=options.trust,
            metrics=self.metrics,
        )
        self.batcher = Batcher(
            max_batch_size=options.max_batch_size if options.enable_batching else 0,
            timeout=1e-6 * options.batch_timeout_micros,
            capacity=options.capacity,
            threads=options.num_batch_threads,
            metrics=self.metrics,
        )
        self.service = serving_service.Service(self.versions, self.batcher, self.metrics)
        rest = serving_rest.Rest(
            self.service,
            timeout=1e-3 * options.rest_api_timeout_in_ms,
            metrics_path=options.metrics_path(),
        )
        self._http = HttpServer(rest.answer, serving_rest.complain, max_body=options.max_request_bytes)
        self.metrics.gauge("ifrp_model_version", lambda: float(self.versions.number))
        self.metrics.gauge("ifrp_queue_rows", lambda: float(self.batcher.waiting))
        self.metrics.gauge("ifrp_http_connections", lambda: float(self._http.connections))

    async def start(self) -> None:
        """Loads the model, then listens.

        Raises:
            ModelError: no version works.
            ConfigError: a port cannot be had.
        """
        from ifrp_tf import serving_grpc

        options = self.options
        self._grpc = serving_grpc.make_server(
            self.service, max_message=options.max_request_bytes, options=options.channel_arguments()
        )
        try:
            await asyncio.to_thread(self.versions.start)
            if options.port:
                self._listen(f"[{options.host}]" if ":" in options.host else options.host)
                await self._grpc.start()
            if options.rest_api_port:
                await self._http.start(options.host, options.rest_api_port, _https(options))
        except IfrpError:
            await self.stop(0.0)
            raise
        except (OSError, RuntimeError) as error:
            await self.stop(0.0)
            raise ConfigError(
                f"Expected free ports {options.port} and {options.rest_api_port} on {options.host!r}. "
                f"Received: {error}.",
                hint="Is another server running? Choose others with --port and --rest_api_port.",
            ) from error

    async def stop(self, grace: float) -> None:
        """Takes no more requests, finishes those it has, and frees everything.

        Args:
            grace: seconds; what takes longer is cut off.
        """
        self.service.draining = True
        await asyncio.gather(self._grpc.stop(grace), self._http.stop(grace))
        await asyncio.to_thread(self.versions.stop)
        await asyncio.to_thread(self.batcher.close, 1.0)

    def _listen(self, host: str) -> None:
        import grpc

        address, config = f"{host}:{self.options.port}", self.options.tls()
        if config is None:
            self._grpc.add_insecure_port(address)
            return
        credentials = grpc.ssl_server_credentials(
            [(config.server_key.encode(), config.server_cert.encode())],
            root_certificates=config.custom_ca.encode() or None,
            require_client_auth=config.client_verify,
        )
        self._grpc.add_secure_port(address, credentials)


def run(options: Options) -> int:
    """Serves until a signal comes.

    Args:
        options: of the server.

    Returns:
        0 after SIGTERM, 130 after SIGINT; requests under way were finished (`options.drain_seconds`).

    Raises:
        ModelError: there is no version that works.
        ConfigError: a port cannot be had.
    """
    if not Path(options.model_base_path).is_dir():  # must not wait for TensorFlow
        raise ModelError(
            f"Expected a folder of versions at {options.model_base_path!r}. Received: nothing there.",
            hint=files.missing_hint(options.model_base_path),
        )
    if (Path(options.model_base_path) / "saved_model.pb").is_file():
        found = model_folder.locate(options.model_base_path).path.resolve()
        raise ConfigError(
            f"Expected a folder of numbered versions. Received: the version {str(found)!r} itself.",
            hint=f"Use --model_base_path={found.parent}.",
        )
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(message)s")
    _log.setLevel(logging.INFO)
    code = asyncio.run(_serve(options))
    sys.stdout.flush()
    return code


async def _serve(options: Options) -> int:
    server = Server(options)
    await server.start()
    loop, stopped = asyncio.get_running_loop(), asyncio.Event()
    received: list[int] = []

    def stop(number: int) -> None:
        received.append(number)
        for each in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(each)  # the next one ends the program at once
        stopped.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop, number)
    _announce(options, server.versions.number)
    await stopped.wait()
    _log.info("Stopping: no more requests, at most %g s for those under way.", options.drain_seconds)
    await server.stop(options.drain_seconds)
    return 0 if received[0] == signal.SIGTERM else 130


def _announce(options: Options, version: int) -> None:
    host = f"[{options.host}]" if ":" in options.host else options.host
    scheme = "https" if options.ssl_config_file else "http"
    doors = [
        *([f"gRPC {host}:{options.port}"] if options.port else []),
        *([f"{scheme}://{host}:{options.rest_api_port}"] if options.rest_api_port else []),
    ]
    print(f"{options.model_name}/{version} is served at {' and '.join(doors)}", flush=True)  # noqa: T201
    if options.host not in LOOPBACK and not options.ssl_config_file:
        _log.warning("Pictures travel unencrypted, and whoever reaches %s may ask.", options.host)


def _https(options: Options) -> ssl.SSLContext | None:
    config = options.tls()
    if config is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    if config.custom_ca:
        context.load_verify_locations(cadata=config.custom_ca)
    if config.client_verify:
        context.verify_mode = ssl.CERT_REQUIRED
    handle, path = tempfile.mkstemp(suffix=".pem")  # readable by us only; OpenSSL takes keys from files
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(f"{config.server_key}\n{config.server_cert}\n")
        context.load_cert_chain(path)
    finally:
        os.unlink(path)
    return context
