"""Metrics in Prometheus' text form."""

import threading

from ifrp_tf.serving.metrics import BATCH_SIZE, REQUESTS, Metrics, add_process


def test_text():
    metrics = Metrics()
    metrics.count(REQUESTS, status="OK", model_name='a"b\\c\nd')
    metrics.count(REQUESTS, 2, status="NOT_FOUND", model_name="a")
    for rows in (1, 3, 5000):
        metrics.observe(BATCH_SIZE, rows)
    metrics.gauge("depth", lambda: 2.5)
    lines = metrics.text().splitlines()
    assert f"# TYPE {REQUESTS} counter" in lines
    assert f'{REQUESTS}{{model_name="a\\"b\\\\c\\nd",status="OK"}} 1' in lines
    assert f'{REQUESTS}{{model_name="a",status="NOT_FOUND"}} 2' in lines
    assert metrics.total(REQUESTS) == 3
    assert f'{BATCH_SIZE}_bucket{{le="1"}} 1' in lines
    assert f'{BATCH_SIZE}_bucket{{le="4"}} 2' in lines
    assert f'{BATCH_SIZE}_bucket{{le="1024"}} 2' in lines
    assert f'{BATCH_SIZE}_bucket{{le="+Inf"}} 3' in lines
    assert f"{BATCH_SIZE}_sum 5004" in lines
    assert f"{BATCH_SIZE}_count 3" in lines
    assert "depth 2.5" in lines
    assert metrics.text().endswith("\n")


def test_threads_lose_no_count():
    metrics = Metrics()
    threads = [
        threading.Thread(target=lambda: [metrics.count(REQUESTS, status="OK") for _ in range(2000)])
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert metrics.total(REQUESTS) == 8000


def test_the_process_is_watched():
    metrics = Metrics()
    add_process(metrics)
    values = dict(line.split(" ") for line in metrics.text().splitlines() if not line.startswith("#"))
    assert float(values["process_resident_memory_bytes"]) > 1e6
    assert float(values["process_open_fds"]) >= 3
    assert float(values["process_threads"]) >= 1
