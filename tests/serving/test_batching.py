"""The queue: sharing, order, bounds, deadlines, cancelling, and one bad request among good ones."""

import threading
import time

import numpy as np
import pytest
from served import Held, wait_for

from ifrp_tf.serving.batching import Batcher, Job
from ifrp_tf.serving.metrics import Metrics
from ifrp_tf.serving.signature import Refusal


class Doubling:
    """A signature that counts its calls, and refuses batches with a negative number."""

    batched = True
    inputs = ("x",)

    def __init__(self):
        self.sizes = []

    def run(self, inputs):
        self.sizes.append(len(inputs["x"]))
        if (inputs["x"] < 0).any():
            raise Refusal("INVALID_ARGUMENT", "negative")
        if (inputs["x"] > 1000).any():
            raise MemoryError("too large")
        return {"y": 2 * inputs["x"]}


class Asked(Job):
    """A job that remembers what it was told."""

    def __init__(self, signature, *values, deadline=float("inf")):
        self.told, self.over = [], threading.Event()
        super().__init__(signature, {"x": np.array(values)}, len(values), deadline, self.tell)

    def tell(self, outputs, error):
        self.told.append(error.code if error else outputs["y"].tolist())
        self.over.set()

    @property
    def answer(self):
        assert self.over.wait(20)
        (told,) = self.told
        return told


@pytest.fixture
def batcher():
    made = Batcher(max_batch_size=4, timeout=0.0, capacity=8, threads=1, metrics=Metrics())
    yield made
    made.close(5)


def test_requests_that_wait_together_run_together(batcher):
    model = Doubling()
    with Held(batcher):
        jobs = [Asked(model, value, value + 1) for value in (1, 5, 9)]
        for job in jobs:
            batcher.submit([job])
    assert [job.answer for job in jobs] == [[2, 4], [10, 12], [18, 20]]
    assert model.sizes == [4, 2]


def test_requests_for_other_signatures_run_apart(batcher):
    one, other = Doubling(), Doubling()
    with Held(batcher):
        jobs = [Asked(model, value) for value, model in enumerate((one, other, one, other))]
        for job in jobs:
            batcher.submit([job])
    assert [job.answer for job in jobs] == [[0], [2], [4], [6]]
    assert (one.sizes, other.sizes) == ([2], [2])


def test_a_large_request_is_not_overtaken(batcher):
    model = Doubling()
    with Held(batcher):
        jobs = [Asked(model, 1), Asked(model, 2, 3, 4, 5), Asked(model, 6)]
        for job in jobs:
            batcher.submit([job])
    assert [job.answer for job in jobs] == [[2], [4, 6, 8, 10], [12]]
    assert model.sizes == [1, 4, 1]


def test_one_bad_request_costs_one_request(batcher):
    model = Doubling()
    with Held(batcher):
        jobs = [Asked(model, value) for value in (1, -1, 3, 4)]
        for job in jobs:
            batcher.submit([job])
    assert [job.answer for job in jobs] == [[2], "INVALID_ARGUMENT", [6], [8]]
    assert max(model.sizes) == 4


def test_a_failing_model_leaves_the_thread_alive(batcher):
    model = Doubling()
    job = Asked(model, 2000)
    batcher.submit([job])
    assert job.answer == "INTERNAL"
    job = Asked(model, 1)
    batcher.submit([job])
    assert job.answer == [2]


def test_a_full_queue_refuses_and_takes_again(batcher):
    model = Doubling()
    with Held(batcher):
        waiting = [Asked(model, 1, 2, 3, 4), Asked(model, 5, 6, 7, 8)]
        for job in waiting:
            batcher.submit([job])
        with pytest.raises(Refusal, match="8 of 8 rows wait") as caught:
            batcher.submit([Asked(model, 9)])
        assert (caught.value.code, caught.value.http) == ("UNAVAILABLE", 429)
        with pytest.raises(Refusal, match="at most 8 rows") as caught:
            batcher.submit([Asked(model, *range(9))])
        assert caught.value.code == "INVALID_ARGUMENT"
        assert batcher.waiting == 8
    assert all(job.answer for job in waiting)
    wait_for(lambda: batcher.waiting == 0)
    batcher.submit([later := Asked(model, 9)])
    assert later.answer == [18]


