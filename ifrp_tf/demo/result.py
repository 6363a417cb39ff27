"""What the web page shows of a picture: its faces, the recovered ones in their place, and files to keep.

There is no page in here and no Gradio: `demo_page` draws it, `demo_server` serves it.
"""

from __future__ import annotations

import copy
import re
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from ifrp_tf.core.errors import ConfigError, ImageError
from ifrp_tf.core.files import read_bytes
from ifrp_tf.data import attributes
from ifrp_tf.pictures import decoding, images
from ifrp_tf.pictures.blending import paste
from ifrp_tf.pictures.geometry import SMALLEST_FACE, Face, Place, overlap
from ifrp_tf.recovery.gallery import numbered
from ifrp_tf.recovery.manifest import PASTED, bases, provenance
from ifrp_tf.recovery.recoverer import Options, Recovered, Recoverer
from ifrp_tf.recovery.uncertainty import Uncertainty, estimate

FILE_BYTES = 32 * 2**20
"""The largest file that the page takes."""

PIXELS = 25_000_000
"""The most pixels that the page takes: it keeps every visitor's picture in memory."""

PREVIEW = 1280
"""The longest side of what the page shows, pixels; files are of the full size."""

MOST_UNCERTAIN = 12
"""Faces of one picture whose uncertainty is measured: each is sixteen portraits to the network."""

_SAME = 0.5  # overlap of two frames of one face
_LARGEST = 1.5  # times the longest side, of a box by hand

Opened = Callable[[], Recoverer]
"""The model to ask about one picture, as it is at that moment."""


class Shown(NamedTuple):
    """A picture file and what is written below it."""

    path: Path
    caption: str


