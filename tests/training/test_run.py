"""Runs as a user starts them: by the tool, in a process of their own, with real kills."""

import json
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import faults
import faults_program
import h5py
import numpy as np
import pytest
import small_model
import tensorflow as tf

from ifrp_tf.core.errors import ConfigError, ModelError
from ifrp_tf.core.presets import preset
from ifrp_tf.systems.ifrp.networks import build_srn
from ifrp_tf.training import checkpoint
from ifrp_tf.training import run as train

ROOT = Path(__file__).resolve().parents[2]
SMALL = [
    "--preset=toy", "--set=data.side=32", "--set=model.srn=aligner",  # both players, few layers
    "--set=train.batch_size=8", "--set=train.epoch_pictures=96",
    "--set=data.validation_count=8",
    "--set=train.pictures=288", "--set=train.deterministic=true", "--set=train.checkpoint_steps=4",
    "--set=data.styles=tonal", "--set=loss.adversarial_start=10",
]  # fmt: skip
ROUNDING = 1e-3
"""Equal runs are bit-equal where seen since sums of three tensors have a fixed order; before, twelve steps
made 7e-5 of a difference in the last bit. A step lost or done twice moves some weight by over 1e-2."""


def start(run_dir, *flags):
    command = [sys.executable, "tools/train.py", *SMALL, f"--run_dir={run_dir}", *flags]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def finish(process):
    output = process.communicate(timeout=900)[0]
    assert process.returncode == 0, output[-2000:]


def weights(path):
    found = {}
    with h5py.File(path) as file:
        file.visititems(
            lambda name, item: found.update({name: item[()]}) if isinstance(item, h5py.Dataset) else None
        )
    return found


def distance(a, b):
    """The largest absolute difference between two sets of arrays of the same names."""
    assert a.keys() == b.keys()
    return max(float(np.max(np.abs(np.subtract(a[key], b[key], dtype=np.float64)))) for key in a)


def wait_for_checkpoint_after(folder, step, process):
    deadline = time.monotonic() + 600
    while time.monotonic() < deadline and process.poll() is None:
        names = checkpoint.list_checkpoints(folder / "checkpoints")
        if names and int(names[-1].name[5:]) > step:
            return int(names[-1].name[5:])
        time.sleep(0.02)
    raise AssertionError(f"no checkpoint after step {step}: {process.communicate()[0][-2000:]}")


