"""How a model is served: flags of `tensorflow_model_server`, and the text files that they name."""

from __future__ import annotations

import dataclasses
import functools
from pathlib import Path
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format

from ifrp_tf.errors import ConfigError

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
