"""DIAT and DIAT-A: a transform network with a mask against a critic, the person kept by features."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import keras
import numpy as np
from keras import ops

from ifrp_tf.core.config import Config
from ifrp_tf.core.types import Tensor
from ifrp_tf.data import attributes as known_attributes
from ifrp_tf.data import toy_faces
from ifrp_tf.data.photos import PhotoSet
from ifrp_tf.nn import losses
from ifrp_tf.nn.features import networks as features
from ifrp_tf.systems.base import Networks, Player, Step, System, Term
from ifrp_tf.systems.diat.networks import build_critic, build_transform

MAPS = ("res_4_block5", "res_5_block1")
"""MobileFaceNet's maps of 14 x 14 and 7 x 7 in place of VGG-Face's layers 4 and 5."""


class Diat(System):
    """Photographs without an attribute get it; others that have it teach the critic. No pairs."""

    name = "diat"
    method = "the masked transform network of DIAT (Li, Zuo and Zhang 2016), trained by `ifrp_tf`"
    released = "transform"
    batch_names = ("photos", "others")
    recovers = False
    card: ClassVar[Mapping[str, Any]] = {
        "purpose": "Changes one attribute of the face in an aligned photograph and keeps the person",
        "limits": (
            "The answer is a photograph of something that did not happen: never evidence, and never of a\n"
            "  person who would not want it.",
            "Attributes are labels given by strangers; what they call young or male is their prejudice.",
            "Frontal, aligned photographs of faces; portraits need a photograph made of them first.",
            "Other attributes that go with the one asked for may move with it.",
        ),
    }

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self.recogniser: keras.Model | None = None

    def load_frozen(self, weights: str) -> None:
        """Reads MobileFaceNet, where the objective asks it."""
        loss = self.config.loss
        if loss.identity or (loss.content and loss.features == "recogniser"):
            self.recogniser = features.mobilefacenet(weights or None, outputs=("embedding", *MAPS))

    def build(self) -> dict[str, keras.Model]:
        """`transform` and `critic`."""
        width, side = self.config.model.critic_width, self.config.data.side
        return {"transform": self.build_released(), "critic": build_critic(width, side=side)}

    def build_released(self) -> keras.Model:
        """The transform network with its mask."""
        return build_transform(self.config.model, side=self.config.data.side)

    def batches(self, training: Any, step: int) -> Any:
        """Photographs that are to get the attribute, and others that have it."""
        from ifrp_tf.systems.diat import data  # late: needs TensorFlow

        photos = training if isinstance(training, PhotoSet) else training.load("train")
        return data.batches(photos, self._vectors(photos), self.config, step)

    def forward(self, networks: Networks, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Changed pictures and their masks."""
        found: dict[str, Tensor] = networks["transform"](batch["photos"], training=True)
        return found

    @property
    def players(self) -> Sequence[Player]:
        """The critic, then the transform network."""
        loss = self.config.loss
        critic = [
            Term("real", lambda step: self._verdicts(step)[0]),
            Term("fake", lambda step: self._verdicts(step)[1]),
        ]
        if loss.slope:
            critic.append(Term("slope", self._slope, 0.5 * loss.slope * loss.slope_every))
        terms = [Term("adversarial", _fooled, loss.adversarial)]
        if loss.content:
            terms.append(Term("content", self._content, loss.content, "features that stay"))
        if loss.identity:
            terms.append(Term("identity", self._identity, loss.identity, "1 - cosine of the recogniser"))
        terms += [
            Term("ratio", self._ratio, self._later(loss.ratio), "squared distance of the mask's share"),
            Term("smooth", _variation, self._later(loss.smooth), "total variation of the mask"),
        ]
        return (
            Player("critic", ("critic",), tuple(critic), critic=True),
            Player("transform", ("transform",), tuple(terms)),
        )

    def optimizer(self, player: Player) -> keras.optimizers.Optimizer:
        """Adam without a memory of the slope's direction: what a critic says changes with it."""
        made = super().optimizer(player)
        if isinstance(made, keras.optimizers.Adam):
            made.beta_1, made.beta_2 = 0.0, 0.99
        return made

    def recover(self, network: Callable[..., Tensor], portraits: Tensor) -> Tensor:
        """Photographs with the attribute."""
        return network(portraits, training=False)["picture"]

    def architecture(self) -> str:
        """What the card says of the network."""
        model = self.config.model
        kept = {"recogniser": "DIAT", "critic": "DIAT-A"}[self.config.loss.features]
        return f"{kept}, {model.attribute}, width {model.width}, mask of {model.aim:.0%} of the picture"

    def _vectors(self, photos: PhotoSet) -> np.ndarray:
        if self.config.data.labels:
            return known_attributes.load(self.config.data.labels).of(photos.names)
        found = toy_faces.attributes(toy_faces.COUNT, seed=self.config.train.seed)
        rows = [
            [found.get(photo, {}).get(name, 0) for name in known_attributes.NAMES] for photo in photos.names
        ]
        return np.array(rows, np.int8)

    def _later(self, weight: float) -> Callable[[Tensor], Tensor]:
        start = self.config.loss.mask_start
        return lambda step: ops.where(step < start, 0.0, weight)

    def _verdicts(self, step: Step) -> tuple[Tensor, Tensor]:
        def made() -> tuple[Tensor, Tensor]:
            real, fake = (
                step.networks["critic"](pictures, training=True)["score"]
                for pictures in (step.batch["others"], step.outputs["picture"])
            )
            return losses.discriminator_adversarial_losses(real, fake, "hinge")

        verdicts: tuple[Tensor, Tensor] = step.once("verdicts", made)
        return verdicts

    def _slope(self, step: Step) -> Tensor:
        """R1: the squared slope of the verdict at real pictures, mean over them; now and then."""

        def now() -> Tensor:
            def score(pictures: Tensor) -> Tensor:
                return step.networks["critic"](pictures, training=True)["score"]

            slopes = ops.cast(step.gradient(score, step.batch["others"]), "float32")
            return ops.mean(ops.sum(ops.square(slopes), axis=(1, 2, 3)))

        every = self.config.loss.slope_every
        due = ops.equal(ops.cast(step.number, "int32") % every, 0)
        return now() if every == 1 else ops.cond(due, now, lambda: ops.zeros((), "float32"))

    def _content(self, step: Step) -> Tensor:
        """What features of the picture must stay as they were, relative to themselves."""
        if self.config.loss.features == "critic":
            before = step.networks["critic"](step.batch["photos"], training=True)["features"]
            return losses.identity_loss(_judged(step)["features"], before)
        before, after = self._recognised(step)
        return sum((losses.identity_loss(after[name], before[name]) for name in MAPS), ops.zeros(()))

    def _identity(self, step: Step) -> Tensor:
        before, after = self._recognised(step)
        return losses.cosine_loss(after["embedding"], before["embedding"])

    def _recognised(self, step: Step) -> tuple[Mapping[str, Tensor], Mapping[str, Tensor]]:
        assert self.recogniser is not None, "load_frozen comes first"
        network = self.recogniser

        def made() -> tuple[Mapping[str, Tensor], Mapping[str, Tensor]]:
            return network(step.batch["photos"], training=False), network(
                step.outputs["picture"], training=False
            )

        found: tuple[Mapping[str, Tensor], Mapping[str, Tensor]] = step.once("recognised", made)
        return found

    def _ratio(self, step: Step) -> Tensor:
        """Of the mask after the threshold: cells that are all a little below it would cover nothing."""
        return ops.square(ops.mean(step.outputs["mask"]) - self.config.model.aim)


def _judged(step: Step) -> Mapping[str, Tensor]:
    found: Mapping[str, Tensor] = step.once(
        "judged", lambda: step.networks["critic"](step.outputs["picture"], training=True)
    )
    return found


def _fooled(step: Step) -> Tensor:
    return losses.generator_adversarial_loss(_judged(step)["score"], "hinge")


def _variation(step: Step) -> Tensor:
    """Mean absolute differences of neighbouring cells."""
    cells = step.outputs["cells"]
    down, across = cells[:, 1:] - cells[:, :-1], cells[:, :, 1:] - cells[:, :, :-1]
    return ops.mean(ops.abs(down)) + ops.mean(ops.abs(across))


SYSTEM = Diat
