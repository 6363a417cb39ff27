"""Where a face is in a picture: places (eyes, angle, box), cutting them out upright, overlap, suppression."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

# ---- Where a face is in a picture, and the way from there to the tight frame the networks ----

LANDMARKS = ("left_eye", "right_eye", "nose", "mouth_left", "mouth_right")
"""Order of the landmarks; left and right are the viewer's."""

TEMPLATE = np.array(
    [[0.332, 0.324], [0.668, 0.324], [0.497, 0.535], [0.352, 0.684], [0.648, 0.684]], np.float64
)
"""x, y of the landmarks in the frame, parts of its side.

Medians of what mtcnn finds in 200 test photographs of the frame; its eyes are 2 per cent of the side higher
and its mouth narrower than drawn by hand, so it is its own answers that its answers are laid upon.
"""

_CUT_MARGIN = 3  # pixels more than the corners ask for: what the bicubic filter reaches

_KEPT = 4  # times finer than what is cut out a picture stays that is made smaller before


@dataclass(frozen=True)
class Place:
    """A square frame in a picture: the hairline to the chin of one face.

    Attributes:
        x, y: of its middle, pixels of the picture; the first pixel spans 0 to 1.
        side: pixels of the picture, above 0.
        angle: degrees by which the face is turned clockwise on the screen, -180 to 180.

    Example:
        >>> Place(64.0, 64.0, 128.0, 0.0).corners()[0]
        array([0., 0.])
    """

    x: float
    y: float
    side: float
    angle: float = 0.0

    def matrix(self) -> np.ndarray:
        """Frame coordinates (x, y, 1) in 0 to 1 to pixels of the picture: float64 [2, 3]."""
        angle = math.radians(self.angle)
        cos, sin = self.side * math.cos(angle), self.side * math.sin(angle)
        return np.array(
            [[cos, -sin, self.x - (cos - sin) / 2], [sin, cos, self.y - (sin + cos) / 2]], np.float64
        )

    def to_picture(self, points: np.ndarray) -> np.ndarray:
        """Points [N, 2] of the frame, x and y in 0 to 1, to pixels of the picture."""
        matrix = self.matrix()
        return points @ matrix[:, :2].T + matrix[:, 2]

    def to_frame(self, points: np.ndarray) -> np.ndarray:
        """Points [N, 2] of the picture, pixels, to the frame."""
        matrix = self.matrix()
        return (points - matrix[:, 2]) @ np.linalg.inv(matrix[:, :2]).T

    def corners(self) -> np.ndarray:
        """float64 [4, 2], pixels of the picture, clockwise from the top left of the face."""
        return self.to_picture(np.array([[0, 0], [1, 0], [1, 1], [0, 1]], np.float64))

    def box(self, height: int, width: int) -> tuple[int, int, int, int]:
        """x, y, width, height of the upright square of the same middle and side, within the picture."""
        half = self.side / 2
        left, right = (int(np.clip(round(value), 0, width)) for value in (self.x - half, self.x + half))
        top, bottom = (int(np.clip(round(value), 0, height)) for value in (self.y - half, self.y + half))
        return left, top, right - left, bottom - top

    def widened(self, factor: float) -> Place:
        """The frame of the same middle, `factor` times the side."""
        return Place(self.x, self.y, self.side * factor, self.angle)


def align(landmarks: np.ndarray, template: np.ndarray = TEMPLATE) -> tuple[Place, float]:
    """The similarity that lays a template onto landmarks with the least squares (Umeyama).

    Args:
        landmarks: float [N, 2], x and y in pixels of the picture, in the order of the template; N > 1.
        template: float [N, 2], where they are in the frame, parts of its side; the order of `TEMPLATE` is
            that of `LANDMARKS`.

    Returns:
        The frame, and what is left over: root mean square distance in parts of the side. A frontal face
        leaves under 0.05; what leaves more than 0.2 is none.

    Example:
        >>> align(128 * TEMPLATE)[0].side
        128.0
    """
    landmarks = np.asarray(landmarks, np.float64)
    model, found = template - template.mean(0), landmarks - landmarks.mean(0)
    # The complex number that turns and scales the one into the other.
    a, b = model[:, 0] + 1j * model[:, 1], found[:, 0] + 1j * found[:, 1]
    factor = complex((np.conj(a) * b).sum() / (np.abs(a) ** 2).sum())
    side = max(abs(factor), 1e-6)
    middle = (0.5 + 0.5j - complex(*template.mean(0))) * factor + complex(*landmarks.mean(0))
    left_over = float(np.sqrt((np.abs(b - factor * a) ** 2).mean()) / side)
    angle = math.degrees(math.atan2(factor.imag, factor.real))
    return Place(middle.real, middle.imag, side, angle), left_over


