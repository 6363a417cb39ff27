"""The training step under TensorFlow: `IfrpTrainer.fit` trains the SRN against the DN.

Nothing periodic happens here (see `callbacks.py`), and no file is touched.
"""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from ifrp_tf.core.config import Config
from ifrp_tf.core.errors import TrainingError
from ifrp_tf.core.types import Tensor
from ifrp_tf.nn import losses
from ifrp_tf.nn.optimizers import build_optimizer
from ifrp_tf.systems.ifrp.networks import ALIGNMENT_LAYER, build_discriminator, build_srn
from ifrp_tf.systems.ifrp.objective import Objective


class IfrpTrainer(keras.Model):
    """SRN, DN, their optimizers and the moving average of the SRN, trained together.

    Args:
        config: the whole configuration.
        identity_network: from `objective.build_identity_network`, or None.

    Attributes:
        srn: style removal network being trained.
        srn_average: the network to use: the exponential moving average of `srn`, or `srn` itself.
        dn: discriminative network.
        step: int64 variable, steps done so far; the position in the data is a function of it alone.

    Example:
        >>> trainer = IfrpTrainer(config, None)
        >>> trainer.compile()
        >>> trainer.fit(batches, epochs=3, verbose=0)
    """

    def __init__(self, config: Config, identity_network: keras.Model | None) -> None:
        super().__init__(name="ifrp_trainer")
        self.config = config
        side = config.data.side
        self.srn = build_srn(config.model, side=side)
        self.dn = build_discriminator(config.model, side=side)
        self.srn_average = build_srn(config.model, side=side) if config.train.ema else self.srn
        self.srn_average.set_weights(self.srn.get_weights())
        self.objective = Objective(config, identity_network)
        self.has_alignment = "alignment" in self.objective.term_names
        inner = self.srn.get_layer(ALIGNMENT_LAYER).output if self.has_alignment else self.srn.output
        self._srn_view = keras.Model(self.srn.input, [self.srn.output, inner])
        self.step = keras.Variable(0, dtype="int64", trainable=False, name="step")
        adversarial = ["adversarial", "dn_real", "dn_fake", "dn_updates", "srn_updates"]
        names = ["loss", *self.objective.term_names, *(adversarial if config.loss.adversarial else [])]
        self.trackers = {name: keras.metrics.Mean(name=name) for name in names}

    def compile(self) -> None:
        """Makes and BUILDS both optimizers: unbuilt ones would silently lose their state on resume."""
        super().compile(optimizer=None, jit_compile=self.config.train.jit_compile)
        self.srn_optimizer = build_optimizer(self.config.train, "srn_optimizer")
        self.dn_optimizer = build_optimizer(self.config.train, "dn_optimizer")
        self.srn_optimizer.build(self.srn.trainable_variables)
        self.dn_optimizer.build(self.dn.trainable_variables)

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        """The running means, which Keras resets every epoch."""
        return list(self.trackers.values())

    def call(self, portraits: Tensor, training: bool = False) -> Tensor:
        """Recovers faces with the network to use."""
        return self.srn_average(portraits, training=training)

    def train_step(self, data: tuple[Tensor, ...]) -> dict[str, Tensor]:
        """One step of alternating training (journal section 3; authors' order: DN, then SRN).

        Args:
            data: `(portraits, photos)` or `(portraits, photos, transforms that undo the misalignment)`,
                float32 [N, S, S, 3] in [-1, 1].
        """
        portraits, photos, *rest = data
        values: dict[str, Tensor] = {}
        with tf.GradientTape() as tape:
            # 1. Recover the faces.
            recovered, transforms = self._srn_view(portraits, training=True)
            # 2. Train the DN to tell photographs from recovered faces.
            gate: Tensor = True
            if self.config.loss.adversarial:
                with tape.stop_recording():
                    gate = self._discriminator_step(photos, tf.stop_gradient(recovered), values)
            # 3. Pixel, identity and our optional terms.
            terms = self.objective.terms(recovered, photos, transforms, rest[0] if rest else None)
            # 4. The adversarial term, against the DN just trained.
            if self.config.loss.adversarial:
                terms["adversarial"] = self._adversarial_term(recovered)
            loss = self.objective.total(terms, self.step.value)
        # 5. Update the SRN, unless it is to wait for the DN.
        variables = self.srn.trainable_variables
        gradients = tape.gradient(loss, variables)
        _check_connected(variables, gradients)
        tf.cond(tf.convert_to_tensor(gate), lambda: self._update_srn(gradients), lambda: None)
        # 6. Follow with the moving average, count, report.
        self._update_average()
        self.step.assign_add(1)
        for name, value in {"loss": loss, **terms, **values}.items():
            self.trackers[name].update_state(value)
        return {name: tracker.result() for name, tracker in self.trackers.items()}

    def _update_srn(self, gradients: list[Tensor]) -> None:
        self.srn_optimizer.apply(gradients, self.srn.trainable_variables)

    def _adversarial_term(self, recovered: Tensor) -> Tensor:
        kind = self.config.loss.adversarial_kind
        return tf.cond(
            self.step.value >= self.config.loss.adversarial_start,
            lambda: losses.generator_adversarial_loss(self.dn(recovered, training=True), kind),
            lambda: tf.constant(0.0),
        )

    def _discriminator_step(self, photos: Tensor, recovered: Tensor, values: dict[str, Tensor]) -> Tensor:
        """Trains the DN once adversarial training has begun; returns whether the SRN is to be updated."""
        started = self.step.value >= self.config.loss.adversarial_start
        zero, one = tf.constant(0.0), tf.constant(1.0)
        real, fake, dn_updates, srn_updates = tf.cond(
            started,
            lambda: self._train_discriminator(photos, recovered),
            lambda: (zero, zero, zero, one),
        )
        values.update(dn_real=real, dn_fake=fake, dn_updates=dn_updates, srn_updates=srn_updates)
        return srn_updates > 0.5

    def _train_discriminator(self, photos: Tensor, recovered: Tensor) -> tuple[Tensor, ...]:
        loss = self.config.loss
        with tf.GradientTape() as tape:
            # Separate passes: in one batch, batch norm would leak which half a picture is from.
            real, fake = losses.discriminator_adversarial_losses(
                self.dn(photos, training=True), self.dn(recovered, training=True), loss.adversarial_kind
            )
            dn_loss = (real + fake) / 2
        gate_dn, gate_srn = losses.margin_gates(real, fake) if loss.margin_gate else (True, True)
        gate_dn, gate_srn = tf.convert_to_tensor(gate_dn), tf.convert_to_tensor(gate_srn)
        variables = self.dn.trainable_variables
        gradients = tape.gradient(dn_loss, variables)
        # Skipping the call, not multiplying by zero, leaves the optimizer's moments alone.
        tf.cond(gate_dn, lambda: self.dn_optimizer.apply(gradients, variables), lambda: None)
        return real, fake, tf.cast(gate_dn, tf.float32), tf.cast(gate_srn, tf.float32)

    def _update_average(self) -> None:
        if not self.config.train.ema:
            return
        step = tf.cast(self.step.value, tf.float32)
        # Short memory at first, so that the average is not held back by the random start.
        decay = tf.minimum(self.config.train.ema, (1.0 + step) / (10.0 + step))
        for average, current in zip(self.srn_average.weights, self.srn.weights, strict=True):
            average.assign(average.value * decay + current.value * (1.0 - decay))

    def get_config(self) -> dict[str, Any]:
        """The configuration; the trainer itself is never saved as a Keras model."""
        return {"config": self.config.to_dict()}


def _check_connected(variables: list[keras.Variable], gradients: list[Tensor]) -> None:
    missing = [v.path for v, gradient in zip(variables, gradients, strict=True) if gradient is None]
    if missing:
        raise TrainingError(
            f"Expected every variable of the SRN to get a gradient. Received none for {missing}.",
            hint="A part of the network is not connected to the loss.",
        )
