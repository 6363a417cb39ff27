"""Counts and durations of a server, in the text format that Prometheus reads.

Names that TensorFlow Serving has too are spelled as there, so that one dashboard shows both.
"""

from __future__ import annotations

import bisect
import os
import threading
from collections.abc import Callable, Sequence

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

REQUESTS = ":tensorflow:serving:request_count"
LATENCY = ":tensorflow:serving:request_latency"
RUNTIME = ":tensorflow:serving:runtime_latency"
QUEUEING = ":tensorflow:serving:batching_session:queuing_latency"
BATCH_SIZE = ":tensorflow:serving:batching_session:processed_batch_size"
LOADS = "ifrp_model_loads_total"

_MICROSECONDS = tuple(float(round(10 * 1.8**power)) for power in range(28))  # 10 us to 78 s, as there
_ROWS = tuple(float(2**power) for power in range(11))
_HELP = {
    REQUESTS: "Requests by their outcome.",
    LATENCY: "From a request's arrival to its answer, in microseconds.",
    RUNTIME: "Of one call of the model, in microseconds.",
    QUEUEING: "From a request's arrival in the queue to the start of its batch, in microseconds.",
    BATCH_SIZE: "Pictures in one call of the model.",
    LOADS: "Versions that were loaded, or refused.",
}
_BUCKETS = {LATENCY: _MICROSECONDS, RUNTIME: _MICROSECONDS, QUEUEING: _MICROSECONDS, BATCH_SIZE: _ROWS}


class Metrics:
    """Counters and histograms that several threads may add to, and gauges that are asked when read.

    Example:
        >>> metrics = Metrics()
        >>> metrics.count(REQUESTS, model_name="ifrp", status="OK")
        >>> metrics.total(REQUESTS)
        1.0
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counters: dict[str, dict[str, float]] = {}
        self._histograms: dict[str, dict[str, _Histogram]] = {}
        self._gauges: dict[str, Callable[[], float]] = {}

    def count(self, name: str, amount: float = 1.0, **labels: str) -> None:
        """Adds to a counter.

        Args:
            name: of the counter.
            amount: 0 or more.
            **labels: of the series.
        """
        with self._lock:
            series = self._counters.setdefault(name, {})
            key = _labels(labels)
            series[key] = series.get(key, 0.0) + amount

    def observe(self, name: str, value: float, **labels: str) -> None:
        """Adds a value to a histogram.

        Args:
            name: one of the histograms above.
            value: in its unit.
            **labels: of the series.
        """
        with self._lock:
            series = self._histograms.setdefault(name, {})
            histogram = series.setdefault(_labels(labels), _Histogram(_BUCKETS[name]))
            histogram.add(value)

    def gauge(self, name: str, read: Callable[[], float]) -> None:
        """Adds a value that is asked for whenever the metrics are read.

        Args:
            name: of the gauge.
            read: returns its value; called from any thread.
        """
        with self._lock:
            self._gauges[name] = read

    def total(self, name: str) -> float:
        """Sum of a counter over its labels.

        Args:
            name: of the counter; 0 if nothing was counted.
        """
        with self._lock:
            return sum(self._counters.get(name, {}).values())

    def text(self) -> str:
        """Everything, in the text format of Prometheus."""
        lines: list[str] = []
        with self._lock:
            for name, counters in sorted(self._counters.items()):
                lines += _head(name, "counter")
                lines += [f"{name}{_braces(key)} {value:g}" for key, value in sorted(counters.items())]
            for name, histograms in sorted(self._histograms.items()):
                lines += _head(name, "histogram")
                for key, histogram in sorted(histograms.items()):
                    lines += histogram.lines(name, key)
            gauges = sorted(self._gauges.items())
        for name, read in gauges:  # outside the lock: a gauge may ask for whatever it likes
            lines += [*_head(name, "gauge"), f"{name} {read():.15g}"]
        return "\n".join(lines) + "\n"


def add_process(metrics: Metrics) -> None:
    """Adds memory, threads and open files of this process, where the system tells them (Linux).

    Args:
        metrics: gets the gauges.
    """
    if not os.path.isdir("/proc/self/fd"):
        return
    page = os.sysconf("SC_PAGE_SIZE")

    def resident() -> float:
        with open("/proc/self/statm", encoding="ascii") as file:
            return float(file.read().split()[1]) * page

    metrics.gauge("process_resident_memory_bytes", resident)
    metrics.gauge("process_open_fds", lambda: float(len(os.listdir("/proc/self/fd"))))
    metrics.gauge("process_threads", lambda: float(len(os.listdir("/proc/self/task"))))


class _Histogram:
    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0.0

    def add(self, value: float) -> None:
        self._counts[bisect.bisect_left(self._bounds, value)] += 1
        self._sum += value

    def lines(self, name: str, labels: str) -> list[str]:
        comma, running, lines = "," if labels else "", 0, []
        for bound, count in zip([*self._bounds, float("inf")], self._counts, strict=True):
            running += count
            edge = "+Inf" if bound == float("inf") else f"{bound:g}"
            lines.append(f'{name}_bucket{{{labels}{comma}le="{edge}"}} {running}')
        return [
            *lines,
            f"{name}_sum{_braces(labels)} {self._sum:g}",
            f"{name}_count{_braces(labels)} {running}",
        ]


def _head(name: str, kind: str) -> list[str]:
    return [*([f"# HELP {name} {_HELP[name]}"] if name in _HELP else []), f"# TYPE {name} {kind}"]


def _labels(labels: dict[str, str]) -> str:
    return ",".join(f'{name}="{_escape(value)}"' for name, value in sorted(labels.items()))


def _braces(labels: str) -> str:
    return f"{{{labels}}}" if labels else ""


def _escape(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
