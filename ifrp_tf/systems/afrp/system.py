"""AFRP: the SRN told attributes of the sitter, against a critic that judges whether the face has them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import keras
import numpy as np
from keras import ops

from ifrp_tf.core.types import Tensor
from ifrp_tf.data import attributes as known_attributes
from ifrp_tf.data import toy_faces
from ifrp_tf.data.photos import PhotoSet
from ifrp_tf.nn import losses
from ifrp_tf.systems.afrp.networks import agreement, build_critic, wrong_attributes
from ifrp_tf.systems.afrp.reader import Reader
from ifrp_tf.systems.base import Networks, Player, Step, Term
from ifrp_tf.systems.ifrp.networks import TOLD, build_srn
from ifrp_tf.systems.ifrp.system import Ifrp

NAMES = known_attributes.NAMES


class Afrp(Ifrp):
    """The SRN with a second input, a vector of attributes in {-1, 0 = unknown, 1}.

    At zeros, and before it is trained at any vector, it answers as the SRN that it began from.
    """

    name = "afrp"
    method = (
        "the style removal network of `ifrp_tf` told attributes, after the AFRP method of\n"
        "Shiri, Yu, Porikli, Hartley and Koniusz"
    )
    batch_names = ("portraits", "photos", "transforms", "attributes", "shown")
    attributes = NAMES
    card: ClassVar[Mapping[str, Any]] = {
        "limits": (
            "Styles unlike the training styles give worse answers; see the tables above.",
            "An attribute that the portrait leaves open is filled in as asked: the face is an illustration\n"
            "  of what was said, no evidence for it.",
            "Attributes are CelebA's labels, given by strangers who looked at celebrities; they carry their\n"
            "  prejudices, and say nothing of how a person sees himself or herself.",
            "Asking for one attribute moves others that go with it in these photographs.",
        ),
    }

    reader: Reader | None = None

    def load_frozen(self, weights: str) -> None:
        """Reads what `ifrp` needs, and SqueezeNet for what reads attributes."""
        super().load_frozen(weights)
        loss = self.config.loss
        if loss.auxiliary:
            self.reader = Reader(
                loss.reader,
                len(NAMES),
                side=self.config.data.side,
                weights=weights or None,
                dtype=self.config.train.dtype,
            )

    def build(self) -> dict[str, keras.Model]:
        """`srn` and `dn`, the critic."""
        width, side = self.config.model.discriminator_width, self.config.data.side
        return {"srn": self.build_released(), "dn": build_critic(width, len(NAMES), side=side)}

    def build_released(self) -> keras.Model:
        """The SRN with its second input."""
        srn = build_srn(self.config.model, side=self.config.data.side, attributes=len(NAMES))
        if self.config.model.keep:
            for layer in srn.layers:
                layer.trainable = layer.name.startswith(TOLD)
        return srn

    def batches(self, training: Any, step: int) -> Any:
        """The common batches, and what is known of each photograph and what of that is shown.

        Portraits rendered with shards are not used: their photographs are stylised anew. What reads
        attributes learns from these photographs first: the same whenever a run is resumed.
        """
        from ifrp_tf.data import pipeline_tf  # late: needs TensorFlow

        photos = training if isinstance(training, PhotoSet) else training.load("train")
        loss = self.config.loss
        labels = self._known().labels(
            photos.names, hide_all=loss.hide_all, hide_one=loss.hide_one, contradict=loss.contradict
        )
        if self.reader is not None:
            self.reader.fit(photos.pixels, labels.vectors)
        return pipeline_tf.batches(photos, self.config, step=step, labels=labels)

    def _known(self) -> known_attributes.Attributes:
        if self.config.data.labels:
            return known_attributes.load(self.config.data.labels)
        vectors = {}
        for name, there in toy_faces.attributes(toy_faces.COUNT, seed=self.config.train.seed).items():
            vectors[f"train/{name}"] = np.array([there.get(one, 0) for one in NAMES], np.int8)
        return known_attributes.Attributes(vectors, {}, {})

    def forward(self, networks: Networks, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Recovers the faces, told what is shown."""
        recovered, transforms = networks["srn"]([batch["portraits"], batch["shown"]], training=True)
        outputs = {"recovered": recovered, "transforms": transforms}
        if self.config.loss.real == "untold":
            nothing = ops.zeros_like(batch["shown"])
            untold, _ = networks["srn"]([batch["portraits"], nothing], training=True)
            outputs["untold"] = ops.stop_gradient(untold)
        return outputs

    def recover(self, network: Callable[..., Tensor], portraits: Tensor) -> Tensor:
        """The answers of a network that is told nothing."""
        nothing = ops.zeros((ops.shape(portraits)[0], len(NAMES)), "float32")
        return self.recover_told(network, portraits, nothing)

    @property
    def players(self) -> Sequence[Player]:
        """The critic, then the SRN."""
        loss = self.config.loss
        critic = [
            Term("real", lambda step: self._verdicts(step)[0], 0.5),
            Term("fake", lambda step: self._verdicts(step)[1], 0.5),
            Term("wrong", lambda step: self._verdicts(step)[2], 0.5 * loss.wrong),
        ]
        terms = tuple(critic) if loss.adversarial else ()
        return (
            Player("dn", ("dn",), terms, critic=True, start=loss.adversarial_start),
            Player("srn", ("srn",), tuple(self._srn_terms())),
        )

    def gates(self, critic: str, values: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """Nobody waits."""
        return {}

    def architecture(self) -> str:
        """What the card says of the network."""
        return f"{super().architecture()}, told {len(NAMES)} attributes"

    def _srn_terms(self) -> list[Term]:
        auxiliary = Term("auxiliary", self._asked_for, self.config.loss.auxiliary, "attributes asked for")
        terms = [*super()._srn_terms(), *([auxiliary] if auxiliary.weight else [])]
        return [self._warmed_up(term) if term.name == "adversarial" else term for term in terms]

    def _warmed_up(self, term: Term) -> Term:
        loss = self.config.loss

        def weight(step: Tensor) -> Tensor:
            done = ops.cast(step - loss.adversarial_start, "float32") / loss.warm_up
            return term.weight_at(step) * ops.clip(done, 0.0, 1.0)

        return dataclasses.replace(term, weight=weight)

    def _verdicts(self, step: Step) -> tuple[Tensor, Tensor, Tensor]:
        """Hinge losses of what is real, of recovered faces, and of the former with others' attributes."""

        def made() -> tuple[Tensor, Tensor, Tensor]:
            known = step.batch["attributes"]
            others, is_wrong = wrong_attributes(known, step.number)
            real = step.outputs["untold"] if self.config.loss.real == "untold" else step.batch["photos"]
            realism, projection = step.networks["dn"](real, training=True)
            fake = self._of_recovered(step)
            return losses.matching_losses(
                agreement(realism, projection, known),
                agreement(fake[0], fake[1], _asked(step)),
                agreement(realism, projection, others),
                is_wrong,
            )

        verdicts: tuple[Tensor, Tensor, Tensor] = step.once("verdicts", made)
        return verdicts

    def _of_recovered(self, step: Step) -> Sequence[Tensor]:
        heads: Sequence[Tensor] = step.once(
            "recovered", lambda: step.networks["dn"](step.outputs["recovered"], training=True)
        )
        return heads

    def _adversarial(self, step: Step) -> Tensor:
        realism, projection = self._of_recovered(step)
        return losses.generator_adversarial_loss(agreement(realism, projection, _asked(step)), "hinge")

    def _asked_for(self, step: Step) -> Tensor:
        assert self.reader is not None, "load_frozen comes first"
        return losses.attribute_loss(self.reader(step.outputs["recovered"]), _asked(step))


def _asked(step: Step) -> Tensor:
    """What recovered faces should have: what was shown, and of the rest what is known."""
    shown = step.batch["shown"]
    return ops.where(ops.equal(shown, 0.0), step.batch["attributes"], shown)


SYSTEM = Afrp
