"""Finding faces: the MTCNN detector, and the search over sizes and turns of a picture."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from PIL import Image, ImageFilter, ImageOps

from ifrp_tf.core.errors import ConfigError
from ifrp_tf.pictures.geometry import LANDMARKS, Face, Place, align, cut, overlap, suppress

SMALLEST = 20
"""Least height of a face that `Mtcnn` is asked for, pixels."""

STRICT, RELAXED = (0.6, 0.7, 0.8), (0.5, 0.5, 0.5)
"""Thresholds of mtcnn's three networks: its own, and those for art."""


@dataclass(frozen=True, eq=False)
class Candidate:
    """What a detector takes for a face.

    Attributes:
        landmarks: float64 [5, 2], x and y in pixels, in the order of `geometry.LANDMARKS`.
        score: 0 to 1.
        height: of its box within the picture, pixels; 0 where the detector does not say.
    """

    landmarks: np.ndarray
    score: float
    height: float = 0.0


class Detector(Protocol):
    """Anything that finds upright faces; called by one thread at a time."""

    def __call__(self, pictures: Sequence[np.ndarray], *, relaxed: bool = False) -> list[list[Candidate]]:
        """The faces in each picture.

        Args:
            pictures: uint8 [H, W, 3], RGB 0-255, all of one size.
            relaxed: whether to lower the thresholds: whoever asks verifies what is found.

        Returns:
            As many lists as pictures.
        """
        ...


class Mtcnn:
    """mtcnn, which brings its weights along and needs no network. May be called from several threads.

    It shrinks without a filter, which hides large faces from it: give it pictures in which they are
    20 to 80 pixels high.

    Example:
        >>> Mtcnn()([photo])[0][0].score  # doctest: +SKIP
        0.999
    """

    def __init__(self) -> None:
        from mtcnn import MTCNN  # late: it loads TensorFlow and builds three networks

        self._networks = MTCNN()
        self._lock = threading.Lock()  # one picture at a time: its memory is bounded, and the cores are busy

    def __call__(self, pictures: Sequence[np.ndarray], *, relaxed: bool = False) -> list[list[Candidate]]:
        """The faces in each picture; see `Detector`."""
        names = ("threshold_pnet", "threshold_rnet", "threshold_onet")
        thresholds = dict(zip(names, RELAXED if relaxed else STRICT, strict=True))
        with self._lock:
            rows = self._networks.detect_faces(
                list(pictures), min_face_size=SMALLEST, fit_to_image=False, output_type="numpy", **thresholds
            )
        found: list[list[Candidate]] = [[] for _ in pictures]
        for row in rows:
            # A row: picture, box, score, five x, five y; its coordinates are those of pixels' centres.
            landmarks = np.stack([row[6 : 6 + len(LANDMARKS)], row[11:16]], axis=1).astype(np.float64) + 0.5
            top, bottom = np.clip([row[2], row[4]], 0, len(pictures[int(row[0])]) - 1)
            found[int(row[0])].append(Candidate(landmarks, float(row[5]), float(bottom - top)))
        return found


MARGIN = 0.25
"""Part of the side that is added around a tight face, edge pixels repeated: detectors expect some surround.

Measured: in 200 test photographs mtcnn finds a face in 99.5 %, at 0.05 to 0.15 s a picture on two cores.
Margins of 0 and 50 per cent, grey ones, and twice the size find as many, but slower.
"""

_BATCH = 16
_LEAST = 0.3


def shows_face(pictures: np.ndarray, detector: Detector) -> np.ndarray:
    """Which pictures a detector takes for a face: a check on recovered faces that no loss knows.

    Args:
        pictures: uint8 [N, S, S, 3], RGB 0-255, each one tight face or what is meant to be one.
        detector: such as `Mtcnn()`.

    Returns:
        bool [N]: whether a face is found at least 0.3 times as high as the picture; smaller ones are in the
        hair or the background.

    Example:
        >>> shows_face(recovered, Mtcnn()).mean()  # doctest: +SKIP
        0.99
    """
    side = pictures.shape[1]
    pad = int(side * MARGIN)
    framed = np.pad(pictures, ((0, 0), (pad, pad), (pad, pad), (0, 0)), mode="edge")
    found: list[bool] = []
    for start in range(0, len(framed), _BATCH):
        answers = detector(list(framed[start : start + _BATCH]))
        found += [any(face.height >= _LEAST * side for face in faces) for faces in answers]
    return np.array(found, dtype=bool)


