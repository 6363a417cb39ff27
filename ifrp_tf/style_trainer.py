"""The training step of the style bank (`styles/bank.py`).

Johnson et al. (2016), section 3.2: a content term and Gram terms on a frozen VGG-19. Each term is divided by
its size in the photograph or the style image, so that pale and loud styles get the same attention. One
style more, `photograph`, is trained to give the picture back.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from ifrp_tf import features, images, misalign
from ifrp_tf.errors import ConfigError, DataError
from ifrp_tf.settings import within
from ifrp_tf.styles import bank
from ifrp_tf.types import Tensor

GRAM_LAYERS = ("block1_conv2", "block2_conv2", "block3_conv2", "block3_conv4")
CONTENT_LAYER = "block3_conv2"
SIDE, STYLE_SIDE = 96, 192


@dataclasses.dataclass(frozen=True, kw_only=True)
class StyleTraining:
    """Settings of one training of the bank.

    Attributes:
        pictures: photographs to pass; for a new bank about 3,000 a style, to add a style 2,000.
        batch_size: pictures a step, each in a style of its own.
        learning_rate: Adam's, falling to nothing along a cosine.
        style_weight: of the Gram terms; the content term has 1.
        photograph_weight: of the absolute difference for the style `photograph`.
        seed: of everything random.
    """

    pictures: int = 50_000
    batch_size: int = 8
    learning_rate: float = 2e-3
    style_weight: float = 2.0
    photograph_weight: float = 10.0
    seed: int = 1

    def __post_init__(self) -> None:
        within(self, pictures=(1, 10**9), batch_size=(1, 256), learning_rate=(1e-7, 1), seed=(0, 2**31 - 1))
        within(self, style_weight=(0, 1e6), photograph_weight=(0, 1e6))

    @property
    def steps(self) -> int:
        """Steps of the whole training, rounded up."""
        return -(-self.pictures // self.batch_size)


def gram(features: Tensor) -> Tensor:
    """Gram matrices, divided by the number of positions (Johnson et al., eq. 3).

    Args:
        features: [N, H, W, C].

    Output shape: `[N, C, C]`, float32.
    """
    x = ops.reshape(features, (ops.shape(features)[0], -1, features.shape[-1]))
    count = ops.cast(ops.shape(x)[1], "float32")
    return ops.cast(ops.matmul(ops.transpose(x, (0, 2, 1)), x), "float32") / count


def perceptual_network(
    weights: str | Path | None, dtype: str, source: keras.Model | None = None
) -> keras.Model:
    """VGG-19 for the content and Gram terms: from the archive, or else from `keras.applications`.

    Args:
        weights: folder with the VGG-19 archive; None = random weights, for tests.
        dtype: of the computation.
        source: a `keras.applications.VGG19` to take the weights from; by default what Keras downloads.

    Returns:
        A network of the outputs `GRAM_LAYERS`, for pictures of any side.

    Raises:
        DataError: if there is neither an archive nor a download.
    """
    options: dict[str, Any] = {"outputs": GRAM_LAYERS, "dtype": dtype, "side": None}
    if source is None and (weights is None or any(Path(weights).glob("vgg19*.npz"))):
        return features.vgg19(weights, **options)
    try:
        source = source or keras.applications.VGG19(include_top=False)
    except Exception as error:  # whatever the download meets
        raise DataError(
            f"Expected VGG-19 in {str(weights)!r}, or from keras.applications. Received: {error}.",
            hint="Put the archive there (--weights), or connect to the network once.",
        ) from error
    network = features.vgg19(None, **options)
    for layer in network.layers:
        if layer.weights:
            layer.set_weights(source.get_layer(layer.name).get_weights())
    return network


class StyleTrainer:
    """The variables, the optimizer and one compiled step.

    Args:
        images_of_styles: uint8 [H, W, 3] style images by name; only these are trained.
        settings: of the training.
        weights: folder with the VGG-19 archive.
        start: a bank to add to: its trunk is then frozen. None: a new one, `photograph` included.
        dtype: of the convolutions.
    """

    def __init__(
        self,
        images_of_styles: Mapping[str, np.ndarray],
        settings: StyleTraining,
        weights: str | Path,
        *,
        start: bank.StyleBank | None = None,
        dtype: str = "bfloat16",
    ) -> None:
        self.settings, self.dtype, self.frozen = settings, dtype, start is not None
        self.names = tuple(images_of_styles) if start else (bank.PHOTOGRAPH, *images_of_styles)
        trunk = start.trunk if start else bank.initial_trunk(settings.seed)
        first = np.mean(list(start.styles.values()), axis=0) if start else bank.initial_style()
        self.trunk = {
            name: keras.Variable(value, name=name, trainable=not start) for name, value in trunk.items()
        }
        self.styles = keras.Variable(np.stack([first] * len(self.names)), name="styles")
        self.vgg = perceptual_network(weights, dtype)
        self.targets = self._gram_targets(images_of_styles)
        self.trained = [*([] if start else self.trunk.values()), self.styles]
        schedule = keras.optimizers.schedules.CosineDecay(settings.learning_rate, settings.steps)
        self.optimizer = keras.optimizers.Adam(schedule, global_clipnorm=1.0)
        self.optimizer.build(self.trained)
        self.step = 0
        self._train = tf.function(self._train_step)

    def train_step(self, pixels: np.ndarray) -> dict[str, float]:
        """Trains on uint8 [B, 128, 128, 3] photographs; what is random is a function of seed and step."""
        random = np.random.default_rng([self.settings.seed, self.step])
        noise = random.random((len(pixels), 4), dtype=np.float32)
        style = random.integers(0, len(self.names), len(pixels)).astype(np.int32)
        corner = random.integers(0, 128 - SIDE + 1, 2).astype(np.int32)
        cut = bool(random.random() < 0.5)
        values = self._train(
            tf.constant(pixels), tf.constant(noise), tf.constant(style), tf.constant(corner), tf.constant(cut)
        )
        self.step += 1
        return {name: float(value) for name, value in values.items()}

    def state(self) -> dict[str, np.ndarray]:
        """Everything that a resumed training needs, by name."""
        arrays = {f"trunk/{name}": np.asarray(value) for name, value in self.trunk.items()}
        arrays["styles"] = np.asarray(self.styles)
        for k, variable in enumerate(self.optimizer.variables):
            arrays[f"optimizer/{k}"] = np.asarray(variable)
        return {**arrays, "step": np.asarray(self.step), "names": np.asarray(self.names)}

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Puts back what `state` gave.

        Raises:
            ConfigError: if it is of other styles.
        """
        if tuple(arrays["names"]) != self.names:
            raise ConfigError(
                f"Expected a checkpoint of the styles {self.names}. Received: {tuple(arrays['names'])}.",
                hint="Use another run folder for other styles.",
            )
        for name, variable in self.trunk.items():
            variable.assign(arrays[f"trunk/{name}"])
        self.styles.assign(arrays["styles"])
        for k, variable in enumerate(self.optimizer.variables):
            variable.assign(arrays[f"optimizer/{k}"])
        self.step = int(arrays["step"])

    def result(self) -> bank.StyleBank:
        """The trunk and the styles trained here."""
        trunk = {name: np.asarray(value) for name, value in self.trunk.items()}
        return bank.StyleBank(trunk, dict(zip(self.names, np.asarray(self.styles), strict=True)))

    def _gram_targets(self, images_of_styles: Mapping[str, np.ndarray]) -> dict[str, Tensor]:
        rows: dict[str, list[np.ndarray]] = {layer: [] for layer in GRAM_LAYERS}
        for pixels in images_of_styles.values():
            found = self.vgg(images.to_model_range(pixels[None]))
            for layer in GRAM_LAYERS:
                rows[layer].append(np.asarray(gram(ops.cast(found[layer], "float32")))[0])
        if not self.frozen:  # a row for the photograph, which has no Gram term
            rows = {layer: [np.ones_like(grams[0]), *grams] for layer, grams in rows.items()}
        return {layer: tf.constant(np.stack(grams)) for layer, grams in rows.items()}

    def _train_step(
        self, pixels: Tensor, noise: Tensor, style: Tensor, corner: Tensor, cut: Tensor
    ) -> dict[str, Tensor]:
        photos = misalign.misalign(images.to_model_range(pixels), misalign.similarity_parameters(noise))
        photos = tf.cond(
            cut,
            lambda: tf.image.crop_to_bounding_box(photos, corner[0], corner[1], SIDE, SIDE),
            lambda: tf.image.resize(photos, (SIDE, SIDE), antialias=True),
        )
        photos = tf.ensure_shape(photos, (None, SIDE, SIDE, 3))
        content = self.vgg(photos)[CONTENT_LAYER]
        with tf.GradientTape() as tape:
            values = self._terms(photos, content, style)
            loss = sum(values.values())
        gradients = tape.gradient(loss, [variable.value for variable in self.trained])
        self.optimizer.apply(gradients, self.trained)
        return {"loss": loss, **values}

    def _terms(self, photos: Tensor, content: Tensor, style: Tensor) -> dict[str, Tensor]:
        trunk = {name: ops.cast(variable.value, self.dtype) for name, variable in self.trunk.items()}
        rows = ops.take(self.styles.value, style, axis=0)
        portraits = bank.stylise(trunk, rows, photos)
        found = self.vgg(portraits)
        is_photo = ops.cast(style == 0, "float32") if not self.frozen else ops.zeros_like(style, "float32")
        painted = 1.0 - is_photo
        gap = ops.mean(ops.square(ops.cast(found[CONTENT_LAYER] - content, "float32")), axis=(1, 2, 3))
        size = ops.mean(ops.square(ops.cast(content, "float32")), axis=(1, 2, 3))
        values = {"content": ops.mean(gap / size)}
        gram_term: Tensor = 0.0
        for layer in GRAM_LAYERS:
            target = ops.take(self.targets[layer], style, axis=0)
            error = ops.sum(ops.square(gram(found[layer]) - target), axis=(1, 2))
            gram_term = gram_term + error / ops.sum(ops.square(target), axis=(1, 2)) / len(GRAM_LAYERS)
        values["style"] = self.settings.style_weight * ops.mean(painted * gram_term)
        same = ops.mean(ops.abs(portraits - photos), axis=(1, 2, 3))
        values["photograph"] = self.settings.photograph_weight * ops.mean(is_photo * same)
        return values
