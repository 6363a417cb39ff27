"""The server: `tensorflow_model_server`'s flags, gRPC and REST in one process, one queue."""

from __future__ import annotations

import asyncio
import dataclasses
import importlib.util
import logging
import signal
import ssl
from collections.abc import Callable
from pathlib import Path

from ifrp_tf.core import files, runtime
from ifrp_tf.core.errors import ConfigError, IfrpError, ModelError
from ifrp_tf.release import folder

LOOPBACK = ("localhost", "127.0.0.1", "::1")

_PACKAGES = ("aiohttp", "prometheus_client")
_WAITING_PICTURES = 8

_log = logging.getLogger("ifrp_tf.serving")


@dataclasses.dataclass(frozen=True)
class Options:
    """The settings of a server, named after the flags of `tensorflow_model_server` where it has them.

    Attributes:
        model_name: as clients call it.
        model_base_path: folder of numbered versions.
        port, rest_api_port: of gRPC and of HTTP; 0 = none.
        host: to listen on.
        enable_batching: whether requests of several clients share a call of the model.
        max_batch_size: rows in one call, 1 to 4,096.
        batch_timeout_micros: how long a request waits for company.
        max_enqueued_batches: what may wait, in batches of `max_batch_size` rows.
        num_batch_threads: calls of the model at the same time, 1 to 64.
        file_system_poll_wait_seconds: between two looks for new versions; 0 = look once.
        rest_api_timeout_in_ms: longest time for an HTTP prediction; four times as long for a whole picture.
        max_request_bytes: longest request, 1,024 to 2**30.
        grpc_channel_arguments: `name=value,...`.
        metrics_path: path of the metrics on the HTTP port; empty = no metrics.
        tls_cert, tls_key: PEM files with the certificate and its key; with them both ports are encrypted.
        tls_client_ca: PEM file with certificates; only clients with a certificate of these are answered.
        tensorflow_session_parallelism: threads; 0 = one a core.
        drain_seconds: how long requests under way may take once the server is asked to stop, 0 to 20.
        trust: load versions whose checksums do not match.
        pictures: also recover whole pictures (signature recover_picture); the first one loads the detector.

    Raises:
        ConfigError: a setting is out of range, or a file cannot be read.

    Example:
        >>> Options("ifrp", "saved_models/ifrp").capacity
        160
    """

    model_name: str
    model_base_path: str
    port: int = 8500
    rest_api_port: int = 0
    host: str = "127.0.0.1"
    enable_batching: bool = True
    max_batch_size: int = 16
    batch_timeout_micros: int = 0
    max_enqueued_batches: int = 10
    num_batch_threads: int = 1
    file_system_poll_wait_seconds: float = 1.0
    rest_api_timeout_in_ms: int = 30_000
    max_request_bytes: int = 32 * 2**20
    grpc_channel_arguments: str = ""
    metrics_path: str = "/monitoring/prometheus/metrics"
    tls_cert: str = ""
    tls_key: str = ""
    tls_client_ca: str = ""
    tensorflow_session_parallelism: int = 0
    drain_seconds: float = 15.0
    trust: bool = False
    pictures: bool = True

    def __post_init__(self) -> None:
        ranges = {
            "port": (0, 65535),
            "rest_api_port": (0, 65535),
            "max_batch_size": (1, 4096),
            "batch_timeout_micros": (0, 10_000_000),
            "max_enqueued_batches": (1, 1_000_000),
            "num_batch_threads": (1, 64),
            "rest_api_timeout_in_ms": (1, 3_600_000),
            "max_request_bytes": (1024, 2**30),
            "tensorflow_session_parallelism": (0, 1024),
            "drain_seconds": (0, 20),
        }
        for name, (low, high) in ranges.items():
            if not low <= getattr(self, name) <= high:
                raise ConfigError(f"Expected {name} from {low} to {high}. Received: {getattr(self, name)}.")
        if not self.model_name or "/" in self.model_name or ":" in self.model_name:
            raise ConfigError(f"Expected a model_name without / and :. Received: {self.model_name!r}.")
        if self.port == self.rest_api_port:
            raise ConfigError(
                f"Expected two different ports. Received: {self.port} for both gRPC and HTTP.",
                hint="0 turns one of them off.",
            )
        if self.metrics_path and not self.metrics_path.startswith("/"):
            raise ConfigError(f"Expected metrics_path to begin with /. Received: {self.metrics_path!r}.")
        # Read now, so that a wrong one is reported before TensorFlow is imported.
        self.channel_arguments()
        self.tls()

    @property
    def capacity(self) -> int:
        """Rows that may wait."""
        return self.max_batch_size * self.max_enqueued_batches

    def channel_arguments(self) -> list[tuple[str, int | str]]:
        """`grpc_channel_arguments` as pairs.

        Raises:
            ConfigError: not of the form `name=value,...`.
        """
        pairs: list[tuple[str, int | str]] = []
        for part in filter(None, self.grpc_channel_arguments.split(",")):
            name, equals, value = part.partition("=")
            if not name or not equals:
                raise ConfigError(f"Expected grpc_channel_arguments=name=value,... Received: {part!r}.")
            pairs.append((name, int(value) if value.lstrip("-").isdecimal() else value))
        return pairs

    def tls(self) -> ssl.SSLContext | None:
        """Certificate, key and what is asked of clients, for HTTPS; None for plain text.

        Raises:
            ConfigError: one of the files cannot be used, or is missing.
        """
        if not (self.tls_cert or self.tls_key or self.tls_client_ca):
            return None
        if not (self.tls_cert and self.tls_key):
            raise ConfigError(
                "Expected both tls_cert and tls_key. "
                f"Received: tls_cert={self.tls_cert!r} and tls_key={self.tls_key!r}."
            )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        try:
            context.load_cert_chain(self.tls_cert, self.tls_key)
            if self.tls_client_ca:
                context.load_verify_locations(self.tls_client_ca)
                context.verify_mode = ssl.CERT_REQUIRED
        except OSError as error:  # an SSLError is one
            received = f"{self.tls_cert!r}, {self.tls_key!r} and {self.tls_client_ca!r}: {error}"
            raise ConfigError(
                "Expected PEM files of a certificate (tls_cert), its key (tls_key) and, where given, "
                f"certificates of clients (tls_client_ca). Received: {received}."
            ) from error
        return context


