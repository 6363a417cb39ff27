"""What gRPC and REST share: predictions with checks, queue and deadline; metadata and status of a model."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from tensorflow_serving.apis import get_model_metadata_pb2, get_model_status_pb2

from ifrp_tf.client.wire import GRPC_NUMBERS
from ifrp_tf.serving.batching import Batcher, Done, Job, late
from ifrp_tf.serving.metrics import Metrics
from ifrp_tf.serving.model import ServedModel, Versions
from ifrp_tf.serving.signature import Arrays, Refusal, Signature


@dataclass(frozen=True)
class Call:
    """Model and signature that a request asks for; they stay the same whatever is loaded meanwhile."""

    model: ServedModel
    signature: Signature


class Service:
    """The middle of the server.

    Args:
        versions: of the model.
        batcher: runs it.
        metrics: gets outcomes and durations.
        slow: runs what takes seconds, beside the others; `batcher` if None.
    """

    def __init__(
        self, versions: Versions, batcher: Batcher, metrics: Metrics, slow: Batcher | None = None
    ) -> None:
        self.versions, self.batcher, self.metrics = versions, batcher, metrics
        self.slow = slow or batcher
        self.draining = False

    @property
    def ready(self) -> bool:
        """Whether requests are answered."""
        return self.versions.number > 0 and not self.draining

    def find(self, name: str, version: int | None, label: str, signature: str) -> Call:
        """What a request asks for.

        Args:
            name: of the model.
            version: or None for the newest.
            label: of a version.
            signature: empty means `serving_default`.

        Raises:
            Refusal: there is no such thing.
        """
        model = self.versions.find(name, version, label)
        return Call(model, model.signature(signature))

    async def predict(self, call: Call, inputs: Arrays, timeout: float | None) -> Arrays:
        """Runs a signature; cancelling it takes the request out of the queue.

        Args:
            call: what `find` returned.
            inputs: by name.
            timeout: seconds until the answer is no longer wanted; None = no limit.

        Returns:
            All outputs.

        Raises:
            Refusal: with the reason.
        """
        signature = call.signature
        rows = signature.check(inputs)
        deadline = time.monotonic() + timeout if timeout is not None else float("inf")
        if deadline <= time.monotonic():
            raise late()
        batcher = self.slow if signature.is_single else self.batcher
        size = batcher.max_batch_size if signature.batched else 0
        loop = asyncio.get_running_loop()
        jobs, futures = [], []
        for part, count in split(inputs, rows, size):
            future: asyncio.Future[Arrays] = loop.create_future()
            jobs.append(Job(signature, part, count, deadline, _teller(loop, future)))
            futures.append(future)
        batcher.submit(jobs)
        try:
            async with asyncio.timeout(timeout):
                return _join([await future for future in futures])
        except TimeoutError as error:
            raise late() from error
        finally:
            for future in futures:
                future.cancel()
            batcher.cancel(jobs)

    def metadata(
        self, name: str, version: int | None, label: str
    ) -> get_model_metadata_pb2.GetModelMetadataResponse:
        """The signatures of a model, as TensorFlow Serving reports them.

        Args:
            name: of the model.
            version: or None for the newest.
            label: of a version.

        Raises:
            Refusal: NOT_FOUND.
        """
        model = self.versions.find(name, version, label)
        response = get_model_metadata_pb2.GetModelMetadataResponse()
        response.model_spec.name, response.model_spec.version.value = model.name, model.version
        found = get_model_metadata_pb2.SignatureDefMap()
        for key, definition in model.definitions.items():
            found.signature_def[key].CopyFrom(definition)
        response.metadata["signature_def"].Pack(found)
        return response

    def status(
        self, name: str, version: int | None, label: str
    ) -> get_model_status_pb2.GetModelStatusResponse:
        """The states of the versions, as TensorFlow Serving reports them.

        Args:
            name: of the model.
            version: only this one; None = all.
            label: of a version; no version has one.

        Raises:
            Refusal: NOT_FOUND.
        """
        if name != self.versions.name or label:
            self.versions.find(name, version, label)  # its error says what there is
        response = get_model_status_pb2.GetModelStatusResponse()
        for status in self.versions.statuses(version):
            entry = response.model_version_status.add()
            entry.version = status.version
            entry.state = get_model_status_pb2.ModelVersionStatus.State.Value(status.state)
            entry.status.error_code = GRPC_NUMBERS[status.code]
            entry.status.error_message = status.message
        return response

    def count(self, entrypoint: str, api: str, status: str, started: float) -> None:
        """Records that a request is over.

        Args:
            entrypoint: GRPC or REST.
            api: such as `predict`.
            status: a code's name.
            started: on the clock of `time.monotonic`.
        """
        name = self.versions.name
        elapsed = 1e6 * (time.monotonic() - started)
        self.metrics.requests.labels(model_name=name, entrypoint=entrypoint, status=status).inc()
        self.metrics.latency.labels(model_name=name, API=api, entrypoint=entrypoint).observe(elapsed)


def split(inputs: Arrays, rows: int, size: int) -> list[tuple[Arrays, int]]:
    """Cuts inputs into parts of at most `size` rows.

    Args:
        inputs: with `rows` rows each.
        rows: of all inputs.
        size: of a part; 0 = do not cut.

    Returns:
        Parts and their numbers of rows; one part where `rows` is 0.

    Example:
        >>> [count for _, count in split({"a": np.arange(5)}, 5, 2)]
        [2, 2, 1]
    """
    if not size or rows <= size:
        return [(inputs, rows)]
    starts = range(0, rows, size)
    return [
        ({key: array[start : start + size] for key, array in inputs.items()}, min(size, rows - start))
        for start in starts
    ]


def _teller(loop: asyncio.AbstractEventLoop, future: asyncio.Future[Arrays]) -> Done:
    def settle(outputs: Arrays | None, error: Refusal | None) -> None:
        if future.done():
            return
        if error is not None or outputs is None:
            future.set_exception(error or Refusal("INTERNAL", "The model gave no answer."))
            future.exception()  # seen: nobody may be waiting for it any more
        else:
            future.set_result(outputs)

    def done(outputs: Arrays | None, error: Refusal | None) -> None:
        try:
            loop.call_soon_threadsafe(settle, outputs, error)
        except RuntimeError:  # the loop has ended, and with it everyone who waited
            return

    return done


def _join(parts: Sequence[Arrays]) -> Arrays:
    if len(parts) == 1:
        return parts[0]
    return {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}
