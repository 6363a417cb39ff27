"""Photographs of whole scenes are no crops of faces: they are refused, and cut into crops."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from ifrp_tf.core.errors import ConfigError, ImageError
from ifrp_tf.data import shards
from ifrp_tf.pictures import framing, images
from ifrp_tf.pictures.geometry import cut
from ifrp_tf.recovery import detection
from ifrp_tf.recovery.detectors import Detector
from ifrp_tf.recovery.manifest import plan

SAMPLE = 6
"""Photographs of a folder that `check` looks at."""

_OBLONG = 1.3  # times as long as wide
_LOOSE = 2.0  # sides of the face's frame
_THUMBNAIL = 192


def check(folder: str | Path, *, crop: int = 0, detector: Detector | None = None) -> None:
    """Looks at a few photographs of a folder: whether they are tight crops of faces, as in data/faces.

    Args:
        folder: photographs, searched recursively; prepared shards are not looked at.
        crop: as of `DataConfig`: the middle square that will be cut out of each.
        detector: finds faces in thumbnails; without one only the shapes are looked at.

    Raises:
        ConfigError: most of them are oblong, or show a face in a larger scene.
        DataError: the folder holds no files.
    """
    if shards.is_prepared(folder):
        return
    found = images.list_pictures(folder)
    strange, looked = [], 0
    for path in found[:: max(1, len(found) // SAMPLE)][:SAMPLE]:
        try:
            pixels = images.read(path).pixels
        except ImageError:
            continue  # whoever reads them all says so
        looked += 1
        what = _strange(framing.centre_crop(pixels, crop) if crop else pixels, detector)
        if what:
            strange.append(f"{path.name}: {what}")
    if 2 * len(strange) > looked:
        raise ConfigError(
            f"Expected crops of faces, square and tight, as in data/faces. Received: {folder}, where "
            f"{len(strange)} of {looked} that were looked at are none, such as {strange[0]}.",
            hint="tools/prepare_faces.py --align cuts the faces out; insist=True takes pictures as they are.",
        )


def quick_detector() -> Detector | None:
    """A detector for `check`; None under JAX, where TensorFlow, which detectors need, may not be there."""
    import keras

    return detection.DETECTORS[detection.DETECTOR]() if keras.backend.backend() == "tensorflow" else None


def _strange(pixels: np.ndarray, detector: Detector | None) -> str:
    height, width = pixels.shape[:2]
    if max(height, width) > _OBLONG * min(height, width):
        return f"{width} x {height} pixels"
    if detector is None:
        return ""
    thumbnail = Image.fromarray(pixels)
    thumbnail.thumbnail((_THUMBNAIL, _THUMBNAIL))
    sides = [face.place.side for face in detection.find(np.array(thumbnail), detector, 0) if face.place]
    if sides and min(thumbnail.size) > _LOOSE * max(sides):
        return f"a face of {max(sides) / min(thumbnail.size):.0%} of its side"
    return ""


def align(
    source: str | Path,
    output: str | Path,
    *,
    side: int,
    detector: Detector,
    say: Callable[[str], object] = logging.info,
) -> int:
    """Cuts every face out of photographs, upright, in the frame of data/faces.

    Args:
        source: folder of photographs, searched recursively.
        output: gets `<stem>.png`, and `<stem>_face2.png` and so on, from the left to the right; the tree, in
            which a folder may be a person, is mirrored. Existing files are replaced. Where two photographs
            share a stem, the suffix joins it.
        side: of the crops, pixels. Faces of less than half of that are left out.
        detector: finds the faces.
        say: gets what was cut out and left out.

    Returns:
        The exit code: 0, or 1 where files could not be read as pictures or no face was found at all.

    Raises:
        DataError: there are no files, or a crop cannot be written.
    """
    root, target = Path(source), Path(output)
    cut_out = small = unreadable = 0
    without = []
    jobs = plan([(root, images.list_pictures(root, exclude=target))], target)
    for job in jobs:
        path = job.path
        try:
            pixels = images.read(path).pixels
        except ImageError as error:
            logging.warning("%s: %s", path, error)
            unreadable += 1
            continue
        places = [face.place for face in detection.find(pixels, detector) if face.place is not None]
        large = [place for place in places if 2 * place.side >= side]
        small += len(places) - len(large)
        if not places:
            without.append(path)
        for number, place in enumerate(large, 1):
            crop = target / f"{job.stem}{f'_face{number}' if number > 1 else ''}.png"
            crop.parent.mkdir(parents=True, exist_ok=True)
            images.write_png(crop, cut(pixels, place, side))
        cut_out += len(large)
    say(
        f"{len(jobs):,} files: {cut_out:,} faces cut out, {small:,} below {side / 2:g} pixels left out, "
        f"{len(without):,} pictures without a face{f', such as {without[0]}' if without else ''}, "
        f"{unreadable:,} unreadable; {target}"
    )
    return 1 if unreadable or not cut_out else 0
