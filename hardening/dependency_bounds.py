"""The lowest and the highest versions that `requirements.txt` allows, installed by uv and tried out."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ifrp_tf.core.errors import ConfigError
from ifrp_tf.core.files import write_bytes_atomic

RESOLUTIONS = {"lowest": "lowest-direct", "highest": "highest"}
"""What uv calls the ends of the bounds; indirect dependencies are the newest in both."""

ROOT = Path(__file__).resolve().parent.parent
TESTS = ("pytest>=9,<10", "pytest-xdist>=3.8,<4")
"""What the tests need besides."""

_EVERY_MODULE = (
    "import importlib, pathlib\n"
    "names = ['.'.join(p.with_suffix('').parts) for p in sorted(pathlib.Path('ifrp_tf').rglob('*.py'))]\n"
    "extras = ('_jax', '.demo.', '.serving.', '__init__')\n"
    "[importlib.import_module(name) for name in names if not any(part in name for part in extras)]\n"
)
_TOY = (
    "--preset=toy", "--set=train.batch_size=4", "--set=train.epoch_pictures=8", "--set=train.pictures=8",
    "--set=data.validation_count=8", "--set=data.styles=pencil,oil",
)  # fmt: skip


@dataclasses.dataclass
class Check:
    """One thing that was tried.

    Attributes:
        name: for people.
        passed: whether it worked.
        seconds: that it took.
        detail: the end of its output where it did not.
    """

    name: str
    passed: bool
    seconds: float
    detail: str = ""


def run(which: Sequence[str], work: str | Path, *, json_file: str = "") -> int:
    """Makes an environment for each end of the bounds, tries it out, and prints what works.

    Args:
        which: out of `RESOLUTIONS`.
        work: gets an environment and a folder of outputs for each.
        json_file: also write the results here.

    Returns:
        0 if everything works, else 1.

    Raises:
        ConfigError: `which` holds something else.
    """
    if not which or set(which) - set(RESOLUTIONS):
        raise ConfigError(
            f"Expected some of {', '.join(RESOLUTIONS)}. Received: {', '.join(which) or 'none'}."
        )
    everything: dict[str, Any] = {}
    for end in which:
        folder = Path(work).resolve() / end
        checks, versions = _try(end, folder)
        for check in checks:
            words = f"{'passed' if check.passed else 'FAILED':8}{check.seconds:7.1f} s  {check.name}"
            print(f"{end:9}{words}\n{check.detail}".rstrip(), flush=True)  # noqa: T201
        everything[end] = {"versions": versions, "checks": [dataclasses.asdict(check) for check in checks]}
    if json_file:
        write_bytes_atomic(json_file, json.dumps(everything, indent=2).encode())
    return int(not all(check["passed"] for end in everything.values() for check in end["checks"]))


def _try(end: str, folder: Path) -> tuple[list[Check], list[str]]:
    uv, python = [sys.executable, "-m", "uv"], folder / "venv" / "bin" / "python"
    subprocess.run([*uv, "venv", "--quiet", "--clear", str(folder / "venv")], check=True)
    install = [*uv, "pip", "install", "--quiet", f"--python={python}", f"--resolution={RESOLUTIONS[end]}"]
    checks = [try_out("install", [*install, "--requirement=requirements.txt", *TESTS])]
    if checks[0].passed:
        checks += [try_out(name, command) for name, command in slice_of(python, folder / "out").items()]
    freeze = [*uv, "pip", "freeze", "--quiet", f"--python={python}"]
    listed = subprocess.run(freeze, capture_output=True, text=True, check=False)
    return checks, listed.stdout.split()


def slice_of(python: Path, out: Path) -> dict[str, list[str]]:
    """What is tried: a few minutes' worth of what the package does, as command lines by name.

    Args:
        python: the interpreter of the environment.
        out: a new folder for what they write.
    """
    interpreter = str(python)
    tool: Callable[[str], str] = lambda name: str(ROOT / "tools" / f"{name}.py")  # noqa: E731
    sample, version = out / "sample.png", out / "toy" / "1"
    return {
        "import every module": [interpreter, "-c", _EVERY_MODULE],
        "tests of images": [interpreter, "-m", "pytest", "-n", "0", "-q", "tests/pictures/test_images.py"],
        "sample portrait": [interpreter, tool("sample_portrait"), f"--output={sample}"],
        "recover it": [interpreter, tool("recover"), f"--input={sample}", f"--output={out / 'recovered'}"],
        "recover its faces": [
            interpreter, tool("recover"), f"--input={sample}", f"--output={out / 'faces'}", "--faces=auto",
            "--paste",
        ],
        "train": [interpreter, tool("train"), *_TOY, f"--run_dir={out / 'run'}"],
        "export and verify": [
            interpreter, tool("export"), f"--run={out / 'run'}", f"--output={version}", "--verify",
        ],
    }  # fmt: skip


def try_out(name: str, command: Sequence[str]) -> Check:
    """Runs a command in the repository and says whether it ended well.

    Args:
        name: for people.
        command: the command line.
    """
    began = time.monotonic()
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    lines = [line for line in (done.stdout + done.stderr).splitlines() if not line.startswith("WARNING: ")]
    said = "" if done.returncode == 0 else "\n".join(lines)[-2000:]
    return Check(name, done.returncode == 0, time.monotonic() - began, said)
