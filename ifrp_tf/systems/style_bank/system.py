"""The style bank: one feed-forward network that paints photographs in many styles.

Perceptual losses of Johnson et al. (2016) with the conditional instance normalisation of Dumoulin et al.
(2017). The first style, `photograph`, gives the picture back, so that strengths of a style can be mixed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from ifrp_tf.core.config import Config
from ifrp_tf.core.errors import ConfigError
from ifrp_tf.core.types import Tensor
from ifrp_tf.nn.losses import gram
from ifrp_tf.pictures import images
from ifrp_tf.styles import bank
from ifrp_tf.systems.base import Networks, Player, Step, System, Term
from ifrp_tf.systems.style_bank.files import read_styles
from ifrp_tf.systems.style_bank.networks import (
    CONTENT_LAYER,
    GRAM_LAYERS,
    build_bank,
    perceptual_network,
)


class StyleBankSystem(System):
    """The bank as a system: `bank` is its only network and player.

    Args:
        config: `model.styles` names the style images.
        style_images: uint8 [H, W, 3] by name, in place of those that `model.styles` names.
        start: a bank to add to, in place of `model.start`.
    """

    name = "style_bank"
    method = "a feed-forward network of styles (Johnson et al. 2016, Dumoulin et al. 2017)"
    released = "bank"
    batch_names = ("photos", "style")
    recovers = False

    def __init__(
        self,
        config: Config,
        style_images: Mapping[str, np.ndarray] | None = None,
        start: bank.StyleBank | None = None,
    ) -> None:
        super().__init__(config)
        self.start = start or (bank.load(config.model.start) if config.model.start else None)
        self._style_images = style_images

    @property
    def style_images(self) -> Mapping[str, np.ndarray]:
        """The style images by name, read when they are first asked for.

        Raises:
            DataError: they cannot be used.
            ConfigError: a reserved style is to train the trunk.
        """
        if self._style_images is None:
            self._style_images = read_styles([part for part in self.config.model.styles.split(",") if part])
        reserved = [name for name in self._style_images if bank.PREFIX + name in bank.RESERVED]
        if reserved and not self.start:
            raise ConfigError(
                f"Expected styles to train the trunk on. Received reserved styles: {', '.join(reserved)}.",
                hint="Add them to a finished bank; they are then used for testing only.",
            )
        return self._style_images

    @property
    def names(self) -> tuple[str, ...]:
        """The styles in the order of their numbers; a new bank begins with `photograph`."""
        return (*(() if self.start else (bank.PHOTOGRAPH,)), *self.style_images)

    def load_frozen(self, weights: str | None) -> None:
        """Reads VGG-19 and computes the Gram matrices of the style images.

        Args:
            weights: folder with the VGG-19 archive; None = random weights, for tests.

        Raises:
            ConfigError: a reserved style is to train the trunk.
            DataError: style images or weights cannot be used.
        """
        self.vgg = perceptual_network(weights, self.config.train.dtype)
        rows: dict[str, list[np.ndarray]] = {layer: [] for layer in GRAM_LAYERS}
        for pixels in self.style_images.values():
            found = self.vgg(images.to_model_range(pixels[None]))
            for layer in GRAM_LAYERS:
                rows[layer].append(np.asarray(gram(ops.cast(found[layer], "float32")))[0])
        if not self.start:  # a row for the photograph, which has no Gram term
            rows = {layer: [np.ones_like(grams[0]), *grams] for layer, grams in rows.items()}
        self.targets = {layer: np.stack(grams) for layer, grams in rows.items()}

    def build(self) -> dict[str, keras.Model]:
        """`bank`: a new trunk, or that of the bank to add to."""
        network = build_bank(len(self.names), frozen=self.start is not None, compute=self.config.train.dtype)
        trunk = self.start.trunk if self.start else bank.initial_trunk(self.config.train.seed)
        first = np.mean(list(self.start.styles.values()), axis=0) if self.start else bank.initial_style()
        network.get_layer("bank").assign(trunk, np.stack([first] * len(self.names)))
        return {"bank": network}

    def result(self, network: keras.Model) -> bank.StyleBank:
        """The trunk and the styles of a trained network."""
        layer = network.get_layer("bank")
        trunk = {name: np.asarray(variable) for name, variable in layer.trunk.items()}
        return bank.StyleBank(trunk, dict(zip(self.names, np.asarray(layer.styles), strict=True)))

    def batches(self, training: Any, step: int) -> Any:
        """Tilted photographs, cut out or shrunk, each with the number of a style."""
        from ifrp_tf.systems.style_bank import data  # late: needs TensorFlow

        return data.batches(training.pixels, self.config.train, len(self.names), step)

    def optimizer(self, player: Player) -> keras.optimizers.Optimizer:
        """Adam along a cosine, with clipped gradients."""
        train = self.config.train
        schedule = keras.optimizers.schedules.CosineDecay(train.learning_rate, train.steps)
        return keras.optimizers.Adam(schedule, global_clipnorm=1.0, name=f"{player.name}_optimizer")

    def forward(self, networks: Networks, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Paints the photographs."""
        return {"portraits": networks["bank"]([batch["photos"], batch["style"]], training=True)}

    @property
    def players(self) -> Sequence[Player]:
        """The bank alone."""
        loss = self.config.loss
        terms = [
            Term("content", self._content),
            Term("style", self._style, loss.style),
            Term("photograph", self._photograph, loss.photograph),
        ]
        return (Player("bank", ("bank",), tuple(terms)),)

    def architecture(self) -> str:
        """What the card says of the network."""
        return f"style bank of {len(self.names)} styles"

    def _features(self, step: Step) -> Mapping[str, Tensor]:
        return step.once("features", lambda: self.vgg(step.outputs["portraits"]))

    def _is_photo(self, step: Step) -> Tensor:
        style = step.batch["style"]
        return ops.zeros_like(style, "float32") if self.start else ops.cast(style == 0, "float32")

    def _content(self, step: Step) -> Tensor:
        content = ops.stop_gradient(self.vgg(step.batch["photos"])[CONTENT_LAYER])
        found = self._features(step)[CONTENT_LAYER]
        gap = ops.mean(ops.square(ops.cast(found - content, "float32")), axis=(1, 2, 3))
        size = ops.mean(ops.square(ops.cast(content, "float32")), axis=(1, 2, 3))
        return ops.mean(gap / size)

    def _style(self, step: Step) -> Tensor:
        found, style = self._features(step), step.batch["style"]
        total: Tensor = 0.0
        for layer in GRAM_LAYERS:
            target = ops.take(ops.convert_to_tensor(self.targets[layer]), style, axis=0)
            error = ops.sum(ops.square(gram(found[layer]) - target), axis=(1, 2))
            total = total + error / ops.sum(ops.square(target), axis=(1, 2)) / len(GRAM_LAYERS)
        return ops.mean((1.0 - self._is_photo(step)) * total)

    def _photograph(self, step: Step) -> Tensor:
        same = ops.mean(ops.abs(step.outputs["portraits"] - step.batch["photos"]), axis=(1, 2, 3))
        return ops.mean(self._is_photo(step) * same)


SYSTEM = StyleBankSystem
