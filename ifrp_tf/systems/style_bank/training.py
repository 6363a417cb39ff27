"""Training of the style bank: one feed-forward network for many styles."""

from __future__ import annotations

import dataclasses
import logging
import re
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import ops
from PIL import Image

from ifrp_tf.core import runtime
from ifrp_tf.core.archives import read_arrays, write_arrays
from ifrp_tf.core.config import DataConfig, within
from ifrp_tf.core.errors import ConfigError, DataError, TrainingError
from ifrp_tf.core.types import Tensor
from ifrp_tf.data import misalign, photos
from ifrp_tf.nn.features import networks
from ifrp_tf.pictures import images
from ifrp_tf.styles import bank

# ---- The training step of the style bank (`styles/bank.py`) ----

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
        return networks.vgg19(weights, **options)
    try:
        source = source or keras.applications.VGG19(include_top=False)
    except Exception as error:  # whatever the download meets
        raise DataError(
            f"Expected VGG-19 in {str(weights)!r}, or from keras.applications. Received: {error}.",
            hint="Put the archive there (--weights), or connect to the network once.",
        ) from error
    network = networks.vgg19(None, **options)
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


# ---- Trains the style bank, or adds styles to it: style images and photographs -> ----

TRAINED, OWN = "trained.npz", "own.npz"


def run(
    styles: Sequence[str],
    data: str,
    output: str | Path,
    run_dir: str | Path,
    settings: StyleTraining,
    *,
    weights: str = "data/weights",
    add: bool = False,
    save_seconds: float = 120.0,
) -> bank.StyleBank:
    """Trains a new bank, or adds styles to one whose trunk stays as it is.

    Args:
        styles: pictures, folders or patterns of style images; a style is called like its file.
        data: folder of photographs of faces.
        output: folder of the bank: a new one, or with `add` the one to add to.
        run_dir: where the checkpoint and the log are kept; the same folder resumes.
        settings: of the training.
        weights: folder with the VGG-19 archive.
        add: keep the trunk and train parameters of new styles only.
        save_seconds: time between two checkpoints.

    Returns:
        The whole bank as it is now in `output`.

    Raises:
        ConfigError: if a reserved style is to train the trunk, or the checkpoint is of other styles.
        DataError: if pictures, weights or the bank cannot be used.
        TrainingError: if the loss stops being finite.
    """
    output, run_dir = Path(output), Path(run_dir)
    pictures = read_styles(styles)
    forbidden = [name for name in pictures if bank.PREFIX + name in bank.RESERVED]
    if forbidden and not add:
        raise ConfigError(
            f"Expected styles to train the trunk on. Received reserved styles: {', '.join(forbidden)}.",
            hint="Add them to a finished bank with --add; they are then used for testing only.",
        )
    start = bank.load(str(output)) if add else None
    for folder in (run_dir, output):
        folder.mkdir(parents=True, exist_ok=True)
    with runtime.logged_to(run_dir / "log.txt"):
        trainer = StyleTrainer(pictures, settings, weights, start=start)
        everything = photos.load(data, DataConfig(), cache=run_dir.parent / ".cache")
        training, _ = photos.split(everything, min(500, len(everything) // 2))
        checkpoint = run_dir / "checkpoint.npz"
        _write(train(trainer, training.pixels, checkpoint, save_seconds=save_seconds), output, add)
    bank.load.cache_clear()
    return bank.load(str(output))


def read_styles(sources: Sequence[str]) -> dict[str, np.ndarray]:
    """Style images by name: the file's name in lower case, other characters than a-z and 0-9 as `_`.

    Args:
        sources: pictures, folders or patterns.

    Returns:
        uint8 [H, W, 3], the shorter side `STYLE_SIDE` pixels.

    Raises:
        DataError: if one cannot be read, two have one name, or there is none.
    """
    found: dict[str, np.ndarray] = {}
    for source in sources:
        for path in images.list_pictures(source):
            name = re.sub("[^a-z0-9]+", "_", path.stem.lower()).strip("_")
            if not name or name in found or name == bank.PHOTOGRAPH:
                raise DataError(f"Expected style images with names of their own. Received: {str(path)!r}.")
            found[name] = _shrink(images.read(path).pixels)
    if not found:
        raise DataError(f"Expected style images. Received none in {', '.join(sources)}.")
    return found


def _shrink(pixels: np.ndarray) -> np.ndarray:
    height, width = pixels.shape[:2]
    scale = STYLE_SIDE / min(height, width)
    size = (max(STYLE_SIDE, round(width * scale)), max(STYLE_SIDE, round(height * scale)))
    return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.LANCZOS))