@dataclass(eq=False)
class Result:
    """What was made of one picture; its files vanish with it.

    Attributes:
        stem: what the names of its files begin with.
        pixels: uint8 [H, W, 3], the picture.
        done: the faces that were found, and the recovered ones.
        recoverer: the model that answered.
        read: what was done to read the picture.
        drawn: the faces that were given by hand.
        uncertain: of the recovered faces, once it was asked for.
    """

    stem: str
    pixels: np.ndarray
    done: Recovered
    recoverer: Recoverer
    read: tuple[str, ...] = ()
    drawn: tuple[Face, ...] = ()
    uncertain: list[Uncertainty] = field(default_factory=list)
    _folder: tempfile.TemporaryDirectory[str] = field(
        default_factory=lambda: tempfile.TemporaryDirectory(prefix="ifrp_demo_")
    )

    @property
    def placed(self) -> list[tuple[Place, np.ndarray]]:
        """The recovered faces whose place in the picture is known."""
        pairs = zip(self.done.scene.places, self.done.recovered, strict=True)
        return [(place, face) for place, face in pairs if place is not None]

    def message(self) -> str:
        """What was found, in words."""
        faces, chosen, drawn = len(self.done.scene.faces), len(self.done.scene.chosen), len(self.drawn)
        if drawn:
            return f"{faces} face{'s' * (faces != 1)}, {drawn} of them by hand, {chosen} recovered."
        if not faces:
            return "No face was found, and the picture is too large or too oblong to be one as a whole."
        if self.done.scene.faces[0].place is None:
            return "The picture as a whole is taken for one face."
        return f"{faces} face{'s' * (faces != 1)} found, {chosen} recovered."

    @property
    def told(self) -> str:
        """What the model was told of the sitter, in the words of `data.attributes`; empty for nothing."""
        return "" if self.recoverer.vector is None else attributes.words(self.recoverer.vector)

    def notes(self) -> list[str]:
        """What was done or noticed that whoever gave the picture should know: a sentence each."""
        words = [note.replace("_", " ") for note in (*self.read, *self.done.notes)]
        if self.told:
            words.append(f"made as it was told, which is no evidence: {self.told.replace(',', ', ')}")
        return [f"{note[:1].upper()}{note[1:].rstrip('.')}." for note in words]

    def found(self) -> Path:
        """The picture with a frame and a number for every face."""
        small, factor = _preview(self.pixels)
        faces, chosen = enumerate(self.done.scene.faces), self.done.scene.chosen
        frames = [(face.place.corners() * factor, k in chosen) for k, face in faces if face.place is not None]
        return self._write(f"{self.stem}_faces.png", numbered(small, frames))

    def before_after(self, strength: float) -> tuple[Path, Path] | None:
        """Two pictures of one size to compare: the given one, and with recovered faces.

        Args:
            strength: of the recovered faces, 0 to 1; of no effect on a picture taken as a whole.

        Returns:
            None where no face was recovered.
        """
        if not self.done.scene.chosen:
            return None
        if not self.placed:
            before, after = self.done.scene.portraits[0], self.done.recovered[0]
        else:
            before, factor = _preview(self.pixels)
            places = [_scaled(place, factor) for place, _ in self.placed]
            after = paste(before, places, [face for _, face in self.placed], strength=strength)
        return self._write("before.png", before), self._write("after.png", after)

    def faces(self, uncertain: bool = False) -> list[Shown]:
        """The recovered faces, from the left to the right.

        Args:
            uncertain: beside each also how far it depends on what should not matter (`uncertainty`).

        Raises:
            ModelError: the model gave no usable answer.
        """
        names, pictures = bases(self.stem, self.done.scene.entries), []
        for portrait in self.done.scene.portraits[len(self.uncertain) : MOST_UNCERTAIN] if uncertain else ():
            self.uncertain.append(estimate(self.recoverer.recover_batch, portrait))
        for k, index in enumerate(self.done.scene.chosen):
            path = self._write(f"{names[index]}_recovered.png", self.done.recovered[k])
            pictures.append(Shown(path, f"Face {index + 1}"))
            if uncertain and k < len(self.uncertain):
                path = self._write(f"{names[index]}_uncertainty.png", self.uncertain[k].picture)
                pictures.append(Shown(path, f"uncertainty {self.uncertain[k].value:.3f}"))
        return pictures

    def files(self, strength: float) -> list[Path]:
        """What can be kept, in full size: each recovered face, and the picture with them.

        Args:
            strength: of the faces in the picture, 0 to 1.
        """
        kept = [shown.path for shown in self.faces()]
        if self.placed:
            places, faces = [place for place, _ in self.placed], [face for _, face in self.placed]
            pasted = paste(self.pixels, places, faces, strength=strength)
            kept.append(self._write(f"{self.stem}_{PASTED}.png", pasted))
        return kept

    def _write(self, name: str, pixels: np.ndarray) -> Path:
        path = Path(self._folder.name, name)
        text = provenance(self.recoverer.name, self.recoverer.fingerprint, self.told)
        images.write_png(
            path, pixels, text=None if name in ("before.png", f"{self.stem}_faces.png") else text
        )
        return path


def recover(path: str | Path, name: str, opened: Opened, faces: str = "auto") -> Result:
    """Recovers the faces of an uploaded file.

    Args:
        path: where it is.
        name: what its owner calls it; names of files are made of it.
        opened: gives the model.
        faces: `auto`, they are looked for; `whole`, the picture is one face.

    Raises:
        ImageError: the file cannot be used, as `images.read` says, or is too large for a page.
        ModelError: there is no model, or it gave no usable answer.
    """
    picture = decoding.decode(read_bytes(path, FILE_BYTES))
    height, width = picture.pixels.shape[:2]
    if height * width > PIXELS:
        message = f"expected up to {PIXELS:,} pixels on this page, received {width:,} x {height:,}."
        raise ImageError("too_large", message, hint="tools/recover.py takes larger ones.")
    stem = re.sub(r"[^\w-]+", "_", Path(name).stem).strip("_")[:40] or "picture"
    recoverer = opened()
    done = recoverer.recover_faces(picture.pixels, Options(faces=faces))
    return Result(stem, picture.pixels, done, recoverer, picture.notes)