class Server:
    """All parts of the server, for `run` and for programs that have an event loop.

    Args:
        options: of the server.

    Raises:
        ConfigError: a package is missing that serving needs.

    Example:
        >>> server = Server(Options("ifrp", "saved_models/ifrp"))  # doctest: +SKIP
        >>> await server.start()  # doctest: +SKIP
    """

    def __init__(self, options: Options) -> None:
        missing = [name for name in _PACKAGES if importlib.util.find_spec(name) is None]
        if missing:
            raise ConfigError(
                f"Expected the packages {' and '.join(_PACKAGES)}. Received: no {' and no '.join(missing)}.",
                hint="Install them: pip install 'ifrp_tf[serve]'.",
            )
        with runtime.start_up():
            from ifrp_tf.serving.batching import Batcher
            from ifrp_tf.serving.metrics import Metrics
            from ifrp_tf.serving.model import Versions
            from ifrp_tf.serving.rest import HttpServer, Rest
            from ifrp_tf.serving.service import Service
        if options.tensorflow_session_parallelism:
            runtime.use_threads(options.tensorflow_session_parallelism)
        self.options = options
        self.metrics = Metrics()
        self.metrics.add_process()
        self.versions = Versions(
            options.model_name,
            options.model_base_path,
            poll_seconds=options.file_system_poll_wait_seconds,
            trust=options.trust,
            pictures=options.pictures,
            metrics=self.metrics,
        )
        self.batcher = Batcher(
            max_batch_size=options.max_batch_size if options.enable_batching else 0,
            timeout=1e-6 * options.batch_timeout_micros,
            capacity=options.capacity,
            threads=options.num_batch_threads,
            metrics=self.metrics,
        )
        # Whole pictures take seconds: one at a time, and portraits do not wait for them.
        self.pictures = Batcher(
            max_batch_size=0, timeout=0.0, capacity=_WAITING_PICTURES, threads=1, metrics=self.metrics
        )
        self.service = Service(self.versions, self.batcher, self.metrics, self.pictures)
        rest = Rest(
            self.service,
            timeout=1e-3 * options.rest_api_timeout_in_ms,
            metrics_path=options.metrics_path,
        )
        self._http = HttpServer(rest.answer, max_body=options.max_request_bytes)
        for name, description, read in (
            ("ifrp_model_version", "The version that is served.", lambda: self.versions.number),
            ("ifrp_queue_rows", "Pictures that wait in the queue.", lambda: self.batcher.waiting),
            ("ifrp_http_connections", "Open HTTP connections.", lambda: self._http.connections),
        ):
            self.metrics.gauge(name, description, read)

    async def start(self) -> None:
        """Loads the model, then listens.

        Raises:
            ModelError: no version works.
            ConfigError: a port is in use.
        """
        from ifrp_tf.serving import grpc as serving_grpc

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
                await self._http.start(options.host, options.rest_api_port, options.tls())
        except IfrpError:
            await self.stop(0.0)
            raise
        except (OSError, RuntimeError) as error:
            await self.stop(0.0)
            raise ConfigError(
                f"Expected free ports {options.port} and {options.rest_api_port} on {options.host!r}. "
                f"Received: {error}.",
                hint="Is another server running? Choose another port and rest_api_port.",
            ) from error

    async def stop(self, grace: float) -> None:
        """Takes no more requests, finishes those it has, and frees everything.

        Args:
            grace: seconds; what takes longer is cut off.
        """
        self.service.draining = True
        await asyncio.gather(self._grpc.stop(grace), self._http.stop(grace))
        await asyncio.to_thread(self.versions.stop)
        for batcher in (self.batcher, self.pictures):
            await asyncio.to_thread(batcher.close, 1.0)

    def _listen(self, host: str) -> None:
        import grpc

        options = self.options
        address = f"{host}:{options.port}"
        if not options.tls_cert:
            self._grpc.add_insecure_port(address)
            return
        roots = Path(options.tls_client_ca).read_bytes() if options.tls_client_ca else None
        credentials = grpc.ssl_server_credentials(
            [(Path(options.tls_key).read_bytes(), Path(options.tls_cert).read_bytes())],
            root_certificates=roots,
            require_client_auth=roots is not None,
        )
        self._grpc.add_secure_port(address, credentials)


