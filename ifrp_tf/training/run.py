"""A training run and its folder: `run(config, data, run_dir)`.

The folder explains itself: `config.json environment.json log.txt metrics.jsonl samples/ tensorboard/
checkpoints/ model/`. Killed at any moment it resumes from the last checkpoint.
"""

from __future__ import annotations

import json
import logging
import platform
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras

from ifrp_tf.core import runtime
from ifrp_tf.core.config import Config
from ifrp_tf.core.errors import ConfigError, ModelError
from ifrp_tf.data import photos, toy_faces
from ifrp_tf.data.photos import PhotoSet
from ifrp_tf.pictures import images
from ifrp_tf.styles import sets
from ifrp_tf.systems import base
from ifrp_tf.training import callbacks, checkpoint, loop
from ifrp_tf.training import initial as starting

if TYPE_CHECKING:
    from ifrp_tf.training.workers import Workers

# Settings that may differ on resume: they do not change what a step computes, except that `pictures`
# stretches the cosine schedule.
FREE_ON_RESUME = ("train.pictures", "train.checkpoint_minutes", "train.checkpoint_steps", "train.patience")


def run(
    config: Config,
    data: str,
    run_dir: str | Path,
    *,
    weights: str = "data/weights",
    resume: str = "auto",
    initial: str = "",
) -> dict[str, Any]:
    """Trains, or goes on training.

    Args:
        config: what to train.
        data: folder of photographs; empty for drawn faces (`toy_faces.py`).
        run_dir: the run's folder; made when missing.
        weights: folder with the weights of the identity network.
        resume: `auto` goes on where there is a checkpoint; `must` expects one; `never` expects none.
        initial: what to start from, separated by commas: runs, released version folders, or `.weights.h5`
            files of the same SRN (`starting.start_from`); unused once there is a checkpoint.

    Returns:
        The last row of `metrics.jsonl`.

    Raises:
        ConfigError: if the folder holds a run with another configuration, or cannot be made.
        DataError: if the photographs or weights cannot be used.
        ModelError: if `resume` does not fit what is there, or no checkpoint can be read.
        TrainingError: if a loss stops being finite.
    """
    run_dir, workers = Path(run_dir), loop.start_workers(config)
    _check_folder(run_dir, config, resume)
    sets.of(config.data)
    try:
        run_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(
            f"Expected a folder that can be made as `run_dir`. Received: {str(run_dir)!r}: {error.strerror}.",
            hint="Choose another `run_dir`.",
        ) from error
    follower = workers is not None and not workers.chief
    name = f"log_worker{workers.index}.txt" if workers is not None and follower else "log.txt"
    with runtime.logged_to(run_dir / name):
        if not follower:
            for name, content in (("config", config.to_dict()), ("environment", environment(config))):
                images.write_bytes_atomic(run_dir / f"{name}.json", json.dumps(content, indent=2).encode())
        own = base.create(config).load_data(data)
        training, held_out = own or load_photos(config, data, run_dir.parent / ".cache")
        if workers is not None and follower:
            return _follow(config, training, weights, workers)
        return _fit(config, training, held_out, run_dir, weights, initial, workers)


def load_photos(config: Config, data: str, cache: Path | None) -> tuple[PhotoSet, PhotoSet]:
    """Training and validation photographs; drops are logged. `data` may be what `prepare_faces.py` made."""
    if data and (Path(data) / "manifest.json").is_file():
        from ifrp_tf.data.shards import Prepared

        return Prepared.open(data, config.data).parts(rendered=not loop.is_jax())
    if not data:
        everything = toy_faces.draw(toy_faces.COUNT, side=config.data.side, seed=config.train.seed)
    else:
        everything = photos.load(data, config.data, cache=cache)
    for name, reason in everything.dropped[:20]:
        logging.warning("dropped %s: %s", name, reason)
    training, held_out = photos.split(everything, config.data.validation_count)
    logging.info(
        "%d photographs: %d for training, %d for validation, %d dropped",
        len(everything), len(training), len(held_out), len(everything.dropped),
    )  # fmt: skip
    return training, held_out


