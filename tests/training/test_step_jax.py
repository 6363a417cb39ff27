"""The JAX trainer against the TensorFlow trainer: one checkpoint, one batch, the same next step."""

import json
import subprocess
import sys

import keras
import numpy as np
import pytest
from helpers import ROOT, jax_environment

from ifrp_tf.core.presets import preset
from ifrp_tf.data import toy_faces
from ifrp_tf.systems import base
from ifrp_tf.training import callbacks, checkpoint
from ifrp_tf.training.step_tf import Trainer

ASSIGN = [
    "data.side=32",
    "model.skips=none",
    "train.batch_size=8",
    "data.group=4",
    "loss.ssim=0.1",
    "loss.margin_gate=false",
    "model.stn_bounded=true",
]

CHILD = """
import json, sys
from pathlib import Path
import numpy as np
from ifrp_tf.core.presets import preset
from ifrp_tf.systems import base
from ifrp_tf.training import callbacks, checkpoint
from ifrp_tf.training.step_jax import Trainer
folder = Path(sys.argv[1])
trainer = Trainer(base.create(preset("toy").override(json.loads(sys.argv[2]))))
state = checkpoint.restore_latest(folder, callbacks.training_of(trainer))
trainer.set_step(state["step"])
batch = np.load(folder / "batch.npz")
parts = tuple(batch[name] for name in ("portraits", "photos", "known"))
trainer.state, values = trainer.train_on_batch(trainer.state, parts)
checkpoint.save(folder, callbacks.training_of(trainer), trainer.step)
assert "tensorflow" not in sys.modules, "TensorFlow was imported"
print(json.dumps({name: float(value) for name, value in values.items()}))
"""


@pytest.fixture(scope="module", autouse=True)
def compiled_once(tmp_path_factory):
    """Both processes start the same networks: their initializers, 25 shapes, are compiled by the first."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JAX_COMPILATION_CACHE_DIR", str(tmp_path_factory.mktemp("compiled")))
        patch.setenv("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.1")
        yield


def child(code, *arguments):
    environment = jax_environment()
    done = subprocess.run(
        [sys.executable, *code, *arguments],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def trained(config, steps):
    keras.utils.set_random_seed(0)
    trainer = Trainer(base.create(config))
    trainer.compile()
    trainer.run_eagerly = True
    return trainer, steps


def step(trainer, batch):
    for tracker in trainer.metrics:
        tracker.reset_state()
    return {name: float(value) for name, value in trainer.train_step(batch).items()}


@pytest.mark.slow
def test_checkpoints_interchange_and_the_next_step_is_the_same(tmp_path):
    trainer, _ = trained(preset("toy").override(ASSIGN), 2)
    photos = toy_faces.draw(8, side=32, seed=5).pixels.astype("float32") / 255 * 2 - 1
    portraits = np.clip(np.round(photos * 2) / 2, -1, 1)
    known = np.random.default_rng(0).normal(0, 0.05, (8, 4)).astype("float32") + np.float32([0, 1, 0, 0])
    batch = (portraits, photos, known)
    for _ in range(2):
        step(trainer, batch)
    checkpoint.save(tmp_path, callbacks.training_of(trainer), int(trainer.step))
    np.savez(tmp_path / "batch.npz", portraits=portraits, photos=photos, known=known)
    by_jax = json.loads(child(["-c", CHILD], str(tmp_path), json.dumps(ASSIGN)).splitlines()[-1])
    by_tensorflow = step(trainer, batch)
    assert set(by_jax) == set(by_tensorflow)
    for name, value in by_tensorflow.items():
        assert by_jax[name] == pytest.approx(value, rel=1e-3, abs=1e-5), name
    # And back: the checkpoint that JAX wrote holds the weights that TensorFlow reached by itself.
    other, _ = trained(preset("toy").override(ASSIGN), 0)
    assert checkpoint.restore_latest(tmp_path, callbacks.training_of(other))["step"] == 3
    assert int(other.optimizers["srn"].iterations) == 3
    for a, b in zip(trainer.average.weights, other.average.weights, strict=True):
        np.testing.assert_allclose(a.value, b.value, atol=2e-3, err_msg=a.path)


@pytest.mark.slow
def test_the_tool_trains_under_jax(tmp_path):
    flags = [
        "tools/train.py", "--preset=toy", f"--run_dir={tmp_path}", "--set=train.batch_size=8",
        "--set=data.side=32", "--set=model.srn=aligner", "--set=train.epoch_pictures=32",
        "--set=data.validation_count=4", "--set=data.styles=tonal",
    ]  # fmt: skip
    child(flags, "--set=train.pictures=64")
    rows = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [4, 8]
    assert all(np.isfinite(list(row["train"].values())).all() for row in rows)
    assert json.loads((tmp_path / "environment.json").read_text())["backend"] == "jax"
    assert (tmp_path / "samples" / "step_00000008.png").exists()
    # What JAX trained, TensorFlow loads.
    config = preset("toy").override([flag.removeprefix("--set=") for flag in flags[3:]])
    base.build_released(config).load_weights(tmp_path / "model" / "srn.weights.h5")
