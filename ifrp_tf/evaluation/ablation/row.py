"""One row of a table of ablations: trained in a process of its own, tested in this one, done once."""

from __future__ import annotations

import dataclasses
import json
import os
import shlex
import subprocess
import sys
import time
from collections import deque
from pathlib import Path
from typing import Any

from ifrp_tf.core.config import Config
from ifrp_tf.core.errors import ConfigError, TrainingError
from ifrp_tf.evaluation import run
from ifrp_tf.evaluation.ablation.tables import Row
from ifrp_tf.pictures import images
from ifrp_tf.release import folder as model_folder
from ifrp_tf.training.callbacks import read_metrics

GROUPS = ("unseen", "seen", "foreign")
"""Reserved styles, which nobody trains on, styles that the row was trained on, and portraits that networks of
other people painted, which nobody trains on either."""

_TRAIN = (sys.executable, "-m", "ifrp_tf.cli.main", "train")
"""A training in a process of its own, from a checkout as from an installed package."""

_TRAINED, _SPENT, _TESTED = "trained.json", "seconds.json", "tested.json"


@dataclasses.dataclass(frozen=True)
class Job:
    """What is to be done for a row.

    Attributes:
        name: of the row.
        row: its changes and the paper's figures.
        config: its resolved configuration.
        folder: of its run.
        flags: of `tools/train.py`.
        requests: group of `GROUPS` -> how it is tested.
    """

    name: str
    row: Row
    config: Config
    folder: Path
    flags: tuple[str, ...]
    requests: dict[str, run.Request]

    @property
    def commands(self) -> list[str]:
        """What does the same by hand."""
        lines = [("tools/train.py", *self.flags)]
        for request in self.requests.values():
            names = (field.name for field in dataclasses.fields(request))
            given = {name: getattr(request, name) for name in names}
            defaults = {field.name: field.default for field in dataclasses.fields(request)}
            changed = {name: value for name, value in given.items() if value != defaults[name]}
            lines.append(("tools/evaluate.py", *(f"--{name}={value}" for name, value in changed.items())))
        return [shlex.join(("python", *line)) for line in lines]


def check(job: Job) -> None:
    """Raises unless the row's folder is new or holds a run with the same configuration.

    Raises:
        ConfigError: naming what differs.
    """
    before = _read(job.folder / "config.json")
    if before is None:
        return
    differing = Config.from_dict(before).difference(job.config)
    changed = [f"{name}: {_shown(then)} -> {_shown(now)}" for name, (then, now) in differing.items()]
    if changed:
        raise ConfigError(
            f"Expected the settings that {str(job.folder)!r} was begun with. Received: {'; '.join(changed)}.",
            hint="Rows of different settings cannot stand in one table: choose another `run_dir`.",
        )


def _shown(value: Any) -> str:
    return repr(list(value) if isinstance(value, tuple) else value)  # as in config.json


def train(job: Job, inherit: tuple[int, ...] = ()) -> None:
    """Trains the row, or goes on training it; nothing if it is trained.

    Args:
        job: the row.
        inherit: file descriptors that the training keeps open, for it may outlive this process.

    Raises:
        TrainingError: the training failed, in its own words.
    """
    config = job.config.to_dict()
    if _read(job.folder / _TRAINED) == json.loads(json.dumps(config)):
        return
    job.folder.mkdir(parents=True, exist_ok=True)
    before, start = float((_read(job.folder / _SPENT) or {}).get("seconds", 0.0)), time.monotonic()

    def spent() -> None:
        _write(job.folder / _SPENT, {"seconds": round(before + time.monotonic() - start, 1)})

    code, last = _run([*_TRAIN, *job.flags], inherit, spent)
    spent()
    if code == 130:
        raise KeyboardInterrupt
    if code:
        raise TrainingError(f"The training ended with exit code {code}: {last}")
    _write(job.folder / _TRAINED, config)


def _run(command: list[str], inherit: tuple[int, ...], spent: Any) -> tuple[int, str]:
    """Exit code and last words of a process; `spent` is called with every line that it prints."""
    here = str(Path(__file__).resolve().parents[3])  # what this process imports, the other does too
    path = os.pathsep.join(filter(None, (here, os.environ.get("PYTHONPATH"))))
    process = subprocess.Popen(
        command,
        env={**os.environ, "PYTHONPATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="backslashreplace",
        pass_fds=inherit,
    )
    tail: deque[str] = deque([""], maxlen=1)
    try:
        for line in process.stdout or ():
            sys.stderr.write(line)
            sys.stderr.flush()
            spent()
            if line.strip():
                tail.append(line.strip())
        return process.wait(), tail[0]
    except KeyboardInterrupt as interrupt:
        if interrupt.args:  # from a signal that the training has not got as well
            process.terminate()
        process.wait()
        spent()
        raise


def test(job: Job) -> None:
    """Tests the trained row, or goes on testing it; nothing if it is tested as asked for.

    Raises:
        IfrpError: as `evaluate.run`.
    """
    fingerprint = model_folder.sha256(model_folder.locate(job.folder).path)
    path = job.folder / _TESTED
    for group, request in job.requests.items():
        done, asked = _read(path) or {}, {"sha256": fingerprint, "request": dataclasses.asdict(request)}
        if done.get(group) == asked and Path(request.json).is_file():
            continue
        said: list[str] = []
        run.run(request, say=said.append)
        images.write_bytes_atomic(Path(request.json).with_suffix(".md"), "\n".join((*said, "")).encode())
        _write(path, {**done, group: asked})


def result(job: Job) -> dict[str, Any] | None:
    """What the row came to: plain values; None where it is not trained and tested as asked for."""
    tested = _read(job.folder / _TESTED) or {}
    config = json.loads(json.dumps(job.config.to_dict()))
    if _read(job.folder / _TRAINED) != config or not set(job.requests) <= set(tested):
        return None
    for group, request in job.requests.items():
        if tested[group]["request"] != dataclasses.asdict(request):
            return None
    seconds = (_read(job.folder / _SPENT) or {})["seconds"]
    rows = read_metrics(job.folder)
    groups = {group: _read(Path(request.json)) or {} for group, request in job.requests.items()}
    return {
        "training": {
            "pictures": job.config.train.pictures,
            "seconds": seconds,
            "pictures_per_second": round(job.config.train.pictures / max(seconds, 1e-9), 2),
            "validation": rows[-1]["validation"] if rows else None,
            "parameters": _parameters(model_folder.locate(job.folder).path),
        },
        **{group: _part(found) for group, found in groups.items()},
    }


def _part(found: dict[str, Any]) -> dict[str, Any]:
    """Of an evaluation's result, which holds more, what a table of ablations needs."""
    names = ("mean", "fcr", "photos", "chance", "gallery", "counts", "settings")
    kept = {name: found[name] for name in names}
    trivial = {name: {key: found[name][key] for key in ("mean", "fcr")} for name in ("input", "mean_face")}
    level, model = (found["confidence"][name] for name in ("level", "model"))
    confidence = {"level": level, "model": {"mean": model["mean"]}}
    return {**kept, **trivial, "confidence": confidence, "styles": list(found["styles"])}


def _parameters(path: Path) -> int:
    """Numbers in a weights file."""
    import h5py

    sizes: list[int] = []
    with h5py.File(path) as file:
        file.visititems(lambda _, item: sizes.append(item.size) if isinstance(item, h5py.Dataset) else None)
    return sum(sizes)


def _read(path: Path) -> Any:
    """The content of a JSON file; None where there is none."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def _write(path: Path, values: Any) -> None:
    images.write_bytes_atomic(path, json.dumps(values, indent=1).encode() + b"\n")
