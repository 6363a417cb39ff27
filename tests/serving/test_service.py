"""What a request is put through, with real parts and no socket."""

import asyncio
import time

import numpy as np
import pytest
import served
from served import NAME, Held, direct, portraits

from ifrp_tf.serving.batching import Batcher
from ifrp_tf.serving.metrics import LATENCY, REQUESTS, Metrics
from ifrp_tf.serving.model import Versions
from ifrp_tf.serving.service import Service, split
from ifrp_tf.serving.signature import Refusal


@pytest.fixture(scope="module")
def service():
    metrics = Metrics()
    versions = Versions(NAME, served.released(), poll_seconds=0)
    batcher = Batcher(max_batch_size=4, timeout=0.0, capacity=40, threads=1, metrics=metrics)
    made = Service(versions, batcher, metrics)
    assert not made.ready
    versions.start()
    assert made.ready
    yield made
    assert batcher.close(10)


def predict(service, pictures, timeout=20.0):
    async def ask():
        return await service.predict(service.find(NAME, None, "", ""), {"portrait": pictures}, timeout)

    return asyncio.run(ask())["photo"]


@pytest.mark.parametrize("count", [0, 3, 11])
def test_large_requests_are_cut_and_joined(service, count):
    pictures = portraits(count)
    assert np.abs(predict(service, pictures).astype(int) - direct(pictures)).max(initial=0) <= 1


def test_too_late(service):
    with pytest.raises(Refusal) as caught:
        predict(service, portraits(1), timeout=0.0)
    assert caught.value.code == "DEADLINE_EXCEEDED"
    with Held(service.batcher):
        started = time.monotonic()
        with pytest.raises(Refusal) as caught:
            predict(service, portraits(9), timeout=0.1)
        assert time.monotonic() - started < 5
        assert caught.value.code == "DEADLINE_EXCEEDED"
        assert service.batcher.waiting == 0


def test_too_many_rows(service):
    with pytest.raises(Refusal, match="at most 40 rows"):
        predict(service, portraits(41))


def test_split():
    parts = split({"a": np.arange(5), "b": np.arange(10).reshape(5, 2)}, 5, 2)
    assert [rows for _, rows in parts] == [2, 2, 1]
    assert parts[2][0]["b"].tolist() == [[8, 9]]
    assert len(split({"a": np.arange(5)}, 5, 0)) == 1
    assert split({"a": np.arange(0)}, 0, 2)[0][1] == 0


def test_outcomes_are_counted(service):
    service.count("GRPC", "predict", "OK", time.monotonic() - 0.5)
    lines = service.metrics.text().splitlines()
    assert f'{REQUESTS}{{entrypoint="GRPC",model_name="toy",status="OK"}} 1.0' in lines
    assert f'{LATENCY}_count{{API="predict",entrypoint="GRPC",model_name="toy"}} 1.0' in lines
    assert f'{LATENCY}_bucket{{API="predict",entrypoint="GRPC",le="393464.0",model_name="toy"}} 0.0' in lines