def run(options: Options, ready: Callable[[str], None] = _log.info) -> int:
    """Serves until a signal comes.

    Args:
        options: of the server.
        ready: called once with a line that names model, version and ports, when requests are answered.

    Returns:
        0 after SIGTERM, 130 after SIGINT; requests under way were finished (`options.drain_seconds`).

    Raises:
        ModelError: there is no version that works.
        ConfigError: a port is in use, or a package is missing.
    """
    if not Path(options.model_base_path).is_dir():  # reported before TensorFlow is imported
        raise ModelError(
            f"Expected a folder of versions at {options.model_base_path!r}. Received: nothing there.",
            hint=files.missing_hint(options.model_base_path),
        )
    if (Path(options.model_base_path) / "saved_model.pb").is_file():
        found = folder.locate(options.model_base_path).path.resolve()
        raise ConfigError(
            f"Expected a folder of numbered versions. Received: the version {str(found)!r} itself.",
            hint=f"Use model_base_path={str(found.parent)!r}.",
        )
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(message)s")
    _log.setLevel(logging.INFO)
    return asyncio.run(_serve(options, ready))


async def _serve(options: Options, ready: Callable[[str], None]) -> int:
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
    ready(_ready_line(options, server.versions.number))
    if options.host not in LOOPBACK and not options.tls_cert:
        _log.warning("Pictures travel unencrypted, and everyone who reaches %s is answered.", options.host)
    await stopped.wait()
    _log.info("Stopping: no more requests, at most %g s for those under way.", options.drain_seconds)
    await server.stop(options.drain_seconds)
    return 0 if received[0] == signal.SIGTERM else 130


def _ready_line(options: Options, version: int) -> str:
    host = f"[{options.host}]" if ":" in options.host else options.host
    scheme = "https" if options.tls_cert else "http"
    addresses = [
        *([f"gRPC {host}:{options.port}"] if options.port else []),
        *([f"{scheme}://{host}:{options.rest_api_port}"] if options.rest_api_port else []),
    ]
    return f"{options.model_name}/{version} is served at {' and '.join(addresses)}"
