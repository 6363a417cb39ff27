"""Synthesizing Normalized Faces from Facial Identity Features (Cole et al., CVPR 2017)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import keras
import numpy as np
from keras import ops

from ifrp_tf.core.config import Config
from ifrp_tf.core.types import Tensor
from ifrp_tf.data import normalised
from ifrp_tf.data.landmarks import face_mask, mean_shape
from ifrp_tf.nn.features import networks as features
from ifrp_tf.nn.losses import cosine_loss
from ifrp_tf.nn.spline import Warp
from ifrp_tf.systems.base import Networks, Player, Step, System, Term
from ifrp_tf.systems.normalised_face import linear
from ifrp_tf.systems.normalised_face.networks import (
    DECODER,
    EPSILON,
    assign,
    build_normaliser,
)
from ifrp_tf.systems.normalised_face.settings import SIDE

OUTSIDE = 0.2
"""Weight of the texture around the face."""


class NormalisedFace(System):
    """A decoder of a recogniser's features: what a person looks like, frontal, neutral and evenly lit."""

    name = "normalised_face"
    method = "the decoder of Cole et al. (2017) on MobileFaceNet, trained by `ifrp_tf`"
    released = "normaliser"
    batch_names = ("features", "landmarks", "textures", "embeddings")
    recovers = False
    tolerance = 1e-3  # landmarks move edges, and a spline is solved for: .1 levels
    card: ClassVar[Mapping[str, Any]] = {
        "purpose": "Shows what the person in a photograph looks like frontal, neutral and evenly lit, from\n"
        "a recogniser's features alone",
        "limits": (
            "What the recogniser does not tell apart is not shown: moles, scars, hair, jewellery,\n"
            "  exact colours.",
            "Faces are soft and drawn to the mean of those trained on: persons of LFW, mostly men of 30 to\n"
            "  60 in the news, and mostly white studio models. Others are shown less well, and lighter or\n"
            "  darker than they are; white balance inherits this.",
            "Paintings need a photograph made of them first (`tools/normalise.py --portraits`).",
        ),
    }

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self.warp = Warp(mean_shape(), SIDE)
        self.recogniser: keras.Model | None = None
        self._weights: str | None = None
        self._built: list[keras.Model] = []
        self._fitted: tuple[np.ndarray, np.ndarray, np.ndarray | None, linear.Linear] | None = None
        self._mask = (face_mask(SIDE) + OUTSIDE)[None, ..., None]

    def load_frozen(self, weights: str) -> None:
        """Reads MobileFaceNet: the encoder, and where the identity term is used its judge."""
        self._weights = weights or None
        if self.config.loss.identity:
            self.recogniser = features.mobilefacenet(self._weights)

    def build(self) -> dict[str, keras.Model]:
        """`normaliser`."""
        network = build_normaliser(self.config.model, self._weights)
        self._built.append(network)
        return {"normaliser": network}

    def views(self, networks: Mapping[str, keras.Model]) -> dict[str, keras.Model]:
        """The decoder alone: the features of the training data are computed once, in their shards."""
        return {"normaliser": networks["normaliser"].get_layer(DECODER)}

    def load_data(self, folder: str) -> tuple[Any, Any]:
        """Shards of `tools/prepare_normalised.py`; drawn faces for an empty name."""
        faces = normalised.Faces.open(folder) if folder else normalised.drawn(64, self.config.train.seed)
        return faces, None

    def batches(self, training: normalised.Faces, step: int) -> Any:
        """Features, and the landmarks, texture and embedding that belong to them.

        The linear decoder, the means and variances of the features and the map to what tells persons apart
        come with the data: they are set, to the same values whenever a run is resumed.
        """
        from ifrp_tf.systems.normalised_face import data  # late: needs TensorFlow

        if self._fitted is None:
            weights = data.weights_of(training, self.config)
            mean = weights @ training.features
            variance = weights @ np.square(training.features - mean)
            standard = (training.features - mean) / np.sqrt(variance + EPSILON)
            person = None
            if self.config.model.within:
                person = linear.person_map(training, standard, self.config.model.within)
                standard = standard @ person
            found = linear.fit(training, standard, weights, self.config.model.rank)
            self._fitted = (mean, variance, person, found)
        for network in self._built:
            assign(network.get_layer(DECODER), *self._fitted)
        return data.batches(training, self.config, step)

    def forward(self, networks: Networks, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Landmarks and textures."""
        found: dict[str, Tensor] = networks["normaliser"](batch["features"], training=True)
        return found

    @property
    def players(self) -> Sequence[Player]:
        """The decoder alone."""
        loss = self.config.loss
        terms = [
            Term("landmarks", _landmarks, loss.landmarks),
            Term("texture", self._texture, loss.texture),
        ]
        if loss.identity:
            terms.append(Term("identity", self._identity, loss.identity, "1 - cosine of the rendered face"))
        return (Player("normaliser", ("normaliser",), tuple(terms)),)

    def recover(self, network: Callable[..., Tensor], portraits: Tensor) -> Tensor:
        """The normalised faces of photographs in the tight frame."""
        found = network(portraits, training=False)
        return self.warp.render(found["texture"], found["landmarks"])

    def architecture(self) -> str:
        """What the card says of the network."""
        model = self.config.model
        return (
            "Cole et al. on 512 numbers of MobileFaceNet: a linear decoder of "
            f"rank {model.rank}, and networks of hidden {model.hidden}, width {model.width}"
        )

    def _texture(self, step: Step) -> Tensor:
        """Mean absolute error, the face weighted more than what surrounds it."""
        error = ops.abs(step.outputs["texture"] - step.batch["textures"])
        return ops.mean(self._mask * error)

    def _identity(self, step: Step) -> Tensor:
        """1 - cosine between the rendered face and the person, of a part of the batch."""
        assert self.recogniser is not None, "load_frozen comes first"
        rows = max(1, round(self.config.loss.identity_rows * self.config.train.batch_size))
        texture, landmarks = (step.outputs[name][:rows] for name in ("texture", "landmarks"))
        made = self.recogniser(self.warp.render(texture, landmarks), training=False)
        return cosine_loss(made, step.batch["embeddings"][:rows])


def _landmarks(step: Step) -> Tensor:
    """Mean squared error, fractions of the side."""
    return ops.mean(ops.square(step.outputs["landmarks"] - step.batch["landmarks"]))


SYSTEM = NormalisedFace
