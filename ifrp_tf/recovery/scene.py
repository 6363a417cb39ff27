"""What one picture holds: how it is to be looked at (`Options`), its faces, their crops."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps

from ifrp_tf.core.errors import ConfigError
from ifrp_tf.pictures import framing, images
from ifrp_tf.pictures.decoding import check_size, to_rgb
from ifrp_tf.pictures.geometry import SMALLEST_FACE, WHOLE, Face, Place, cut
from ifrp_tf.recovery import detection
from ifrp_tf.recovery.detection import Detector
from ifrp_tf.recovery.uncertainty import Uncertainty

# ---- What a user may ask of a recovery beyond its input and output ----

FACES = ("whole", "auto")
"""`whole`: every picture is one face; `auto`: the faces in it are found."""


@dataclass(frozen=True)
class Options:
    """How faces are found and what is made of them.

    Attributes:
        faces: one of `FACES`.
        boxes: x, y, width, height of faces by hand, pixels of the upright picture; with `auto` instead of
            finding them.
        paste: whether the recovered faces are also blended into their picture.
        strength: of that blend, 0 to 1.
        flip_average: whether the network also sees the mirrored portrait, and the two answers are averaged.
        fallback: whether a picture in which no face is found is taken for one face as a whole.
        uncertainty: whether a picture and a number of how far the answers to slightly changed portraits
            spread are made of every face, too (`uncertainty.estimate`).

    Raises:
        ConfigError: an option is out of range, or two contradict each other.

    Example:
        >>> Options(faces="auto", paste=True, strength=0.8).settings()
        'auto paste 0.8'
    """

    faces: str = "whole"
    boxes: tuple[tuple[float, float, float, float], ...] = ()
    paste: bool = False
    strength: float = 1.0
    flip_average: bool = False
    fallback: bool = True
    uncertainty: bool = False

    def __post_init__(self) -> None:
        if self.faces not in FACES:
            raise ConfigError(f"Expected faces to be one of {', '.join(FACES)}. Received: {self.faces!r}.")
        if not 0.0 <= self.strength <= 1.0:
            raise ConfigError(f"Expected a strength from 0 to 1. Received: {self.strength!r}.")
        if self.faces == "whole" and (self.paste or self.boxes):
            what = "--paste" if self.paste else "--box"
            raise ConfigError(
                f"Expected --faces=auto with {what}. Received: --faces=whole.",
                hint="Of a picture that is one face as a whole no place in it is known.",
            )
        if self.strength != 1.0 and not self.paste:
            raise ConfigError(
                f"Expected --paste with --strength. Received: --strength={self.strength:g} alone.",
                hint="The strength blends the recovered face into the picture; the crop is always whole.",
            )

    def settings(self) -> str:
        """What makes other outputs of the same picture and model; empty for the defaults.

        The uncertainty is not among it: it adds an output and changes none.
        """
        words = ["auto"] if self.faces == "auto" else []
        words += ["box " + ",".join(f"{value:g}" for value in box) for box in self.boxes]
        if self.paste:
            words.append(f"paste {self.strength:g}")
        if self.flip_average:
            words.append("flip_average")
        if self.faces == "auto" and not self.fallback:
            words.append("nofallback")
        return " ".join(words)


def parse_boxes(texts: Sequence[str]) -> tuple[tuple[float, float, float, float], ...]:
    """Boxes as given on the command line.

    Args:
        texts: `x,y,width,height` each, pixels.

    Raises:
        ConfigError: a text is no box.

    Example:
        >>> parse_boxes(["10,20,128,150"])
        ((10.0, 20.0, 128.0, 150.0),)
    """
    boxes = []
    for text in texts:
        try:
            x, y, width, height = (float(part) for part in text.split(","))
        except ValueError:
            x = y = width = height = -1.0
        if not (0 < width < 1e6 and 0 < height < 1e6 and abs(x) < 1e6 and abs(y) < 1e6):
            raise ConfigError(
                f"Expected --box=x,y,width,height in pixels. Received: --box={text}.",
                hint="Such as --box=120,80,200,240, counted from the top left of the upright picture.",
            )
        boxes.append((x, y, width, height))
    return tuple(boxes)


# ---- A whole picture with any number of faces: what of it the network is to see, and what ----


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
        return np.array(to_rgb(upright, None, []))
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
        ConfigError: a box is outside the picture; a detector is missing.

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
        return [detection.find_in_box(pixels, box, detector) for box in options.boxes]
    found = detection.find(pixels, detector)
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
