"""pix2pix (Isola et al., CVPR 2017): L = adversarial + 100 L1, the critic conditioned on the portrait."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import keras

from ifrp_tf.core.types import Tensor
from ifrp_tf.nn import losses
from ifrp_tf.systems.base import Networks, Player, Step, System, Term
from ifrp_tf.systems.pix2pix.networks import build_critic, build_generator


class Pix2Pix(System):
    """A U-Net from portrait to photograph against a critic of patches."""

    name = "pix2pix"
    method = "the U-Net of pix2pix (Isola, Zhu, Zhou and Efros 2017), trained by\n`ifrp_tf`"
    released = "generator"

    def build(self) -> dict[str, keras.Model]:
        """`generator` and `critic`."""
        model, side = self.config.model, self.config.data.side
        return {
            "generator": build_generator(model, side=side),
            "critic": build_critic(model, side=side),
        }

    def build_released(self) -> keras.Model:
        """The generator."""
        return build_generator(self.config.model, side=self.config.data.side)

    def forward(self, networks: Networks, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Recovers the faces, dropout at work."""
        return {"recovered": networks["generator"](batch["portraits"], training=True)}

    @property
    def players(self) -> Sequence[Player]:
        """The critic, then the generator."""
        loss = self.config.loss
        critic = (
            Term("real", lambda step: self._critic_losses(step)[0], 0.5),
            Term("fake", lambda step: self._critic_losses(step)[1], 0.5),
        )
        generator = [
            Term(
                "pixel",
                lambda step: losses.pixel_loss(step.outputs["recovered"], step.batch["photos"], "l1"),
                loss.pixel,
                title="l1",
            )
        ]
        if loss.adversarial:
            generator.append(Term("adversarial", self._adversarial, loss.adversarial))
        return (
            Player("critic", ("critic",), critic if loss.adversarial else (), critic=True),
            Player("generator", ("generator",), tuple(generator)),
        )

    def optimizer(self, player: Player) -> keras.optimizers.Optimizer:
        """Adam with β1 = 0.5 and a constant rate, as in the paper's section 3.3."""
        rate = self.config.train.learning_rate
        return keras.optimizers.Adam(rate, beta_1=0.5, beta_2=0.999, name=f"{player.name}_optimizer")

    def architecture(self) -> str:
        """What the card says of the network."""
        model = self.config.model
        return f"pix2pix U-Net, width {model.width}, {model.normalization} norm, no alignment"

    def _critic_losses(self, step: Step) -> tuple[Tensor, Tensor]:
        """Cross-entropies on real and on recovered pairs, in separate passes because of the batch norm."""

        def both() -> tuple[Tensor, Tensor]:
            critic, portraits = step.networks["critic"], step.batch["portraits"]
            real = critic([portraits, step.batch["photos"]], training=True)
            fake = critic([portraits, step.outputs["recovered"]], training=True)
            return losses.discriminator_adversarial_losses(real, fake)

        return step.once("critic", both)

    def _adversarial(self, step: Step) -> Tensor:
        logits = step.networks["critic"]([step.batch["portraits"], step.outputs["recovered"]], training=True)
        return losses.generator_adversarial_loss(logits)


SYSTEM = Pix2Pix
