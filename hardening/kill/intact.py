"""After a kill: is what is on disk whole, and the same as without one?"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import h5py
import numpy as np
from PIL import Image

from ifrp_tf.release import folder as model_folder

# Whether everything under a final name is whole.

CHECKPOINT = ("state.json", "srn.weights.h5", "dn.weights.h5", "srn_optimizer.npz", "dn_optimizer.npz")
"""What every checkpoint of a training run holds."""


def damaged(folder: str | Path) -> list[str]:
    """What is wrong with the files and folders below a folder; empty = nothing.

    Pictures are decoded, JSON is parsed, every array is read; checkpoints and style banks must be complete,
    and version folders must match their `SHA256SUMS`.

    Args:
        folder: may be missing.

    Returns:
        A line a fault, each with the path relative to `folder`.

    Example:
        >>> damaged("runs/toy")  # doctest: +SKIP
        []
    """
    folder, faults = Path(folder), []
    for path in finals(folder):
        if path.is_dir():
            check: Callable[[Path], object] | None = _folder
        else:
            check = _KINDS.get(path.suffix)
        try:
            if check is not None:
                check(path)
        except Exception as error:  # every library has kinds of its own for a damaged file
            faults.append(f"{path.relative_to(folder)}: {type(error).__name__}: {error}")
    return faults


def finals(folder: str | Path) -> Iterator[Path]:
    """Everything below a folder that is under a final name, folders before what is in them.

    Args:
        folder: may be missing.
    """
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if name == ".cache" or not name.startswith("."))
        yield from (Path(parent, name) for name in folders)
        yield from (Path(parent, name) for name in sorted(names) if not name.startswith("."))


def leftovers(folder: str | Path) -> list[Path]:
    """Temporary files and folders that nobody took away.

    Args:
        folder: may be missing.
    """
    return [path for path in Path(folder).rglob(".*") if path.name.endswith((".tmp", ".npy", ".h5")) or
            path.name.startswith(".step_")]  # fmt: skip


def digests(folder: str | Path) -> dict[str, str]:
    """SHA-256 of every file under a final name, by its path relative to `folder`.

    Args:
        folder: may be missing.
    """
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in finals(folder)
        if path.is_file()
    }


def arrays(path: Path) -> dict[str, np.ndarray]:
    """Every array of an `.npz` or `.h5` file by its name.

    Args:
        path: the file.

    Raises:
        Exception: of whatever kind, if it is not whole.
    """
    if path.suffix == ".npz":
        with np.load(path, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    found: dict[str, np.ndarray] = {}
    with h5py.File(path) as file:

        def read(name: str, item: h5py.Group | h5py.Dataset) -> None:
            if isinstance(item, h5py.Dataset):
                found[name] = np.asarray(item[()])

        file.visititems(read)
    return found


def _folder(path: Path) -> None:
    names = {entry.name for entry in path.iterdir()}
    if re.fullmatch(r"step_\d{8,}", path.name):
        siblings = [other for other in path.parent.iterdir() if re.fullmatch(r"step_\d{8,}", other.name)]
        wanted = set(CHECKPOINT).union(*({entry.name for entry in other.iterdir()} for other in siblings))
        if wanted - names:
            raise ValueError(f"incomplete checkpoint, without {sorted(wanted - names)}")
        if json.loads((path / "state.json").read_text(encoding="utf-8"))["step"] != int(path.name[5:]):
            raise ValueError("the checkpoint's state is of another step")
    elif path.name.isdecimal() or "saved_model.pb" in names:
        model_folder.verify(path)
    elif "trunk.npz" in names and "photograph" not in arrays(path / "trained.npz"):
        raise ValueError("a bank of styles without the style `photograph`")


def _picture(path: Path) -> None:
    with Image.open(path) as image:
        image.load()


def _lines(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    for line in text.splitlines():
        json.loads(line)
    _ends(text, "\n")


def _ends(text: str, end: str) -> None:
    if text and not text.endswith(end):
        raise ValueError(f"cut off: expected {end!r} at its end, received {text[-20:]!r}")


_KINDS: dict[str, Callable[[Path], object]] = {
    ".png": _picture,
    ".json": lambda path: json.loads(path.read_text(encoding="utf-8")),
    ".jsonl": _lines,
    ".npz": arrays,
    ".h5": arrays,
    ".npy": lambda path: np.load(path, allow_pickle=False),
    ".csv": lambda path: _ends(path.read_text(encoding="utf-8"), "\n"),
    ".html": lambda path: _ends(path.read_text(encoding="utf-8"), "</html>\n"),
}


# How the finished work in two folders differs.

ROUNDING = 1e-5
"""Equal trainings are equal to the bit but for rare last bits (3e-7 was seen); a step changes far more."""

_OWN = ("environment.json", "log.txt", "metrics.jsonl", "fingerprint.pb")


def compare(whole: Path, work: Path, *, only: str = "", levels: int | None = None) -> tuple[list[str], bool]:
    """How the files under final names in two folders differ.

    Arrays may differ by `ROUNDING`; everything else must be equal to the bit. Left out is what tells when,
    where and under which command it was made.

    Args:
        whole: what is expected.
        work: what was received.
        only: the end of the names to compare.
        levels: how far pictures may differ; None = their files are equal to the bit.

    Returns:
        A line a fault, and whether everything is equal to the bit.
    """
    first, second = (
        {
            name: digest
            for name, digest in digests(folder).items()
            if name.endswith(only) and Path(name).suffix != ".txt" and Path(name).name not in _OWN
            and not re.search(r"(^|/)(tensorboard|answers)/", name)
        }
        for folder in (whole, work)
    )  # fmt: skip
    faults = [f"expected {name}, received none" for name in sorted(first.keys() - second.keys())]
    faults += [f"expected no {name}" for name in sorted(second.keys() - first.keys())]
    different = [name for name in sorted(first.keys() & second.keys()) if first[name] != second[name]]
    for name in different:
        limit, distance = ROUNDING, float("inf")
        if name.endswith((".npz", ".h5")):
            distance = _distance(arrays(whole / name), arrays(work / name))
        elif name.endswith(".png") and levels is not None:
            limit, distance = levels, _distance({"": _pixels(whole / name)}, {"": _pixels(work / name)})
        if not distance <= limit:  # so that NaN is a fault
            faults.append(f"{name} differs by {distance:.2g}")
    return faults, not (faults or different)


def _distance(first: dict[str, np.ndarray], second: dict[str, np.ndarray]) -> float:
    same = {name: value.shape for name, value in first.items()} == {n: v.shape for n, v in second.items()}
    if not same:
        return float("inf")
    numbers = [name for name, value in first.items() if value.dtype.kind in "fiub" and value.size]
    return max(
        (float(np.abs(np.subtract(first[n], second[n], dtype=float)).max()) for n in numbers), default=0.0
    )


def _pixels(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))