def search_again(result: Result, opened: Opened, faces: str = "auto") -> Result:
    """The same picture without what was drawn by hand.

    Args:
        result: of the picture.
        opened: gives the model.
        faces: as in `recover`.

    Raises:
        ModelError: there is no model, or it gave no usable answer.
    """
    recoverer = opened()
    done = recoverer.recover_faces(result.pixels, Options(faces=faces))
    return Result(result.stem, result.pixels, done, recoverer, result.read)


def tell(result: Result, opened: Opened) -> Result:
    """The same faces once more, for a model that is told something else of the sitter.

    Args:
        result: of the picture.
        opened: gives the model as it is told now.

    Raises:
        ConfigError: the model cannot be told anything.
        ModelError: there is no model, or it gave no usable answer.
    """
    recoverer = opened()
    done = replace(result.done, recovered=recoverer.recover_batch(result.done.scene.portraits))
    return Result(result.stem, result.pixels, done, recoverer, result.read, result.drawn)


def recover_in_box(result: Result, box: str, opened: Opened) -> Result:
    """Recovers one more face of a picture, in a box by hand; one that was found in its place is dropped.

    Args:
        result: of the picture.
        box: x, y, width and height in pixels of the upright picture, such as `"120, 40, 200, 220"`.
        opened: gives the model.

    Raises:
        ConfigError: the box cannot be understood, is outside the picture, or is too small for a face.
        ModelError: there is no model, or it gave no usable answer.
    """
    recoverer = opened()
    options = Options(boxes=(_box(box, result.pixels),))
    (drawn,) = recoverer.look(result.pixels, options).faces
    kept = [face for face in result.done.scene.faces if not _same(face, drawn)]
    known = copy.copy(recoverer)  # all of one model, which may be another than before
    known.detector = _Known([*kept, drawn])
    done = known.recover_faces(result.pixels, Options(fallback="none"))
    by_hand = (*(face for face in result.drawn if face in kept), drawn)
    return Result(result.stem, result.pixels, done, recoverer, result.read, by_hand)


class _Known:
    """A `Finder` of faces that are known."""

    def __init__(self, faces: list[Face]) -> None:
        self._faces = faces

    def find(self, pixels: np.ndarray, options: Options) -> list[Face]:
        return self._faces


def _same(known: Face, drawn: Face) -> bool:
    if known.place is None or drawn.place is None:
        return True
    return overlap(known.place, drawn.place) > _SAME


def _box(text: str, pixels: np.ndarray) -> tuple[float, float, float, float]:
    height, width = pixels.shape[:2]
    size = f"The picture has {width:,} x {height:,} pixels."
    numbers = re.findall(r"-?\d+(?:\.\d+)?", text)
    if len(numbers) != 4 or len(text) > 100:
        message = f"Expected four numbers: x, y, width and height in pixels. Received: {text[:100]!r}."
        raise ConfigError(message, hint=size)
    x, y, w, h = (float(number) for number in numbers)
    if not (w > 0 and h > 0 and 0 <= x + w / 2 <= width and 0 <= y + h / 2 <= height):
        message = f"Expected a box with its middle in the picture. Received: {w:g} x {h:g} at {x:g}, {y:g}."
        raise ConfigError(message, hint=size)
    if not SMALLEST_FACE <= max(w, h) <= _LARGEST * max(width, height):
        raise ConfigError(
            f"Expected a box of at least {SMALLEST_FACE} pixels, and not far larger than the picture. "
            f"Received: {w:g} x {h:g}.",
            hint=f"{size} A smaller face says too little.",
        )
    return x, y, w, h


def _preview(pixels: np.ndarray) -> tuple[np.ndarray, float]:
    factor = min(1.0, PREVIEW / max(pixels.shape[:2]))
    if factor == 1.0:
        return pixels, factor
    size = (round(pixels.shape[1] * factor), round(pixels.shape[0] * factor))
    return np.array(Image.fromarray(pixels).resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0)), factor


def _scaled(place: Place, factor: float) -> Place:
    return replace(place, x=place.x * factor, y=place.y * factor, side=place.side * factor)
