"""How fast `recover_collection` is beside `recover`, on the same processors."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.folders import _faces, _write
from ifrp_tf.core.errors import DataError

_TOOLS = Path(__file__).resolve().parents[1] / "tools"
_DIFFERENT = 96


def measure(
    model: str | Path, data: str | Path = "", *, count: int = 1_000, side: int = 128, threads: int = 0
) -> dict[str, Any]:
    """Times both commands on a folder of JPEG files, one after the other.

    Args:
        model: as in `Recoverer.load`.
        data: folder of photographs; empty for drawn faces.
        count: files in the folder; 96 of them are different.
        side: of the pictures, pixels.
        threads: of each worker of `recover_collection`; 0 = those of the machine.

    Returns:
        Plain values, ready for JSON: `pictures`, and for each command `seconds` as a whole and
        `pictures_per_second` from the first picture to the last, without its start; `ratio` of the latter;
        `different`: how many of their answers are.

    Raises:
        DataError: a command failed.
    """
    with tempfile.TemporaryDirectory(prefix="ifrp_speed_") as root:
        source = Path(root) / "in"
        _write(_faces(data, min(count, _DIFFERENT)), side, source)
        for k in range(_DIFFERENT, count):
            os.link(source / f"{k % _DIFFERENT}.jpg", source / f"{k}.jpg")
        more = {"recover": (), "recover_collection": (f"--threads={threads}",)}
        rows = {name: _timed(name, source, Path(root) / name, model, flags) for name, flags in more.items()}
        one, many = (Path(root) / name for name in rows)
        different = sum(
            path.read_bytes() != (many / path.name).read_bytes() for path in one.glob("*_recovered.png")
        )
    speeds = [row["pictures_per_second"] for row in rows.values()]
    return {"pictures": count, **rows, "ratio": speeds[1] / speeds[0], "different": different}


def _timed(
    name: str, source: Path, output: Path, model: str | Path, flags: Sequence[str]
) -> dict[str, float]:
    command = [
        sys.executable,
        str(_TOOLS / f"{name}.py"),
        f"--input={source}",
        f"--output={output}",
        f"--model={model}",
    ]
    start = time.monotonic()
    done = subprocess.run([*command, "--faces=whole", *flags], capture_output=True, text=True, check=False)
    seconds = time.monotonic() - start
    if done.returncode:
        raise DataError(f"{name} failed: {done.stderr[-500:]}")
    times = sorted(path.stat().st_mtime for path in output.glob("*_recovered.png"))
    return {"seconds": seconds, "pictures_per_second": (len(times) - 1) / (times[-1] - times[0])}
