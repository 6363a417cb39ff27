"""Clients for a server under test: ones that ask all the time, and ones that misbehave.

They speak gRPC by the stock method path, and REST where asked for, with requests made once: they run beside
the server that they measure and should cost as little as they can.
"""

from __future__ import annotations

import contextlib
import http.client
import json
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
KINDS = ("cancel", "late", "disconnect", "hang", "header", "half", "leave", "unread")
"""How a client misbehaves. Over gRPC it cancels, sets a deadline that it cannot meet, closes the connection
while it waits, or connects and sends nothing; over HTTP it sends half of its headers or its body and waits,
leaves while it waits for the answer, or does not read the answer."""

REST_SHARE = 0.125
"""The share of the well-behaved requests that go over REST, where there is one."""


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


@dataclass(frozen=True)
class Rest:
    """The requests of a soak over REST.

    Attributes:
        port: of HTTP on this machine.
        model: name of the model.
        bodies: JSON, one for each request over gRPC.
        check: whether an answer is right, from the place in `bodies` and the answer's JSON.
    """

    port: int
    model: str
    bodies: Sequence[bytes]
    check: Callable[[int, bytes], bool]

    @property
    def path(self) -> str:
        """Of predictions."""
        return f"/v1/models/{self.model}:predict"


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


def predict_body(portraits: np.ndarray) -> bytes:
    """The same request for REST.

    Args:
        portraits: uint8 [N, side, side, 3].
    """
    return json.dumps({"instances": portraits.tolist()}).encode()


def read_body(answer: bytes) -> np.ndarray:
    """The photographs of an answer over REST.

    Args:
        answer: JSON.
    """
    return np.array(json.loads(answer)["predictions"])


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
    rest: Rest | None = None,
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
        rest: what goes over REST; None = everything over gRPC.
        misbehaving: share of the requests whose client misbehaves, in the `KINDS` in turn.
        seed: of the order.

    Returns:
        What came of them.
    """
    shares = [count // clients + (number < count % clients) for number in range(clients)]
    tallies = [Tally() for _ in range(clients)]

    def work(number: int) -> None:
        client = _Client(address, requests, check, rest, random.Random(seed * 1000 + number))
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
        rest: Rest | None,
        chance: random.Random,
    ) -> None:
        self._address, self._requests, self._check = address, requests, check
        self._rest, self._random = rest, chance
        self._kinds = KINDS if rest else KINDS[:4]
        self._http = http.client.HTTPConnection("127.0.0.1", rest.port, timeout=60) if rest else None
        self._http_used = 0.0
        self._sockets: list[socket.socket] = []
        self._channel, self._call = self._connect()

    def close(self) -> None:
        self._channel.close()
        if self._http is not None:
            self._http.close()
        for each in self._sockets:
            each.close()

    def run(self, count: int, misbehaving: float, tally: Tally) -> None:
        for _ in range(count):
            if self._random.random() < misbehaving:
                self._misbehave(self._random.choice(self._kinds))
                tally.misbehaved += 1
                continue
            place = self._random.randrange(len(self._requests))
            if self._rest is not None and self._random.random() < REST_SHARE:
                self._ask_rest(place, tally)
            else:
                self._ask(place, tally)

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
        if kind == "hang" or self._rest is None:
            self._keep(int(self._address.split(":")[1]), b"")
            return
        body = self._rest.bodies[0]
        head = f"POST {self._rest.path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n".encode()
        sent = {"header": head[:30], "half": head + body[: len(body) // 2]}.get(kind, head + body)
        self._keep(self._rest.port, sent)
        if kind == "leave":
            time.sleep(self._random.random() * 0.02)
            self._sockets.pop().close()

    def _keep(self, port: int, data: bytes) -> None:
        """Connects, sends, and stays for a while; leaves without closing properly what it began."""
        client = socket.create_connection(("127.0.0.1", port), timeout=20)
        client.sendall(data)
        self._sockets.append(client)
        if len(self._sockets) > 8:
            self._sockets.pop(0).close()

    def _ask_rest(self, place: int, tally: Tally) -> None:
        assert self._rest is not None
        assert self._http is not None
        if time.monotonic() - self._http_used > 20:  # a server may close a connection that is idle for long
            self._http.close()
        try:
            self._http.request("POST", self._rest.path, self._rest.bodies[place])
            answer = self._http.getresponse()
            content = answer.read()
            self._http_used = time.monotonic()
        except (OSError, http.client.HTTPException) as error:
            self._http.close()
            tally.failed.append(f"REST: {type(error).__name__}: {error}")
            return
        if answer.status == 429:
            tally.shed += 1
            time.sleep(0.01)
        elif answer.status != 200:
            tally.failed.append(f"REST: {answer.status}: {content[:200]!r}")
        elif self._rest.check(place, content):
            tally.answered += 1
        else:
            tally.wrong += 1

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
