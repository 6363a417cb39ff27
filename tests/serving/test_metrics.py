"""Metrics in the text format of Prometheus, as Prometheus' own parser reads it."""

import threading

from prometheus_client.parser import text_string_to_metric_families

from ifrp_tf.serving.metrics import BATCH_SIZE, LATENCY, LOADS, REQUESTS, Metrics


def samples(metrics):
    """Of every name: labels without order -> value."""
    found = {}
    for family in text_string_to_metric_families(metrics.text()):
        for sample in family.samples:
            found.setdefault(sample.name, {})[frozenset(sample.labels.items())] = sample.value
    return found


# The parser calls the samples of every counter so; the text does not.
COUNTED = f"{REQUESTS}_total"


def labels(**given):
    return frozenset(given.items())


def test_counters_keep_the_names_of_tensorflow_serving():
    metrics = Metrics()
    odd = {"model_name": 'a"b\\c\nd', "entrypoint": "GRPC", "status": "OK"}
    plain = {"model_name": "a", "entrypoint": "REST", "status": "NOT_FOUND"}
    metrics.requests.labels(**odd).inc()
    metrics.requests.labels(**plain).inc(2)
    metrics.loads.labels(outcome="loaded").inc()
    assert samples(metrics)[COUNTED] == {labels(**odd): 1, labels(**plain): 2}
    assert samples(metrics)[LOADS] == {labels(outcome="loaded"): 1}
    lines = metrics.text().splitlines()
    assert f"# TYPE {REQUESTS} counter" in lines
    assert f"# TYPE {LOADS} counter" in lines
    assert 'model_name="a\\"b\\\\c\\nd"' in metrics.text()
    assert f'{REQUESTS}{{entrypoint="REST",model_name="a",status="NOT_FOUND"}} 2.0' in lines
    assert COUNTED not in metrics.text()
    assert "_created" not in metrics.text()
    assert metrics.text().endswith("\n")


def test_histograms():
    metrics = Metrics()
    for rows in (1, 3, 5000):
        metrics.batch_size.observe(rows)
    metrics.latency.labels(model_name="a", API="predict", entrypoint="REST").observe(5000)
    found = samples(metrics)
    buckets = {dict(key)["le"]: value for key, value in found[f"{BATCH_SIZE}_bucket"].items()}
    assert [buckets[edge] for edge in ("1.0", "4.0", "1024.0", "+Inf")] == [1, 2, 2, 3]
    assert found[f"{BATCH_SIZE}_sum"] == {labels(): 5004}
    assert found[f"{BATCH_SIZE}_count"] == {labels(): 3}
    assert list(found[f"{LATENCY}_sum"].values()) == [5000]
    assert f"# TYPE {BATCH_SIZE} histogram" in metrics.text().splitlines()


def test_gauges_are_read_when_asked_for():
    metrics, values = Metrics(), iter((2.5, 3))
    metrics.gauge("depth", "Of the queue.", lambda: next(values))
    assert samples(metrics)["depth"] == {labels(): 2.5}
    assert samples(metrics)["depth"] == {labels(): 3}


def test_threads_lose_no_count():
    metrics = Metrics()
    of_one = {"model_name": "a", "entrypoint": "GRPC", "status": "OK"}
    threads = [
        threading.Thread(target=lambda: [metrics.requests.labels(**of_one).inc() for _ in range(2000)])
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert samples(metrics)[COUNTED] == {labels(**of_one): 8000}


def test_the_process_is_watched():
    metrics = Metrics()
    metrics.add_process()
    values = {name: sum(found.values()) for name, found in samples(metrics).items()}
    assert values["process_resident_memory_bytes"] > 1e6
    assert values["process_open_fds"] >= 3
    assert values["process_threads"] >= 1
    assert values["process_cpu_seconds_total"] > 0
