"""Faults 58-64: what a training run is given, and the machine that it runs on."""

import functools
import json
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from faults import Fault, launched, write
from faults_training import CONFIG, faces, step, trained

from ifrp_tf.core.config import DataConfig
from ifrp_tf.core.errors import ConfigError, DataError
from ifrp_tf.data import photos, pipeline_tf, prepare, shards, toy_faces
from ifrp_tf.data.photos import PhotoSet
from ifrp_tf.pictures import images
from ifrp_tf.training import callbacks, run, validation


def refused_with_counts(folder: Path) -> None:
    source = write(folder / "in", {f"{k}.png": images.encode_png(faces().pixels[k]) for k in range(6)})
    large = CONFIG.override(["train.batch_size=8", "train.epoch_pictures=8", "data.validation_count=1"])
    with pytest.raises(DataError, match=r"train\.batch_size=8 photographs\. Received: 5"):
        pipeline_tf.batches(photos.split(photos.load(source, large.data), 1)[0], large)
    none_left = CONFIG.override(["data.validation_count=6"])
    ended = launched(lambda: run.run(none_left, str(source), folder / "run"))
    assert (ended.code, "Traceback" in ended.err) == (1, False)
    assert "data.validation_count=6. Received: 6" in ended.err


def mixed_photographs(root: Path) -> Path:
    """Six sound ones of three persons, and one of every kind that must not be trained on."""
    drawn = toy_faces.draw(10, side=64).pixels
    sound = {f"lfw/p{k // 2}/{k}.png": drawn[k] for k in range(6)}
    wide = np.repeat(drawn[6], 2, axis=1)
    others = {
        "a/copy.png": drawn[0],
        "a/small.png": drawn[7][:20, :20],
        "a/wide.png": wide,
        "a/tested.png": drawn[8],
    }
    write(root / "in", {name: images.encode_png(pixels) for name, pixels in {**sound, **others}.items()})
    write(root / "in", {"notes.txt": b"no picture"})
    write(root / "test", {"a/9.png": images.encode_png(drawn[8])})
    return root


def validated(root: Path) -> None:
    config = DataConfig(side=64, validation_count=2)
    places = {"source": str(root / "in"), "output": str(root / "out"), "test": str(root / "test")}
    request = prepare.Request(**places, data=config, shards=1)
    assert prepare.run(request) == 1  # a file was no picture
    dropped = json.loads((root / "out" / "manifest.json").read_text())["dropped"]
    reasons = {name: reason.split(":")[0] for name, reason in dropped}
    assert reasons.pop("a/tested.png") == "in_test"
    assert (reasons.pop("a/small.png"), reasons.pop("notes.txt")) == ("too_small", "unreadable")
    assert set(reasons.values()) <= {"duplicate", "spare"}
    assert "duplicate" in reasons.values()
    prepared = shards.Prepared.open(root / "out", config)
    training, held_out = prepared.load("train"), prepared.load()
    assert training.pixels.shape[1:] == held_out.pixels.shape[1:] == (64, 64, 3)
    assert not set(training.persons) & set(held_out.persons)


@functools.cache
def two_passes() -> tuple[PhotoSet, list[tuple[np.ndarray, ...]]]:
    """Six photographs in three batches of four: each photograph twice, no batch the end of a pass."""
    config = CONFIG.override(["data.flip=false"])
    six = faces().select(range(6))
    made = list(pipeline_tf.batches(six, config).take(3).as_numpy_iterator())
    again = list(pipeline_tf.batches(six, config, step=1).take(2).as_numpy_iterator())
    for one, other in zip(made[1:], again, strict=True):  # two runs are equal, from any step on
        for part, expected in zip(one, other, strict=True):
            np.testing.assert_array_equal(part, expected)
    return six, made


