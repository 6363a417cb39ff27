"""What every test gets: a quiet TensorFlow, seeded randomness, the data folder where there is one."""

import os

# Before anything imports Keras: the tests compare TensorFlow with JAX, whatever the shell prefers.
os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

import subprocess
import sys
import time
from pathlib import Path

import keras
import numpy as np
import pytest
from helpers import ROOT, jax_environment

LONGEST = (
    "training/test_run", "evaluation/ablation/test_run", "training/test_step_jax",
    "systems/ifrp/test_networks",
    "faults/test_faults", "training/test_step_tf", "styles/test_procedural", "release/test_onnx",
    "systems/style_bank/test_system", "systems/pix2pix/test_system", "conformance/test_conformance",
    "demo/test_page", "training/test_callbacks", "data/test_shards", "nn/features/test_facenet",
    "systems/test_base", "benchmarks/test_run",
)  # fmt: skip
"""Files that take 25 seconds and more, longest first."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long files go first, so that no worker is left alone with one of them at the end."""
    places = {name: place for place, name in enumerate(LONGEST)}
    here = Path(__file__).parent
    items.sort(
        key=lambda item: places.get(item.path.relative_to(here).with_suffix("").as_posix(), len(places))
    )


@pytest.fixture(autouse=True)
def seeded():
    """The same random numbers for every test, whatever ran before, and no precision left behind."""
    keras.utils.set_random_seed(20)
    yield
    keras.config.set_dtype_policy("float32")


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The unpacked data; tests that need it are skipped where it is absent."""
    folder = ROOT / "data"
    if not (folder / "weights").is_dir():
        pytest.skip("needs the data and weights described in WORKSPACE.md in data/")
    return folder


@pytest.fixture
def bfloat16():
    """Mixed precision for everything built within the test."""
    keras.config.set_dtype_policy("mixed_bfloat16")


@pytest.fixture(scope="session")
def two_backends(tmp_path_factory) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """The numbers of `backends.compute` under TensorFlow and, from a process of its own, under JAX.

    Computed once a run: of several workers the first does it and the others wait for its file.
    """
    pytest.importorskip("jax")
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if os.environ.get("PYTEST_XDIST_WORKER") else base) / "two_backends"
    done, failed = folder / "done.npz", folder / "failed"
    try:
        folder.mkdir()
    except FileExistsError:
        deadline = time.monotonic() + 900
        while not done.exists():
            assert not failed.exists()
            assert time.monotonic() < deadline
            time.sleep(0.1)
    else:
        try:
            _compute_both(folder, done)
        finally:
            if not done.exists():
                failed.touch()
    with np.load(done) as tensorflow, np.load(folder / "numbers.npz") as jax:
        return dict(tensorflow), dict(jax)


def _compute_both(folder: Path, done: Path) -> None:
    import backends

    backends.prepare(folder)
    environment = jax_environment()
    # Most of the time goes into compiling hundreds of small programs that run once.
    environment["XLA_FLAGS"] = "--xla_backend_optimization_level=0"
    command = [sys.executable, backends.__file__, str(folder)]
    with subprocess.Popen(
        command, env=environment, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as child:
        expected = backends.compute(folder)
        output, _ = child.communicate(timeout=900)
    assert child.returncode == 0, output
    np.savez(folder / "part.npz", **{name: np.asarray(value) for name, value in expected.items()})
    os.replace(folder / "part.npz", done)
