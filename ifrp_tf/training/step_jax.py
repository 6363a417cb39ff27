"""The training step under JAX: one jitted function from state to state, photographs on the device.

`KERAS_BACKEND=jax python tools/train.py ...` trains the same networks with the same losses and writes the
same run folder as TensorFlow does; checkpoints are interchangeable. TensorFlow is not imported.
"""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import keras

from ifrp_tf.core.config import Config
from ifrp_tf.core.types import Tensor
from ifrp_tf.data.pipeline_jax import make_batch
from ifrp_tf.nn import losses
from ifrp_tf.nn.optimizers import build_optimizer
from ifrp_tf.styles import sets
from ifrp_tf.systems.ifrp.networks import ALIGNMENT_LAYER, build_discriminator, build_srn
from ifrp_tf.systems.ifrp.objective import Objective


class State(NamedTuple):
    """Everything a step changes, as lists of arrays in the order of the Keras variables."""

    srn: list[Tensor]
    srn_moving: list[Tensor]
    average: list[Tensor]
    dn: list[Tensor]
    dn_moving: list[Tensor]
    srn_optimizer: list[Tensor]
    dn_optimizer: list[Tensor]
    step: Tensor


class JaxTrainer:
    """SRN, DN, their optimizers and the moving average of the SRN, like `trainer.IfrpTrainer`.

    Args:
        config: the whole configuration.
        identity_network: from `objective.build_identity_network`, or None.

    Attributes:
        srn, srn_average, dn, srn_optimizer, dn_optimizer: Keras objects; `pull` brings their variables up to
            date with the state on the device.
        state: the training state.
    """

    def __init__(self, config: Config, identity_network: keras.Model | None) -> None:
        self.config, side = config, config.data.side
        self.srn = build_srn(config.model, side=side)
        self.dn = build_discriminator(config.model, side=side)
        self.srn_average = build_srn(config.model, side=side) if config.train.ema else self.srn
        self.srn_average.set_weights(self.srn.get_weights())
        self.objective = Objective(config, identity_network)
        aligned = "alignment" in self.objective.term_names
        inner = self.srn.get_layer(ALIGNMENT_LAYER).output if aligned else self.srn.output
        self.view = keras.Model(self.srn.input, [self.srn.output, inner])
        self.srn_optimizer = build_optimizer(config.train, "srn_optimizer")
        self.dn_optimizer = build_optimizer(config.train, "dn_optimizer")
        self.srn_optimizer.build(self.view.trainable_variables)
        self.dn_optimizer.build(self.dn.trainable_variables)
        # The average's variables in the order of the view's: paths are the same, the order need not be.
        by_path = {variable.path: variable for variable in self.srn_average.weights}
        followed = self.view.trainable_variables + self.view.non_trainable_variables
        self._average = [by_path[variable.path] for variable in followed]
        self.stop_training = False
        self.push(0)

    @property
    def step(self) -> int:
        """Steps done so far."""
        return int(self.state.step)

    def push(self, step: int) -> None:
        """Takes the state from the Keras variables (after restoring a checkpoint) and sets the step."""
        groups: list[Any] = [[jnp.array(v.value) for v in group] for group in self._variables()]
        self.state = State(*groups, jnp.int32(step))  # type: ignore[call-arg]

    def pull(self) -> None:
        """Writes the state back into the Keras variables, for checkpoints and validation."""
        for group, values in zip(self._variables(), self.state[:-1], strict=True):
            for variable, value in zip(group, values, strict=True):
                variable.assign(jnp.array(value))  # a copy: the next step gives its buffers away

    def _variables(self) -> list[list[Any]]:
        return [
            self.view.trainable_variables,
            self.view.non_trainable_variables,
            self._average if self.config.train.ema else [],
            self.dn.trainable_variables,
            self.dn.non_trainable_variables,
            list(self.srn_optimizer.variables),
            list(self.dn_optimizer.variables),
        ]

    @functools.cached_property
    def train_on_batch(self) -> Any:
        """Jitted `(state, (portraits, photos, transforms)) -> (state, scalars)`."""
        return jax.jit(self._train_on_batch, donate_argnums=0)

    @functools.cached_property
    def train_on_photos(self) -> Any:
        """Jitted `(state, uint8 [M, S, S, 3]) -> (state, scalars)`: makes its own batch from the step."""
        names = sets.of(self.config.data)

        def train(state: State, pixels: Tensor) -> tuple[State, dict[str, Tensor]]:
            return self._train_on_batch(state, make_batch(state.step, pixels, self.config, names))

        return jax.jit(train, donate_argnums=0)

    def _train_on_batch(self, state: State, batch: tuple[Tensor, ...]) -> tuple[State, dict[str, Tensor]]:
        """One step of alternating training, numbered as in `trainer.IfrpTrainer.train_step`."""
        inputs, photos, known = batch
        loss = self.config.loss

        def recover(srn: list[Tensor]) -> tuple[tuple[Tensor, Tensor], list[Tensor]]:
            (recovered, transforms), moving = self.view.stateless_call(
                srn, state.srn_moving, inputs, training=True
            )
            return (recovered, transforms), moving

        # 1. Recover the faces, keeping the way back for the gradient.
        (recovered, transforms), way_back, moving = jax.vjp(recover, state.srn, has_aux=True)
        state = state._replace(srn_moving=moving)
        # 2. Train the DN.
        values: dict[str, Tensor] = {}
        gate = jnp.bool_(True)
        started = state.step >= loss.adversarial_start
        if loss.adversarial:
            state, values, gate = self._discriminator_step(state, photos, recovered, started)

        # 3. and 4. All terms, and their gradient at the recovered faces.
        def total(recovered: Tensor, transforms: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
            terms = self.objective.terms(recovered, photos, transforms, known)
            if loss.adversarial:
                terms["adversarial"] = self._adversarial_term(state, recovered, started)
            return self.objective.total(terms, state.step), terms

        gradient = jax.value_and_grad(total, argnums=(0, 1), has_aux=True)
        (value, terms), at_outputs = gradient(recovered, transforms)
        (gradients,) = way_back(at_outputs)
        # 5. Update the SRN, unless it is to wait for the DN.
        srn, optimizer = self.srn_optimizer.stateless_apply(state.srn_optimizer, gradients, state.srn)
        srn, optimizer = _choose(gate, (srn, optimizer), (state.srn, state.srn_optimizer))
        state = state._replace(srn=srn, srn_optimizer=optimizer)
        # 6. Follow with the moving average, count, report.
        state = state._replace(average=self._follow(state), step=state.step + 1)
        return state, {"loss": value, **terms, **values}

    def _adversarial_term(self, state: State, recovered: Tensor, started: Tensor) -> Tensor:
        def term(recovered: Tensor) -> Tensor:
            logits, _ = self.dn.stateless_call(state.dn, state.dn_moving, recovered, training=True)
            return losses.generator_adversarial_loss(logits, self.config.loss.adversarial_kind)

        return jax.lax.cond(started, term, lambda _: jnp.float32(0.0), recovered)

    def _discriminator_step(
        self, state: State, photos: Tensor, recovered: Tensor, started: Tensor
    ) -> tuple[State, dict[str, Tensor], Tensor]:
        loss = self.config.loss

        def objective(dn: list[Tensor], moving: list[Tensor]) -> tuple[Tensor, Any]:
            real_logits, moving = self.dn.stateless_call(dn, moving, photos, training=True)
            fake_logits, moving = self.dn.stateless_call(dn, moving, recovered, training=True)
            real, fake = losses.discriminator_adversarial_losses(
                real_logits, fake_logits, loss.adversarial_kind
            )
            return (real + fake) / 2, (real, fake, moving)

        def train(parts: tuple[Any, ...]) -> tuple[Any, ...]:
            dn, moving, optimizer = parts
            (_, (real, fake, moving)), gradients = jax.value_and_grad(objective, has_aux=True)(dn, moving)
            gate_dn, gate_srn = losses.margin_gates(real, fake) if loss.margin_gate else (True, True)
            updated = self.dn_optimizer.stateless_apply(optimizer, gradients, dn)
            dn, optimizer = _choose(jnp.bool_(gate_dn), updated, (dn, optimizer))
            return dn, moving, optimizer, real, fake, jnp.float32(gate_dn), jnp.float32(gate_srn)

        def wait(parts: tuple[Any, ...]) -> tuple[Any, ...]:
            return *parts, *map(jnp.float32, (0.0, 0.0, 0.0, 1.0))

        dn, moving, optimizer, *scalars = jax.lax.cond(
            started, train, wait, (state.dn, state.dn_moving, state.dn_optimizer)
        )
        values = dict(zip(("dn_real", "dn_fake", "dn_updates", "srn_updates"), scalars, strict=True))
        state = state._replace(dn=dn, dn_moving=moving, dn_optimizer=optimizer)
        return state, values, values["srn_updates"] > 0.5

    def _follow(self, state: State) -> list[Tensor]:
        step = jnp.float32(state.step)
        decay = jnp.minimum(self.config.train.ema, (1.0 + step) / (10.0 + step))
        current = [*state.srn, *state.srn_moving]
        return [a * decay + c * (1.0 - decay) for a, c in zip(state.average, current, strict=False)]


def _choose(gate: Tensor, yes: Any, no: Any) -> Any:
    return jax.tree.map(lambda a, b: jnp.where(gate, a, b), yes, no)
