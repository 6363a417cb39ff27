"""A small network with random weights as a training run leaves it, and its export, made once a session."""

import atexit
import contextlib
import functools
import io
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import keras
import numpy as np
from helpers import ROOT

from ifrp_tf.cli.command import main
from ifrp_tf.core.config import Config, DataConfig
from ifrp_tf.pictures import images
from ifrp_tf.release import export
from ifrp_tf.systems import base
from ifrp_tf.systems.afrp import settings as afrp
from ifrp_tf.systems.ifrp.settings import ModelConfig

CONFIG = Config(
    model=ModelConfig(width=8, stn="input", stn_bounded=True, localisation="light", upsampling="resize")
)
# For what does not depend on the network: a quarter of the side, next to nothing to compute.
TINY = Config(data=DataConfig(side=32), model=ModelConfig(width=8, stn="none", skips="none"))
# As tiny, and told attributes of the sitter.
TOLD = Config(
    system="afrp", data=DataConfig(side=32), model=afrp.ModelConfig(width=8, stn="none", skips="none")
)
SCORES = {"model": (15.25, 0.5), "input": (10.5, 0.25), "mean_face": (13.0, 0.45)}
METRICS = {
    "step": 2500,
    "pictures": 40000,
    "epoch": 5,
    "validation": {who: {"psnr": psnr, "ssim": ssim} for who, (psnr, ssim) in SCORES.items()},
}


def network(config=CONFIG, seed=3):
    """The SRN with weights under which every part matters: nothing at its initial zero or one."""
    srn = base.create(config).build_released()
    random = np.random.default_rng(seed)
    for weight in srn.weights:
        value = keras.ops.convert_to_numpy(weight)
        if value.ndim == 1:
            value = value + 0.1 * random.standard_normal(value.shape)
        else:
            value = random.standard_normal(value.shape) / np.sqrt(np.prod(value.shape[:-1]))
        weight.assign(np.abs(value) if "variance" in weight.path else value)
    return srn


def write_run(folder, config=CONFIG, srn=None):
    """A run's folder as `tools/train.py` leaves it, as far as a model is concerned."""
    folder, side = Path(folder), config.data.side
    (folder / "model").mkdir(parents=True)
    (srn or network(config)).save_weights(folder / "model" / "srn.weights.h5")
    images.write_png(folder / "model" / "mean_face.png", np.full((side, side, 3), 120, np.uint8))
    (folder / "config.json").write_text(json.dumps(config.to_dict()))
    (folder / "environment.json").write_text(json.dumps({"packages": {"keras": "3"}, "commit": "abc"}))
    (folder / "metrics.jsonl").write_text(f'{{"step": 1}}\n{json.dumps(METRICS)}\n{{"step": 26')
    return folder


@functools.cache
def run_folder():
    """A run's folder; not to be changed."""
    folder = Path(tempfile.mkdtemp(prefix="ifrp_test_"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return write_run(folder / "runs" / "small")


@functools.cache
def exported():
    """Its export, a version folder in a folder of versions; not to be changed."""
    output = run_folder().parents[1] / "models" / "small" / "7"
    return export.run(run_folder(), output, evaluation="*none*")


def tool(name, *flags, **options):
    """A finished `tools/<name>.py`, run as a user does, with nothing set for the tests."""
    return subprocess.run(
        command(name, *flags), env=environment(), check=False, **{"timeout": 300} | CAPTURE | options
    )


def called(name, *flags):
    """As `tool`, but in this process: for what does not depend on a start, which costs 8 CPU seconds."""
    out, error, argv, code = io.StringIO(), io.StringIO(), sys.argv, 0
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(error):
            main(name, [str(flag) for flag in flags], program=f"{name}.py")
    except SystemExit as end:
        code = end.code
    finally:
        sys.argv = argv
    return subprocess.CompletedProcess([name, *flags], code, out.getvalue(), error.getvalue())


CAPTURE = {"capture_output": True, "text": True}


def command(name, *flags):
    """The command line of a tool."""
    return [sys.executable, str(ROOT / "tools" / f"{name}.py"), *map(str, flags)]


def environment():
    """The environment of a user."""
    return {
        name: value
        for name, value in os.environ.items()
        if name not in ("PYTHONPATH", "TF_CPP_MIN_LOG_LEVEL")
    }
