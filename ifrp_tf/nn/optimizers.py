"""What changes while training, as pure functions of the step: learning rate, λ and η."""

from __future__ import annotations

import math
from typing import Any

import keras
from keras import ops

from ifrp_tf.core.config import TrainConfig
from ifrp_tf.core.types import Tensor

LEARNING_RATE_FLOOR = 1e-6


def decayed_weight(weight: float, decay: float, step: Tensor, epoch_steps: int) -> Tensor:
    """λ or η at `step`: `max(weight * decay ** epoch, weight / 2)` (authors' code).

    Args:
        weight: the weight in epoch 0, [0, inf).
        decay: factor an epoch, (0, 1].
        step: integer scalar.
        epoch_steps: steps of an epoch.
    """
    epoch = ops.floor(ops.cast(step, "float32") / epoch_steps)
    return ops.maximum(weight * ops.power(decay, epoch), weight / 2)


@keras.saving.register_keras_serializable("ifrp_tf")
class PaperSchedule(keras.optimizers.schedules.LearningRateSchedule):
    """The authors' learning rate: `max(lr * decay ** epoch, 1e-6)`; lr/50, then lr/5, for 50 updates each.

    Args:
        learning_rate: lr.
        decay: factor an epoch.
        epoch_steps: updates of an epoch.
    """

    def __init__(self, learning_rate: float, decay: float, epoch_steps: int) -> None:
        self.learning_rate, self.decay, self.epoch_steps = learning_rate, decay, epoch_steps

    def __call__(self, step: Tensor) -> Tensor:
        """The learning rate of update number `step` (counted from 0 by each optimizer for itself)."""
        step = ops.cast(step, "float32")
        epoch = ops.floor(step / self.epoch_steps)
        rate = ops.maximum(self.learning_rate * ops.power(self.decay, epoch), LEARNING_RATE_FLOOR)
        return rate * ops.where(step < 50.0, 1 / 50, ops.where(step < 100.0, 1 / 5, 1.0))

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {"learning_rate": self.learning_rate, "decay": self.decay, "epoch_steps": self.epoch_steps}


@keras.saving.register_keras_serializable("ifrp_tf")
class CosineSchedule(keras.optimizers.schedules.LearningRateSchedule):
    """Linear warm-up over 100 updates, then half a cosine from lr down to 1 % of it.

    Args:
        learning_rate: lr.
        steps: updates of the whole run; afterwards the rate stays at 1 %.
    """

    def __init__(self, learning_rate: float, steps: int) -> None:
        self.learning_rate, self.steps = learning_rate, steps

    def __call__(self, step: Tensor) -> Tensor:
        """The learning rate of update number `step`."""
        step = ops.cast(step, "float32")
        progress = ops.clip(step / max(self.steps, 1), 0.0, 1.0)
        rate = self.learning_rate * (0.01 + 0.99 * 0.5 * (1.0 + ops.cos(math.pi * progress)))
        return rate * ops.minimum(1.0, (step + 1.0) / 100.0)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {"learning_rate": self.learning_rate, "steps": self.steps}


@keras.saving.register_keras_serializable("ifrp_tf")
class TorchRMSprop(keras.optimizers.RMSprop):
    """RMSprop as the authors' Torch has it: `w -= lr g / (sqrt(v) + epsilon)`, epsilon outside the root.

    Keras has it inside, `sqrt(v + epsilon)`: mean-reduced losses give gradients of 1e-5 and less, which the
    same 1e-8 would then damp, and no value inside behaves alike where gradients vanish.
    """

    def update_step(self, gradient: Tensor, variable: keras.Variable, learning_rate: Tensor) -> None:
        """Updates one variable and its running mean square."""
        rate, gradient = ops.cast(learning_rate, variable.dtype), ops.cast(gradient, variable.dtype)
        velocity = self._velocities[self._get_variable_index(variable)]
        self.assign(velocity, self.rho * velocity + (1.0 - self.rho) * ops.square(gradient))
        self.assign_sub(variable, rate * gradient / (ops.sqrt(velocity) + self.epsilon))


def build_optimizer(config: TrainConfig, name: str) -> keras.optimizers.Optimizer:
    """The optimizer of one network, not yet built.

    Args:
        config: kind, learning rate and schedule.
        name: `srn_optimizer` or `dn_optimizer`; part of the names of its variables in checkpoints.
    """
    schedule = (
        PaperSchedule(config.learning_rate, config.learning_rate_decay, config.epoch_steps)
        if config.schedule == "paper"
        else CosineSchedule(config.learning_rate, config.steps)
    )
    if config.optimizer == "rmsprop":
        return TorchRMSprop(schedule, rho=0.9, epsilon=1e-8, name=name)
    return keras.optimizers.Adam(schedule, beta_1=0.9, beta_2=0.99, epsilon=1e-8, name=name)
