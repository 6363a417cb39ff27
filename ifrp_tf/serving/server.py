"""The server: `tensorflow_model_server`'s flags, gRPC and REST in one process, one queue."""

from __future__ import annotations

import asyncio
import dataclasses
import functools
import logging
import os
import signal
import ssl
import sys
import tempfile
from pathlib import Path
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format

from ifrp_tf.core import files, runtime
from ifrp_tf.core.errors import ConfigError, IfrpError, ModelError
from ifrp_tf.release import folder

# ---- How a model is served: flags of `tensorflow_model_server`, and the text files that they ----

LOOPBACK = ("localhost", "127.0.0.1", "::1")

_FIELD = descriptor_pb2.FieldDescriptorProto
# The messages of TensorFlow Serving's configuration files, as far as they concern this server; a type that is
# a name is another of these messages. Only names matter in text, so the numbers are ours.
_MESSAGES: dict[str, dict[str, int | str]] = {
    "Number": {"value": _FIELD.TYPE_INT64},
    "Text": {"value": _FIELD.TYPE_STRING},
    "BatchingParameters": {
        **dict.fromkeys(
            ("max_batch_size", "batch_timeout_micros", "max_enqueued_batches", "num_batch_threads"), "Number"
        ),
        "thread_pool_name": "Text",
        "allowed_batch_sizes": _FIELD.TYPE_INT64,
        "pad_variable_length_inputs": _FIELD.TYPE_BOOL,
        "enable_large_batch_splitting": "Flag",
        "max_execution_batch_size": "Number",
    },
    "Flag": {"value": _FIELD.TYPE_BOOL},
    "PrometheusConfig": {"enable": _FIELD.TYPE_BOOL, "path": _FIELD.TYPE_STRING},
    "MonitoringConfig": {"prometheus_config": "PrometheusConfig"},
    "SSLConfig": {
        "server_key": _FIELD.TYPE_STRING,
        "server_cert": _FIELD.TYPE_STRING,
        "custom_ca": _FIELD.TYPE_STRING,
        "client_verify": _FIELD.TYPE_BOOL,
    },
}


@dataclasses.dataclass(frozen=True)
class Options:
    """What `tools/serve.py` is told; checked when made.

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
        batching_parameters_file: text that replaces the four settings above.
        file_system_poll_wait_seconds: between two looks for new versions; 0 = look once.
        rest_api_timeout_in_ms: longest time for an HTTP prediction.
        max_request_bytes: longest request, 1,024 to 2**30.
        grpc_channel_arguments: `name=value,...`.
        monitoring_config_file: text that says whether and where the metrics are.
        ssl_config_file: text with certificate and key; both ports are encrypted then.
        tensorflow_session_parallelism: threads; 0 = one a core.
        drain_seconds: how long requests may take to end when the server is told to stop, 0 to 20.
        trust: load versions whose checksums do not match.

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
    batching_parameters_file: str = ""
    file_system_poll_wait_seconds: float = 1.0
    rest_api_timeout_in_ms: int = 30_000
    max_request_bytes: int = 32 * 2**20
    grpc_channel_arguments: str = ""
    monitoring_config_file: str = ""
    ssl_config_file: str = ""
    tensorflow_session_parallelism: int = 0
    drain_seconds: float = 15.0
    trust: bool = False

    def __post_init__(self) -> None:
        for name, number in _numbers(self.batching_parameters_file).items():
            object.__setattr__(self, name, number)
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
        # Read now, so that a wrong one does not wait for TensorFlow.
        self.channel_arguments()
        self.metrics_path()
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

    def metrics_path(self) -> str:
        """Where the metrics are; empty = nowhere.

        Raises:
            ConfigError: the file is not of TensorFlow Serving's form.
        """
        default = "/monitoring/prometheus/metrics"
        if not self.monitoring_config_file:
            return default
        config = _read(self.monitoring_config_file, "MonitoringConfig").prometheus_config
        return (config.path or default) if config.enable else ""

    def tls(self) -> Any:
        """Certificate and key, or None.

        Returns:
            A message with `server_key server_cert custom_ca client_verify`, or None for plain text.

        Raises:
            ConfigError: the file is not of TensorFlow Serving's form, or lacks one of the two.
        """
        if not self.ssl_config_file:
            return None
        config = _read(self.ssl_config_file, "SSLConfig")
        if not config.server_key or not config.server_cert:
            raise ConfigError(f"Expected server_key and server_cert in {self.ssl_config_file!r}.")
        return config


def _numbers(path: str) -> dict[str, int]:
    if not path:
        return {}
    message = _read(path, "BatchingParameters")
    names = ("max_batch_size", "batch_timeout_micros", "max_enqueued_batches", "num_batch_threads")
    return {name: int(getattr(message, name).value) for name in names if message.HasField(name)}


def _read(path: str, kind: str) -> Any:
    try:
        text = Path(path).read_text(encoding="utf-8")
        return text_format.Parse(text, _classes()[kind]())
    except (OSError, UnicodeDecodeError, text_format.ParseError) as error:
        raise ConfigError(
            f"Expected a text file of TensorFlow Serving's {kind}. Received: {error}."
        ) from error


@functools.cache
def _classes() -> dict[str, Any]:
    """Message classes in a pool of their own, so that they never meet TensorFlow Serving's."""
    file = descriptor_pb2.FileDescriptorProto(name="options.proto", package="options", syntax="proto3")
    for name, fields in _MESSAGES.items():
        message = file.message_type.add(name=name)
        for number, (key, kind) in enumerate(fields.items(), start=1):
            repeated = key == "allowed_batch_sizes"
            label = _FIELD.LABEL_REPEATED if repeated else _FIELD.LABEL_OPTIONAL
            field = message.field.add(name=key, number=number, label=label)
            if isinstance(kind, str):
                field.type, field.type_name = _FIELD.TYPE_MESSAGE, f".options.{kind}"
            else:
                field.type = kind
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"options.{name}"))
        for name in _MESSAGES
    }


# ---- A server for an exported model that speaks TensorFlow Serving's protocols, for a laptop ----

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
        with runtime.start_up():
            from ifrp_tf.serving import metrics, service
            from ifrp_tf.serving import rest as serving_rest
            from ifrp_tf.serving.batching import Batcher
            from ifrp_tf.serving.model import Versions
            from ifrp_tf.serving.rest import HttpServer
        if options.tensorflow_session_parallelism:
            runtime.use_threads(options.tensorflow_session_parallelism)
        self.options = options
        self.metrics = metrics.Metrics()
        metrics.add_process(self.metrics)
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
        self.service = service.Service(self.versions, self.batcher, self.metrics)
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
        found = folder.locate(options.model_base_path).path.resolve()
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
