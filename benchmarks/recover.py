"""How fast an exported model recovers faces, beside ONNX Runtime, LiteRT and the machine's arithmetic."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from benchmarks import arithmetic, machine
from benchmarks.timing import interleave
from ifrp_tf.core import runtime
from ifrp_tf.core.errors import ConfigError, ModelError
from ifrp_tf.pictures import images
from ifrp_tf.release import folder, graph_weights, litert, onnx

MAX_BATCH = 1024
Network = Callable[[np.ndarray], np.ndarray]


def measure(
    model: str | Path, *, batches: Sequence[int] = (1, 16), threads: int = 0, rounds: int = 7
) -> dict[str, Any]:
    """Times an exported model, the same weights in ONNX Runtime and LiteRT, and a matrix product, in turn.

    The SavedModel is timed as `Recoverer` calls it: uint8 arrays in and out. The others are timed at their
    best: float32 in and out, without the conversions; LiteRT answers one picture after the other. The floor
    is the time that the network's multiply-adds would take at the speed of a large matrix product.

    Args:
        model, batches, threads, rounds: as for `benchmark.run_recover`.

    Returns:
        Plain values, ready for JSON: `model side parameters multiply_adds threads device difference` (mean
        and max, levels of 255), `megabytes` of the forms for the other runtimes, and `batches`: batch size
        -> contender -> `ms pictures_per_second floors gflops cores`, and `savedmodel_to_onnxruntime`.

    Raises:
        ConfigError, ModelError: as for `benchmark.run_recover`.
    """
    if rounds < 1 or not batches or not all(1 <= batch <= MAX_BATCH for batch in batches):
        raise ConfigError(
            f"Expected batches from 1 to {MAX_BATCH} and at least 1 round. "
            f"Received: batches {list(batches)} and {rounds} rounds."
        )
    found = folder.locate(model)
    if found.kind != "version":
        message = f"Expected an exported version as --model. Received: {str(found.path)!r}."
        raise ModelError(message, hint="Make one with tools/export.py.")
    folder.verify(found.path)
    threads = runtime.use_threads(threads)
    srn = graph_weights.load_srn(found.path)
    other, small = onnx.build(srn), litert.build(srn)
    session, phone = onnx.Session(other, threads=threads), litert.Session(small, threads=threads)
    signature = tf.saved_model.load(str(found.path)).signatures["serving_default"]
    product, product_operations = machine.matmul()
    side, operations = int(srn.input_shape[1]), arithmetic.multiply_adds(srn)

    def serve(pixels: np.ndarray) -> np.ndarray:
        return signature(portrait=tf.constant(pixels))["photo"].numpy()

    def at(batch: int) -> dict[str, Any]:
        pixels = _portraits(batch, side)
        floats = images.to_model_range(pixels)
        timings = interleave(
            {
                "savedmodel": lambda: lambda: serve(pixels),
                "onnxruntime": lambda: lambda: session(floats),
                "litert": lambda: lambda: phone(floats),
                "floor": lambda: product,
            },
            rounds=rounds,
        )
        timings["floor"] = timings["floor"].scaled(operations * batch / product_operations)
        row: dict[str, Any] = {
            name: {
                **timing.speed(batch),
                "floors": timing.seconds / timings["floor"].seconds,
                "gflops": 2e-9 * operations * batch / timing.seconds,
            }
            for name, timing in timings.items()
        }
        ratio = timings["savedmodel"].seconds / timings["onnxruntime"].seconds
        return {**row, "savedmodel_to_onnxruntime": ratio}

    return {
        "model": found.name,
        "side": side,
        "parameters": srn.count_params(),
        "multiply_adds": operations,
        "threads": threads,
        "device": machine.device(),
        "difference": _difference(serve, session, _portraits(4, side)),
        "megabytes": {"onnx": other.ByteSize() / 1e6, "litert": len(small) / 1e6},
        "batches": {str(batch): at(batch) for batch in batches},
    }


def _difference(serve: Network, session: onnx.Session, pixels: np.ndarray) -> dict[str, float]:
    """Levels between the two runtimes; unequal answers would make the comparison meaningless."""
    expected = serve(pixels).astype(int)
    received = images.to_uint8(session(images.to_model_range(pixels)))
    difference = np.abs(received.astype(int) - expected)
    mean, largest = float(difference.mean()), int(difference.max())
    if mean > 0.1:
        raise ModelError(
            f"Expected the SavedModel and ONNX Runtime to agree to 0.1 levels on average. "
            f"Received: {mean:.2f}, at most {largest}.",
            hint="The export is not of this package's version: export the model again.",
        )
    return {"mean": mean, "max": largest}


def _portraits(count: int, side: int) -> np.ndarray:
    noise = np.random.default_rng(0).integers(0, 256, (count, 8, 8, 3)).astype(np.uint8)
    return np.stack([images.resize(pixels, side) for pixels in noise])