def overlap(first: Place, second: Place) -> float:
    """Overlap of two frames, taken as upright squares, in parts of the smaller: 0 to 1."""
    sides = []
    for one, other in ((first.x, second.x), (first.y, second.y)):
        near, far = sorted(((one, first.side / 2), (other, second.side / 2)))
        reach = min(near[0] + near[1], far[0] + far[1]) - max(near[0] - near[1], far[0] - far[1])
        sides.append(max(0.0, reach))
    return sides[0] * sides[1] / min(first.side, second.side) ** 2


def cut(pixels: np.ndarray, place: Place, side: int) -> np.ndarray:
    """Cuts a frame out of a picture, upright: antialiased, bicubic; border pixels are repeated outside.

    Args:
        pixels: uint8 [H, W, 3], RGB, 0-255.
        place: the frame; may reach over the border.
        side: of the result, pixels.

    Returns:
        uint8 [side, side, 3].

    Example:
        >>> cut(np.zeros((300, 200, 3), np.uint8), Place(90, 80, 100, 12), 128).shape
        (128, 128, 3)
    """
    pixels, place = _reduced(pixels, place, side)
    region, left, top = _region(pixels, place)
    image = Image.fromarray(region)
    shrink = max(1.0, place.side / side)
    width, height = (max(1, round(length / shrink)) for length in image.size)
    factors = np.array([width / image.width, height / image.height])
    if shrink > 1:
        image = image.resize((width, height), Image.Resampling.BICUBIC)
    matrix = place.matrix()
    matrix[:, 2] -= (left, top)
    matrix *= factors[:, None]
    matrix[:, :2] /= side
    # Pillow samples at the centres of pixels on both sides, as we do.
    coefficients = tuple(float(value) for value in matrix.ravel())
    upright = image.transform((side, side), Image.Transform.AFFINE, coefficients, Image.Resampling.BICUBIC)
    return np.array(upright)


def _reduced(pixels: np.ndarray, place: Place, side: int) -> tuple[np.ndarray, Place]:
    """A picture made smaller where a frame in it is far larger than what is cut out, and the frame in it.

    Blocks are averaged, which the filter that follows hides; a region of the full size, with what is
    repeated outside, would take gigabytes.
    """
    factor = int(place.side / side / _KEPT)
    if factor < 2:
        return pixels, place
    smaller = np.array(Image.fromarray(pixels).reduce(factor))
    return smaller, Place(place.x / factor, place.y / factor, place.side / factor, place.angle)


def _region(pixels: np.ndarray, place: Place) -> tuple[np.ndarray, int, int]:
    """The part of a picture around a frame, border pixels repeated, and the x and y where it begins."""
    height, width = pixels.shape[:2]
    margin = math.ceil(_CUT_MARGIN * max(1.0, place.side / 64))
    corners = place.corners()
    left, top = (int(value) - margin for value in np.floor(corners.min(0)))
    right, bottom = (int(value) + margin for value in np.ceil(corners.max(0)))
    rows = np.clip(np.arange(top, bottom), 0, height - 1)
    columns = np.clip(np.arange(left, right), 0, width - 1)
    return pixels[rows[0] : rows[-1] + 1][rows - rows[0]][:, columns], left, top


# ---- What is known of one face in a picture, and which of several finds of it stays ----

SMALLEST_FACE = 32
"""Side in pixels of the frames below which a face is reported, not recovered: there is nothing to see."""


@dataclass(frozen=True, eq=False)
class Face:
    """A face in a picture.

    Attributes:
        place: its frame; None where the picture as a whole is taken for the face.
        landmarks: float64 [5, 2], pixels of the picture, in the order of `alignment.LANDMARKS`, or None.
        score: the detector's, 0 to 1; None where none was asked or none answered.
        found_by: the step that found it: `blazeface`, `mtcnn`, `turned`, `relaxed`, `contrast`, `smoothed`,
            `sideways`, `box` (by hand, without landmarks), `box+` (by hand, and found in it) or `whole`.
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