def train(
    trainer: StyleTrainer,
    pixels: np.ndarray,
    checkpoint: Path,
    *,
    log_seconds: float = 20.0,
    save_seconds: float = 120.0,
) -> bank.StyleBank:
    """Trains to the end of the settings' pictures, from the checkpoint if there is one.

    Args:
        trainer: new.
        pixels: uint8 [M, 128, 128, 3] photographs.
        checkpoint: an `.npz`, written now and then and at the end, whole or not at all.
        log_seconds: time between two lines of progress.
        save_seconds: time between two checkpoints.

    Raises:
        TrainingError: if the loss stops being finite.
    """
    settings = trainer.settings
    if checkpoint.exists():
        trainer.restore(read_arrays(checkpoint))
        logging.info("resumed at step %d of %d", trainer.step, settings.steps)
    began, first = time.monotonic(), trainer.step
    saved = logged = began
    recent: list[dict[str, float]] = []
    while trainer.step < settings.steps:
        recent.append(trainer.train_step(pixels[_chosen(len(pixels), settings, trainer.step)]))
        if not np.isfinite(recent[-1]["loss"]):
            raise TrainingError(
                f"Expected a finite loss. Received: {recent[-1]} at step {trainer.step}.",
                hint="Choose a smaller learning rate; the last checkpoint is kept.",
            )
        now = time.monotonic()
        if now - logged > log_seconds or trainer.step == settings.steps:
            _log(recent, trainer, (trainer.step - first) / (now - began))
            logged, recent = now, []
        if now - saved > save_seconds or trainer.step == settings.steps:
            write_arrays(checkpoint, trainer.state())
            saved = now
    return trainer.result()


def _chosen(count: int, settings: StyleTraining, step: int) -> np.ndarray:
    return np.random.default_rng([settings.seed, step, 7]).integers(0, count, settings.batch_size)


def _log(recent: Sequence[Mapping[str, float]], trainer: StyleTrainer, speed: float) -> None:
    means: dict[str, Any] = {name: np.mean([row[name] for row in recent]) for name in recent[0]}
    shown = " ".join(f"{name} {value:.3f}" for name, value in means.items())
    left = (trainer.settings.steps - trainer.step) / speed / 60
    pictures = speed * trainer.settings.batch_size
    logging.info(
        "step %d/%d, %.1f pictures/s, %.0f min left: %s",
        trainer.step, trainer.settings.steps, pictures, left, shown,
    )  # fmt: skip


def _write(result: bank.StyleBank, output: Path, add: bool) -> None:
    half = {name: values.astype(np.float16) for name, values in result.styles.items()}
    if not add:
        trunk = {name: values.astype(np.float16) for name, values in result.trunk.items()}
        if _other_trunk(output, trunk):  # styles of one bank must never be painted by the trunk of another
            (output / bank.TRUNK).unlink()
        write_arrays(output / TRAINED, half)
        write_arrays(output / bank.TRUNK, trunk)
        return
    reserved = {name for name in half if bank.PREFIX + name in bank.RESERVED}
    for file, names in ((bank.RESERVED_FILE, reserved), (OWN, set(half) - reserved)):
        if names:
            before = read_arrays(output / file) if (output / file).exists() else {}
            write_arrays(output / file, {**before, **{name: half[name] for name in sorted(names)}})


def _other_trunk(output: Path, trunk: Mapping[str, np.ndarray]) -> bool:
    if not (output / bank.TRUNK).exists():
        return False
    there = read_arrays(output / bank.TRUNK)
    return set(there) != set(trunk) or any(not np.array_equal(there[name], trunk[name]) for name in trunk)
