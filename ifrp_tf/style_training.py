"""Trains the style bank, or adds styles to it: style images and photographs -> `saved_models/style_bank`.

The folder holds `trunk.npz`, `trained.npz` (the styles trained with the trunk), `reserved.npz` (the paper's
unseen styles, added to the frozen trunk, for testing only) and `own.npz` (any other style added).
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ifrp_tf import images, logs, photos
from ifrp_tf.archives import read_arrays, write_arrays
from ifrp_tf.config import DataConfig
from ifrp_tf.errors import ConfigError, DataError, TrainingError
from ifrp_tf.style_trainer import STYLE_SIDE, StyleTrainer, StyleTraining
from ifrp_tf.styles import bank

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
    with logs.logged_to(run_dir / "log.txt"):
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
