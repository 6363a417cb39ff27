"""A long run of a server under clients of which many misbehave: nothing may be lost, wrong or left over."""

from __future__ import annotations

import json
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any

from tqdm import tqdm

from hardening.soak import load, server
from ifrp_tf.core import files, runtime
from ifrp_tf.core.config import Config, DataConfig
from ifrp_tf.core.errors import ConfigError
from ifrp_tf.release import folder as model_folder
from ifrp_tf.systems.ifrp.settings import ModelConfig

WATCHED = ("process_resident_memory_bytes", "process_threads", "process_open_fds")
TOY = Config(data=DataConfig(side=32), model=ModelConfig(width=8, stn="none", skips="none"))
MEMORY_GROWTH = 0.05
"""How much memory may grow between the first quarter and the end."""

_ROUNDS = 20


def run(
    model: str = "",
    *,
    requests: int = 20_000,
    clients: int = 16,
    misbehaving: float = 0.2,
    seed: int = 0,
    json_file: str = "",
) -> int:
    """Sends requests to a server, watches its memory, threads and files, and prints what came of it.

    Args:
        model: a folder of numbered versions; empty = a toy network with random weights.
        requests: in all, 200 or more.
        clients: at the same time, 1 to 1,000.
        misbehaving: share of the requests whose client hangs, cancels or disconnects, 0 to 0.9.
        seed: of the clients' order.
        json_file: also write the numbers here; empty = do not.

    Returns:
        0 if every other request got its right answer or was shed, memory stayed flat and nothing leaked;
        else 1.

    Raises:
        ConfigError: a number is out of range.
        ModelError: there is no such model.
        ServingError: the server did not start.
    """
    if not (requests >= 200 and 1 <= clients <= 1000 and 0 <= misbehaving <= 0.9):
        raise ConfigError(
            "Expected 200 or more requests, 1 to 1000 clients and at most 0.9 misbehaving. "
            f"Received: {requests}, {clients} and {misbehaving}."
        )
    if not model:
        with tempfile.TemporaryDirectory(prefix="ifrp_soak_") as folder:
            write_toy(Path(folder) / "toy" / "1")
            result = _soak(Path(folder) / "toy", requests, clients, misbehaving, seed)
    else:
        model_folder.locate(model)  # before TensorFlow is waited for
        result = _soak(Path(model), requests, clients, misbehaving, seed)
    print("\n".join(_lines(result)))  # noqa: T201
    if json_file:
        files.write_bytes_atomic(json_file, json.dumps(result, indent=2).encode())
    return 0 if result["sound"] else 1


def write_toy(folder: Path) -> None:
    """Writes a version folder with a small network that nobody trained.

    Args:
        folder: to make.
    """
    with runtime.start_up():
        import keras
        import tensorflow as tf

        from ifrp_tf.nn.folding import fold_batch_norms
        from ifrp_tf.release import export
        from ifrp_tf.systems.ifrp import networks
    keras.utils.set_random_seed(1)
    srn = fold_batch_norms(networks.build_srn(TOY.model, side=TOY.data.side))
    folder.mkdir(parents=True)
    tf.saved_model.save(tf.Module(), str(folder), signatures=export.signatures(srn))
    (folder / model_folder.CONFIG).write_text(json.dumps(TOY.to_dict()), encoding="utf-8")
    model_folder.write_checksums(folder)


