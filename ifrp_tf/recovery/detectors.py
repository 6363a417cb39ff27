"""What finds upright faces in a picture: the protocol, and MTCNN."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from ifrp_tf.pictures.geometry import LANDMARKS

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


SURROUND = 2.0
"""Side of what the detector sees of a candidate, in sides of its frame."""

RETRY_WORK = 416
"""Longest side that is searched where nothing was found, pixels."""


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
        every_way: whether each candidate is at once asked which way up it is; otherwise what was found is.
    """

    name: str
    angles: tuple[float, ...]
    relaxed: bool = False
    treatment: str = ""
    work: int = 1600
    least: float = 0.9
    every_way: bool = False


class Mtcnn:
    """mtcnn, which brings its weights along and needs no network. May be called from several threads.

    It shrinks without a filter, which hides large faces from it: give it pictures in which they are
    20 to 80 pixels high.

    Attributes:
        steps, retries, margin: as of `BlazeFace`.

    Example:
        >>> Mtcnn()([photo])[0][0].score  # doctest: +SKIP
        0.999
    """

    name = "mtcnn"
    margin = 0.01  # its scores are near 1
    steps = (Step("mtcnn", (0.0,)), Step("turned", (-35.0, 35.0), relaxed=True))
    retries = (
        Step("relaxed", (0.0,), relaxed=True, work=RETRY_WORK, least=0.6),
        Step("contrast", (0.0, -35.0, 35.0), relaxed=True, treatment="contrast", work=RETRY_WORK, least=0.7),
        Step("smoothed", (0.0, -35.0, 35.0), relaxed=True, treatment="smoothed", work=RETRY_WORK, least=0.7),
        Step("sideways", (-90.0, 90.0, 180.0), relaxed=True, work=RETRY_WORK, least=0.9),
    )

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
