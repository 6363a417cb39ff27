"""What an evaluation measures of one picture, and its form as a line of JSON.

Vectors are kept with the scores: retrieval is decided at the end, when everything to search is known.
"""

from __future__ import annotations

import base64
import dataclasses
import json
import math
from typing import Any, TypeAlias

import numpy as np

from ifrp_tf.pairing import Problem


@dataclasses.dataclass(frozen=True)
class Scores:
    """How close a picture is to a photograph.

    Attributes:
        psnr: dB; infinite for equal pictures.
        ssim: in [-1, 1].
        fsim: in [0, 1].
    """

    psnr: float
    ssim: float
    fsim: float


@dataclasses.dataclass(frozen=True)
class PhotoRow:
    """A photograph of the protocol.

    Attributes:
        name: of the photograph, which is the subject.
        itself: of the photograph against itself.
        mean_face: of the mean face against the photograph.
        vector: float32 [D], of the descriptor; empty without one.
        mirrored: float32 [D], of the photograph mirrored.
    """

    name: str
    itself: Scores
    mean_face: Scores
    vector: np.ndarray
    mirrored: np.ndarray


@dataclasses.dataclass(frozen=True)
class PairRow:
    """A portrait, and what the model made of it.

    Attributes:
        style: of the portrait.
        name: of the subject.
        angle: tilt of the portrait, degrees; None where nobody knows.
        model: scores of the recovered face.
        input: scores of the portrait as it is.
        vector: float32 [D], of the recovered face.
        input_vector: float32 [D], of the portrait.
    """

    style: str
    name: str
    angle: float | None
    model: Scores
    input: Scores
    vector: np.ndarray
    input_vector: np.ndarray


@dataclasses.dataclass(frozen=True)
class GalleryRow:
    """A photograph of a gallery that is not the protocol's.

    Attributes:
        name: of the photograph, which is the subject.
        vector: float32 [D].
    """

    name: str
    vector: np.ndarray


@dataclasses.dataclass(frozen=True)
class FailedRow:
    """A picture that could not be read.

    Attributes:
        style: of the portrait; empty for photographs, `/` for the gallery.
        name: of the subject.
        file: its path.
        reason: a short stable code.
        message: for people.
    """

    style: str
    name: str
    file: str
    reason: str
    message: str

    @property
    def problem(self) -> Problem:
        """The problem to report."""
        return Problem(self.file, self.reason, self.message)


@dataclasses.dataclass(frozen=True)
class DetectedRow:
    """Whether a face detector finds a face.

    Attributes:
        style: of the portrait; empty for a photograph.
        name: of the subject.
        answer: in the recovered face, or in the photograph.
        input: in the portrait; in the photograph for a photograph.
    """

    style: str
    name: str
    answer: bool
    input: bool


Row: TypeAlias = PhotoRow | PairRow | GalleryRow | FailedRow | DetectedRow
_KINDS: dict[str, type] = {
    "photo": PhotoRow,
    "pair": PairRow,
    "gallery": GalleryRow,
    "failed": FailedRow,
    "detected": DetectedRow,
}


def encode(row: Row) -> bytes:
    """A row as one line of JSON, without its end; infinite numbers are null.

    Args:
        row: of any kind.
    """
    values: dict[str, Any] = {"kind": next(name for name, kind in _KINDS.items() if type(row) is kind)}
    for name, value in vars(row).items():
        if isinstance(value, np.ndarray):
            value = base64.b64encode(value.astype("<f4").tobytes()).decode()
        elif isinstance(value, Scores):
            value = [part if math.isfinite(part) else None for part in dataclasses.astuple(value)]
        values[name] = value
    return json.dumps(values, allow_nan=False).encode()


def decode(line: bytes) -> Row:
    """The inverse of `encode`.

    Args:
        line: of JSON.

    Raises:
        ValueError, TypeError, KeyError, AttributeError: it is no row.
    """
    values = json.loads(line)
    kind = _KINDS[values.pop("kind")]
    for field in dataclasses.fields(kind):
        value = values[field.name]
        if field.type == "np.ndarray":
            values[field.name] = np.frombuffer(base64.b64decode(value), "<f4")
        elif field.type == "Scores":
            values[field.name] = Scores(*(math.inf if part is None else part for part in value))
    row: Row = kind(**values)
    return row