# Looking at a picture for faces: in several sizes, turned, treated; what is found is looked at again.

SURROUND = 2.0
"""Side of what the detector sees of a candidate, in sides of its frame."""

_LEVELS = (96, 192, 416, 864)  # longest sides that are searched, pixels: mtcnn sees faces of 20 to 80 best
_WORTH = 0.7  # of the longest side is enough to see the smallest faces that are recovered
_PADDED = 300  # levels up to this one get a border: a tight face has no surround, and here it costs little
_PADDING = 0.25
_CANVAS = 128  # in which a candidate is found again: the face is 64 pixels high
_MOST = 64  # candidates of a picture that are looked at again
_WORST_FIT = 0.2


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
    # A face that is turned clockwise by the angle is upright after turning the other way.
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


_ALONE = 0.4  # a face as high as this part of a picture leaves no room for others
_RETRY_WORK = 416

_STEPS = (Step("mtcnn", (0.0,)), Step("turned", (-35.0, 35.0), relaxed=True))
_RETRIES = (
    Step("relaxed", (0.0,), relaxed=True, work=_RETRY_WORK, least=0.6),
    Step("contrast", (0.0, -35.0, 35.0), relaxed=True, treatment="contrast", work=_RETRY_WORK, least=0.7),
    Step("smoothed", (0.0, -35.0, 35.0), relaxed=True, treatment="smoothed", work=_RETRY_WORK, least=0.7),
    Step("sideways", (-90.0, 90.0, 180.0), relaxed=True, work=_RETRY_WORK, least=0.9),
)


def find(pixels: np.ndarray, detector: Detector) -> list[Face]:
    """Finds the faces of a picture.

    Args:
        pixels: uint8 [H, W, 3], RGB, 0-255.
        detector: such as `Mtcnn()`.

    Returns:
        Faces from the left to the right, also those below `SMALLEST_FACE`; none overlap much. Empty where
        no step finds any.

    Example:
        >>> [face.found_by for face in find(painting, Mtcnn())]  # doctest: +SKIP
        ['mtcnn', 'turned']
    """
    found: list[Face] = []
    for step in _STEPS:
        if not any(face.place.side > _ALONE * max(pixels.shape[:2]) for face in found if face.place):
            found += search(pixels, detector, step)
    for step in _RETRIES:
        if found:
            break
        found = [face for face in search(pixels, detector, step) if _prominent(face, pixels)]
    return sorted(suppress(found), key=lambda face: face.place.x if face.place else 0.0)


def _prominent(face: Face, pixels: np.ndarray) -> bool:
    """Whether a face is large enough to believe lowered thresholds: strokes make many small faces."""
    shorter = min(pixels.shape[:2])
    return face.place is not None and face.place.side >= max(0.1 * shorter, min(0.3 * shorter, 96))


def find_in_box(pixels: np.ndarray, box: Sequence[float], detector: Detector) -> Face:
    """A face whose place is given by hand; the detector is asked how it is turned.

    Args:
        pixels: uint8 [H, W, 3], RGB, 0-255.
        box: x, y, width, height in pixels of the upright picture, from the hairline to the chin.
        detector: such as `Mtcnn()`.

    Raises:
        ConfigError: the box is outside the picture, or is empty.
    """
    height, width = pixels.shape[:2]
    x, y, w, h = box
    if not (w > 0 and h > 0 and x < width and y < height and x + w > 0 and y + h > 0):
        raise ConfigError(
            f"Expected a box x,y,width,height within {width} x {height} pixels. Received: {list(box)}.",
            hint="Pixels are counted from the top left of the upright picture.",
        )
    given = Place(x + w / 2, y + h / 2, max(w, h), 0.0)
    guesses = [replace(given, angle=angle) for angle in (0.0, -35.0, 35.0)]
    near = again(pixels, guesses, detector, "box+", 0.6)
    near = [face for face in near if face.place and overlap(face.place, given) > 0.4]
    return max(near, key=lambda face: face.score or 0.0) if near else Face(given, None, None, "box")
