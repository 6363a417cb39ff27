"""Clients for a server under test: ones that ask all the time, and ones that misbehave.

They speak gRPC by the stock method path with requests made once, so that they cost as little as they can:
they run beside the server that they measure.
"""

from __future__ import annotations

import contextlib
import random
import socket
import statistics
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import grpc
import numpy as np

PREDICT = "/tensorflow.serving.PredictionService/Predict"
KINDS = ("cancel", "late", "disconnect", "hang", "half")
"""How a client misbehaves: it cancels, sets a deadline it cannot meet, closes the connection while it waits,
connects and says nothing, or sends half of an HTTP request and waits."""


@dataclass
class Tally:
    """What came of the requests.

    Attributes:
        answered: with the right answer.
        wrong: with another one.
        shed: refused because the queue was full.
        failed: otherwise, without a misbehaving client having caused it.
        misbehaved: requests that their client gave up.
        seconds: how long each right answer took.
    """

    answered: int = 0
    wrong: int = 0
    shed: int = 0
    misbehaved: int = 0
    failed: list[str] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)

    @property
    def total(self) -> int:
        """All requests."""
        return self.answered + self.wrong + self.shed + self.misbehaved + len(self.failed)

    def add(self, other: Tally) -> None:
        """Adds what another client met.

        Args:
            other: its tally.
        """
        self.answered += other.answered
        self.wrong += other.wrong
        self.shed += other.shed
        self.misbehaved += other.misbehaved
        self.failed += other.failed
        self.seconds += other.seconds


def predict_request(name: str, portraits: np.ndarray) -> bytes:
    """A request for `serving_default`, in the form in which it travels.

    Args:
        name: of the model.
        portraits: uint8 [N, side, side, 3].
    """
    import tensorflow as tf
    from tensorflow_serving.apis import predict_pb2

    request = predict_pb2.PredictRequest()
    request.model_spec.name = name
    request.inputs["portrait"].CopyFrom(tf.make_tensor_proto(portraits))
    return bytes(request.SerializeToString())


def read_photos(answer: bytes) -> np.ndarray:
    """The photographs of an answer.

    Args:
        answer: as it travelled.
    """
    import tensorflow as tf
    from tensorflow_serving.apis import predict_pb2

    return np.asarray(tf.make_ndarray(predict_pb2.PredictResponse.FromString(answer).outputs["photo"]))


def ask(
    address: str,
    requests: Sequence[bytes],
    check: Callable[[int, bytes], bool],
    *,
    clients: int,
    count: int,
    http_port: int = 0,
    misbehaving: float = 0.0,
    seed: int = 0,
) -> Tally:
    """Sends requests from several clients, each sending its next one when it has its answer.

    Args:
        address: host and port of gRPC.
        requests: taken in turn.
        check: whether an answer is right, from the request's place in `requests` and the answer.
        clients: threads, each with a connection of its own.
        count: requests in all.
        http_port: of the server; 0 = its HTTP is left in peace.
        misbehaving: share of the requests whose client misbehaves, in the `KINDS` in turn.
        seed: of the order.

    Returns:
        What came of them.
    """
    shares = [count // clients + (number < count % clients) for number in range(clients)]
    tallies = [Tally() for _ in range(clients)]

    def work(number: int) -> None:
        client = _Client(address, requests, check, http_port, random.Random(seed * 1000 + number))
        with contextlib.closing(client):
            client.run(shares[number], misbehaving, tallies[number])

    threads = [threading.Thread(target=work, args=(number,)) for number in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    total = Tally()
    for tally in tallies:
        total.add(tally)
    return total


class _Client:
    def __init__(
        self,
        address: str,
        requests: Sequence[bytes],
        check: Callable[[int, bytes], bool],
        http_port: int,
        chance: random.Random,
    ) -> None:
        self._address, self._requests, self._check = address, requests, check
        self._http_port, self._random = http_port, chance
        self._sockets: list[socket.socket] = []
        self._channel, self._call = self._connect()

    def close(self) -> None:
        self._channel.close()
        for each in self._sockets:
            each.close()

    def run(self, count: int, misbehaving: float, tally: Tally) -> None:
        for _ in range(count):
            if self._random.random() < misbehaving:
                self._misbehave(self._random.choice(KINDS))
                tally.misbehaved += 1
            else:
                self._ask(self._random.randrange(len(self._requests)), tally)

    def _ask(self, place: int, tally: Tally) -> None:
        started = time.perf_counter()
        try:
            answer = self._call(self._requests[place], timeout=60)
        except grpc.RpcError as error:
            full = error.code() is grpc.StatusCode.UNAVAILABLE and "queue is full" in error.details()
            if full:
                tally.shed += 1
                time.sleep(0.01)
            else:
                tally.failed.append(f"{error.code().name}: {error.details()}")
            return
        tally.seconds.append(time.perf_counter() - started)
        if self._check(place, answer):
            tally.answered += 1
        else:
            tally.wrong += 1

    def _misbehave(self, kind: str) -> None:
        if kind in ("cancel", "late", "disconnect"):
            future = self._call.future(self._requests[0], timeout=1e-3 if kind == "late" else 60)
            time.sleep(self._random.random() * 0.02)
            if kind == "cancel":
                future.cancel()
            elif kind == "disconnect":
                self._channel.close()
                self._channel, self._call = self._connect()
            else:
                future.exception()
            return
        port = self._http_port if kind == "half" and self._http_port else int(self._address.split(":")[1])
        client = socket.create_connection(("127.0.0.1", port), timeout=20)
        if kind == "half":
            client.sendall(b"POST /v1/models/any:predict HTTP/1.1\r\nHost: x\r\n")
            client.sendall(b"Content-Length: 100000\r\n\r\n{")
        self._sockets.append(client)
        if len(self._sockets) > 8:  # hangs for a while, and leaves without a word
            self._sockets.pop(0).close()

    def _connect(self) -> tuple[grpc.Channel, Any]:
        options = [
            ("grpc.max_receive_message_length", -1),
            ("grpc.use_local_subchannel_pool", 1),  # a connection of its own
        ]
        channel = grpc.insecure_channel(self._address, options)
        return channel, channel.unary_unary(PREDICT)


def percentile(seconds: Sequence[float], share: float) -> float:
    """A percentile of durations.

    Args:
        seconds: two or more.
        share: 0.5 is the median.
    """
    return statistics.quantiles(seconds, n=1000, method="inclusive")[max(0, round(share * 1000) - 1)]
