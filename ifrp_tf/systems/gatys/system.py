"""Neural style transfer (Gatys, Ecker and Bethge, CVPR 2016), photographs of faces as the style."""

from __future__ import annotations

from collections.abc import Mapping

import keras
import numpy as np
from keras import ops

from ifrp_tf.core.types import Tensor
from ifrp_tf.nn.features import networks as features
from ifrp_tf.nn.losses import gram
from ifrp_tf.systems.base import Solved

STYLE_LAYERS = ("block1_conv1", "block2_conv1", "block3_conv1")
CONTENT_LAYER = "block3_conv2"
PHOTOS = 256
"""Photographs whose Gram matrices are averaged."""


class Gatys(Solved):
    """The features of the portrait, the Gram matrices of photographs."""

    name = "gatys"
    method = "style transfer by optimisation (Gatys, Ecker and Bethge 2016) with `ifrp_tf`"

    vgg: keras.Model | None = None
    styles: Mapping[str, np.ndarray] | None = None

    def load_frozen(self, weights: str) -> None:
        """Reads VGG-19."""
        layers = (*STYLE_LAYERS, CONTENT_LAYER)
        self.vgg = features.vgg19(weights or None, outputs=layers, dtype="float32", side=None)

    def architecture(self) -> str:
        """What a table says of the method."""
        model = self.config.model
        return f"Gatys et al., style {model.style}, {model.iterations} iterations, no alignment"

    def fit(self, photos: Tensor) -> None:
        """Remembers the mean Gram matrices of photographs, or those of the first for `style=random`.

        Args:
            photos: float32 [N, S, S, 3] in [-1, 1]: training photographs, `PHOTOS` are enough.
        """
        grams = self._grams(photos[:1] if self.config.model.style == "random" else photos[:PHOTOS])
        self.styles = {layer: found.mean(axis=0, keepdims=True) for layer, found in grams.items()}

    def targets(self, portraits: Tensor, photos: Tensor | None = None) -> dict[str, Tensor]:
        """What the answers to portraits are to agree with.

        Args:
            portraits: float32 [N, S, S, 3] in [-1, 1].
            photos: the true photographs, for `style=oracle` only.

        Returns:
            The features of `CONTENT_LAYER`, and Gram matrices by layer.
        """
        content = self._seen(portraits)[CONTENT_LAYER]
        if self.config.model.style == "oracle":
            return {CONTENT_LAYER: content, **self._grams(photos)}
        assert self.styles is not None, "fit comes first"
        return {CONTENT_LAYER: content, **self.styles}

    def objective(self, answers: Tensor, targets: Mapping[str, Tensor]) -> Tensor:
        """The loss (eq. 7) of answers, float32 [N, S, S, 3], summed over them."""
        loss, seen = self.config.loss, self._seen(answers)
        distance = ops.square(seen[CONTENT_LAYER] - targets[CONTENT_LAYER])
        total = loss.content * ops.mean(distance, axis=(1, 2, 3))
        for layer in STYLE_LAYERS:
            weight = loss.style / seen[layer].shape[-1] ** 2
            total += weight * ops.mean(ops.square(gram(seen[layer]) - targets[layer]), axis=(1, 2))
        return ops.sum(total)

    def _seen(self, pictures: Tensor) -> dict[str, Tensor]:
        assert self.vgg is not None, "load_frozen comes first"
        found: dict[str, Tensor] = self.vgg(pictures, training=False)
        return found

    def _grams(self, photos: Tensor) -> dict[str, np.ndarray]:
        parts: dict[str, list[np.ndarray]] = {layer: [] for layer in STYLE_LAYERS}
        for start in range(0, len(photos), 16):
            seen = self._seen(photos[start : start + 16])
            for layer, grams in parts.items():
                grams.append(ops.convert_to_numpy(gram(seen[layer])))
        return {layer: np.concatenate(grams) for layer, grams in parts.items()}


SYSTEM = Gatys