def test_parts_of_a_request_are_queued_all_or_none(batcher):
    model = Doubling()
    with Held(batcher):
        batcher.submit([Asked(model, 1, 2, 3, 4), Asked(model, 5)])
        with pytest.raises(Refusal):
            batcher.submit([Asked(model, 1), Asked(model, 2, 3, 4)])
        assert batcher.waiting == 5


def test_a_cancelled_request_is_not_run(batcher):
    model = Doubling()
    with Held(batcher):
        first, second = Asked(model, 1), Asked(model, 2)
        batcher.submit([first, second])
        batcher.cancel([first, first])
        assert batcher.waiting == 1
    assert second.answer == [4]
    assert first.told == []
    assert model.sizes == [1]


def test_a_request_that_waited_too_long_is_told_so(batcher):
    model = Doubling()
    with Held(batcher):
        job = Asked(model, 1, deadline=time.monotonic() + 0.01)
        batcher.submit([job])
        time.sleep(0.05)
    assert job.answer == "DEADLINE_EXCEEDED"
    assert model.sizes == []


def test_a_timeout_gathers_company():
    batcher = Batcher(max_batch_size=2, timeout=20.0, capacity=8, threads=1, metrics=Metrics())
    model = Doubling()
    first, second = Asked(model, 1), Asked(model, 2)
    started = time.monotonic()
    batcher.submit([first])
    time.sleep(0.05)
    assert not first.told
    batcher.submit([second])
    assert (first.answer, second.answer) == ([2], [4])
    assert time.monotonic() - started < 10
    assert model.sizes == [2]
    last = Asked(model, 3)
    batcher.submit([last])
    assert batcher.close(5)  # does not wait for company
    assert last.answer == [6]


def test_without_batching_every_request_runs_alone():
    batcher = Batcher(max_batch_size=0, timeout=1.0, capacity=8, threads=1, metrics=Metrics())
    model = Doubling()
    with Held(batcher):
        jobs = [Asked(model, 1), Asked(model, 2)]
        for job in jobs:
            batcher.submit([job])
    assert [job.answer for job in jobs] == [[2], [4]]
    assert model.sizes == [1, 1]
    assert batcher.close(5)


def test_closing_finishes_what_waits_and_refuses_more():
    before = threading.active_count()
    batcher = Batcher(max_batch_size=1, timeout=0.0, capacity=8, threads=2, metrics=Metrics())
    model = Doubling()
    jobs = [Asked(model, value) for value in range(8)]
    for job in jobs:
        batcher.submit([job])
    assert batcher.close(10)
    assert [job.answer for job in jobs] == [[2 * value] for value in range(8)]
    with pytest.raises(Refusal, match="shutting down"):
        batcher.submit([Asked(model, 1)])
    assert threading.active_count() == before


def test_closing_does_not_wait_for_ever():
    batcher = Batcher(max_batch_size=1, timeout=0.0, capacity=8, threads=1, metrics=Metrics())
    with Held(batcher):
        job = Asked(Doubling(), 1)
        batcher.submit([job])
        assert not batcher.close(0.1)
        assert job.answer == "UNAVAILABLE"


def test_many_threads_at_once_get_their_own_answers():
    batcher = Batcher(max_batch_size=4, timeout=0.0, capacity=100_000, threads=3, metrics=Metrics())
    model = Doubling()
    jobs = [Asked(model, *range(value % 900, value % 900 + value % 4 + 1)) for value in range(2000)]
    clients = [
        threading.Thread(target=lambda part=jobs[start::4]: [batcher.submit([job]) for job in part])
        for start in range(4)
    ]
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    assert [job.answer for job in jobs] == [(2 * job.inputs["x"]).tolist() for job in jobs]
    assert sum(model.sizes) == sum(job.rows for job in jobs)
    assert batcher.close(5)
