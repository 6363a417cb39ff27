"""The 68 landmarks of faces (iBUG's order): jaw 17, brows 10, nose 9, eyes 12, mouth 20.

Coordinates are fractions of the side, x before y, in the frame of the pictures.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from ifrp_tf.core.errors import DataError

COUNT = 68
FILE = "landmarks.npz"

_MEAN = (
    ".121,.267 .122,.423 .127,.500 .163,.669 .197,.739 .237,.791 .331,.866 .430,.913 .500,.919 "
    ".570,.913 .669,.866 .763,.791 .803,.739 .837,.669 .873,.500 .878,.423 .879,.267 .160,.224 "
    ".216,.208 .267,.190 .336,.192 .416,.201 .584,.201 .664,.192 .733,.190 .784,.208 .840,.224 "
    ".500,.302 .500,.388 .500,.464 .500,.512 .428,.562 .458,.583 .500,.583 .542,.583 .572,.562 "
    ".248,.328 .285,.308 .345,.304 .403,.337 .352,.350 .294,.349 .597,.337 .655,.304 .715,.308 "
    ".752,.328 .706,.349 .648,.350 .361,.701 .417,.669 .459,.658 .500,.664 .541,.658 .583,.669 "
    ".639,.701 .578,.744 .542,.756 .500,.759 .458,.756 .422,.744 .380,.697 .470,.697 .500,.699 "
    ".530,.697 .620,.697 .533,.706 .500,.707 .467,.706 "
)


def mean_shape() -> np.ndarray:
    """The mean of 202 neutral frontal faces in the tight frame, made symmetric: float32 [68, 2]."""
    return np.array([[float(part) for part in point.split(",")] for point in _MEAN.split()], np.float32)


def mirror_order() -> np.ndarray:
    """Which landmark each becomes in a mirrored picture: int64 [68]."""
    order = np.arange(COUNT)
    pairs = [
        *((k, 16 - k) for k in range(17)), *((17 + k, 26 - k) for k in range(10)),
        *((31 + k, 35 - k) for k in range(5)), *((36 + k, 45 - k) for k in range(4)), (40, 47), (41, 46),
        *((48 + k, 54 - k) for k in range(7)), *((55 + k, 59 - k) for k in range(5)),
        *((60 + k, 64 - k) for k in range(5)), *((65 + k, 67 - k) for k in range(3)),
    ]  # fmt: skip
    for a, b in pairs:
        order[a], order[b] = b, a
    return order


def mirrored(landmarks: np.ndarray) -> np.ndarray:
    """Landmarks of the mirrored pictures: float [N, 68, 2]."""
    return np.stack([1.0 - landmarks[..., 0], landmarks[..., 1]], axis=-1)[..., mirror_order(), :]


def inside(points: np.ndarray, side: int) -> np.ndarray:
    """The pixels within the convex hull of landmarks: bool [side, side].

    Args:
        points: float [n, 2], fractions of the side.
        side: of the picture, pixels.
    """
    from scipy.spatial import Delaunay

    middle = (np.arange(side) + 0.5) / side
    x, y = np.meshgrid(middle, middle)
    return Delaunay(points).find_simplex(np.stack([x.ravel(), y.ravel()], axis=1)).reshape(side, side) >= 0


def face_mask(side: int) -> np.ndarray:
    """Where the face is in a texture: float32 [side, side], 0 to 1, soft over 4 pixels of 128."""
    from scipy import ndimage

    hull = inside(mean_shape(), side).astype(np.float32)
    soft: np.ndarray = ndimage.gaussian_filter(hull, 4.0 * side / 128)
    return soft


@dataclasses.dataclass(frozen=True)
class Landmarks:
    """What is known of one set of photographs.

    Attributes:
        points: name -> float32 [68, 2].
        quality: name -> float32 [4]: presence 0 to 1, yaw in degrees, mouth opening, width of the mouth
            over that of the eyes.
    """

    points: Mapping[str, np.ndarray]
    quality: Mapping[str, np.ndarray]

    def frontal(self, *, yaw: float = 8.0, opening: float = 0.06) -> list[str]:
        """Names of the faces that look into the camera with their mouth closed, in their order."""
        return [
            name
            for name, (presence, turned, mouth, _) in self.quality.items()
            if presence > 0.5 and abs(turned) < yaw and mouth < opening
        ]


def load(part: str = "train", folder: str | Path = "data/labels") -> Landmarks:
    """Reads the landmarks of one set.

    Args:
        part: `train`, `test`, `paintings` or `sketches`.
        folder: with `landmarks.npz`.

    Raises:
        DataError: the file is missing or damaged, or has no such set.
    """
    path = Path(folder) / FILE
    try:
        with np.load(path, allow_pickle=False) as archive:
            names = [str(name) for name in archive[f"{part}_names"]]
            points = archive[f"{part}_points"].astype(np.float32)
            quality = archive[f"{part}_quality"].astype(np.float32)
    except (OSError, KeyError, ValueError) as error:
        raise DataError(f"Expected the landmarks of {part!r} in {path}. Received: {error}.") from error
    if points.shape != (len(names), COUNT, 2) or quality.shape != (len(names), 4):
        raise DataError(
            f"Expected {COUNT} points and 4 measures a picture in {path}. "
            f"Received: {points.shape}, {quality.shape}."
        )
    return Landmarks(dict(zip(names, points, strict=True)), dict(zip(names, quality, strict=True)))
