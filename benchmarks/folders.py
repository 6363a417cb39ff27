"""How fast a folder is recovered, beside the network alone: what reading, fitting and writing cost."""

from __future__ import annotations

import io
import itertools
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.timing import Call, interleave
from ifrp_tf.core import files
from ifrp_tf.core.errors import ConfigError
from ifrp_tf.data import photos, toy_faces
from ifrp_tf.pictures import images
from ifrp_tf.recovery.recoverer import Options, Recoverer
from ifrp_tf.release.load import BATCH

LARGE = 512
"""Side of the larger pictures, pixels."""


WHOLE = Options(faces="whole")


def measure(
    model: str | Path, data: str | Path = "", *, pictures: int = 6 * BATCH, rounds: int = 3
) -> dict[str, Any]:
    """Times `Recoverer.recover_folder` and the network alone, in turn.

    Args:
        model: as in `Recoverer.load`.
        data: folder of photographs; empty for drawn faces.
        pictures: files in the folder, 1 or more. The last batch is filled up, so a multiple of 16 is fairest.
        rounds: turns of each, 1 or more.

    Returns:
        Plain values, ready for JSON: `pictures data` and `network`, pictures a second of the network in
        batches of 16 without any file, and `folders`: side in pixels of the folder's JPEG files (that of the
        network, and 512) -> `pictures_per_second cores to_network`, the last as a part of `network`.

    Raises:
        ConfigError: a number is out of range.
        ModelError: as for `Recoverer.load`.
        DataError, ImageError: the photographs cannot be used.

    Example:
        >>> measure("saved_models/ifrp")["folders"]["128"]["to_network"]  # doctest: +SKIP
        0.82
    """
    if pictures < 1 or rounds < 1:
        raise ConfigError(f"Expected a picture and a round or more. Received: {pictures} and {rounds}.")
    recoverer = Recoverer.load(model)
    faces = _faces(data, pictures)
    portraits = np.stack([images.resize(face, recoverer.side) for face in faces])
    with tempfile.TemporaryDirectory(prefix="ifrp_speed_") as root:
        outputs = (Path(root) / f"out{k}" for k in itertools.count())

        def recovering(side: int) -> Call:
            # As a whole: how long a detector looks is the table of `benchmark detectors`.
            return lambda: recoverer.recover_folder(Path(root) / str(side), next(outputs), options=WHOLE)

        sides = list(dict.fromkeys((recoverer.side, LARGE)))
        for side in sides:
            _write(faces, side, Path(root) / str(side))
        timings = interleave(
            {
                "network": lambda: lambda: recoverer.recover_batch(portraits),
                **{str(side): (lambda side=side: recovering(side)) for side in sides},  # type: ignore[misc]
            },
            rounds=rounds,
            calls=1,
        )
    network = timings.pop("network")
    folders = {
        side: {
            "pictures_per_second": pictures / timing.seconds,
            "cores": timing.cores,
            "to_network": network.seconds / timing.seconds,
        }
        for side, timing in timings.items()
    }
    return {
        "pictures": pictures,
        "data": str(data) or "drawn faces",
        "network": pictures / network.seconds,
        "folders": folders,
    }


def _faces(data: str | Path, count: int) -> list[np.ndarray]:
    """Square pictures, repeated where there are too few of them."""
    if not data:
        return list(toy_faces.draw(count, side=LARGE // 4, seed=3).pixels)
    found = files.list_pictures(data)[:count]
    faces = [photos.read(path, LARGE, rule="letterbox") for path in found]
    return [face for face, _ in zip(itertools.cycle(faces), range(count), strict=False)]


def _write(faces: list[np.ndarray], side: int, folder: Path) -> None:
    for k, face in enumerate(faces):
        stream = io.BytesIO()
        Image.fromarray(images.resize(face, side)).save(stream, "JPEG", quality=92)
        files.write_bytes_atomic(folder / f"{k}.jpg", stream.getvalue())
