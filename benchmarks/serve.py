"""How fast a served model answers, beside calling the SavedModel in this process without a server."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from benchmarks import machine
from hardening.soak import load, server
from ifrp_tf.core import runtime
from ifrp_tf.core.errors import ConfigError, ModelError, ServingError
from ifrp_tf.pictures import images
from ifrp_tf.release import folder


def measure(
    model: str | Path,
    *,
    clients: int = 32,
    batch: int = 16,
    seconds: float = 10.0,
    rounds: int = 3,
    threads: int = 0,
) -> dict[str, Any]:
    """Times a server under many clients, and one request, in turn with direct calls.

    Throughput: `clients` clients that send one picture at a time, against direct calls of `batch` pictures,
    which is also the server's largest batch. Overhead: the median time of single requests of one client,
    less that of direct calls of one picture.

    Args:
        model: a folder of numbered versions.
        clients: at the same time, 1 to 1,000.
        batch: pictures in a call, 1 to 1,024.
        seconds: of each turn, more than 0.
        rounds: turns of each, 1 or more.
        threads: of TensorFlow, in the server and beside it; 0 = all cores.

    Returns:
        Plain values, ready for JSON: `model side threads device clients batch`, `direct served`
        (pictures/s), `ratio`, `direct_ms served_ms overhead_ms` (medians of single pictures), and `p99_ms`
        under load.

    Raises:
        ConfigError: a number is out of range.
        ModelError: there is no exported model.
        ServingError: the server failed, or answered otherwise than the model.
    """
    if not (1 <= clients <= 1000 and 1 <= batch <= 1024 and seconds > 0 and rounds >= 1):
        raise ConfigError(
            "Expected 1 to 1000 clients, a batch of 1 to 1024 and at least 1 round. "
            f"Received: {clients}, {batch} and {rounds}."
        )
    found = folder.locate(model)
    if found.kind != "version":
        raise ModelError(f"Expected exported versions as --model. Received: {str(found.path)!r}.")
    folder.verify(found.path)
    side = folder.read_config(found).data.side
    used = runtime.use_threads(threads)
    pictures = _portraits(max(batch, 8), side)
    loaded = tf.saved_model.load(str(found.path))
    function = loaded.signatures["serving_default"]

    def direct(portraits: np.ndarray) -> np.ndarray:
        return np.asarray(function(portrait=tf.constant(portraits))["photo"].numpy())

    base, name = found.path.resolve().parent, found.path.resolve().parent.name
    queue = -(-2 * clients // batch)
    flags = (
        f"--max_batch_size={batch}",
        f"--max_enqueued_batches={queue}",
        f"--tensorflow_session_parallelism={threads}",
    )
    with server.started(base, name, *flags) as (address, _):
        requests = [load.predict_request(name, picture[None]) for picture in pictures]
        expected = np.concatenate([direct(picture[None]) for picture in pictures])
        check = _checker(expected)
        load.ask(address, requests, check, clients=clients, count=2 * clients)  # warm-up
        direct(pictures[:batch])
        turns = [
            _turn(address, requests, check, direct, pictures, clients=clients, batch=batch, seconds=seconds)
            for _ in range(rounds)
        ]
    middle = {key: float(np.median([turn[key] for turn in turns])) for key in turns[0]}
    return {
        "model": found.name,
        "side": side,
        "threads": used,
        "device": machine.device(),
        "clients": clients,
        "batch": batch,
        **middle,
        "ratio": middle["served"] / middle["direct"],
        "overhead_ms": middle["served_ms"] - middle["direct_ms"],
    }


def _turn(
    address: str,
    requests: list[bytes],
    check: Any,
    direct: Any,
    pictures: np.ndarray,
    *,
    clients: int,
    batch: int,
    seconds: float,
) -> dict[str, float]:
    whole, single = pictures[:batch], pictures[:1]
    pause, calls = time.perf_counter() + seconds, 0
    started = time.perf_counter()
    while time.perf_counter() < pause:
        direct(whole)
        calls += 1
    speed = calls * batch / (time.perf_counter() - started)
    count = max(4 * clients, int(speed * seconds))
    started = time.perf_counter()
    loaded = _sound(load.ask(address, requests, check, clients=clients, count=count))
    served = count / (time.perf_counter() - started)
    alone, apart = [], []
    for _ in range(5):  # in turn, a few at a time
        for _ in range(20):
            begun = time.perf_counter()
            direct(single)
            apart.append(time.perf_counter() - begun)
        alone += _sound(load.ask(address, requests, check, clients=1, count=20)).seconds
    return {
        "direct": speed,
        "served": served,
        "p99_ms": 1000 * load.percentile(loaded.seconds, 0.99),
        "direct_ms": 1000 * float(np.median(apart)),
        "served_ms": 1000 * float(np.median(alone)),
    }


def _sound(tally: load.Tally) -> load.Tally:
    if tally.wrong or tally.failed or tally.shed:
        first = tally.failed[0] if tally.failed else ""
        raise ServingError(
            f"Expected {tally.total} right answers. Received: {tally.wrong} wrong ones, {tally.shed} shed, "
            f"{len(tally.failed)} failed. {first}"
        )
    return tally


def _checker(expected: np.ndarray) -> Any:
    def check(place: int, answer: bytes) -> bool:
        # In another batch sums are added in another order: a level more or less, rarely.
        photo = load.read_photos(answer)[0].astype(int)
        return photo.shape == expected[place].shape and bool(np.abs(photo - expected[place]).max() <= 1)

    return check


def _portraits(count: int, side: int) -> np.ndarray:
    noise = np.random.default_rng(0).integers(0, 256, (count, 8, 8, 3)).astype(np.uint8)
    return np.stack([images.resize(pixels, side) for pixels in noise])