def judge(samples: list[dict[str, float]], tally: load.Tally, before: dict[str, float]) -> list[str]:
    """What is wrong after a soak; empty = nothing.

    Args:
        samples: `WATCHED` values after each round.
        tally: of all requests.
        before: `WATCHED` values before the first request, and `after` the last one was `samples[-1]`.
    """
    faults = []
    if tally.failed or tally.wrong:
        faults.append(f"{len(tally.failed)} requests failed and {tally.wrong} answers were wrong")
    memory = [sample[WATCHED[0]] for sample in samples]
    base = max(memory[: max(1, len(memory) // 4)])  # once every buffer has its size
    if memory[-1] > (1 + MEMORY_GROWTH) * base:
        faults.append(f"memory grew from {base / 2**20:.0f} to {memory[-1] / 2**20:.0f} MiB")
    for name in WATCHED[1:]:
        # A thread pool may have grown to its size since; sockets may not be left over.
        allowed = max(sample[name] for sample in samples[: max(1, len(samples) // 4)])
        if samples[-1][name] > max(allowed, before[name]):
            faults.append(f"{name} rose from {allowed:.0f} to {samples[-1][name]:.0f}")
    return faults


def _soak(folder: Path, requests: int, clients: int, misbehaving: float, seed: int) -> dict[str, Any]:
    with runtime.start_up():
        import numpy as np
        import tensorflow as tf
    found = model_folder.locate(folder)
    side = model_folder.read_config(found).data.side
    noise = np.random.default_rng(seed).integers(0, 256, (16, side, side, 3)).astype(np.uint8)
    loaded = tf.saved_model.load(str(found.path))
    function = loaded.signatures["serving_default"]
    expected = [function(portrait=tf.constant(one[None]))["photo"].numpy()[0].astype(int) for one in noise]

    def is_right(place: int, photos: np.ndarray) -> bool:
        return photos.shape == (1, side, side, 3) and bool(np.abs(photos[0] - expected[place]).max() <= 1)

    tally, samples = load.Tally(), []
    name = found.path.resolve().parent.name
    bodies = [load.predict_request(name, one[None]) for one in noise]
    with server.started(found.path.resolve().parent, name) as (address, port):
        rest = load.Rest(
            port,
            name,
            [load.predict_body(one[None]) for one in noise],
            lambda place, answer: is_right(place, load.read_body(answer)),
        )
        before = sample(port)
        begun = time.perf_counter()
        for number in tqdm(range(_ROUNDS), unit="round", disable=None):  # None: only on a terminal
            count = requests // _ROUNDS + (number < requests % _ROUNDS)
            tally.add(
                load.ask(
                    address,
                    bodies,
                    lambda place, answer: is_right(place, load.read_photos(answer)),
                    clients=clients,
                    count=count,
                    rest=rest,
                    misbehaving=misbehaving,
                    seed=seed + number,
                )
            )
            samples.append(sample(port))
        seconds = time.perf_counter() - begun
        samples[-1] = _settled(port, before, samples[-1])
    faults = judge(samples, tally, before)
    return {
        "model": found.name,
        "requests": tally.total,
        "answered": tally.answered,
        "shed": tally.shed,
        "misbehaved": tally.misbehaved,
        "wrong": tally.wrong,
        "failed": tally.failed[:20],
        "seconds": seconds,
        "before": before,
        "samples": samples,
        "faults": faults,
        "sound": not faults,
    }


def _settled(port: int, before: dict[str, float], last: dict[str, float]) -> dict[str, float]:
    """The last values once the connections that clients just left are gone, at most ten seconds later."""
    until = time.monotonic() + 10
    while any(last[name] > before[name] for name in WATCHED[1:]) and time.monotonic() < until:
        time.sleep(0.2)
        last = sample(port)
    return last


def sample(port: int) -> dict[str, float]:
    """The `WATCHED` values of a server that has just been left by its clients.

    Args:
        port: of its HTTP.
    """
    values: dict[str, float] = {}
    for _ in range(50):  # closed connections take a moment to be gone
        with urllib.request.urlopen(
            f"http://127.0.0.1:{port}/monitoring/prometheus/metrics", timeout=30
        ) as answer:
            lines = answer.read().decode().splitlines()
        values = {line.split(" ")[0]: float(line.split(" ")[1]) for line in lines if line.startswith(WATCHED)}
        connections = next(line for line in lines if line.startswith("ifrp_http_connections "))
        if float(connections.split(" ")[1]) <= 1:
            break
        time.sleep(0.1)
    return values


def _lines(result: dict[str, Any]) -> list[str]:
    first, last = result["before"], result["samples"][-1]
    quarter = result["samples"][len(result["samples"]) // 4]
    lines = [
        f"{result['model']}: {result['requests']:,} requests in {result['seconds']:.0f} s: "
        f"{result['answered']:,} answered rightly, {result['wrong']} wrongly, {result['shed']:,} shed, "
        f"{result['misbehaved']:,} given up by their client, {len(result['failed'])} failed",
        f"{'':32}{'before':>10}{'quarter':>10}{'end':>10}",
    ]
    for name in WATCHED:
        unit = 2**20 if name.endswith("bytes") else 1
        values = "".join(f"{each[name] / unit:>10.0f}" for each in (first, quarter, last))
        lines.append(f"{name.replace('bytes', 'MiB'):32}{values}")
    return [*lines, *(f"FAULT: {fault}" for fault in result["faults"])]
