"""Everything that a training needs, in parts of a bounded size, for a machine that cannot download anything.

Faces come from prepared shards (`prepare_faces.py`: no copies, none of the test's) as small JPEG files in tar
archives, with the weights of the identity network, what training starts from, and wheels. `unpack.sh` puts
them where the commands of the project expect them.
"""

from __future__ import annotations

import io
import json
import logging
import subprocess
import sys
import tarfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from ifrp_tf.core.config import DataConfig
from ifrp_tf.core.errors import ConfigError, DataError
from ifrp_tf.pictures import images

UNPACK = """#!/bin/sh
# Run in the project's root: sh {folder}/unpack.sh [FOLDER OF THE PARTS]. Parts may come later: run it again.
set -e
parts=${{1:-{folder}}}
mkdir -p data/faces/train data/weights runs/start
unpack() {{ for part in "$parts/$1"-*.tar; do if [ -f "$part" ]; then tar -xf "$part" -C "$2"; fi; done; }}
unpack faces data/faces/train
unpack weights data/weights
unpack start runs/start
if ls "$parts"/*.whl >/dev/null 2>&1; then
    python3 -m pip install --quiet --no-index --no-deps "$parts"/*.whl
fi
"""


@dataclass(frozen=True, kw_only=True)
class Request:
    """What `make` is asked for.

    Attributes:
        shards: folder from `prepare_faces.py`.
        output: folder for the parts; made when missing.
        side: of the faces, pixels; that of the shards.
        quality: of the JPEG files, 1 to 95.
        part_mib: most MiB of one part, at least 1.
        weights: files for `data/weights`.
        start: files for `runs/start`, a `.weights.h5` for `--initial`; none may be larger than a part.
        wheels: packages to download as wheels; empty: none.
        python: version of Python of the wheels.
    """

    shards: str
    output: str
    side: int = 128
    quality: int = 92
    part_mib: int = 36
    weights: Sequence[str] = ()
    start: Sequence[str] = ()
    wheels: Sequence[str] = ()
    python: str = "3.12"

    def __post_init__(self) -> None:
        if not (1 <= self.quality <= 95 and self.part_mib >= 1):
            raise ConfigError(
                f"Expected quality 1 to 95 and part_mib >= 1. Received: {self.quality} and {self.part_mib}."
            )


def make(request: Request) -> list[Path]:
    """Writes the parts, `unpack.sh` and `bundle.json` (what is where), and returns the parts.

    Raises:
        DataError: if the shards, a weight file or a wheel cannot be had, or one file is larger than a part.
    """
    output = Path(request.output)
    output.mkdir(parents=True, exist_ok=True)
    limit = request.part_mib << 20
    made = _pack(output / "faces", _faces(request), limit)
    made += _pack(output / "weights", _files(request.weights), limit)
    made += _pack(output / "start", _files(request.start), limit)
    if request.wheels:
        _download(request, output)
        made += sorted(output.glob("*.whl"))
    images.write_bytes_atomic(output / "unpack.sh", UNPACK.format(folder=output).encode())
    sizes = {path.name: path.stat().st_size for path in made}
    images.write_bytes_atomic(output / "bundle.json", json.dumps(sizes, indent=2).encode())
    return made


def _faces(request: Request) -> Iterator[tuple[str, bytes]]:
    """Name and JPEG of every face, those held out for validation too: the split is one of names."""
    from ifrp_tf.data.shards import Prepared

    prepared = Prepared.open(request.shards, DataConfig(side=request.side))
    for part in ("train", "validation"):
        found = prepared.load(part)
        for name, pixels in zip(found.names, found.pixels, strict=True):
            yield f"{Path(name).with_suffix('')}.jpg", _jpeg(pixels, request.quality)


def _jpeg(pixels: np.ndarray, quality: int) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=quality, subsampling=0)
    return buffer.getvalue()


def _files(paths: Iterable[str]) -> Iterator[tuple[str, bytes]]:
    for path in paths:
        try:
            yield Path(path).name, Path(path).read_bytes()
        except OSError as error:
            raise DataError(f"Expected a readable file at {path!r}. Received: {error}.") from error


def _pack(stem: Path, contents: Iterable[tuple[str, bytes]], limit: int) -> list[Path]:
    """Tar archives `<stem>-00.tar`, ... of at most `limit` bytes each; older ones of the name go."""
    for old in stem.parent.glob(f"{stem.name}-*.tar"):
        old.unlink()
    made: list[Path] = []
    for part in _parts(contents, limit):
        made.append(stem.with_name(f"{stem.name}-{len(made):02d}.tar"))
        logging.info("writing %s", made[-1])
        with tarfile.open(made[-1], "w") as archive:
            for name, data in part:
                entry = tarfile.TarInfo(name)
                entry.size = len(data)
                archive.addfile(entry, io.BytesIO(data))
    return made


def _parts(contents: Iterable[tuple[str, bytes]], limit: int) -> Iterator[list[tuple[str, bytes]]]:
    part: list[tuple[str, bytes]] = []
    size = end = tarfile.RECORDSIZE
    for name, data in contents:
        cost = tarfile.BLOCKSIZE * (1 + -(-len(data) // tarfile.BLOCKSIZE))
        if cost + end > limit:
            raise DataError(
                f"Expected files below {limit:,} bytes. Received: {name}, {len(data):,} bytes.",
                hint="Raise `part_mib`.",
            )
        if size + cost > limit:
            yield part
            part, size = [], end
        part.append((name, data))
        size += cost
    if part:
        yield part


def _download(request: Request, output: Path) -> None:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
    command += [f"--python-version={request.python}", f"--dest={output}", *request.wheels]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise DataError(f"Expected wheels of {list(request.wheels)}. Received: {done.stderr.strip()[-500:]}")
