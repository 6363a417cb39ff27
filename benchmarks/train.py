"""How fast a configuration trains, and how much of that time it waits for data."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import tensorflow as tf

from benchmarks import machine
from benchmarks.timing import Call, interleave
from ifrp_tf.core import runtime
from ifrp_tf.core.config import Config
from ifrp_tf.core.errors import ConfigError
from ifrp_tf.training import loop, run, step_tf

_ROUNDS, _WARM_UP = 3, 3


def measure(
    config: Config,
    folder: str,
    *,
    weights: str = "data/weights",
    cache: str = "runs/.cache",
    steps: int = 20,
    threads: int = 0,
) -> dict[str, Any]:
    """Times the training step with the real pipeline, the step on one batch, and the pipeline, in turn.

    Each has three turns, on the same batches, which begin with three steps that are not timed. Where a step
    takes as long on a batch that is simply there, nothing waits for data; the share is what it takes longer,
    on a CPU also because the pipeline takes processor time from it.

    Args:
        config, folder, weights, cache, steps, threads: as for `benchmark.run_train`.

    Returns:
        Plain values, ready for JSON: `data side batch_size steps threads device waiting_share`, and
        `real cached pipeline`: `ms` a step, `pictures_per_second`, `cores`.

    Raises:
        ConfigError, DataError: as for `benchmark.run_train`.
    """
    if steps < 1:
        raise ConfigError(f"Expected at least 1 step. Received: {steps}.")
    if loop.is_jax():
        raise ConfigError(
            "Expected TensorFlow as Keras's backend. Received: JAX.", hint="Unset KERAS_BACKEND."
        )
    threads = runtime.use_threads(threads)
    trainer = loop.make_trainer(config, weights)
    trainer.make_train_function()
    photos, _ = run.load_photos(config, folder, Path(cache))
    batches = step_tf.training_batches(photos, config)
    cached = tf.data.Dataset.from_tensors(next(iter(batches))).repeat()

    def training(iterator: Any) -> Call:
        # The callbacks of a run look at every loss too, and so wait for the step to end.
        return lambda: float(trainer.train_function(iterator)["loss"])

    def reading(iterator: Any) -> Call:
        return lambda: next(iterator)

    timings = interleave(
        {
            "real": lambda: training(iter(batches)),
            "cached": lambda: training(iter(cached)),
            "pipeline": lambda: reading(iter(batches)),
        },
        rounds=_ROUNDS,
        calls=steps,
        warm_up=_WARM_UP,
    )
    batch = config.train.batch_size
    return {
        "data": folder or "drawn faces",
        "side": config.data.side,
        "batch_size": batch,
        "steps": _ROUNDS * steps,
        "threads": threads,
        "device": machine.device(),
        "waiting_share": max(0.0, 1.0 - timings["cached"].seconds / timings["real"].seconds),
        **{name: timing.speed(batch) for name, timing in timings.items()},
    }
