"""How many faces each detector finds, the right way up, how many that are none, and what a picture costs."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from benchmarks import empties
from ifrp_tf.core import files
from ifrp_tf.pictures import images
from ifrp_tf.pictures.geometry import Face, Place, overlap
from ifrp_tf.recovery import detection

_Case = tuple[np.ndarray, Place | None]
_TIGHT = Place(64, 64, 128)
_SETS = {"photographs": "faces/test", "paintings": "paintings", "sketches": "sketches"}


def measure(
    data: str | Path,
    names: Sequence[str] = tuple(detection.DETECTORS),
    *,
    count: int = 40,
    turns: Sequence[int] = (0, 180),
    scores: Sequence[float] = (0.0,),
) -> list[dict[str, Any]]:
    """One row for each detector, set of pictures, turn and threshold.

    Every other face is as tight as it lies in the data, the others are in a larger picture.

    Args:
        data: the folder with `faces/test`, `paintings`, `sketches` and `styles`.
        names: of `detection.DETECTORS`.
        count: pictures of each set; of those without a face six times as many.
        turns: of `detection.WAYS`, by which the pictures are turned.
        scores: least scores that count, above the detectors' own.

    Raises:
        DataError: a folder holds no pictures.
    """
    rows = []
    for name in names:
        detector = detection.DETECTORS[name]()
        detection.find(np.zeros((128, 128, 3), np.uint8), detector)  # what comes once
        for label, turn in itertools.product((*_SETS, "none"), turns):
            if label == "none" and turn:
                continue
            answers = []
            for pixels, place in _cases(Path(data), label, count):
                turned, expected = _turned(pixels, place, turn)
                start = time.process_time()
                found = detection.find(turned, detector)
                answers.append((found, expected, time.process_time() - start))
            row = {"detector": name, "pictures": label, "count": len(answers), "turn": turn}
            row["seconds"] = float(np.mean([seconds for *_, seconds in answers]))
            rows += [{**row, "score": least, **_judged(answers, least)} for least in scores]
    return rows


def _cases(data: Path, label: str, count: int) -> Iterator[_Case]:
    if label == "none":
        shown = list(empties.pictures(data / "styles"))
        yield from ((pixels, None) for _, pixels in shown[:: max(1, len(shown) // (6 * count))])
        return
    found = [path for path in files.list_pictures(data / _SETS[label]) if "photo" not in path.parts]
    for index, path in enumerate(found[:: max(1, len(found) // count)][:count]):
        face = images.read(path).pixels
        yield (face, _TIGHT) if index % 2 else _framed(face, index)


def _framed(face: np.ndarray, seed: int) -> tuple[np.ndarray, Place]:
    """A face on a picture of 640 x 800 with a body and hair, as of a half-length portrait."""
    random = np.random.default_rng(seed)
    ground = (random.normal(0, 14, (80, 64, 3)) + (96, 74, 52)).clip(0, 255).astype(np.uint8)
    canvas = Image.fromarray(ground).resize((640, 800), Image.Resampling.BICUBIC)
    pen = ImageDraw.Draw(canvas)
    for box, low, high in (((0, 460, 640, 1200), 20, 170), ((148, 127, 492, 491), 15, 90)):
        red, green, blue = (int(value) for value in random.integers(low, high, 3))
        pen.ellipse(box, fill=(red, green, blue))
    mask = Image.new("L", (260, 260), 0)
    ImageDraw.Draw(mask).ellipse((5, -20, 255, 270), fill=255)
    pasted = Image.fromarray(face).resize((260, 260), Image.Resampling.LANCZOS)
    canvas.paste(pasted, (190, 200), mask.filter(ImageFilter.GaussianBlur(10)))
    return np.array(canvas), Place(320, 330, 260)


def _turned(pixels: np.ndarray, place: Place | None, turn: int) -> _Case:
    """A picture turned clockwise, and where its face then is."""
    turned = np.ascontiguousarray(np.rot90(pixels, -turn // 90))
    if place is None:
        return turned, None
    about = Place(turned.shape[1] / 2, turned.shape[0] / 2, 1, turn)
    middle = np.array([[place.x - pixels.shape[1] / 2 + 0.5, place.y - pixels.shape[0] / 2 + 0.5]])
    x, y = about.to_picture(middle)[0]
    return turned, Place(x, y, place.side, turn)


def _judged(answers: Sequence[tuple[list[Face], Place | None, float]], least: float) -> dict[str, int]:
    """Pictures whose face was found the right way up, another way up, and finds that are no face."""
    right = wrong = false = 0
    for found, expected, _ in answers:
        places = [face.place for face in found if face.place is not None and (face.score or 0) >= least]
        on = [place for place in places if expected is not None and overlap(place, expected) > 0.5]
        upright = [
            place
            for place in on
            if expected is not None and abs((place.angle - expected.angle + 180) % 360 - 180) < 60
        ]
        right, wrong = right + bool(upright), wrong + (bool(on) and not upright)
        false += len(places) - len(on)
    return {"right": right, "wrong_way_up": wrong, "false": false}


def table(rows: Sequence[dict[str, Any]]) -> list[str]:
    """The rows as lines of text."""
    columns = f"{'right way up':>14}{'wrong':>7}{'false':>7}{'CPU s':>7}"
    lines = [f"{'detector':11}{'pictures':13}{'turn':>4}{'score':>7}{columns}"]
    for row in rows:
        found = f"{row['right']} of {row['count']}" if row["pictures"] != "none" else f"- of {row['count']}"
        lines.append(
            f"{row['detector']:11}{row['pictures']:13}{row['turn']:>4}{row['score']:>7.2f}{found:>14}"
            f"{row['wrong_way_up']:>7}{row['false']:>7}{row['seconds']:>7.2f}"
        )
    return lines
