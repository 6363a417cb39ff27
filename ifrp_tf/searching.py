"""One look at a picture for faces: in several sizes, turned, treated; finds are found again, upright."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageFilter, ImageOps

from ifrp_tf.alignment import Place, align, cut
from ifrp_tf.face import Face, suppress
from ifrp_tf.face_detector import SMALLEST, Candidate, Detector

SURROUND = 2.0
"""Side of what the detector sees of a candidate, in sides of its frame."""

_LEVELS = (96, 192, 416, 864)  # longest sides that are searched, pixels: mtcnn sees faces of 20 to 80 best
_WORTH = 0.7  # of the longest side is enough to see the smallest faces that are recovered
_PADDED = 300  # levels up to this one get a border: a tight face has no surround, and here it costs little
_PADDING = 0.25
_CANVAS = 128  # in which a candidate is found again: the face is 64 pixels high
_MOST = 64  # candidates of a picture that are looked at again
_WORST_FIT = 0.2
_BATCH = 16


@dataclass(frozen=True)
class Step:
    """One way to look at a picture.

    Attributes:
        name: for `Face.found_by`.
        angles: by which faces may be turned, degrees clockwise.
        relaxed: whether thresholds are lowered.
        treatment: what is done to the picture before: nothing, `contrast` or `smoothed`.
        work: longest side that is searched, pixels.
        least: score that a candidate must reach in its frame, 0 to 1.
    """

    name: str
    angles: tuple[float, ...]
    relaxed: bool = False
    treatment: str = ""
    work: int = 1600
    least: float = 0.9  # score that a candidate must reach in its frame


def search(pixels: np.ndarray, detector: Detector, step: Step) -> list[Face]:
    """What one step finds, each found again in its frame; some may overlap.

    Args:
        pixels: uint8 [H, W, 3], RGB, 0-255.
        detector: finds upright faces.
        step: how to look.
    """
    image = Image.fromarray(pixels)
    guesses = [
        face
        for size in _sizes(max(image.size), step.work)
        for angle in step.angles
        for face in _look(image, size, angle, detector, step)
    ]
    places = [face.place for face in suppress(guesses, 0.7)[:_MOST] if face.place is not None]
    found = again(pixels, places, detector, step.name, step.least, step.treatment)
    if not step.relaxed:
        return found
    # Lowered thresholds also find what is turned far; upright it is placed better.
    places = [face.place for face in found if face.place is not None]
    return again(pixels, places, detector, step.name, step.least, step.treatment) or found


def _sizes(longest: int, most: int) -> list[int]:
    """The longest sides to search in; small pictures are enlarged to the first level."""
    sizes = [level for level in _LEVELS if level <= min(longest, most)] or [_LEVELS[0]]
    last = min(round(_WORTH * longest), most)
    return [*sizes, last] if last > 1.5 * sizes[-1] else sizes


def _look(image: Image.Image, size: int, angle: float, detector: Detector, step: Step) -> list[Face]:
    """Candidates in a picture of a longest side of `size` pixels, turned by `angle` clockwise."""
    scale = size / max(image.size)
    small = image.resize(
        (max(1, round(image.width * scale)), max(1, round(image.height * scale))), Image.Resampling.BICUBIC
    )
    view = _treated(np.array(small), step.treatment)
    pad = round(_PADDING * size) if size <= _PADDED else 0
    view = np.pad(view, ((pad, pad), (pad, pad), (0, 0)), mode="edge")
    # A face that is turned clockwise by the angle stands upright after turning the other way.
    turned = Image.fromarray(view).rotate(
        angle, Image.Resampling.BILINEAR, expand=True, fillcolor=tuple(int(v) for v in view.mean((0, 1)))
    )
    canvas = np.array(turned)
    if min(canvas.shape[:2]) < SMALLEST:
        return []
    (candidates,) = detector([canvas], relaxed=step.relaxed)
    turn = Place(view.shape[1] / 2, view.shape[0] / 2, 1.0, angle)
    middle = np.array([canvas.shape[1], canvas.shape[0]]) / 2
    faces = []
    for candidate in candidates:
        points = (turn.to_picture(candidate.landmarks - middle + 0.5) - pad) / scale
        faces += _face(Candidate(points, candidate.score), step.name)
    return faces


def _face(candidate: Candidate, name: str) -> list[Face]:
    place, left_over = align(candidate.landmarks)
    if left_over > _WORST_FIT or place.side < 8:
        return []
    return [Face(place, candidate.landmarks, candidate.score, name)]


def again(
    pixels: np.ndarray,
    places: Sequence[Place],
    detector: Detector,
    name: str,
    least: float,
    treatment: str = "",
) -> list[Face]:
    """Looks into frames, laid upright, for the face that each may hold.

    Args:
        pixels: uint8 [H, W, 3], RGB, 0-255.
        places: frames that may hold a face.
        detector: finds upright faces.
        name: for `Face.found_by`.
        least: score that counts, 0 to 1.
        treatment: as in `Step`.

    Returns:
        The faces, their places made exact; at most as many as places.
    """
    found: list[Face] = []
    for start in range(0, len(places), _BATCH):
        part = [place.widened(SURROUND) for place in places[start : start + _BATCH]]
        canvases = [_treated(cut(pixels, frame, _CANVAS), treatment) for frame in part]
        for frame, candidates in zip(part, detector(canvases, relaxed=True), strict=True):
            inside = []
            for candidate in candidates:
                points = frame.to_picture(candidate.landmarks / _CANVAS)
                inside += _face(Candidate(points, candidate.score), name)
            same = [face for face in inside if face.place and _same(face.place, frame.widened(1 / SURROUND))]
            same = [face for face in same if (face.score or 0.0) >= least]
            if same:
                found.append(max(same, key=lambda face: face.score or 0.0))
    return found


def _same(found: Place, guess: Place) -> bool:
    ratio = found.side / guess.side
    apart = np.hypot(found.x - guess.x, found.y - guess.y) / guess.side
    return bool(0.5 < ratio < 2.0 and apart < 0.5)


def _treated(view: np.ndarray, treatment: str) -> np.ndarray:
    """A view with more contrast, or without brush strokes and hatching."""
    if treatment == "contrast":
        grey = ImageOps.equalize(Image.fromarray(view).convert("L"))
        return np.repeat(np.array(grey)[:, :, None], 3, axis=2)
    if treatment == "smoothed":
        image = Image.fromarray(view).filter(ImageFilter.MedianFilter(3))
        return np.array(ImageOps.autocontrast(image.filter(ImageFilter.GaussianBlur(1)), cutoff=1))
    return view
