"""The training step under JAX: one jitted function from state to state, photographs on the device.

With several devices in the process each has its rows of every batch, and everything else as a whole: means
over a batch, such as those of batch norms, are those of the whole batch, whoever computes them.

`KERAS_BACKEND=jax python tools/train.py ...` trains the same systems with the same losses and writes the same
run folder as TensorFlow does; checkpoints are interchangeable. TensorFlow is not imported.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import keras
import numpy as np
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from ifrp_tf.core.config import DataConfig
from ifrp_tf.core.errors import ConfigError
from ifrp_tf.core.types import Tensor
from ifrp_tf.data import foreign, pipeline_jax
from ifrp_tf.data.foreign import ForeignPortraits
from ifrp_tf.data.photos import PhotoSet
from ifrp_tf.styles import sets
from ifrp_tf.systems.base import Player, Step, System

LOG_STEPS = 25
"""Steps between two looks at the losses: a look waits for the device."""


class State(NamedTuple):
    """Everything a step changes, as lists of arrays in the order of the Keras variables.

    Attributes:
        trained: trainable variables by network.
        moving: other variables by network, such as the statistics of batch norms.
        average: of the released network: the trainable variables, then the others.
        optimizers: by player.
        step: int32 scalar.
    """

    trained: dict[str, list[Tensor]]
    moving: dict[str, list[Tensor]]
    average: list[Tensor]
    optimizers: dict[str, list[Tensor]]
    step: Tensor


class _Network:
    """A network to be called inside a pure function: it takes its variables from there, and keeps updates."""

    def __init__(self, view: keras.Model, trained: list[Tensor], moving: list[Tensor]) -> None:
        self.view, self.trained, self.moving = view, trained, moving

    def __call__(self, inputs: Any, training: bool = False) -> Any:
        outputs, self.moving = self.view.stateless_call(self.trained, self.moving, inputs, training=training)
        return outputs


class _Unchanged(_Network):
    """A network whose moving statistics stay as they are: it is another player's to train."""

    def __call__(self, inputs: Any, training: bool = False) -> Any:
        return self.view.stateless_call(self.trained, self.moving, inputs, training=training)[0]


