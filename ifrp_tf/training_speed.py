"""How fast a configuration trains, and how much of that time it waits for data."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from ifrp_tf import data, machine, train
from ifrp_tf.config import Config
from ifrp_tf.errors import ConfigError
from ifrp_tf.objective import build_identity_network
from ifrp_tf.timing import Call, interleave
from ifrp_tf.trainer import IfrpTrainer

_ROUNDS, _WARM_UP = 5, 3


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

    Every turn begins with a new iterator and three steps that are not timed. Where the step takes as long on
    a batch that is simply there, nothing waits for data; the share is what it takes longer, and on a CPU
    also what the pipeline takes away from it.

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
    threads = machine.use_threads(threads)
    photos, _ = train.load_photos(config, folder, Path(cache))
    position = tf.Variable(0, dtype=tf.int64)
    batches = data.batches(photos, config, step=position).repeat()
    trainer = _trainer(config, weights)
    cached = tf.data.Dataset.from_tensors(next(iter(batches))).repeat()
    rounds = min(_ROUNDS, steps)
    calls = -(-steps // rounds)

    def pipeline() -> Any:
        iterator = iter(batches)
        position.assign((position + _WARM_UP + calls) % config.train.steps)
        return iterator

    def training(iterator: Any) -> Call:
        # The callbacks of a run look at every loss too, and so wait for the step to end.
        return lambda: float(trainer.train_function(iterator)["loss"])

    def reading(iterator: Any) -> Call:
        return lambda: next(iterator)

    timings = interleave(
        {
            "real": lambda: training(pipeline()),
            "cached": lambda: training(iter(cached)),
            "pipeline": lambda: reading(pipeline()),
        },
        rounds=rounds,
        calls=calls,
        warm_up=_WARM_UP,
    )
    batch = config.train.batch_size
    return {
        "data": folder or "drawn faces",
        "side": config.data.side,
        "batch_size": batch,
        "steps": rounds * calls,
        "threads": threads,
        "device": machine.device(),
        "waiting_share": max(0.0, 1.0 - timings["cached"].seconds / timings["real"].seconds),
        **{name: timing.speed(batch) for name, timing in timings.items()},
    }


def _trainer(config: Config, weights: str) -> IfrpTrainer:
    """As in a run: `train` builds it in the same way."""
    keras.utils.set_random_seed(config.train.seed)
    keras.config.set_dtype_policy("mixed_bfloat16" if config.train.dtype == "bfloat16" else "float32")
    try:
        trainer = IfrpTrainer(config, build_identity_network(config, weights))
    finally:
        keras.config.set_dtype_policy("float32")
    trainer.compile()
    trainer.make_train_function()
    return trainer
