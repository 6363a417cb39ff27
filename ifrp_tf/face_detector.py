"""What a face detector is to this package, and mtcnn as one."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from ifrp_tf.alignment import LANDMARKS

SMALLEST = 20
"""Least height of a face that `Mtcnn` is asked for, pixels."""

STRICT, RELAXED = (0.6, 0.7, 0.8), (0.5, 0.5, 0.5)
"""Thresholds of mtcnn's three networks: its own, and those for art."""


@dataclass(frozen=True, eq=False)
class Candidate:
    """What a detector takes for a face.

    Attributes:
        landmarks: float64 [5, 2], x and y in pixels, in the order of `alignment.LANDMARKS`.
        score: 0 to 1.
    """

    landmarks: np.ndarray
    score: float


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
            found[int(row[0])].append(Candidate(landmarks, float(row[5])))
        return found
