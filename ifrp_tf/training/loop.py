"""What differs between the backends when a run is trained: the trainer, the fixed portraits, the loop."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from ifrp_tf.core.config import Config, TrainConfig
from ifrp_tf.core.errors import ConfigError
from ifrp_tf.data import photos
from ifrp_tf.data.photos import PhotoSet
from ifrp_tf.pictures import images
from ifrp_tf.styles import sets
from ifrp_tf.systems.ifrp.objective import build_identity_network
from ifrp_tf.training import validation

# Steps between two looks at the losses under JAX: a look waits for the device.
JAX_LOG_STEPS = 25


def is_jax() -> bool:
    """Whether Keras runs on JAX (`KERAS_BACKEND=jax`); TensorFlow otherwise."""
    return keras.backend.backend() == "jax"


def make_trainer(config: Config, weights: str) -> Any:
    """The trainer of the backend, ready to be restored or to start.

    Args:
        config: the whole configuration.
        weights: folder with the weights of the identity network.

    Returns:
        `trainer_jax.JaxTrainer` or a compiled `trainer.IfrpTrainer`.
    """
    train = config.train
    if train.deterministic and not is_jax():
        _make_deterministic()
    keras.utils.set_random_seed(train.seed)
    keras.config.set_dtype_policy("mixed_bfloat16" if train.dtype == "bfloat16" else "float32")
    try:
        identity = build_identity_network(config, weights)
        if is_jax():
            from ifrp_tf.training.step_jax import JaxTrainer

            return JaxTrainer(config, identity)
        from ifrp_tf.training.step_tf import IfrpTrainer

        trainer = IfrpTrainer(config, identity)
        trainer.compile()
        return trainer
    finally:
        keras.config.set_dtype_policy("float32")


def _make_deterministic() -> None:
    """Deterministic ops, each on one thread, and sums in the order in which they are written.

    The arithmetic optimizer makes one `AddN` of `a + b + c`. `AddN` adds onto the first input whose buffer
    nobody else holds at that moment, so the order of the sum, and its last bit, depend on timing.
    """
    import tensorflow as tf

    try:
        tf.config.threading.set_intra_op_parallelism_threads(1)
    except RuntimeError as error:
        raise ConfigError(
            "train.deterministic expects to come before TensorFlow is first used. Received: it runs already.",
            hint="Start the run in a process of its own: python tools/train.py ...",
        ) from error
    tf.config.optimizer.set_experimental_options({"arithmetic_optimization": False})
    tf.config.experimental.enable_op_determinism()


def set_step(trainer: Any, step: int) -> None:
    """Tells a trainer whose variables were restored how many steps are done."""
    if is_jax():
        trainer.push(step)
    else:
        trainer.step.assign(step)


def fixed_pairs(held_out: PhotoSet, training: PhotoSet, config: Config) -> validation.FixedPairs:
    """The portraits that validation looks at all through a run."""
    styles = sets.of(config.data)
    if is_jax():
        from ifrp_tf.data import pipeline_jax

        made = pipeline_jax.fixed_portraits(held_out, config.data, styles=styles)
    else:
        from ifrp_tf.data import pipeline_tf

        parts = list(pipeline_tf.fixed_portraits(held_out, config.data, styles=styles).as_numpy_iterator())
        made = np.stack([part[0] for part in parts]), np.stack([part[1] for part in parts])
    return validation.FixedPairs(
        images.to_uint8(made[0]),
        images.to_uint8(made[1]),
        photos.mean_face(training) if isinstance(training, PhotoSet) else training.mean_face,
    )


def some_portraits(training: PhotoSet, config: Config, count: int = 384) -> np.ndarray:
    """Portraits as they come in training: float32 [N, S, S, 3] in [-1, 1], at most `count`."""
    some = training.select(range(min(count, len(training))))
    styles = sets.of(config.data)
    if is_jax():
        from ifrp_tf.data import pipeline_jax

        return pipeline_jax.fixed_portraits(some, config.data, styles=styles)[0]
    from ifrp_tf.data import pipeline_tf

    made = pipeline_tf.fixed_portraits(some, config.data, styles=styles)
    return np.stack([part[0] for part in made.as_numpy_iterator()])


def batches(training: Any, config: Config, step: int = 0) -> Any:
    """Endless `tf.data` batches from `step` on: of photographs, or of shards with portraits (`shards.py`)."""
    from ifrp_tf.data import pipeline_tf

    if isinstance(training, PhotoSet):
        return pipeline_tf.batches(training, config, step=step)
    return training.batches(config, step=step)


def fit(trainer: Any, training: PhotoSet, callbacks: Sequence[keras.callbacks.Callback]) -> None:
    """Trains from the trainer's step to the end of its budget.

    Args:
        trainer: from `make_trainer`.
        training: training photographs.
        callbacks: called after steps and epochs; under JAX after every 25 steps.
    """
    if is_jax():
        _fit_jax(trainer, training, callbacks)
        return
    config = trainer.config
    for epochs, steps in _segments(int(trainer.step), config.train):
        trainer.fit(
            batches(training, config, int(trainer.step)),
            initial_epoch=epochs.start,
            epochs=epochs.stop,
            steps_per_epoch=steps,
            callbacks=list(callbacks),
            shuffle=False,
            verbose=0,
        )
        if trainer.stop_training:
            return


def _segments(done: int, train: TrainConfig) -> list[tuple[range, int]]:
    """(epochs, steps an epoch) from step `done` on: what is left of an epoch, whole ones, the last one."""
    segments = []
    while done < train.steps:
        epoch, within = divmod(done, train.epoch_steps)
        whole = (train.steps - done) // train.epoch_steps
        if within or not whole:
            steps = min(train.epoch_steps - within, train.steps - done)
            segments.append((range(epoch, epoch + 1), steps))
            done += steps
        else:
            segments.append((range(epoch, epoch + whole), train.epoch_steps))
            done += whole * train.epoch_steps
    return segments


def _fit_jax(trainer: Any, training: PhotoSet, callbacks: Sequence[keras.callbacks.Callback]) -> None:
    import jax

    train = trainer.config.train
    pixels = jax.device_put(np.ascontiguousarray(training.pixels))
    step = trainer.step
    for callback in callbacks:
        callback.set_model(trainer)
    pending: list[dict[str, Any]] = []
    epoch: list[dict[str, float]] = []
    while step < train.steps and not trainer.stop_training:
        trainer.state, values = trainer.train_on_photos(trainer.state, pixels)
        pending.append(values)
        step += 1
        ends = step % train.epoch_steps == 0 or step == train.steps
        if ends or step % JAX_LOG_STEPS == 0:
            epoch.extend({k: float(v) for k, v in row.items()} for row in jax.device_get(pending))
            pending = []
            logs = {name: float(np.mean([row[name] for row in epoch])) for name in epoch[0]}
            for callback in callbacks:
                callback.on_train_batch_end(step, logs)
            if ends:
                for callback in callbacks:
                    callback.on_epoch_end((step - 1) // train.epoch_steps, logs)
                epoch = []
