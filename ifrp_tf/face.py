"""What is known of one face in a picture, and which of several finds of it stays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ifrp_tf.alignment import LANDMARKS, Place, overlap

SMALLEST_FACE = 32
"""Side in pixels of the frames below which a face is reported, not recovered: there is nothing to see."""


@dataclass(frozen=True, eq=False)
class Face:
    """A face in a picture.

    Attributes:
        place: its frame; None where the picture as a whole is taken for the face.
        landmarks: float64 [5, 2], pixels of the picture, in the order of `alignment.LANDMARKS`, or None.
        score: the detector's, 0 to 1; None where none was asked or none answered.
        found_by: the step that found it: `mtcnn`, `turned`, `relaxed`, `contrast`, `smoothed`, `sideways`,
            `box` (by hand, without landmarks), `box+` (by hand, and found in it) or `whole`.
    """

    place: Place | None
    landmarks: np.ndarray | None
    score: float | None
    found_by: str

    def entry(self, height: int, width: int) -> dict[str, Any]:
        """What `report.json` says of it; the box is x, y, width, height in pixels of the upright picture."""
        if self.place is None:
            return {"box": [0, 0, width, height], "landmarks": None, "score": None, "found_by": self.found_by}
        points = None
        if self.landmarks is not None:
            rounded = np.round(self.landmarks, 1).tolist()
            points = dict(zip(LANDMARKS, rounded, strict=True))
        return {
            "box": list(self.place.box(height, width)),
            "landmarks": points,
            "score": None if self.score is None else round(self.score, 4),
            "found_by": self.found_by,
            "side": round(self.place.side, 1),
            "tilt": round(self.place.angle, 1),
        }


WHOLE = Face(None, None, None, "whole")
"""The picture as a whole taken for one face: the network itself aligns it."""


def suppress(faces: Sequence[Face], most: float = 0.5) -> list[Face]:
    """Non-maximum suppression across sizes and turns: of faces that overlap the surest stays.

    Args:
        faces: any; those without a place stay.
        most: overlap in parts of the smaller frame that two faces may have.
    """
    kept: list[Face] = []
    for face in sorted(faces, key=lambda face: -(face.score or 0.0)):
        others = (other.place for other in kept if other.place is not None)
        if face.place is None or all(overlap(face.place, other) <= most for other in others):
            kept.append(face)
    return kept
