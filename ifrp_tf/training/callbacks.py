"""What happens periodically while `fit` runs: guards, checkpoints, validation, samples, progress."""

from __future__ import annotations

import importlib.util
import json
import logging
import math
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from ifrp_tf.core import files
from ifrp_tf.core.config import Config
from ifrp_tf.core.errors import TrainingError
from ifrp_tf.pictures import images
from ifrp_tf.systems.base import System
from ifrp_tf.training import checkpoint, validation

if TYPE_CHECKING:
    from ifrp_tf.training.workers import Workers


class FiniteGuard(keras.callbacks.Callback):
    """Stops the run when any logged value is not finite (Keras's own guard looks at `loss` alone).

    No checkpoint is written with such a state, so the last good one remains.
    """

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Checks every logged value."""
        bad = [name for name, value in (logs or {}).items() if not math.isfinite(value)]
        if bad:
            raise TrainingError(
                f"Expected finite losses. Received nan or infinity in {', '.join(sorted(bad))} "
                f"at step {int(self.model.step)}.",
                hint="Resume from the last checkpoint with a smaller train.learning_rate.",
            )


class Checkpointer(keras.callbacks.Callback):
    """Saves networks, optimizers and step every few minutes or steps, and at the end of every epoch.

    Args:
        folder: `<run>/checkpoints`.
        config: `train.checkpoint_minutes` and `train.checkpoint_steps`.
    """

    def __init__(self, folder: Path, config: Config) -> None:
        super().__init__()
        self.folder, self.train_config = folder, config.train
        self.saved_step, self.saved_time = -1, time.monotonic()

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Saves when it is time."""
        minutes, steps = self.train_config.checkpoint_minutes, self.train_config.checkpoint_steps
        due = minutes and time.monotonic() - self.saved_time > 60 * minutes
        if due or (steps and int(self.model.step) % steps == 0):
            self.save()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Saves."""
        self.save()

    def save(self) -> None:
        """Saves unless this very step is saved already."""
        step = int(self.model.step)
        if step == self.saved_step:
            return
        checkpoint.save(self.folder, training_of(self.model), step)
        self.saved_step, self.saved_time = step, time.monotonic()


class Record(keras.callbacks.Callback):
    """Every epoch: a row of `metrics.jsonl`, TensorBoard, and `model/`.

    Args:
        run_dir: the run's folder.
        config: the run's configuration.
        mean_face: uint8 [S, S, 3], for `model/`.
    """

    def __init__(self, run_dir: Path, config: Config, mean_face: np.ndarray) -> None:
        super().__init__()
        self.run_dir, self.config, self.mean_face = run_dir, config, mean_face
        self.board = _board(run_dir / "tensorboard")
        self.history = read_metrics(run_dir)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Writes."""
        self.model.pull()
        self.record(epoch, logs)
        save_model(self.run_dir, self.model.system, self.model.released, self.mean_face)

    def record(self, epoch: int, logs: dict[str, Any] | None, **further: Any) -> dict[str, Any]:
        """Adds a row to `metrics.jsonl`, and returns it.

        Args:
            epoch: counted from 0.
            logs: means of the training losses.
            **further: more of the row, ready for JSON.
        """
        step = int(self.model.step)
        row = {
            "step": step,
            "pictures": step * self.config.train.batch_size,
            "epoch": epoch + 1,
            "time": time.time(),
            "train": {name: float(value) for name, value in (logs or {}).items()},
            **further,
        }
        # A run killed before its first checkpoint starts again and comes to the same steps again.
        self.history = [*(old for old in self.history if old["step"] < step), row]
        _write_metrics(self.run_dir, self.history)
        return row


class Validation(Record):
    """`Record`, and: scores on fixed pairs, a sheet of samples, an early stop.

    Args:
        run_dir: the run's folder.
        config: the run's configuration.
        pairs: fixed validation pairs; the first eight are drawn.
        foreign: portraits that other networks painted of persons held out, scored as well, or None.
    """

    def __init__(
        self,
        run_dir: Path,
        config: Config,
        pairs: validation.FixedPairs,
        foreign: validation.FixedPairs | None = None,
    ) -> None:
        super().__init__(run_dir, config, pairs.mean_face)
        self.pairs, self.trivial, self.foreign = pairs, pairs.trivial_scores(), foreign
        if foreign is not None:
            self.trivial |= {f"foreign_{name}": value for name, value in foreign.trivial_scores().items()}

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Measures, draws, writes."""
        self.model.pull()
        recovered = self._recover(self.pairs)
        scores = {"model": validation.score(recovered, self.pairs.photos), **self.trivial}
        if self.foreign is not None:
            scores["foreign"] = validation.score(self._recover(self.foreign), self.foreign.photos)
            logging.info("foreign portraits: %(psnr).2f dB, SSIM %(ssim).3f", scores["foreign"])
        row = self.record(epoch, logs, validation=scores)
        model, mean = scores["model"], scores["mean_face"]
        logging.info(
            "epoch %d: validation %.2f dB, SSIM %.3f (mean face %.2f dB, %.3f)",
            epoch + 1, model["psnr"], model["ssim"], mean["psnr"], mean["ssim"],
        )  # fmt: skip
        sheet = self._draw(recovered, row["step"])
        self._tensorboard(row, sheet, row["step"])
        save_model(self.run_dir, self.model.system, self.model.released, self.mean_face)
        if self._exhausted():
            logging.info("no gain for %d epochs: stopping", self.config.train.patience)
            self.model.stop_training = True

    def _recover(self, pairs: validation.FixedPairs) -> np.ndarray:
        return validation.recover(self.model.system, self.model.released, pairs.portraits)

    def _draw(self, recovered: np.ndarray, step: int) -> np.ndarray:
        columns = slice(0, 8)
        rows = [self.pairs.portraits[columns], recovered[columns], self.pairs.photos[columns]]
        sheet = images.grid(rows)
        images.write_png(self.run_dir / "samples" / f"step_{step:08d}.png", sheet)
        return sheet

    def _tensorboard(self, row: dict[str, Any], sheet: np.ndarray, step: int) -> None:
        if self.board is None:
            return
        import tensorflow as tf

        with self.board.as_default(step=step):
            for name, value in row["train"].items():
                tf.summary.scalar(f"train/{name}", value)
            for who, scores in row["validation"].items():
                for name, value in scores.items():
                    tf.summary.scalar(f"validation_{name}/{who}", value)
            tf.summary.image("samples: portrait, recovered, photo", sheet[None])
        self.board.flush()

    def _exhausted(self) -> bool:
        patience = self.config.train.patience
        psnr = [row["validation"]["model"]["psnr"] for row in self.history]
        return bool(patience) and len(psnr) > patience and max(psnr[-patience:]) <= max(psnr[:-patience])


class Together(keras.callbacks.Callback):
    """Stops all workers where the first one stops; after each epoch they wait for it.

    Args:
        workers: of the run.
    """

    def __init__(self, workers: Workers) -> None:
        super().__init__()
        self.workers = workers

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Asks whether anybody stops."""
        self.model.stop_training = bool(self.workers.mean(float(self.model.stop_training)) > 0)