@pytest.mark.slow
def test_a_run_killed_and_stopped_equals_an_uninterrupted_one(tmp_path):
    whole = start(tmp_path / "whole")
    killed, step = tmp_path / "killed", 0
    delays = random.Random(0)
    for number in (signal.SIGKILL, signal.SIGTERM):
        process = start(killed)
        step = wait_for_checkpoint_after(killed, step, process)
        time.sleep(delays.uniform(0.0, 0.3))
        process.send_signal(number)
        output = process.communicate(timeout=600)[0]
    if process.returncode not in (0, -signal.SIGTERM):  # it may have been at its end by itself
        assert process.returncode == 130, output[-2000:]
        assert "interrupted: saved at step" in (killed / "log.txt").read_text()
    assert step < 36
    finish(start(killed, "--resume=must"))
    finish(whole)
    last, before = "step_00000036", "step_00000032"
    for name in ("srn", "dn", "srn_average"):
        file = f"{name}.weights.h5"
        end = weights(tmp_path / "whole/checkpoints" / last / file)
        assert distance(end, weights(tmp_path / "killed/checkpoints" / last / file)) <= ROUNDING, name
        # Even the last four steps, the smallest of the schedule, change far more than is let pass here.
        assert distance(end, weights(tmp_path / "whole/checkpoints" / before / file)) > 10 * ROUNDING, name
    for name in ("srn_optimizer", "dn_optimizer"):
        a, b = (
            dict(np.load(tmp_path / run / "checkpoints" / last / f"{name}.npz"))
            for run in ("whole", "killed")
        )
        assert distance(a, b) <= ROUNDING, name
    rows = [json.loads(line) for line in (killed / "metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [12, 24, 36]
    for name in ("config.json", "environment.json", "log.txt", "model/srn.weights.h5", "model/mean_face.png"):
        assert (killed / name).stat().st_size > 0, name


@pytest.mark.slow
def test_the_toy_preset_learns(tmp_path):
    """Two thirds of its pictures, in three styles that compile fast, beat their input and the mean face."""
    fewer = ("data.styles=pencil,oil,mosaic", "train.pictures=4000", "train.epoch_pictures=2000")
    flags = ("--preset=toy", f"--run_dir={tmp_path / 'toy'}", *(f"--set={one}" for one in fewer))
    done = small_model.tool("train", *flags, timeout=1800)
    assert done.returncode == 0, done.stderr[-2000:]
    last = json.loads((tmp_path / "toy" / "metrics.jsonl").read_text().splitlines()[-1])["validation"]
    assert last["model"]["psnr"] > last["mean_face"]["psnr"] + 1.0
    assert last["model"]["psnr"] > last["input"]["psnr"] + 3.0
    assert last["model"]["ssim"] > last["mean_face"]["ssim"]


@pytest.mark.slow
def test_fine_tuning_starts_from_the_given_weights(tmp_path):
    config = preset("toy").override(
        ["train.batch_size=4", "train.epoch_pictures=8", "train.pictures=8", "train.learning_rate=1e-8",
         "data.styles=tonal", "data.validation_count=4"]
    )  # fmt: skip
    first = tmp_path / "first.weights.h5"
    build_srn(config.model, side=config.data.side).save_weights(first)
    (tmp_path / "second").mkdir()  # with a row of a run that ended before its first checkpoint
    (tmp_path / "second" / "metrics.jsonl").write_text('{"step": 1}\n')
    train.run(config, "", tmp_path / "second", initial=str(first))
    rows = (tmp_path / "second" / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(row)["step"] for row in rows] == [2]
    if not tf.config.list_physical_devices("GPU"):
        said = (tmp_path / "second" / "log.txt").read_text()
        assert "training on cpu:0; no accelerator was found" in said
    a, b = weights(first), weights(tmp_path / "second" / "model" / "srn.weights.h5")
    kernels = [key for key in a if key.endswith("vars/0") and a[key].ndim == 4]
    assert kernels
    for key in kernels:  # a learning rate of 1e-8 leaves them where they began
        np.testing.assert_allclose(a[key], b[key], atol=1e-6)
    with pytest.raises(ModelError):
        train.run(config, "", tmp_path / "third", initial=str(tmp_path / "none.weights.h5"))


def test_resume_modes_and_changed_configuration(tmp_path):
    config = preset("toy")
    with pytest.raises(ModelError, match="Expected a checkpoint"):
        train.run(config, "", tmp_path / "none", resume="must")
    (tmp_path / "run" / "checkpoints" / "step_00000001").mkdir(parents=True)
    (tmp_path / "run" / "config.json").write_text(json.dumps(config.to_dict()))
    with pytest.raises(ModelError, match="Expected no checkpoint"):
        train.run(config, "", tmp_path / "run", resume="never")
    with pytest.raises(ConfigError, match=r"train\.learning_rate: 0\.003 -> 0\.5"):
        train.run(config.override(["train.learning_rate=0.5"]), "", tmp_path / "run")
    older = config.to_dict()
    del older["data"]["sketch_tones"]  # came later: the run had its default
    (tmp_path / "run" / "config.json").write_text(json.dumps(older))
    with pytest.raises(ConfigError, match=r"Received changes: data\.sketch_tones: 0\.0 -> 0\.5\."):
        train.run(config.override(["data.sketch_tones=0.5"]), "", tmp_path / "run")


def test_dry_run_prints_the_plan_and_writes_nothing(tmp_path):
    done = small_model.called(
        "train", "--preset=paper", "--set=train.batch_size=32", f"--run_dir={tmp_path / 'x'}", "--dry_run"
    )
    assert done.returncode == 0
    plan = json.loads(done.stdout)
    assert plan["config"]["train"]["batch_size"] == 32
    assert plan["budget"]["steps"] == 234_375
    assert not (tmp_path / "x").exists()


def test_a_missing_folder_of_photographs_exits_1_and_is_named(tmp_path):
    flags = ("--preset=paper", "--data=/no/such/folder", f"--run_dir={tmp_path / 'x'}")
    ended = faults.tool("train", *flags, python=("-X", "importtime"))
    assert not faults_program.imported(ended) & {"tensorflow", "keras", "jax"}
    assert ended.code == 1
    assert "/no/such/folder" in ended.err
    assert "Traceback" not in ended.err


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--preset=papr"], "Did you mean 'paper'"),
        (["--preset=paper", "--set=train.lerning_rate=1"], "Did you mean 'learning_rate'"),
        (["--preset=paper", "--set=train.learning_rate=abc"], "type float"),
        (["--preset=paper", "--data=.", "--set=data.styles=reserved"], "reserved for testing"),
        (["--preset=paper"], "--data=FOLDER"),
    ],
)
def test_usage_errors_exit_2_with_one_line(tmp_path, flags, message):
    done = small_model.called("train", *flags, f"--run_dir={tmp_path / 'x'}")
    assert done.returncode == 2, done.stderr
    assert message in done.stderr
    assert "Traceback" not in done.stderr