def describe(config: Config, data: str) -> str:
    """What a run would do (`--dry_run`): the resolved configuration as JSON and its budget."""
    train = config.train
    budget = {
        "data": data or "drawn faces",
        "styles": sets.of(config.data),
        "steps": train.steps,
        "epochs": -(-train.steps // train.epoch_steps),
    }
    return json.dumps({"config": config.to_dict(), "budget": budget}, indent=2)


def environment(config: Config) -> dict[str, Any]:
    """Versions, commit and command: what is needed to repeat the run."""
    packages = {}
    for name in ("tensorflow", "jax", "keras", "numpy", "Pillow"):
        try:
            packages[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            packages[name] = "not installed"
    git = subprocess.run(
        ["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=False, cwd=Path(__file__).parent
    )
    return {
        "packages": packages,
        "python": platform.python_version(),
        "machine": platform.machine(),
        "backend": keras.backend.backend(),
        "commit": git.stdout.strip() or "unknown",
        "command": sys.argv,
        "seed": config.train.seed,
    }


def _devices() -> str:
    found = keras.distribution.list_devices()
    slow = all(device.startswith("cpu") for device in found)
    return ", ".join(found) + ("; no accelerator was found, this is slow" if slow else "")


def _check_folder(run_dir: Path, config: Config, resume: str) -> None:
    found = bool(checkpoint.list_checkpoints(run_dir / "checkpoints"))
    if resume == "must" and not found:
        raise ModelError(
            f"Expected a checkpoint in {run_dir / 'checkpoints'} (`resume=must`). Received: none.",
            hint="Start with `resume=auto`, or check `run_dir`.",
        )
    if resume == "never" and found:
        raise ModelError(
            f"Expected no checkpoint in {run_dir / 'checkpoints'} (`resume=never`). Received: some.",
            hint="Choose another `run_dir`, or `resume=auto` to go on.",
        )
    if found and (run_dir / "config.json").exists():
        # An option that came after the run was begun had its default then.
        begun = Config.from_dict(json.loads((run_dir / "config.json").read_text(encoding="utf-8")))
        changed = {k: v for k, v in begun.difference(config).items() if k not in FREE_ON_RESUME}
        if changed:
            shown = "; ".join(f"{key}: {before!r} -> {now!r}" for key, (before, now) in changed.items())
            raise ConfigError(
                f"Expected the configuration that {run_dir} was begun with. Received changes: {shown}.",
                hint="Use another `run_dir` for another experiment.",
            )


def _follow(config: Config, training: PhotoSet, weights: str, workers: Workers) -> dict[str, Any]:
    """Trains as one of several workers, of which the first writes the run's folder."""
    trainer = loop.make_trainer(config, weights, workers)
    workers.spread(_shared(trainer))
    logging.info("worker %d of %d, from step %d", workers.index + 1, workers.count, int(trainer.step))
    with runtime.terminate_as_interrupt():
        trainer.train(training, [callbacks.FiniteGuard(), callbacks.Together(workers)])
    return {}


def _shared(trainer: Any) -> list[Any]:
    """The variables of a trainer that a checkpoint holds, and the step."""
    state = callbacks.training_of(trainer)
    owners = [*state.networks.values(), *state.optimizers.values()]
    return [trainer.step, *(variable for owner in owners for variable in owner.variables)]


def _fit(
    config: Config,
    training: PhotoSet,
    held_out: PhotoSet,
    run_dir: Path,
    weights: str,
    initial: str,
    workers: Workers | None,
) -> dict[str, Any]:
    trainer = loop.make_trainer(config, weights, workers)
    logging.info("training on %s", _devices())  # not before: asking starts TensorFlow
    state = checkpoint.restore_latest(run_dir / "checkpoints", callbacks.training_of(trainer))
    # Also where nothing is resumed: rows of a run that ended before its first checkpoint are no part of this.
    callbacks.trim_metrics(run_dir, state["step"] if state else 0)
    if state:
        trainer.set_step(state["step"])
        logging.info("resumed at step %d of %d", state["step"], config.train.steps)
    elif initial:
        trained = trainer.networks[trainer.system.released]
        starting.start_from(trained, initial.split(","))
        trainer.released.set_weights(trained.get_weights())
        trainer.set_step(0)
    if workers is not None:
        workers.spread(_shared(trainer))
        logging.info("%d workers", workers.count)
    owed = _epoch_owed(run_dir, config, int(trainer.step))
    if owed is not None or int(trainer.step) < config.train.steps:
        judge = callbacks.Record(run_dir, config, loop.mean_face(training))
        if trainer.system.recovers:
            pairs = loop.fixed_pairs(held_out, training, config)
            foreign = loop.foreign_pairs(held_out, training, config)
            judge = callbacks.Validation(run_dir, config, pairs, foreign)
        if owed is not None:
            judge.set_model(trainer)
            judge.on_epoch_end(owed)
        _train_to_the_end(trainer, training, run_dir, judge, workers)
    rows = callbacks.read_metrics(run_dir)
    return rows[-1] if rows else {}


def _epoch_owed(run_dir: Path, config: Config, step: int) -> int | None:
    """The epoch that a killed run had finished but not yet judged, if there is one."""
    train, rows = config.train, callbacks.read_metrics(run_dir)
    ended = step > 0 and (step % train.epoch_steps == 0 or step == train.steps)
    if not ended or (rows and rows[-1]["step"] == step):
        return None
    return (step - 1) // train.epoch_steps


def _train_to_the_end(
    trainer: Any, training: PhotoSet, run_dir: Path, judge: callbacks.Record, workers: Workers | None
) -> None:
    checkpointer = callbacks.Checkpointer(run_dir / "checkpoints", trainer.config)
    watch = [callbacks.FiniteGuard(), callbacks.Progress(trainer.config), judge, checkpointer]
    if workers is not None:
        watch.append(callbacks.Together(workers))
    with runtime.terminate_as_interrupt():
        try:
            trainer.train(training, watch)
        except KeyboardInterrupt:
            checkpointer.save()
            logging.info("interrupted: saved at step %d", int(trainer.step))
            raise
