"""Facial texture inference (Saito et al., CVPR 2017) in two dimensions, at 128 pixels.

A face's texture is described by Gram matrices of VGG-19. Those of a soft or partly hidden face are explained
by a convex combination of complete, sharp faces that were softened or hidden in the same way; the same
combination of the complete ones is what the answer is to have.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
from keras import ops

from ifrp_tf.core.types import Tensor
from ifrp_tf.nn.features import networks as features
from ifrp_tf.nn.losses import cosine_loss
from ifrp_tf.nn.metrics import luminance
from ifrp_tf.systems.base import Solved
from ifrp_tf.systems.texture_inference import gram

LAYERS = ("block1_conv1", "block2_conv1", "block3_conv1")
CONTENT_LAYER = LAYERS[-1]
_TIMES = {"block1_conv1": 1, "block2_conv1": 2, "block3_conv1": 4}
MARGIN = 8
"""Pixels of reflection around a picture, so that no statistics are those of padding."""

_SIGMA = 2.0
_BINOMIAL = np.array([0.25, 0.5, 0.25], np.float32)
_BATCH = 16


class TextureInference(Solved):
    """The low frequencies of a face, the Gram matrices of others; `recovery/texture.py` has the faces."""

    name = "texture_inference"
    method = "texture inference (Saito, Wei, Hu, Nagano and Li 2017) with `ifrp_tf`"

    vgg: keras.Model | None = None
    recogniser: keras.Model | None = None

    def load_frozen(self, weights: str) -> None:
        """Reads VGG-19 and, where the identity term is used, MobileFaceNet."""
        self.vgg = features.vgg19(weights or None, outputs=LAYERS, dtype="float32", side=None)
        if self.config.loss.identity:
            self.recogniser = features.mobilefacenet(weights or None, dtype="float32")

    def architecture(self) -> str:
        """What a table says of the method."""
        return (
            f"texture inference, {self.config.model.faces} faces, {self.config.model.iterations} iterations"
        )

    def grams(self, pictures: np.ndarray, visible: np.ndarray) -> dict[str, np.ndarray]:
        """The Gram matrices of pictures, by layer and band.

        Args:
            pictures: float32 [N, S, S, 3] in [-1, 1].
            visible: [S, S], 1 where they are to be believed.

        Returns:
            Layer -> float32 [N, R, C, C].
        """
        masks = self._masks(visible)
        parts: dict[str, list[np.ndarray]] = {layer: [] for layer in LAYERS}
        for start in range(0, len(pictures), _BATCH):
            seen = self._seen(pictures[start : start + _BATCH])
            for layer in LAYERS:
                found = gram.masked_grams(seen[layer], masks[layer])
                parts[layer].append(ops.convert_to_numpy(found))
        return {layer: np.concatenate(found) for layer, found in parts.items()}

    def towards(
        self,
        start: np.ndarray,
        wanted: Mapping[str, np.ndarray],
        scales: Mapping[str, np.ndarray],
        free: np.ndarray,
        region: np.ndarray,
        *,
        detail: bool = False,
    ) -> dict[str, Any]:
        """What an answer is to agree with: the second argument of `objective`.

        Args:
            start: float32 [1, S, S, 3] in [-1, 1]: its low frequencies and features are kept.
            wanted: layer -> float32 [R, C, C].
            scales: layer -> float32 [R], norms that the differences are divided by.
            free: [S, S], 1 where pixels may change; the others stay as they are.
            region: [S, S], 1 where `wanted` was measured. Were it more than what is free, a few pixels would
                have to make up for all that is unlike the database elsewhere.
            detail: only fine detail of the luminance may change: light, colours and shapes stay those of the
                start, and so does the person (the identity term, for faces of 128 pixels).
        """
        person = {}
        if detail and self.recogniser is not None:
            person["person"] = ops.convert_to_numpy(self.recogniser(start, training=False))
        content = ops.convert_to_numpy(self._seen(start)[CONTENT_LAYER])
        return {
            **person,
            "start": start.astype(np.float32),
            "free": free.astype(np.float32)[None, :, :, None],
            "share": np.float32(free.mean()),
            "detail": np.float32(detail),
            "content": content,
            "content_scale": np.float32(np.square(content).mean() + 1e-6),
            "low": ops.convert_to_numpy(_low(start)),
            "wanted": {layer: wanted[layer][None].astype(np.float32) for layer in LAYERS},
            "scales": {layer: scales[layer].astype(np.float32) for layer in LAYERS},
            "masks": self._masks(region),
            "bands": _shares(region),
        }

    def objective(self, answers: Tensor, targets: Mapping[str, Any]) -> Tensor:
        """The loss of an answer, float32 [1, S, S, 3]; pixels that are not free do not matter to it.

        Content and low frequencies are means over the free pixels, not over all: elsewhere nothing changes.
        """
        loss = self.config.loss
        picture = self.composed(answers, targets)
        seen = self._seen(picture)
        total: Tensor = 0.0
        for layer in LAYERS:
            difference = gram.masked_grams(seen[layer], targets["masks"][layer]) - targets["wanted"][layer]
            squares = ops.sum(ops.square(difference), axis=(2, 3)) / ops.square(targets["scales"][layer])
            total += loss.style * ops.sum(squares * targets["bands"])
        distance = ops.mean(ops.square(seen[CONTENT_LAYER] - targets["content"])) / targets["share"]
        total += loss.content * distance / targets["content_scale"]
        if "person" in targets:
            assert self.recogniser is not None
            total += loss.identity * cosine_loss(self.recogniser(picture, training=False), targets["person"])
        return total + loss.low * ops.mean(ops.square(_low(picture) - targets["low"])) / targets["share"]

    @staticmethod
    def composed(answers: Tensor, targets: Mapping[str, Any]) -> Tensor:
        """An answer where pixels are free, the start elsewhere.

        Changes are smoothed, those of luminance by a binomial filter and those of colour as `low` is: of dots
        as fine as pixels, in colours of their own, the statistics of features know little, and a search
        without it ends in them. Where only detail is asked for, low frequencies and colours do not change at
        all: a weight alone would leave them to what the faces of the database have in common.
        """
        change = answers - targets["start"]
        light = ops.repeat(luminance(change)[..., None], 3, axis=-1)
        colour, light = _low(change - light), _filtered(light, _BINOMIAL)
        fine = _filtered(light - _low(light), _BINOMIAL)  # else more power than photographs have there
        smooth = targets["detail"] * fine + (1.0 - targets["detail"]) * (light + colour)
        return targets["start"] + targets["free"] * smooth

    def _masks(self, visible: np.ndarray) -> dict[str, np.ndarray]:
        masks = gram.band_masks(visible)
        return {layer: gram.reduced(masks, _TIMES[layer], MARGIN) for layer in LAYERS}

    def _seen(self, pictures: Tensor) -> dict[str, Tensor]:
        assert self.vgg is not None, "load_frozen comes first"
        found: dict[str, Tensor] = self.vgg(_reflected(pictures, MARGIN), training=False)
        return found


def _reflected(x: Tensor, margin: int) -> Tensor:
    return ops.pad(x, [[0, 0], [margin, margin], [margin, margin], [0, 0]], mode="reflect")


def _shares(region: np.ndarray) -> np.ndarray:
    """How much of each band a region holds, float32 [R]: the statistics of few positions tell little."""
    part, whole = (gram.band_masks(mask).sum(axis=(0, 1)) for mask in (region, np.ones_like(region)))
    return (part / whole).astype(np.float32)


def _low(pictures: Tensor) -> Tensor:
    """Pictures without what is finer than a Gaussian of 2 pixels."""
    radius = int(3 * _SIGMA)
    taps = np.exp(-0.5 * (np.arange(-radius, radius + 1) / _SIGMA) ** 2)
    return _filtered(pictures, (taps / taps.sum()).astype(np.float32))


def _filtered(pictures: Tensor, taps: np.ndarray) -> Tensor:
    """Pictures [N, H, W, 3] filtered along both axes, reflected at their border."""
    x = _reflected(ops.convert_to_tensor(pictures, "float32"), len(taps) // 2)
    for shape in ((-1, 1, 1, 1), (1, -1, 1, 1)):
        x = ops.depthwise_conv(x, np.repeat(taps.reshape(shape), 3, axis=2), padding="valid")
    return x


SYSTEM = TextureInference
