"""Requests of many clients in one call of the model: a bounded queue, and threads that empty it.

A request that arrives while the model is idle runs at once and alone. Those that arrive while it is busy
wait, and run together. A batch in which one request is bad is split until only that one fails.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from ifrp_tf.serving.metrics import Metrics
from ifrp_tf.serving.signature import Arrays, Refusal, Signature, refusal

Done = Callable[[Arrays | None, Refusal | None], None]


@dataclass(eq=False)
class Job:
    """A request, or a part of a large one.

    Attributes:
        signature: what to call; jobs share a call if it is the same object.
        inputs: checked.
        rows: of the inputs.
        deadline: on the clock of `time.monotonic`; not started later than this.
        done: called once, from another thread, with the outputs or with the reason that there are none;
            never called for a job that was cancelled in time.
    """

    signature: Signature
    inputs: Arrays
    rows: int
    deadline: float
    done: Done
    arrived: float = field(default_factory=time.monotonic)


class Batcher:
    """Threads that call models.

    Args:
        max_batch_size: rows in one call, 1 or more; 0 = every job runs alone, whatever its size.
        timeout: seconds that the oldest job waits for company while the batch is not full.
        capacity: rows that may wait, 1 or more.
        threads: calls of the model at the same time, 1 or more.
        metrics: gets queueing times, batch sizes and run times.
    """

    def __init__(
        self, *, max_batch_size: int, timeout: float, capacity: int, threads: int, metrics: Metrics
    ) -> None:
        self.max_batch_size, self.capacity = max_batch_size, capacity
        self._timeout = timeout if max_batch_size else 0.0
        self._metrics = metrics
        self._queue: deque[Job] = deque()
        self._rows = self._running = 0
        self._closed = False
        self._changed = threading.Condition()
        self._threads = [
            threading.Thread(target=self._work, name=f"batch_{number}", daemon=True)
            for number in range(threads)
        ]
        for thread in self._threads:
            thread.start()

    @property
    def waiting(self) -> int:
        """Rows in the queue."""
        return self._rows

    def submit(self, jobs: Sequence[Job]) -> None:
        """Queues jobs, all of them or none.

        Args:
            jobs: of one request.

        Raises:
            Refusal: UNAVAILABLE (HTTP 429) if the queue is full; INVALID_ARGUMENT if there never
                can be.
        """
        rows = sum(max(job.rows, 1) for job in jobs)
        if rows > self.capacity:
            raise Refusal(
                "INVALID_ARGUMENT",
                f"Expected at most {self.capacity} rows in a request. Received: {rows}.",
                hint="Send them in several requests.",
            )
        with self._changed:
            if self._closed:
                raise Refusal("UNAVAILABLE", "The server is shutting down.")
            if self._rows + rows > self.capacity:
                raise Refusal(
                    "UNAVAILABLE",
                    f"The queue is full: {self._rows} of {self.capacity} rows wait already.",
                    hint="Try again later.",
                    overloaded=True,
                )
            self._queue.extend(jobs)
            self._rows += rows
            self._changed.notify_all()

    def cancel(self, jobs: Sequence[Job]) -> None:
        """Forgets jobs that have not been started; those that have are finished.

        Args:
            jobs: queued or not.
        """
        with self._changed:
            for job in jobs:
                if job in self._queue:
                    self._remove(job)

    def close(self, timeout: float) -> bool:
        """Takes no more jobs, and waits until those it has are done.

        Args:
            timeout: seconds; what waits longer is refused.

        Returns:
            Whether all were done.
        """
        limit = time.monotonic() + timeout
        with self._changed:
            self._closed = True
            self._changed.notify_all()
            while (self._queue or self._running) and time.monotonic() < limit:
                self._changed.wait(max(0.0, min(0.1, limit - time.monotonic())))
            left = list(self._queue)
            self._queue.clear()
            self._rows = 0
            finished = not left and not self._running
        for job in left:
            job.done(None, Refusal("UNAVAILABLE", "The server is shutting down."))
        for thread in self._threads:
            thread.join(timeout=max(0.0, limit - time.monotonic()) if not finished else 5.0)
        return finished

    def _work(self) -> None:
        while (batch := self._next()) is not None:
            try:
                self._run(batch)
            finally:
                with self._changed:
                    self._running -= 1
                    self._changed.notify_all()
            del batch  # with its pictures, before the next wait

    def _next(self) -> list[Job] | None:
        with self._changed:
            while True:
                self._expire()
                if self._queue:
                    batch = self._company(self._queue[0])
                    full = sum(job.rows for job in batch) >= self.max_batch_size
                    wait = batch[0].arrived + self._timeout - time.monotonic()
                    if full or wait <= 0 or self._closed:
                        for job in batch:
                            self._remove(job)
                        self._running += 1
                        return batch
                    self._changed.wait(wait)
                elif self._closed:
                    return None
                else:
                    self._changed.wait()

    def _company(self, first: Job) -> list[Job]:
        batch, rows = [first], first.rows
        if not self.max_batch_size or not first.signature.batched:
            return batch
        for job in self._queue:
            if job is not first and job.signature is first.signature:
                if rows + job.rows > self.max_batch_size:
                    break  # in turn: a small one does not overtake a large one for ever
                batch.append(job)
                rows += job.rows
        return batch

    def _expire(self) -> None:
        now = time.monotonic()
        for job in [job for job in self._queue if job.deadline <= now]:
            self._remove(job)
            job.done(None, late())

    def _remove(self, job: Job) -> None:
        self._queue.remove(job)
        self._rows -= max(job.rows, 1)

    def _run(self, batch: list[Job]) -> None:
        start = time.monotonic()
        for job in batch:
            self._metrics.queueing.observe(1e6 * (start - job.arrived))
        self._metrics.batch_size.observe(sum(job.rows for job in batch))
        self._answer(batch)
        self._metrics.runtime.observe(1e6 * (time.monotonic() - start))

    def _answer(self, batch: list[Job]) -> None:
        try:
            answers = _call(batch)
        except Exception as error:  # a thread that ends here would stop the server
            reason = refusal(error)
            if len(batch) > 1 and reason.code == "INVALID_ARGUMENT":
                half = len(batch) // 2
                self._answer(batch[:half])
                self._answer(batch[half:])
                return
            for job in batch:
                job.done(None, reason)
            return
        for job, outputs in zip(batch, answers, strict=True):
            job.done(outputs, None)


def late() -> Refusal:
    """The refusal of a request whose deadline has passed."""
    return Refusal("DEADLINE_EXCEEDED", "The deadline passed before the model answered.")


def _call(batch: list[Job]) -> list[Arrays]:
    signature = batch[0].signature
    if len(batch) == 1:
        return [signature.run(batch[0].inputs)]
    joined = {key: np.concatenate([job.inputs[key] for job in batch]) for key in signature.inputs}
    outputs = signature.run(joined)
    ends = np.cumsum([job.rows for job in batch])
    if any(len(array) != ends[-1] for array in outputs.values()):
        raise Refusal("INTERNAL", f"Expected {ends[-1]} rows in every output of the model.")
    parts = {key: np.split(array, ends[:-1]) for key, array in outputs.items()}
    return [{key: parts[key][index] for key in parts} for index in range(len(batch))]
