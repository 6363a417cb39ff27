"""One answer for each picture of a file, folder or pattern: what the tools beside `recover` have in common.

A picture that cannot be used costs one line. What was made is not made again, unless the picture, the
settings, another file that it depends on, or the answer on disk have changed. `report.json` is complete at
every moment.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ifrp_tf import __version__
from ifrp_tf.core import files
from ifrp_tf.core.errors import ConfigError, ImageError
from ifrp_tf.core.runtime import Console
from ifrp_tf.pictures import images
from ifrp_tf.pictures.decoding import MAX_FILE_BYTES
from ifrp_tf.recovery.manifest import PROVENANCE, REPORT, Job, plan

GENERATED = "generated, not evidence"
"""What the text in every PNG begins with: the answers of these tools need not be faces."""

Made = tuple[Mapping[str, np.ndarray], Mapping[str, Any]]
"""Pictures by the ending of their name (`refined`), uint8 [H, W, 3] each, and what the report says."""


def each(
    source: str | Path,
    output: str | Path,
    make: Callable[[np.ndarray, Path], Made],
    *,
    settings: str,
    method: str,
    also: Callable[[Path], Path | None] = lambda _: None,
    overwrite: bool = False,
    say: Callable[[str], object] = logging.info,
) -> int:
    """Makes answers to all pictures.

    Args:
        source: a file, a folder (its tree is mirrored) or a pattern.
        output: gets `<stem>_<kind>.png`, with `_<suffix>` where two pictures share a stem, and `report.json`.
        make: of upright pixels, uint8 [H, W, 3], and their path; an `ImageError` costs this picture.
        settings: what, if changed, makes other answers.
        method: for the text in every PNG: that it is generated, and how.
        also: of a picture's path: another file that its answer depends on, such as its mask.
        overwrite: make everything again.
        say: gets the summary.

    Returns:
        Exit code: 0 all good, 1 some pictures failed.

    Raises:
        DataError: there are no pictures.
        ConfigError: the output folder cannot be written to.
    """
    folder, paths = Path(output), files.list_pictures(source, exclude=Path(output))
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"Expected to write to {str(folder)!r}. Received: {error.strerror}.") from error
    before = _known(folder / REPORT, settings)
    ours = frozenset(name for entry in before.values() for name in entry.get("outputs", ()))
    jobs = plan([(Path(source), paths)], folder, ours)
    entries: list[dict[str, Any]] = []
    with files.locked(folder / ".lock"), Console(len(jobs)) as console:
        for job in jobs:
            known = {} if overwrite else before.get(job.key, {})
            entries.append(_one(job, folder, make, known, also(job.path), method))
            # What is still to come stays in the report of a run that is killed.
            later = [before[one.key] for one in jobs[len(entries) :] if one.key in before]
            content = {"version": __version__, "settings": settings, "pictures": [*entries, *later]}
            files.write_bytes_atomic(folder / REPORT, json.dumps(content, indent=1).encode() + b"\n")
            console.show(entries[-1])
    failed = sum(entry["status"] == "failed" for entry in entries)
    made = sum(entry["status"] == "made" for entry in entries)
    say(f"{made} made, {len(jobs) - made - failed} there already, {failed} failed; {folder / REPORT}")
    return int(failed > 0)


def _one(
    job: Job,
    folder: Path,
    make: Callable[[np.ndarray, Path], Made],
    before: Mapping[str, Any],
    beside: Path | None,
    method: str,
) -> dict[str, Any]:
    entry: dict[str, Any] = {"input": str(job.path), "name": job.key}
    try:
        data = files.read_bytes(job.path, MAX_FILE_BYTES)
        key = hashlib.sha256(data)
        if beside is not None and beside.is_file():
            key.update(files.read_bytes(beside, MAX_FILE_BYTES))
        outputs = before.get("outputs", [])
        known = before.get("sha256") == key.hexdigest() and outputs
        if known and all((folder / one).is_file() for one in outputs):
            return {**before, "input": str(job.path), "status": "skipped"}
        read = images.read(data)
        pictures, report = make(read.pixels, job.path)
        written = []
        for kind, pixels in pictures.items():
            file = folder / f"{job.stem}_{kind}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            images.write_png(file, pixels, text={PROVENANCE: f"{GENERATED}; {method}"})
            written.append(file.relative_to(folder).as_posix())
        return {
            **entry,
            "status": "made",
            "sha256": key.hexdigest(),
            "outputs": written,
            "notes": list(read.notes),
            **report,
        }
    except ImageError as error:
        return {**entry, "status": "failed", "reason": error.reason, "message": str(error)}


def _known(path: Path, settings: str) -> dict[str, dict[str, Any]]:
    """Entries of an earlier report that was made with the same settings, by name."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["settings"] != settings:
            return {}
        return {entry["name"]: entry for entry in content["pictures"]}
    except (OSError, ValueError, KeyError, TypeError):
        return {}
