"""Faults 52-57: what goes wrong while a network is trained, and when that is resumed."""

import functools
import json
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from faults import Fault, launched, write

from ifrp_tf.core.errors import ModelError, TrainingError
from ifrp_tf.core.presets import preset
from ifrp_tf.data import photos, toy_faces
from ifrp_tf.pictures import images
from ifrp_tf.training import callbacks, checkpoint, loop
from ifrp_tf.training import run as train

CONFIG = preset("toy").override(
    ["data.side=32", "data.styles=tonal", "data.validation_count=4", "train.batch_size=4",
     "train.epoch_pictures=8", "train.pictures=16", "loss.adversarial=0"]
)  # fmt: skip


@functools.cache
def faces() -> photos.PhotoSet:
    return toy_faces.draw(12, side=32)


def batch(count: int = 4) -> tuple[np.ndarray, ...]:
    pictures = images.to_model_range(faces().pixels[:count])
    return np.round(pictures * 2) / 2, pictures, np.tile(np.float32([[0, 1, 0, 0]]), (count, 1))


@functools.cache
def trained() -> Any:
    """A trainer after a step, for every row; nothing in it is left as it would not train."""
    made = loop.make_trainer(CONFIG, "")
    made.run_eagerly = True  # spares a few steps the tracing of a graph
    step(made)
    return made


def step(made: Any, *watch: keras.callbacks.Callback, count: int = 4) -> dict[str, list[float]]:
    given = tf.data.Dataset.from_tensors(batch(count))
    return made.fit(given, callbacks=list(watch), verbose=0).history


def variables(made: Any) -> list[keras.Variable]:
    networks = [*made.networks["srn"].weights, *made.networks["dn"].weights, *made.average.weights]
    return [*networks, *made.optimizers["srn"].variables, *made.optimizers["dn"].variables]


def state(made: Any) -> list[np.ndarray]:
    return [np.asarray(variable.value).copy() for variable in variables(made)]


@contextmanager
def log_lines() -> Iterator[list[str]]:
    lines: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: lines.append(record.getMessage())
    logging.getLogger().addHandler(handler)
    try:
        yield lines
    finally:
        logging.getLogger().removeHandler(handler)


def stopped_before_the_state_is_saved(folder: Path) -> None:
    made, number = trained(), int(trained().step)
    saver = callbacks.Checkpointer(folder, CONFIG.override(["train.checkpoint_steps=1"]))
    saver.set_model(made)
    saver.save()
    good, before = checkpoint.list_checkpoints(folder), state(made)
    kernel = made.networks["srn"].get_layer("e1_conv").kernel  # as a gradient that is not finite leaves it
    kernel.assign(np.full(kernel.shape, np.inf))
    with pytest.raises(TrainingError, match=rf"nan or infinity in .*pixel.* at step {number + 1}"):
        step(made, callbacks.FiniteGuard(), saver)
    assert checkpoint.list_checkpoints(folder) == good
    checkpoint.save(folder, callbacks.training_of(made), number + 1)  # had it been saved all the same
    assert checkpoint.restore_latest(folder, callbacks.training_of(made))["step"] == number
    for old, new in zip(before, state(made), strict=True):
        np.testing.assert_array_equal(old, new)


def without_a_gradient(inputs: Any) -> Any:
    return tf.stop_gradient(keras.layers.Conv2D.call(trained().networks["srn"].get_layer("e1_conv"), inputs))


def named_at_the_first_step(_: Path) -> None:
    made, number = trained(), int(trained().step)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(made.networks["srn"].get_layer("e1_conv"), "call", without_a_gradient)
        with pytest.raises(TrainingError, match=r"Received none for .*e1_conv/kernel"):
            step(made)
    assert int(made.step) == number


def bit_for_bit(folder: Path) -> None:
    made, before = trained(), state(trained())
    checkpoint.save(folder, callbacks.training_of(made), int(made.step))
    for variable in variables(made):
        variable.assign(np.full(variable.shape, 7, variable.dtype))
    assert checkpoint.restore_latest(folder, callbacks.training_of(made))["step"] == int(made.step)
    assert int(made.optimizers["srn"].iterations) > 0
    for old, new in zip(before, state(made), strict=True):
        np.testing.assert_array_equal(old, new)
    unbuilt = checkpoint.Training({}, {"srn_optimizer": keras.optimizers.Adam(name="srn_optimizer")})
    with pytest.raises(ModelError, match="Differing names"):  # an error, not a warning
        checkpoint.restore(checkpoint.list_checkpoints(folder)[-1], unbuilt)


