"""A whole picture with any number of faces: what of it the network is to see, and what becomes of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps

from ifrp_tf import faces, framing, images
from ifrp_tf.alignment import Place, cut
from ifrp_tf.colours import to_rgb
from ifrp_tf.errors import ConfigError
from ifrp_tf.face import SMALLEST_FACE, WHOLE, Face
from ifrp_tf.face_detector import Detector
from ifrp_tf.formats import check_size
from ifrp_tf.options import Options
from ifrp_tf.uncertainty import Uncertainty


@dataclass(frozen=True, eq=False)
class Scene:
    """The faces of a picture, and those of them that can be recovered as portraits.

    Attributes:
        faces: all, from the left to the right.
        entries: what `report.json` says of each; `reason` is `too_small` for those that are not recovered.
        chosen: indices in `faces` of the portraits.
        portraits: uint8 [len(chosen), side, side, 3], aligned to the networks' frame.
    """

    faces: tuple[Face, ...]
    entries: tuple[dict[str, Any], ...]
    chosen: tuple[int, ...]
    portraits: np.ndarray

    @property
    def places(self) -> tuple[Place | None, ...]:
        """The frames of the portraits; None for a picture taken as a whole."""
        return tuple(self.faces[index].place for index in self.chosen)


def pixels_of(source: str | Path | bytes | Image.Image | np.ndarray) -> np.ndarray:
    """A picture in any form as upright pixels: uint8 [H, W, 3].

    Args:
        source: a path, the bytes of a file, a Pillow image or an array uint8 [H, W, 3].

    Raises:
        ImageError: the picture cannot be used.
    """
    if isinstance(source, Image.Image):
        check_size(*source.size)
        upright = ImageOps.exif_transpose(source)
        return np.array(to_rgb(upright, images.WHITE, []))
    if isinstance(source, np.ndarray):
        return images.from_array(source)
    return images.read(source).pixels


def look(pixels: np.ndarray, options: Options, detector: Detector | None, side: int) -> Scene:
    """Finds the faces of a picture and lays each into the frame of the networks.

    Args:
        pixels: uint8 [H, W, 3], RGB, 0-255.
        options: how faces are found.
        detector: not needed for `faces="whole"`.
        side: of the portraits, pixels.

    Raises:
        ConfigError: a box lies outside the picture; a detector is missing.

    Example:
        >>> look(pixels, Options(faces="auto"), Mtcnn(), 128).portraits.shape  # doctest: +SKIP
        (4, 128, 128, 3)
    """
    found = _found(pixels, options, detector)
    entries, chosen, portraits = [], [], []
    for index, face in enumerate(found):
        entry = face.entry(*pixels.shape[:2])
        if face.place is not None and face.place.side < SMALLEST_FACE:
            entry["reason"] = "too_small"
        else:
            chosen.append(index)
            portraits.append(
                framing.letterbox(pixels, side) if face.place is None else cut(pixels, face.place, side)
            )
        entries.append(entry)
    stacked = np.stack(portraits) if portraits else np.zeros((0, side, side, 3), np.uint8)
    return Scene(tuple(found), tuple(entries), tuple(chosen), stacked)


def _found(pixels: np.ndarray, options: Options, detector: Detector | None) -> list[Face]:
    if options.faces == "whole":
        return [WHOLE]
    if detector is None:
        raise ConfigError("Expected a detector with faces='auto'. Received: none.")
    if options.boxes:
        return [faces.find_in_box(pixels, box, detector) for box in options.boxes]
    found = faces.find(pixels, detector)
    return found or ([WHOLE] if options.fallback else [])


@dataclass(frozen=True, eq=False)
class Recovered:
    """What was recovered from a whole picture.

    Attributes:
        scene: the faces, and the portraits that were laid out for the network.
        recovered: uint8 [len(scene.chosen), side, side, 3].
        pasted: uint8 [H, W, 3]: the picture with the recovered faces, if that was asked for.
        uncertainty: of each recovered face, if that was asked for.
    """

    scene: Scene
    recovered: np.ndarray
    pasted: np.ndarray | None
    uncertainty: tuple[Uncertainty, ...] = ()
