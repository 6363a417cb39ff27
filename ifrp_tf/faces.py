"""Finds faces in photographs, paintings, drawings and sketches, whole pictures of any size.

Detectors are made from photographs of upright faces. So a picture is looked at in several sizes, each made
with a filter, and turned both ways; whatever may be a face is laid into the tight frame, upright, and has to
be found there again, which also makes its place exact. Where nothing is found the thresholds fall, and the
contrast is raised and brush strokes smoothed away, before the picture as a whole is taken for one face.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ifrp_tf.alignment import Place, overlap
from ifrp_tf.errors import ConfigError
from ifrp_tf.face import Face, suppress
from ifrp_tf.face_detector import Detector
from ifrp_tf.searching import Step, again, search

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
        detector: such as `face_detector.Mtcnn()`.

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
        detector: such as `face_detector.Mtcnn()`.

    Raises:
        ConfigError: the box lies outside the picture, or is empty.
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