class Progress(keras.callbacks.Callback):
    """A line every `seconds`: step, losses, pictures a second, time left.

    Args:
        config: budget and batch size.
        seconds: between lines.
    """

    def __init__(self, config: Config, seconds: float = 20.0) -> None:
        super().__init__()
        self.train_config, self.seconds = config.train, seconds
        self.last_time, self.last_step = time.monotonic(), -1

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Logs when it is time."""
        now, step = time.monotonic(), int(self.model.step)
        if self.last_step < 0:  # the first step holds the tracing: not a rate
            self.last_time, self.last_step = now, step
        ended = step == self.train_config.steps
        if (now - self.last_time < self.seconds and not ended) or step == self.last_step:
            return
        rate = (step - self.last_step) * self.train_config.batch_size / (now - self.last_time)
        left = (self.train_config.steps - step) * self.train_config.batch_size / max(rate, 1e-9)
        losses = " ".join(f"{name} {value:.4f}" for name, value in (logs or {}).items())
        logging.info(
            "step %d/%d, %.1f pictures/s, %s left: %s",
            step, self.train_config.steps, rate, _duration(left), losses,
        )  # fmt: skip
        self.last_time, self.last_step = now, step


def training_of(trainer: Any) -> checkpoint.Training:
    """What a checkpoint of `trainer` holds, brought up to date where the state lives elsewhere (JAX)."""
    trainer.pull()
    networks = dict(trainer.networks)
    if trainer.average is not None:
        networks[f"{trainer.system.released}_average"] = trainer.average
    optimizers = {optimizer.name: optimizer for optimizer in trainer.optimizers.values()}
    return checkpoint.Training(networks, optimizers)


def save_model(run_dir: Path, system: System, network: keras.Model, mean_face: np.ndarray) -> None:
    """Writes `<run>/model/`: the weights of the network to use and the mean face, each atomically."""
    folder = run_dir / "model"
    folder.mkdir(parents=True, exist_ok=True)
    temporary = folder / ".new.weights.h5"  # Keras insists on how the name ends
    network.save_weights(temporary)
    temporary.replace(folder / f"{system.released}.weights.h5")
    images.write_png(folder / "mean_face.png", mean_face)
    images.write_bytes_atomic(folder / "config.json", json.dumps(system.config.to_dict(), indent=2).encode())


def read_metrics(run_dir: Path) -> list[dict[str, Any]]:
    """The rows of `metrics.jsonl`; a last line cut by a kill is ignored."""
    return files.read_json_lines(run_dir / "metrics.jsonl")


def trim_metrics(run_dir: Path, step: int) -> None:
    """Drops rows of `metrics.jsonl` after `step`: a resumed run will write them again."""
    if (run_dir / "metrics.jsonl").exists():
        _write_metrics(run_dir, [row for row in read_metrics(run_dir) if row["step"] <= step])


def _write_metrics(run_dir: Path, rows: list[dict[str, Any]]) -> None:
    text = "".join(json.dumps(row) + "\n" for row in rows)
    images.write_bytes_atomic(run_dir / "metrics.jsonl", text.encode())


def _board(folder: Path) -> Any:
    """A TensorBoard writer, or None where TensorFlow, which writes them, or TensorBoard is not there."""
    used = keras.backend.backend() == "tensorflow"
    if not used or importlib.util.find_spec("tensorboard") is None:
        missing = "TensorBoard" if used else "TensorFlow"
        logging.info("no TensorBoard files without %s; metrics.jsonl and samples/ hold the same", missing)
        return None
    import tensorflow as tf

    return tf.summary.create_file_writer(str(folder))


def _duration(seconds: float) -> str:
    minutes = int(seconds // 60)
    return f"{minutes // 60} h {minutes % 60:02d} min" if minutes >= 60 else f"{minutes} min"
