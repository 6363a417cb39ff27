"""The training step under TensorFlow: `Trainer.fit` trains the players of a system.

Nothing periodic happens here (see `callbacks.py`), and no file is touched.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from ifrp_tf.core.config import DataConfig
from ifrp_tf.core.errors import TrainingError
from ifrp_tf.core.types import Tensor
from ifrp_tf.data import pipeline_tf
from ifrp_tf.data.photos import PhotoSet
from ifrp_tf.systems.base import Player, Step, System
from ifrp_tf.training.workers import Workers


class Trainer(keras.Model):
    """The networks of a system, an optimizer for each of its players, and the average of what is released.

    Args:
        system: with its frozen networks loaded.
        workers: those that train together, if there are several.

    Attributes:
        networks: those being trained, by name.
        optimizers: built, by player; made by `compile`.
        average: exponential moving average of the released network, or None without `train.ema`.
        released: the network to use: the average, or the released network itself.
        step: int64 variable, steps done so far; the position in the data is a function of it alone.

    Example:
        >>> trainer = Trainer(create(config))
        >>> trainer.compile()
        >>> trainer.fit(batches, epochs=3, verbose=0)
    """

    def __init__(self, system: System, workers: Workers | None = None) -> None:
        super().__init__(name=f"{system.name}_trainer")
        self.system, self.config, self.workers = system, system.config, workers
        self.networks = system.build()
        trained = self.networks[system.released]
        self.average = system.build_released() if self.config.train.ema else None
        self.released = trained if self.average is None else self.average
        self.released.set_weights(trained.get_weights())
        self.views = {**self.networks, **system.views(self.networks)}
        if workers is not None:
            workers.join_norms(list(self.networks.values()))
        self.step = keras.Variable(0, dtype="int64", trainable=False, name="step")
        self.trackers = {name: keras.metrics.Mean(name=name) for name in system.metric_names()}

    def compile(self) -> None:
        """Makes and BUILDS the optimizers: unbuilt ones would silently lose their state on resume."""
        super().compile(optimizer=None, jit_compile=self.config.train.jit_compile)
        self.optimizers = {}
        for player in self.system.players:
            optimizer = self.system.optimizer(player)
            optimizer.build(self.variables_of(player))
            self.optimizers[player.name] = optimizer

    def variables_of(self, player: Player) -> list[keras.Variable]:
        """What a player updates."""
        return [v for name in player.networks for v in self.networks[name].trainable_variables]

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        """The running means, which Keras resets every epoch."""
        return list(self.trackers.values())

    def call(self, portraits: Tensor, training: bool = False) -> Tensor:
        """Recovers faces with the network to use."""
        return self.system.recover(self.released, portraits)

    def train_step(self, data: tuple[Tensor, ...]) -> dict[str, Tensor]:
        """One step: every player in its turn.

        Args:
            data: tensors in the order of `System.batch_names`; those at the end may be missing.
        """
        system, names = self.system, self.system.batch_names
        batch = dict(zip(names, [*data, *[None] * (len(names) - len(data))], strict=True))
        players = [player for player in system.players if player.terms]
        turn = next(k for k, player in enumerate(players) if not player.critic)
        main = players[turn]
        lost: dict[str, Tensor] = {}
        gates: dict[str, list[Tensor]] = {player.name: [] for player in players}
        with tf.GradientTape() as tape:
            outputs = system.forward(self.views, batch)
            detached = {name: tf.stop_gradient(value) for name, value in outputs.items()}
            with tape.stop_recording():
                for critic in players[:turn]:
                    self._train_critic(critic, batch, detached, lost, gates)
            loss, terms = main.loss(self._step(batch, outputs, without=main))
        reported = self._mean([loss, terms])
        self._train_main(main, tape, loss, gates[main.name])
        for critic in players[turn + 1 :]:
            self._train_critic(critic, batch, detached, lost, gates)
        self._update_average()
        self.step.assign_add(1)
        if len(players) > 1:
            for player in (*players[:turn], *players[turn + 1 :], main):
                lost[f"{player.name}_updates"] = tf.cast(_all(gates[player.name]), tf.float32)
        for name, value in {"loss": reported[0], **reported[1], **lost}.items():
            self.trackers[name].update_state(value)
        return {name: tracker.result() for name, tracker in self.trackers.items()}

    def _step(
        self, batch: Mapping[str, Tensor], outputs: Mapping[str, Tensor], without: Player | None = None
    ) -> Step:
        hidden = without.networks if without else ()
        networks = {name: view for name, view in self.views.items() if name not in hidden}
        return Step(batch, outputs, networks, self.step.value, _gradient)

    def _train_main(self, main: Player, tape: tf.GradientTape, loss: Tensor, gates: Sequence[Tensor]) -> None:
        variables = self.variables_of(main)
        gradients = tape.gradient(loss, variables)
        _check_connected(variables, gradients)
        gradients = self._mean(gradients)
        optimizer = self.optimizers[main.name]
        tf.cond(_all(gates), lambda: optimizer.apply(gradients, variables), lambda: None)

    def _train_critic(
        self,
        critic: Player,
        batch: Mapping[str, Tensor],
        outputs: Mapping[str, Tensor],
        lost: dict[str, Tensor],
        gates: Mapping[str, list[Tensor]],
    ) -> None:
        """Trains a critic once it has begun; adds its terms to `lost` and its verdicts to `gates`."""
        variables, optimizer = self.variables_of(critic), self.optimizers[critic.name]

        def train() -> tuple[list[Tensor], list[Tensor]]:
            with tf.GradientTape() as tape:
                loss, values = critic.loss(self._step(batch, outputs))
            values = self._mean(values)
            verdicts = self.system.gates(critic.name, values)
            allowed = [tf.convert_to_tensor(verdicts.get(name, True)) for name in gates]
            gradients = tape.gradient(loss, variables)
            _check_connected(variables, gradients)
            gradients = self._mean(gradients)
            # Skipping the call, not multiplying by zero, leaves the optimizer's moments alone.
            own = allowed[list(gates).index(critic.name)]
            tf.cond(own, lambda: optimizer.apply(gradients, variables), lambda: None)
            return [values[term.name] for term in critic.terms], allowed

        def wait() -> tuple[list[Tensor], list[Tensor]]:
            nothing = [tf.constant(0.0) for _ in critic.terms]
            return nothing, [tf.constant(name != critic.name) for name in gates]

        values, allowed = tf.cond(self.step.value >= critic.start, train, wait)
        for term, value in zip(critic.terms, values, strict=True):
            lost[f"{critic.name}_{term.name}"] = value
        for name, verdict in zip(gates, allowed, strict=True):
            gates[name].append(verdict)

    def _mean(self, values: Any) -> Any:
        return values if self.workers is None else self.workers.mean(values)

    def _update_average(self) -> None:
        if self.average is None:
            return
        step = tf.cast(self.step.value, tf.float32)
        # Short memory at first, so that the average is not held back by the random start.
        decay = tf.minimum(self.config.train.ema, (1.0 + step) / (10.0 + step))
        trained = self.networks[self.system.released]
        for average, current in zip(self.average.weights, trained.weights, strict=True):
            average.assign(average.value * decay + current.value * (1.0 - decay))

    def get_config(self) -> dict[str, Any]:
        """The configuration; the trainer itself is never saved as a Keras model."""
        return {"config": self.config.to_dict()}

    def set_step(self, step: int) -> None:
        """Takes variables as they are after restoring, and so many steps for done."""
        self.step.assign(step)

    def pull(self) -> None:
        """Nothing: the variables are always up to date here (`step_jax.Trainer.pull`)."""

    def train(self, training: Any, callbacks: Sequence[keras.callbacks.Callback]) -> None:
        """Trains from the trainer's step to the end of its budget.

        Args:
            training: photographs or prepared shards.
            callbacks: called after steps and epochs.
        """
        train = self.config.train
        for epochs, steps in _segments(int(self.step), train.steps, train.epoch_steps):
            batches = self.system.batches(training, int(self.step))
            if batches is None:
                batches = training_batches(training, self.config, int(self.step))
            if self.workers is not None:
                batches = self.workers.rows(batches)
            self.fit(
                batches,
                initial_epoch=epochs.start,
                epochs=epochs.stop,
                steps_per_epoch=steps,
                callbacks=list(callbacks),
                shuffle=False,
                verbose=0,
            )
            if self.stop_training:
                return


def training_batches(training: Any, config: Any, step: int = 0) -> tf.data.Dataset:
    """Endless batches from `step` on: of photographs, or of shards with portraits (`data/shards.py`)."""
    if isinstance(training, PhotoSet):
        return pipeline_tf.batches(training, config, step=step)
    return training.batches(config, step=step)


def fixed_portraits(
    photos: PhotoSet, config: DataConfig, styles: Sequence[str]
) -> tuple[np.ndarray, np.ndarray]:
    """Portraits that never change and their photographs, float32 [N, S, S, 3] in [-1, 1] each."""
    parts = list(pipeline_tf.fixed_portraits(photos, config, styles=styles).as_numpy_iterator())
    return np.stack([part[0] for part in parts]), np.stack([part[1] for part in parts])


def _all(gates: Sequence[Tensor]) -> Tensor:
    verdict = tf.convert_to_tensor(True)
    for gate in gates:
        verdict = tf.logical_and(verdict, gate)
    return verdict


def _gradient(function: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    x = tf.convert_to_tensor(x)
    with tf.GradientTape() as tape:
        tape.watch(x)
        total = tf.reduce_sum(function(x))
    return tape.gradient(total, x)


def _check_connected(variables: list[keras.Variable], gradients: list[Tensor]) -> None:
    missing = [v.path for v, gradient in zip(variables, gradients, strict=True) if gradient is None]
    if missing:
        raise TrainingError(
            f"Expected every variable of the players to get a gradient. Received none for {missing}.",
            hint="A part of the network is not connected to the loss.",
        )


def _segments(done: int, steps: int, epoch_steps: int) -> list[tuple[range, int]]:
    """(epochs, steps an epoch) from step `done` on: what is left of an epoch, whole ones, the last one."""
    segments = []
    while done < steps:
        epoch, within = divmod(done, epoch_steps)
        whole = (steps - done) // epoch_steps
        if within or not whole:
            left = min(epoch_steps - within, steps - done)
            segments.append((range(epoch, epoch + 1), left))
            done += left
        else:
            segments.append((range(epoch, epoch + whole), epoch_steps))
            done += whole * epoch_steps
    return segments