class Trainer:
    """The networks of a system, an optimizer for each of its players, and the average: as `step_tf.Trainer`.

    Args:
        system: with its frozen networks loaded.

    Attributes:
        networks, average, released, optimizers: Keras objects; `pull` brings their variables up to date with
            the state on the device.
        state: the training state.
        foreign: portraits by other networks to train on as well, or None.
    """

    foreign: ForeignPortraits | None = None

    def __init__(self, system: System) -> None:
        self.system, self.config = system, system.config
        self.networks = system.build()
        trained = self.networks[system.released]
        self.average = system.build_released() if self.config.train.ema else None
        self.released = trained if self.average is None else self.average
        self.released.set_weights(trained.get_weights())
        self.views = {**self.networks, **system.views(self.networks)}
        self.optimizers = {}
        for player in system.players:
            optimizer = system.optimizer(player)
            optimizer.build([v for name in player.networks for v in self.views[name].trainable_variables])
            self.optimizers[player.name] = optimizer
        self.stop_training = False
        self.set_step(0)

    @property
    def step(self) -> int:
        """Steps done so far."""
        return int(self.state.step)

    def set_step(self, step: int) -> None:
        """Takes the state from the Keras variables, after restoring a checkpoint, and sets the step."""

        def arrays(variables: Sequence[Any]) -> list[Tensor]:
            return [jnp.array(variable.value) for variable in variables]

        self.state = State(
            {name: arrays(view.trainable_variables) for name, view in self.views.items()},
            {name: arrays(view.non_trainable_variables) for name, view in self.views.items()},
            arrays(self._averaged()),
            {name: arrays(optimizer.variables) for name, optimizer in self.optimizers.items()},
            jnp.int32(step),
        )

    def pull(self) -> None:
        """Writes the state back into the Keras variables, for checkpoints and validation."""
        pairs: list[tuple[Sequence[Any], list[Tensor]]] = [(self._averaged(), self.state.average)]
        for name, view in self.views.items():
            pairs.append((view.trainable_variables, self.state.trained[name]))
            pairs.append((view.non_trainable_variables, self.state.moving[name]))
        for name, optimizer in self.optimizers.items():
            pairs.append((optimizer.variables, self.state.optimizers[name]))
        for variables, values in pairs:
            for variable, value in zip(variables, values, strict=True):
                # A copy, of one device: the next step gives its buffers away.
                variable.assign(jnp.array(value.addressable_data(0)))

    def _averaged(self) -> list[Any]:
        """The average's variables in the order of the view's: paths are the same, the order need not be."""
        if self.average is None:
            return []
        by_path = {variable.path: variable for variable in self.average.weights}
        view = self.views[self.system.released]
        return [by_path[v.path] for v in (*view.trainable_variables, *view.non_trainable_variables)]

    @functools.cached_property
    def mesh(self) -> Mesh:
        """The devices of this process, or as many of them as share a batch without a rest."""
        devices, groups = jax.local_devices(), self.config.train.batch_size // self.config.data.group
        count = next(count for count in range(len(devices), 0, -1) if groups % count == 0)
        return Mesh(np.array(devices[:count]), (pipeline_jax.ROWS,))

    @functools.cached_property
    def train_on_batch(self) -> Any:
        """Jitted `(state, batch) -> (state, scalars)`, the batch in the order of `System.batch_names`."""
        return jax.jit(self._train_on_batch, donate_argnums=0)

    @functools.cached_property
    def train_on_photos(self) -> Any:
        """Jitted `(state, uint8 [M, S, S, 3]) -> (state, scalars)`: makes its own batch from the step.

        Foreign portraits, where the configuration names them, are those of `foreign`, to be set before.
        """
        names = sets.of(self.config.data)

        mesh = self.mesh

        def train(state: State, pixels: Tensor) -> tuple[State, dict[str, Tensor]]:
            batch = pipeline_jax.make_batch(state.step, pixels, self.config, names, self.foreign, mesh)
            state, values = self._train_on_batch(state, batch)
            return jax.lax.with_sharding_constraint((state, values), NamedSharding(mesh, P()))

        return jax.jit(train, donate_argnums=0)

    def _train_on_batch(self, state: State, data: tuple[Tensor, ...]) -> tuple[State, dict[str, Tensor]]:
        """One step, as in `step_tf.Trainer.train_step`."""
        system = self.system
        batch = dict(zip(system.batch_names, data, strict=True))
        players = [player for player in system.players if player.terms]
        turn = next(k for k, player in enumerate(players) if not player.critic)
        main = players[turn]
        # The forward pass, keeping the way back for the gradient.
        trained = {name: state.trained[name] for name in main.networks}
        outputs, way_back, moving = jax.vjp(
            lambda trained: self._forward(state, trained, batch), trained, has_aux=True
        )
        state = state._replace(moving={**state.moving, **moving})
        lost: dict[str, Tensor] = {}
        gates: dict[str, Tensor] = {player.name: jnp.bool_(True) for player in players}
        for critic in players[:turn]:
            state = self._train_critic(critic, state, batch, outputs, lost, gates)

        # All terms of the main player, and their gradient at the outputs.
        def loss(outputs: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
            return main.loss(self._step(state, batch, outputs, without=main))

        (total, terms), at_outputs = jax.value_and_grad(loss, has_aux=True)(outputs)
        (gradients,) = way_back(at_outputs)
        state = self._update(state, main, gradients, gates[main.name])
        for critic in players[turn + 1 :]:
            state = self._train_critic(critic, state, batch, outputs, lost, gates)
        state = state._replace(average=self._follow(state), step=state.step + 1)
        if len(players) > 1:
            lost.update({f"{name}_updates": jnp.float32(gate) for name, gate in gates.items()})
        return state, {"loss": total, **terms, **lost}

    def _forward(
        self, state: State, trained: dict[str, list[Tensor]], batch: Mapping[str, Tensor]
    ) -> tuple[dict[str, Tensor], dict[str, list[Tensor]]]:
        networks: dict[str, _Network] = {
            name: _Network(view, trained[name], state.moving[name])
            if name in trained
            else _Unchanged(view, state.trained[name], state.moving[name])
            for name, view in self.views.items()
        }
        outputs = self.system.forward(networks, batch)
        return outputs, {name: networks[name].moving for name in trained}

    def _step(
        self, state: State, batch: Mapping[str, Tensor], outputs: Mapping[str, Tensor], without: Player
    ) -> Step:
        networks = {
            name: _Unchanged(view, state.trained[name], state.moving[name])
            for name, view in self.views.items()
            if name not in without.networks
        }
        return Step(batch, outputs, networks, state.step, _gradient)

    def _update(self, state: State, player: Player, gradients: Any, gate: Tensor) -> State:
        """Applies a player's optimizer, unless it is to wait."""
        flat = [value for name in player.networks for value in gradients[name]]
        current = [value for name in player.networks for value in state.trained[name]]
        moments = state.optimizers[player.name]
        updated = self.optimizers[player.name].stateless_apply(moments, flat, current)
        values, moments = _choose(gate, updated, (current, moments))
        trained, rest = dict(state.trained), list(values)
        for name in player.networks:
            count = len(state.trained[name])
            trained[name], rest = rest[:count], rest[count:]
        optimizers = {**state.optimizers, player.name: moments}
        return state._replace(trained=trained, optimizers=optimizers)

    def _train_critic(
        self,
        critic: Player,
        state: State,
        batch: Mapping[str, Tensor],
        outputs: Mapping[str, Tensor],
        lost: dict[str, Tensor],
        gates: dict[str, Tensor],
    ) -> State:
        """Trains a critic once it has begun; adds its terms to `lost` and its verdicts to `gates`."""
        own = {name: state.trained[name] for name in critic.networks}

        def loss(trained: dict[str, list[Tensor]]) -> tuple[Tensor, Any]:
            step = self._step(state, batch, outputs, without=critic)
            networks = {
                name: _Network(self.views[name], trained[name], state.moving[name]) for name in trained
            }
            step = Step(batch, outputs, {**step.networks, **networks}, state.step, _gradient)
            total, values = critic.loss(step)
            return total, (values, {name: network.moving for name, network in networks.items()})

        def train(state: State) -> tuple[State, list[Tensor], dict[str, Tensor]]:
            (_, (values, moving)), gradients = jax.value_and_grad(loss, has_aux=True)(own)
            verdicts = self.system.gates(critic.name, values)
            allowed = {name: jnp.bool_(verdicts.get(name, True)) for name in gates}
            state = state._replace(moving={**state.moving, **moving})
            return (
                self._update(state, critic, gradients, allowed[critic.name]),
                [values[term.name] for term in critic.terms],  # JAX sorts a dictionary
                allowed,
            )

        def wait(state: State) -> tuple[State, list[Tensor], dict[str, Tensor]]:
            nothing = [jnp.float32(0.0) for _ in critic.terms]
            return state, nothing, {name: jnp.bool_(name != critic.name) for name in gates}

        state, values, allowed = jax.lax.cond(state.step >= critic.start, train, wait, state)
        for term, value in zip(critic.terms, values, strict=True):
            lost[f"{critic.name}_{term.name}"] = value
        for name in gates:
            gates[name] = jnp.logical_and(gates[name], allowed[name])
        return state

    def _follow(self, state: State) -> list[Tensor]:
        step, name = jnp.float32(state.step), self.system.released
        decay = jnp.minimum(self.config.train.ema, (1.0 + step) / (10.0 + step))
        current = [*state.trained[name], *state.moving[name]]
        return [a * decay + c * (1.0 - decay) for a, c in zip(state.average, current, strict=False)]

    def train(self, training: PhotoSet, callbacks: Sequence[keras.callbacks.Callback]) -> None:
        """Trains from the trainer's step to the end of its budget.

        Args:
            training: photographs.
            callbacks: called after epochs and after every `LOG_STEPS` steps.

        Raises:
            ConfigError: the system makes batches of its own, which needs TensorFlow.
        """
        if type(self.system).batches is not System.batches:
            raise ConfigError(
                f"Expected the TensorFlow backend for the system {self.system.name}. Received: JAX.",
                hint="Unset KERAS_BACKEND.",
            )
        train = self.config.train
        pixels = jax.device_put(np.ascontiguousarray(training.pixels), NamedSharding(self.mesh, P()))
        self.state = jax.device_put(self.state, NamedSharding(self.mesh, P()))
        if self.mesh.size > 1:
            logging.info("%d devices share each batch", self.mesh.size)
        self.foreign = foreign.load(self.config.data, training)
        step = self.step
        for callback in callbacks:
            callback.set_model(self)
        pending: list[dict[str, Any]] = []
        epoch: list[dict[str, float]] = []
        while step < train.steps and not self.stop_training:
            self.state, values = self.train_on_photos(self.state, pixels)
            pending.append(values)
            step += 1
            ends = step % train.epoch_steps == 0 or step == train.steps
            if ends or step % LOG_STEPS == 0:
                epoch.extend({k: float(v) for k, v in row.items()} for row in jax.device_get(pending))
                pending = []
                logs = {name: float(np.mean([row[name] for row in epoch])) for name in epoch[0]}
                for callback in callbacks:
                    callback.on_train_batch_end(step, logs)
                if ends:
                    for callback in callbacks:
                        callback.on_epoch_end((step - 1) // train.epoch_steps, logs)
                    epoch = []


def fixed_portraits(
    photos: PhotoSet, config: DataConfig, styles: Sequence[str]
) -> tuple[np.ndarray, np.ndarray]:
    """Portraits that never change and their photographs, float32 [N, S, S, 3] in [-1, 1] each."""
    return pipeline_jax.fixed_portraits(photos, config, styles=styles)


def _gradient(function: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    return jax.grad(lambda x: jnp.sum(function(x)))(x)


def _choose(gate: Tensor, yes: Any, no: Any) -> Any:
    return jax.tree.map(lambda a, b: jnp.where(gate, a, b), yes, no)