def begun(folder: Path) -> Path:
    (folder / "run" / "checkpoints" / "step_00000001").mkdir(parents=True)
    return write(folder / "run", {"config.json": json.dumps(CONFIG.to_dict()).encode()})


def refused_with_the_difference(run: Path) -> None:
    other = CONFIG.override(["train.learning_rate=0.5", "model.width=16"])
    words = ("train.learning_rate: 0.003 -> 0.5", "model.width: 8 -> 16", "another `run_dir`")
    launched(lambda: train.run(other, "", run)).says(2, *words)
    assert not (run / "log.txt").exists()


def small_training(value: float = 0.0) -> checkpoint.Training:
    network = keras.Sequential([keras.Input((3,)), keras.layers.Dense(4, name="a")], name="small")
    network.layers[0].bias.assign([value] * 4)
    optimizer = keras.optimizers.Adam(name="srn_optimizer")
    optimizer.build(network.trainable_variables)
    return checkpoint.Training({"srn": network}, {"srn_optimizer": optimizer})


def damages(folder: Path) -> list[Path]:
    """Runs of two checkpoints, of which the newer one is cut, corrupt, of a later version or full of NaN."""
    for name in ("cut", "corrupt", "version", "nan"):
        for number in (1, 2):
            value = float("nan") if (name, number) == ("nan", 2) else float(number)
            path = checkpoint.save(folder / name, small_training(value), number)
        damaged = path / ("state.json" if name == "version" else "srn.weights.h5")
        content = damaged.read_bytes()
        cut, corrupt = content[: len(content) // 2], content.replace(b"HDF", b"XXX")
        version = json.dumps({"format": checkpoint.FORMAT + 1, "step": 2}).encode()
        damaged.write_bytes({"cut": cut, "corrupt": corrupt, "version": version, "nan": content}[name])
    return [folder / name for name in ("cut", "corrupt", "version", "nan")]


def falls_back_and_says_so(runs: list[Path]) -> None:
    for folder in runs:
        training = small_training(9)
        with log_lines() as lines:
            assert checkpoint.restore_latest(folder, training)["step"] == 1
        assert training.networks["srn"].layers[0].bias[0] == 1
        assert any("step_00000002" in line and "Falling back" in line for line in lines)


def half_written(folder: Path) -> Path:
    """A checkpoint, and what a kill in the middle of the next one leaves."""
    checkpoint.save(folder, small_training(1), 1)
    write(folder / f".step_00000002.{os.getpid() + 1}", {"srn.weights.h5": b"half"})
    return folder


def previous_remains(folder: Path) -> None:
    training = small_training(9)
    assert checkpoint.restore_latest(folder, training)["step"] == 1
    checkpoint.save(folder, training, 2)
    checkpoint.save(folder, training, 3)
    assert sorted(path.name for path in folder.iterdir()) == ["step_00000002", "step_00000003"]


ROWS = [
    Fault(
        52,
        "NaN or infinity in a loss or gradient",
        lambda folder: folder,
        stopped_before_the_state_is_saved,
        differs="At the first step, not after k: the last good checkpoint stays, and the batch needs no "
        "saving: it is a function of the seed and the step, which is named. Gradients show in the next loss.",
        slow=True,
    ),
    Fault(53, "variable without a gradient", lambda folder: folder, named_at_the_first_step),
    Fault(54, "resumed with fresh optimizers", lambda folder: folder, bit_for_bit),
    Fault(55, "resumed with another configuration", begun, refused_with_the_difference),
    Fault(56, "checkpoint cut, corrupt, of another version or full of NaN", damages, falls_back_and_says_so),
    Fault(
        57,
        "killed while saving a checkpoint",
        half_written,
        previous_remains,
        differs="What the kill leaves is written here by hand; tools/kill_loop.py kills real runs.",
    ),
]
