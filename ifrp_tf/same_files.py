"""How the finished work in two folders differs: nothing, the last bits of an array, or more."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from PIL import Image

from ifrp_tf import intact

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
            for name, digest in intact.digests(folder).items()
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
            distance = _distance(intact.arrays(whole / name), intact.arrays(work / name))
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
