"""Markovian GAN (Li and Wand, ECCV 2016), trained on pairs of portraits and photographs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import keras
from keras import ops

from ifrp_tf.core.types import Tensor
from ifrp_tf.nn import losses
from ifrp_tf.nn.features import networks as features
from ifrp_tf.systems.base import Networks, Player, Step, System, Term
from ifrp_tf.systems.mgan.networks import build_critic, build_generator


class Mgan(System):
    """A decoder of VGG features against a critic of VGG patches."""

    name = "mgan"
    method = "the decoder of a Markovian GAN (Li and Wand 2016), trained by\n`ifrp_tf`"
    released = "generator"

    def __init__(self, config: object) -> None:
        super().__init__(config)  # type: ignore[arg-type]
        self._weights: str | None = None
        self._seen: keras.Model | None = None

    def load_frozen(self, weights: str) -> None:
        """Reads VGG-19: the encoder and what the critic sees."""
        self._weights = weights or None
        self._seen = self._maps(self._weights)

    def _maps(self, weights: str | None) -> keras.Model:
        return features.vgg19(weights, outputs=(self.config.model.critic_layer,), side=self.config.data.side)

    def build(self) -> dict[str, keras.Model]:
        """`generator`, its encoder frozen, and `critic`."""
        model, side = self.config.model, self.config.data.side
        maps = (self._seen or self._maps(None)).output.shape
        return {
            "generator": build_generator(model, side=side, weights=self._weights),
            "critic": build_critic(model, side=maps[1], channels=maps[3]),
        }

    def build_released(self) -> keras.Model:
        """The generator; its encoder is among its weights."""
        return build_generator(self.config.model, side=self.config.data.side)

    def forward(self, networks: Networks, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Recovers the faces."""
        return {"recovered": networks["generator"](batch["portraits"], training=True)}

    @property
    def players(self) -> Sequence[Player]:
        """The critic, then the decoder."""
        loss = self.config.loss
        critic = (
            Term("real", lambda step: self._critic_losses(step)[0]),
            Term("fake", lambda step: self._critic_losses(step)[1]),
        )
        terms = [
            Term(
                "pixel",
                lambda step: losses.pixel_loss(step.outputs["recovered"], step.batch["photos"], "l2"),
                loss.pixel,
                title="l2",
            )
        ]
        if loss.adversarial:
            terms.append(Term("adversarial", self._adversarial, loss.adversarial))
        return (
            Player("critic", ("critic",), critic if loss.adversarial else (), critic=True),
            Player("generator", ("generator",), tuple(terms)),
        )

    def optimizer(self, player: Player) -> keras.optimizers.Optimizer:
        """Adam with β1 = 0.5 and a constant rate (the authors' .02 diverges with this initialisation)."""
        rate = self.config.train.learning_rate
        return keras.optimizers.Adam(rate, beta_1=0.5, name=f"{player.name}_optimizer")

    def architecture(self) -> str:
        """What the card says of the network."""
        model = self.config.model
        return f"MGAN, decoder of VGG-19 relu3_4, width {model.width}, batch norm, no alignment"

    def _scores(self, step: Step, pictures: Tensor) -> Tensor:
        assert self._seen is not None, "load_frozen comes first"
        return step.networks["critic"](self._seen(pictures, training=False) / 255.0, training=True)

    def _critic_losses(self, step: Step) -> tuple[Tensor, Tensor]:
        """The hinge losses on photographs and on recovered faces."""

        def both() -> tuple[Tensor, Tensor]:
            real, fake = (
                self._scores(step, pictures) for pictures in (step.batch["photos"], step.outputs["recovered"])
            )
            return losses.discriminator_adversarial_losses(real, fake, "hinge")

        return step.once("critic", both)

    def _adversarial(self, step: Step) -> Tensor:
        """max(0, 1 - score) on recovered patches, as in the authors' code."""
        return ops.mean(ops.relu(1.0 - self._scores(step, step.outputs["recovered"])))


SYSTEM = Mgan
