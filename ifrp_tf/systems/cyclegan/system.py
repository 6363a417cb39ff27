"""CycleGAN (Zhu et al., ICCV 2017): there and back again, judged by a critic on either side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import keras
from keras import ops

from ifrp_tf.core.types import Tensor
from ifrp_tf.nn import losses
from ifrp_tf.systems.base import Networks, Player, Step, System, Term
from ifrp_tf.systems.cyclegan.networks import build_critic, build_generator, build_pool

SIDES = ("photo", "portrait")


class CycleGan(System):
    """Two generators, portrait to photograph (released) and back, from unpaired pictures."""

    name = "cyclegan"
    method = "the residual generator of CycleGAN (Zhu, Park, Isola and Efros 2017), trained by\n`ifrp_tf`"
    released = "generator"

    def build(self) -> dict[str, keras.Model]:
        """`generator`, `inverse`, and a critic and a pool of earlier pictures for either side."""
        model, side = self.config.model, self.config.data.side
        networks = {name: build_generator(model, side=side, name=name) for name in ("generator", "inverse")}
        for kind in SIDES:
            networks[f"{kind}_critic"] = build_critic(model, side=side, name=f"{kind}_critic")
            networks[f"{kind}_pool"] = build_pool(model, side=side, name=f"{kind}_pool")
        return networks

    def build_released(self) -> keras.Model:
        """The generator of photographs."""
        return build_generator(self.config.model, side=self.config.data.side)

    def forward(self, networks: Networks, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Recovered faces, painted photographs, and both back again.

        The photographs are those of the neighbours in the batch: no network ever sees a pair.
        """
        portraits = batch["portraits"]
        photos = ops.roll(batch["photos"], self._apart, axis=0)
        recovered = networks["generator"](portraits, training=True)
        painted = networks["inverse"](photos, training=True)
        outputs = {
            "photos": photos,
            "recovered": recovered,
            "painted": painted,
            "portraits_again": networks["inverse"](recovered, training=True),
            "photos_again": networks["generator"](painted, training=True),
        }
        if self.config.loss.identity:
            outputs["photos_kept"] = networks["generator"](photos, training=True)
            outputs["portraits_kept"] = networks["inverse"](portraits, training=True)
        return outputs

    @property
    def _apart(self) -> int:
        """A shift by which no photograph meets its own portrait, nor one of the same group."""
        return max(1, self.config.train.batch_size // 2)

    @property
    def players(self) -> Sequence[Player]:
        """The two generators together, then the critics, as in the authors' code."""
        loss = self.config.loss
        terms = [
            Term("photo_adversarial", lambda step: self._fooled(step, "photo", "recovered")),
            Term("portrait_adversarial", lambda step: self._fooled(step, "portrait", "painted")),
            Term("cycle", lambda step: _both(step, "portraits_again", "photos_again"), loss.cycle),
        ]
        if loss.identity:
            terms.append(
                Term("identity", lambda step: _both(step, "portraits_kept", "photos_kept"), loss.identity)
            )
        return (
            Player("generators", ("generator", "inverse"), tuple(terms)),
            self._critic("photo", "recovered"),
            self._critic("portrait", "painted"),
        )

    def _critic(self, kind: str, made: str) -> Player:
        names = (f"{kind}_critic", f"{kind}_pool")

        def real(step: Step) -> Tensor:
            seen = step.outputs["photos"] if kind == "photo" else step.batch["portraits"]
            return ops.mean(ops.square(step.networks[names[0]](seen, training=True) - 1.0))

        def fake(step: Step) -> Tensor:
            earlier = step.networks[names[1]](step.outputs[made], training=True)
            return ops.mean(ops.square(step.networks[names[0]](earlier, training=True)))

        return Player(names[0], names, (Term("real", real, 0.5), Term("fake", fake, 0.5)), critic=True)

    def optimizer(self, player: Player) -> keras.optimizers.Optimizer:
        """Adam with β1 = 0.5: a constant rate, then a linear fall to zero over the second half (paper, 4)."""
        train = self.config.train
        half = max(1, train.steps // 2)
        rate = keras.optimizers.schedules.PolynomialDecay(train.learning_rate, train.steps - half + 1, 0.0)
        return keras.optimizers.Adam(
            _Late(rate, half), beta_1=0.5, beta_2=0.999, name=f"{player.name}_optimizer"
        )

    def architecture(self) -> str:
        """What the card says of the network."""
        model = self.config.model
        return (
            f"CycleGAN, {model.blocks} blocks, width {model.width}, 1/{model.reduce} of the side, unaligned"
        )

    def _fooled(self, step: Step, kind: str, made: str) -> Tensor:
        return ops.mean(ops.square(step.networks[f"{kind}_critic"](step.outputs[made], training=True) - 1.0))


def _both(step: Step, portraits: str, photos: str) -> Tensor:
    """The mean absolute differences of portraits and of photographs to what they should be, added."""
    return losses.pixel_loss(step.outputs[portraits], step.batch["portraits"], "l1") + losses.pixel_loss(
        step.outputs[photos], step.outputs["photos"], "l1"
    )


@keras.saving.register_keras_serializable("ifrp_tf")
class _Late(keras.optimizers.schedules.LearningRateSchedule):
    """A schedule that begins later; before, its first rate."""

    def __init__(self, schedule: keras.optimizers.schedules.LearningRateSchedule, start: int) -> None:
        self.schedule, self.start = schedule, start

    def __call__(self, step: Tensor) -> Tensor:
        return self.schedule(ops.maximum(ops.cast(step, "int32") - self.start, 0))

    def get_config(self) -> dict[str, object]:
        return {"schedule": keras.saving.serialize_keras_object(self.schedule), "start": self.start}


SYSTEM = CycleGan
