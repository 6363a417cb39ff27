"""Several workers train as one would."""

import json
import os
import signal
import socket
import subprocess
import sys
import time

import h5py
import numpy as np
import pytest
from helpers import ROOT, jax_environment

from ifrp_tf.core.config import Config
from ifrp_tf.core.errors import ConfigError
from ifrp_tf.training import loop, workers

SETTINGS = [
    "--set=data.side=32", "--set=train.batch_size=8", "--set=train.epoch_pictures=32", "--set=data.group=2",
    "--set=data.validation_count=8", "--set=train.pictures=64", "--set=train.dtype=float32",
    "--set=train.deterministic=true", "--set=train.checkpoint_steps=3", "--set=data.styles=tonal",
]  # fmt: skip
# A critic that begins within the run, its gates, its batch norms.
TOY = ["--preset=toy", "--set=model.srn=aligner", "--set=loss.adversarial_start=2"]


@pytest.mark.parametrize(
    "text",
    [
        "{", "[]", '{"cluster": {"worker": ["a:1", "b:1"]}}',
        '{"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "worker", "index": 2}}',
        '{"cluster": {"worker": ["a:1"], "ps": ["b:1"]}, "task": {"type": "worker", "index": 0}}',
    ],
)  # fmt: skip
def test_a_cluster_that_is_none_of_workers_is_refused(monkeypatch, text):
    monkeypatch.setenv("TF_CONFIG", text)
    with pytest.raises(ConfigError, match="Expected TF_CONFIG"):
        workers.in_environment()


def test_one_worker_needs_no_others(monkeypatch):
    monkeypatch.setenv("TF_CONFIG", '{"cluster": {"worker": ["a:1"]}, "task": {"index": 0}}')
    assert workers.in_environment() == 1
    assert workers.start.__wrapped__() is None
    monkeypatch.delenv("TF_CONFIG")
    assert workers.in_environment() == 1


def test_a_batch_that_cannot_be_divided_is_refused(monkeypatch):
    told = '{"cluster": {"worker": ["a:1", "b:1", "c:1"]}, "task": {"index": 0}}'
    monkeypatch.setenv("TF_CONFIG", told)
    with pytest.raises(ConfigError, match="a multiple of 3"):
        loop.start_workers(Config())


def start(run_dir, index=0, addresses=(), **environment):
    """A worker, as a user starts it."""
    told = {"cluster": {"worker": list(addresses)}, "task": {"type": "worker", "index": index}}
    environment = {**os.environ, **({"TF_CONFIG": json.dumps(told)} if addresses else {}), **environment}
    command = [sys.executable, "tools/train.py", *TOY, *SETTINGS, f"--run_dir={run_dir}"]
    return subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def together(run_dir):
    addresses = [f"localhost:{free()}" for _ in range(2)]
    return [start(run_dir, index, addresses) for index in range(2)]


def free():
    with socket.socket() as one:
        one.bind(("localhost", 0))
        return one.getsockname()[1]


def finish(*processes):
    outputs = [process.communicate(timeout=900)[0] for process in processes]
    for process, output in zip(processes, outputs, strict=True):
        assert process.returncode == 0, output[-3000:]


def losses(run_dir):
    rows = [json.loads(line) for line in (run_dir / "metrics.jsonl").read_text().splitlines()]
    return [row["train"] for row in rows]


def weights(path):
    found = {}
    with h5py.File(path) as file:
        file.visititems(
            lambda name, item: found.update({name: item[()]}) if isinstance(item, h5py.Dataset) else None
        )
    return found


def check_equal(one, other, tolerance=1e-5):
    for before, after in zip(losses(one), losses(other), strict=True):
        assert before.keys() == after.keys()
        for name, value in before.items():
            assert after[name] == pytest.approx(value, rel=tolerance, abs=tolerance), name


@pytest.mark.slow
def test_two_workers_train_as_one(tmp_path):
    finish(start(tmp_path / "one"))
    finish(*together(tmp_path / "two"))
    check_equal(tmp_path / "one", tmp_path / "two")


@pytest.mark.slow
def test_a_lost_worker_ends_the_others_and_all_go_on(tmp_path):
    finish(*together(tmp_path / "whole"))
    first, second = together(tmp_path / "killed")
    deadline = time.monotonic() + 300
    while not list((tmp_path / "killed" / "checkpoints").glob("step_*")) and time.monotonic() < deadline:
        time.sleep(0.05)
    os.kill(second.pid, signal.SIGKILL)
    second.communicate()
    first.communicate(timeout=300)
    assert first.returncode != 0
    assert not (tmp_path / "killed" / "samples" / "step_00000008.png").exists()  # the last
    finish(*together(tmp_path / "killed"))
    log = (tmp_path / "killed" / "log.txt").read_text()
    assert "resumed at step" in log
    # Of the epoch that was broken off the log has the mean over the steps since then.
    assert losses(tmp_path / "whole")[1:] == losses(tmp_path / "killed")[1:]
    kept = [weights(tmp_path / name / "model" / "srn.weights.h5") for name in ("whole", "killed")]
    for name, value in kept[0].items():
        np.testing.assert_allclose(kept[1][name], value, atol=1e-4, err_msg=name)


@pytest.mark.slow
def test_two_devices_train_as_one_under_jax(tmp_path):
    pytest.importorskip("jax")
    several = "--xla_force_host_platform_device_count=2"
    runs = []
    for name, flags in (("one", ""), ("two", several)):
        environment = {**jax_environment(), "XLA_FLAGS": f"{flags} --xla_backend_optimization_level=0"}
        runs.append(start(tmp_path / name, **environment))
    finish(*runs)
    assert "2 devices share each batch" in (tmp_path / "two" / "log.txt").read_text()
    check_equal(tmp_path / "one", tmp_path / "two")
