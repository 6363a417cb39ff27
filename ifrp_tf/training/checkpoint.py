"""Checkpoints of a run: networks, both optimizers and the step, written whole or not at all.

A checkpoint is a folder `checkpoints/step_00001234/` of plain files that any backend reads: Keras
`.weights.h5` for the networks, one `.npz` of named arrays for each optimizer, `state.json` with the step.
It is written under a temporary name, flushed, and renamed; the two newest are kept.
"""

from __future__ import annotations

import dataclasses
import json
import logging
import os
import re
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import keras
import numpy as np

from ifrp_tf.core.archives import declared
from ifrp_tf.core.errors import ModelError

KEPT = 2
FORMAT = 1
_NAME = re.compile(r"step_(\d{8,})")


@dataclasses.dataclass(frozen=True)
class Training:
    """What a checkpoint holds.

    Attributes:
        networks: Keras models by name (`srn`, `srn_average`, `dn`).
        optimizers: BUILT Keras optimizers by name.
    """

    networks: dict[str, keras.Model]
    optimizers: dict[str, keras.optimizers.Optimizer]


def save(folder: Path, training: Training, step: int, extra: dict[str, Any] | None = None) -> Path:
    """Writes checkpoint `step` below `folder` and deletes all but the two newest.

    Args:
        folder: `<run>/checkpoints`.
        training: what to save.
        step: steps done.
        extra: further JSON values for `state.json`.

    Returns:
        The folder of the new checkpoint.
    """
    folder.mkdir(parents=True, exist_ok=True)
    final, temporary = folder / f"step_{step:08d}", folder / f".step_{step:08d}.{os.getpid()}"
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir()
    for name, network in training.networks.items():
        network.save_weights(temporary / f"{name}.weights.h5")
    for name, optimizer in training.optimizers.items():
        np.savez(temporary / f"{name}.npz", **_arrays(optimizer))
    state = {"format": FORMAT, "step": step, **(extra or {})}
    (temporary / "state.json").write_text(json.dumps(state), encoding="utf-8")
    for path in [*temporary.iterdir(), temporary]:
        _flush(path)
    if final.exists():  # the same step saved twice: the new one is as good
        _hide(final)
    os.replace(temporary, final)
    _flush(folder)
    for path in list_checkpoints(folder)[:-KEPT]:
        _hide(path)
    for path in folder.glob(".step_*"):  # hidden just now, or left by a killed process
        shutil.rmtree(path, ignore_errors=True)
    return final


def list_checkpoints(folder: Path) -> list[Path]:
    """Finished checkpoints below `folder`, oldest first."""
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if _NAME.fullmatch(path.name) and path.is_dir())


def restore_latest(folder: Path, training: Training) -> dict[str, Any] | None:
    """Restores the newest checkpoint that can be read; falls back, and says so, when one is damaged.

    Returns:
        The `state.json` of the restored checkpoint, or None where there is none at all.

    Raises:
        ModelError: if there are checkpoints but none of them can be read.
    """
    problems = []
    for path in reversed(list_checkpoints(folder)):
        try:
            return restore(path, training)
        except ModelError as error:
            problems.append(str(error))
            logging.warning("%s Falling back to the checkpoint before it.", error)
    if problems:
        raise ModelError(
            f"Expected a readable checkpoint in {folder}. Received: {' / '.join(problems)}",
            hint="Delete the folder `checkpoints` to start again.",
        )
    return None


def restore(path: Path, training: Training) -> dict[str, Any]:
    """Restores one checkpoint into `training` and returns its `state.json`.

    Raises:
        ModelError: if a file is missing or damaged, or does not fit the networks or optimizers. The
            networks may then hold a mixture: restore another checkpoint or give up.
    """
    try:
        state = json.loads((path / "state.json").read_text(encoding="utf-8"))
        if state["format"] != FORMAT:
            raise ModelError(f"Expected format {FORMAT} of {path}. Received: {state['format']!r}.")
        for name, network in training.networks.items():
            network.load_weights(path / f"{name}.weights.h5")
        for name, optimizer in training.optimizers.items():
            with np.load(path / f"{name}.npz", allow_pickle=False) as archive:
                _assign(optimizer, archive, path / f"{name}.npz")
    except ModelError:
        raise
    except Exception as error:  # h5py, zipfile, json and Keras raise many kinds for a damaged file
        raise ModelError(
            f"Expected a complete checkpoint in {path}. Received: {type(error).__name__}: {error}."
        ) from error
    for name, network in training.networks.items():
        for variable in network.weights:
            if not np.isfinite(np.asarray(variable.value, dtype=np.float32)).all():
                raise ModelError(f"Expected finite weights in {path}. Received: {name} {variable.path}.")
    return dict(state)


def _variables(optimizer: keras.optimizers.Optimizer) -> dict[str, Any]:
    """Its variables by name; `#2` is behind those of a second network whose layers are called alike."""
    found: dict[str, Any] = {}
    seen: Counter[str] = Counter()
    for variable in optimizer.variables:
        seen[variable.path] += 1
        count = seen[variable.path]
        found[variable.path if count == 1 else f"{variable.path}#{count}"] = variable
    return found


def _arrays(optimizer: keras.optimizers.Optimizer) -> dict[str, Any]:
    return {name: np.asarray(variable.value) for name, variable in _variables(optimizer).items()}


def _assign(optimizer: keras.optimizers.Optimizer, archive: Any, path: Path) -> None:
    variables = _variables(optimizer)
    if set(variables) != set(archive.files):
        different = sorted(set(variables) ^ set(archive.files))
        raise ModelError(f"Expected {len(variables)} arrays in {path}. Differing names: {different[:4]}.")
    for name, variable in variables.items():
        shape, _ = declared(archive, name)  # before it is unpacked: it may be a bomb
        if shape != tuple(variable.shape):
            raise ModelError(
                f"Expected shape {tuple(variable.shape)} for {name} in {path}. Received: {shape}."
            )
        variable.assign(archive[name])


def _hide(path: Path) -> None:
    """Takes a checkpoint's name away in one step: deleted in place, a kill would leave half of it."""
    hidden = path.with_name(f".{path.name}.old")
    shutil.rmtree(hidden, ignore_errors=True)
    os.replace(path, hidden)


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
