"""Perceptual losses (Johnson, Alahi and Fei-Fei, ECCV 2016), photographs of faces as the style."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import keras
from keras import ops

from ifrp_tf.core.types import Tensor
from ifrp_tf.nn.features import networks as features
from ifrp_tf.nn.losses import gram
from ifrp_tf.systems.base import Networks, Player, Step, System, Term
from ifrp_tf.systems.johnson.networks import build_transformer

STYLE_LAYERS = ("block1_conv2", "block2_conv2", "block3_conv3")
CONTENT_LAYER = STYLE_LAYERS[-1]


class Johnson(System):
    """A feed-forward network that keeps the portrait's content and takes on the look of photographs."""

    name = "johnson"
    method = "the transformation network of Johnson, Alahi and Fei-Fei (2016), trained by\n`ifrp_tf`"
    released = "transformer"

    vgg: keras.Model | None = None

    def load_frozen(self, weights: str) -> None:
        """Reads VGG-19."""
        self.vgg = features.vgg19(weights or None, outputs=STYLE_LAYERS, side=self.config.data.side)

    def build(self) -> dict[str, keras.Model]:
        """`transformer`."""
        return {"transformer": build_transformer(self.config.model, side=self.config.data.side)}

    def forward(self, networks: Networks, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Transforms the portraits."""
        return {"recovered": networks["transformer"](batch["portraits"], training=True)}

    @property
    def players(self) -> Sequence[Player]:
        """The transformer alone."""
        loss = self.config.loss
        terms = (
            Term("content", self._content, loss.content),
            Term("style", self._style, loss.style),
            Term("variation", _variation, loss.variation),
        )
        return (Player("transformer", ("transformer",), terms),)

    def architecture(self) -> str:
        """What the card says of the network."""
        model = self.config.model
        return f"Johnson et al., {model.blocks} blocks, width {model.width}, instance norm, no alignment"

    def _features(self, step: Step, name: str) -> dict[str, Tensor]:
        pictures = {**step.batch, **step.outputs}[name]

        def seen() -> dict[str, Tensor]:
            assert self.vgg is not None, "load_frozen comes first"
            found: dict[str, Tensor] = self.vgg(pictures, training=False)
            return found

        return step.once(f"features of {name}", seen)

    def _content(self, step: Step) -> Tensor:
        """Mean squared difference of features to the portrait's (eq. 2)."""
        a, b = (self._features(step, name)[CONTENT_LAYER] for name in ("recovered", "portraits"))
        return ops.mean(ops.square(ops.cast(a, "float32") - ops.cast(b, "float32")))

    def _style(self, step: Step) -> Tensor:
        """Squared distances of Gram matrices, divided by C H W (eq. 3 and 4), to the mean of photographs.

        The mean is that of the other photographs of the batch. The loss is a square, so its gradient is
        linear in the mean, and in expectation it is the gradient towards the mean of all photographs; a
        portrait's own photograph is left out, for this system knows no pairs.
        """
        total: Tensor = 0.0
        made, photos = self._features(step, "recovered"), self._features(step, "photos")
        for layer in STYLE_LAYERS:
            channels = made[layer].shape[-1]
            own = gram(photos[layer])
            count = ops.cast(ops.shape(own)[0], "float32")
            target = (ops.sum(own, axis=0, keepdims=True) - own) / (count - 1.0)
            distance = ops.square((gram(made[layer]) - target) / channels)
            total = total + ops.mean(ops.sum(distance, axis=(1, 2)))
        return total


def _variation(step: Step) -> Tensor:
    """Total variation: squared differences of neighbours, summed over a picture."""
    x = step.outputs["recovered"]
    rows, columns = x[:, 1:] - x[:, :-1], x[:, :, 1:] - x[:, :, :-1]
    return ops.mean(ops.sum(ops.square(rows), axis=(1, 2, 3)) + ops.sum(ops.square(columns), axis=(1, 2, 3)))


SYSTEM = Johnson
