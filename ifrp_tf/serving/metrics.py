"""Counts and durations of a server, in the text format of Prometheus.

Names that TensorFlow Serving has too are spelled as there, so that one dashboard shows both.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator

from prometheus_client import (
    CONTENT_TYPE_PLAIN_0_0_4,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4

REQUESTS = ":tensorflow:serving:request_count"
LATENCY = ":tensorflow:serving:request_latency"
RUNTIME = ":tensorflow:serving:runtime_latency"
QUEUEING = ":tensorflow:serving:batching_session:queuing_latency"
BATCH_SIZE = ":tensorflow:serving:batching_session:processed_batch_size"
LOADS = "ifrp_model_loads_total"

_MICROSECONDS = [round(10 * 1.8**power) for power in range(28)]  # 10 us to 78 s, as in TensorFlow Serving
_PICTURES = [2**power for power in range(11)]


class Metrics:
    """The metrics of one server; several threads may add to them.

    Attributes:
        requests: counter of requests, by `model_name`, `entrypoint` (GRPC or REST) and `status`.
        loads: counter of versions, by `outcome` (loaded or refused).
        latency: of a request from its arrival to its answer, microseconds, by `model_name`, `API` and
            `entrypoint`.
        runtime: of one call of the model, microseconds.
        queueing: from the arrival of a request in the queue to the start of its batch, microseconds.
        batch_size: pictures in one call of the model.

    Example:
        >>> metrics = Metrics()
        >>> metrics.requests.labels(model_name="ifrp", entrypoint="REST", status="OK").inc()
        >>> ':request_count{entrypoint="REST",model_name="ifrp",status="OK"} 1.0' in metrics.text()
        True
    """

    def __init__(self) -> None:
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(_Spelling(self))
        self.requests = Counter(
            REQUESTS, "Requests by their outcome.", ["model_name", "entrypoint", "status"], registry=None
        )
        self.loads = Counter(LOADS, "Versions that were loaded, or refused.", ["outcome"], registry=None)
        self.latency = Histogram(
            LATENCY,
            "From a request's arrival to its answer, in microseconds.",
            ["model_name", "API", "entrypoint"],
            buckets=_MICROSECONDS,
            registry=None,
        )
        self.runtime = Histogram(
            RUNTIME, "Of one call of the model, in microseconds.", buckets=_MICROSECONDS, registry=None
        )
        self.queueing = Histogram(
            QUEUEING,
            "From a request's arrival in the queue to the start of its batch, in microseconds.",
            buckets=_MICROSECONDS,
            registry=None,
        )
        self.batch_size = Histogram(
            BATCH_SIZE, "Pictures in one call of the model.", buckets=_PICTURES, registry=None
        )

    def gauge(self, name: str, description: str, read: Callable[[], float]) -> None:
        """Adds a value that is read whenever the metrics are asked for.

        Args:
            name: of the gauge, not yet in use.
            description: one sentence.
            read: returns the value; called from any thread.
        """
        Gauge(name, description, registry=self._registry).set_function(read)

    def add_process(self) -> None:
        """Adds memory, processor time, open files and threads of this process (Linux)."""
        ProcessCollector(registry=self._registry)
        if os.path.isdir("/proc/self/task"):
            # Also those that TensorFlow and gRPC start, of which Python knows nothing.
            self.gauge("process_threads", "Number of threads.", lambda: len(os.listdir("/proc/self/task")))
        else:
            self.gauge("process_threads", "Number of threads of Python.", threading.active_count)

    def text(self) -> str:
        """All metrics in the text format of Prometheus, version 0.0.4."""
        # The headers of counters end in _total whatever their samples are called.
        return generate_latest(self._registry).decode().replace(f" {REQUESTS}_total ", f" {REQUESTS} ")


class _Spelling(Collector):
    """Counters and histograms without what `prometheus_client` adds to the names of TensorFlow Serving."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def collect(self) -> Iterator[Metric]:
        own = self._metrics
        for each in (own.requests, own.loads, own.latency, own.runtime, own.queueing, own.batch_size):
            for family in each.collect():
                family.samples = [
                    sample._replace(name=REQUESTS) if sample.name == f"{REQUESTS}_total" else sample
                    for sample in family.samples
                    if not sample.name.endswith("_created")
                ]
                yield family
