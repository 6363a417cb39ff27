"""A system, made ready to train under whichever backend Keras runs on."""

from __future__ import annotations

import os
from types import ModuleType
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from ifrp_tf.core.config import Config
from ifrp_tf.core.errors import ConfigError, DataError
from ifrp_tf.data import foreign, photos
from ifrp_tf.data.photos import PhotoSet
from ifrp_tf.pictures import images
from ifrp_tf.styles import sets
from ifrp_tf.systems import base
from ifrp_tf.training import validation

if TYPE_CHECKING:
    from ifrp_tf.training.workers import Workers


def is_jax() -> bool:
    """Whether Keras runs on JAX (`KERAS_BACKEND=jax`); TensorFlow otherwise."""
    return keras.backend.backend() == "jax"


def steps() -> ModuleType:
    """The module of the backend's training step: its `Trainer` and its `fixed_portraits`."""
    if is_jax():
        from ifrp_tf.training import step_jax

        return step_jax
    from ifrp_tf.training import step_tf

    return step_tf


def start_workers(config: Config) -> Workers | None:
    """Connects the workers that TF_CONFIG names, before TensorFlow is first used; None where there is one.

    Args:
        config: the whole configuration.

    Raises:
        ConfigError: TF_CONFIG names something else than workers, the batch cannot be divided among them, or
            Keras runs on JAX.
    """
    if not os.environ.get("TF_CONFIG"):
        return None
    if is_jax():
        raise ConfigError(
            "Expected the TensorFlow backend for workers that TF_CONFIG names. Received: JAX.",
            hint="Unset KERAS_BACKEND, or TF_CONFIG: JAX uses all devices of one machine.",
        )
    from ifrp_tf.training import workers

    count, train = workers.in_environment(), config.train
    if train.batch_size % count:
        raise ConfigError(
            f"Expected train.batch_size to be a multiple of {count}, the number of workers. "
            f"Received: {train.batch_size}."
        )
    if count > 1 and train.deterministic:
        _make_deterministic()  # not possible once they are connected
    return workers.start()


def make_trainer(config: Config, weights: str, workers: Workers | None = None) -> Any:
    """The trainer of the backend, ready to be restored or to start.

    Args:
        config: the whole configuration.
        weights: folder with the weights of the feature networks.
        workers: those that train together, under TensorFlow.

    Returns:
        `step_jax.Trainer`, or a compiled `step_tf.Trainer`.

    Raises:
        DataError: weights that are needed are missing or damaged.
        ConfigError: the settings describe no network, or determinism is asked for too late.
    """
    train = config.train
    if train.deterministic and workers is None and not is_jax():
        _make_deterministic()
    keras.utils.set_random_seed(train.seed)
    keras.config.set_dtype_policy("mixed_bfloat16" if train.dtype == "bfloat16" else "float32")
    try:
        system = base.create(config)
        if not system.players:
            raise ConfigError(
                f"Expected a system to train. Received: {config.system}, which finds each answer anew.",
                hint=f"See ifrp_tf/systems/{config.system}/README.md.",
            )
        system.load_frozen(weights)
        if is_jax():
            return steps().Trainer(system)
        trainer = steps().Trainer(system, workers)
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
            "Expected train.deterministic before TensorFlow is first used. Received: TensorFlow has started.",
            hint="Start the run in a process of its own.",
        ) from error
    tf.config.optimizer.set_experimental_options({"arithmetic_optimization": False})
    tf.config.experimental.enable_op_determinism()


def fixed_pairs(held_out: PhotoSet, training: Any, config: Config) -> validation.FixedPairs:
    """The portraits that validation looks at all through a run.

    Args:
        held_out: validation photographs.
        training: training photographs or prepared shards; the mean face is theirs.
        config: the whole configuration.
    """
    made = steps().fixed_portraits(held_out, config.data, sets.of(config.data))
    return validation.FixedPairs(
        images.to_uint8(made[0]),
        images.to_uint8(made[1]),
        mean_face(training),
    )


def foreign_pairs(held_out: PhotoSet, training: Any, config: Config) -> validation.FixedPairs | None:
    """Foreign portraits of the persons held out, as they are on disk; None where there are none."""
    try:
        found = foreign.load(config.data, held_out)
    except DataError:
        found = None  # a small set of photographs: no foreign portrait shows anybody held out
    if found is None:
        return None
    return validation.FixedPairs(found.portraits, held_out.pixels[found.places], mean_face(training))


def mean_face(training: Any) -> np.ndarray:
    """The mean picture of what is trained on, uint8 [S, S, 3]: the constant answer to beat."""
    mean: np.ndarray = photos.mean_face(training) if isinstance(training, PhotoSet) else training.mean_face
    return mean