def every_pass_is_another(made: tuple[PhotoSet, list[tuple[np.ndarray, ...]]]) -> None:
    six, batches = made
    portraits, seen = (np.concatenate([batch[k] for batch in batches]) for k in (0, 1))
    levels = images.to_uint8(seen)
    for pixels in six.pixels:
        first, second = np.flatnonzero((levels == pixels).all(axis=(1, 2, 3)))
        assert first < 6 <= second
        assert np.abs(portraits[first] - portraits[second]).mean() > 0.01


def one_and_never_a_part(made: tuple[PhotoSet, list[tuple[np.ndarray, ...]]]) -> None:
    assert [batch[0].shape for batch in made[1]] == [(4, 32, 32, 3)] * 3
    assert CONFIG.override(["train.pictures=17"]).train.steps == 5
    single = CONFIG.override(["train.batch_size=1", "data.group=1"])
    assert single.train.steps == 16
    assert all(np.isfinite(value[0]) for value in step(trained(), count=1).values())
    with pytest.raises(ConfigError, match="multiple of data.group"):
        CONFIG.override(["train.batch_size=1"])


def too_large_a_batch(_: Path) -> tuple[int, ...]:
    return (10**9, 32, 32, 3)


def said_in_a_line(shape: tuple[int, ...]) -> None:
    def main() -> int:
        portraits = tf.broadcast_to(tf.zeros((1, *shape[1:])), shape)
        return trained().train_step((portraits, portraits, portraits))

    smaller = "smaller --set=train.batch_size"
    launched(main).says(1, "Not enough memory", "shape[1000000000,32,32,3]", smaller)
    launched(lambda: np.zeros((10**8, 10**8))).says(1, "Not enough memory", smaller)


def on_the_cpu(visible: list) -> None:
    if visible:
        pytest.skip("TensorFlow sees a GPU; CUDA_VISIBLE_DEVICES=-1 hides it")
    assert int(trained().step) > 0
    assert "CPU" in trained().networks["srn"].weights[0].value.device


def no_folder_and_no_board(root: Path) -> Path:
    return write(root, {"file": b""})


def refused_early_or_done_without(root: Path) -> None:
    for run_dir in (root / "file", root / "file" / "run"):
        ended = launched(lambda run_dir=run_dir: run.run(CONFIG, "", run_dir))
        ended.says(2, str(root / "file"), "Choose another `run_dir`")
    pixels = faces().pixels[:8]
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "tensorboard", None)
        watch = callbacks.Validation(
            root / "run", CONFIG, validation.FixedPairs(255 - pixels, pixels, pixels[0])
        )
        watch.set_model(trained())
        (root / "run").mkdir()
        watch.on_epoch_end(0, {"loss": 1.0})
    assert (
        len(callbacks.read_metrics(root / "run")) == len(list((root / "run" / "samples").glob("*.png"))) == 1
    )
    assert not (root / "run" / "tensorboard").exists()


ROWS = [
    Fault(58, "fewer photographs than a batch", lambda root: root, refused_with_counts),
    Fault(
        59,
        "mixed sizes, no faces, duplicates across splits",
        mixed_photographs,
        validated,
        differs="Whether a photograph shows a face is not judged: detectors miss faces in tight crops, and "
        "whoever prepares a folder has chosen it.",
    ),
    Fault(
        60,
        "augmentation that repeats itself, or not",
        lambda _: two_passes(),
        every_pass_is_another,
        slow=True,
    ),
    Fault(61, "batch of one, last batch a part", lambda _: two_passes(), one_and_never_a_part),
    Fault(
        62,
        "device out of memory",
        too_large_a_batch,
        said_in_a_line,
        differs="No GPU here: TensorFlow's allocator on the CPU raises the same class. The message holds the "
        "shape that found no room, of which the batch is the first number, and the setting to make smaller.",
    ),
    Fault(
        63,
        "no GPU, or one without cuDNN",
        lambda _: tf.config.list_physical_devices("GPU"),
        on_the_cpu,
        differs="A GPU without cuDNN cannot be made here. The notice is tested in test_train.",
    ),
    Fault(
        64,
        "run folder that cannot be, TensorBoard absent",
        no_folder_and_no_board,
        refused_early_or_done_without,
    ),
]
