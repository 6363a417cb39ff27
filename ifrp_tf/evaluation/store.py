"""Measured rows on disk: one JSON line a picture, appended, so that an interrupted measurement resumes."""

from __future__ import annotations

import base64
import dataclasses
import json
import math
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, TypeAlias

import numpy as np

from ifrp_tf.core.errors import ConfigError, DataError
from ifrp_tf.core.files import JsonLines
from ifrp_tf.evaluation.pairs import Problem


@dataclasses.dataclass(frozen=True)
class Scores:
    """How close a picture is to a photograph.

    Attributes:
        psnr: dB; infinite for equal pictures.
        ssim: in [-1, 1].
        fsim: in [0, 1].
        power_low, power_middle, power_high: of the picture itself, by band (`sharpness.BANDS`).
        squeeze_distance, vgg_distance: for a network (`perceptual`). Not a number: was not measured.
    """

    psnr: float
    ssim: float
    fsim: float
    power_low: float = math.nan
    power_middle: float = math.nan
    power_high: float = math.nan
    squeeze_distance: float = math.nan
    vgg_distance: float = math.nan


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


def _plain(value: float) -> float | str | None:
    if math.isnan(value):
        return "nan"
    return value if math.isfinite(value) else None


def _number(value: float | str | None) -> float:
    if value is None:
        return math.inf
    # The constant itself: rows that were not measured are equal then.
    return math.nan if value == "nan" else float(value)


def encode(row: Row) -> dict[str, Any]:
    """A row as plain values for a line of JSON; infinite numbers are None, what is no number is "nan".

    Args:
        row: of any kind.
    """
    values: dict[str, Any] = {"kind": next(name for name, kind in _KINDS.items() if type(row) is kind)}
    for name, value in vars(row).items():
        if isinstance(value, np.ndarray):
            value = base64.b64encode(value.astype("<f4").tobytes()).decode()
        elif isinstance(value, Scores):
            value = [_plain(part) for part in dataclasses.astuple(value)]
        values[name] = value
    return values


def decode(values: dict[str, Any]) -> Row:
    """The inverse of `encode`.

    Args:
        values: of a line of JSON.

    Raises:
        ValueError, TypeError, KeyError, AttributeError: they are no row.
    """
    kind = _KINDS[values["kind"]]
    fields: dict[str, Any] = {}
    for field in dataclasses.fields(kind):
        value = values[field.name]
        if field.type == "np.ndarray":
            value = np.frombuffer(base64.b64decode(value), "<f4")
        elif field.type == "Scores":
            value = Scores(*map(_number, value))
        fields[field.name] = value
    row: Row = kind(**fields)
    return row


class Journal:
    """The rows of one evaluation, open for adding; one process at a time.

    Args:
        path: of the file, JSON lines; made, or continued where it was begun with the same settings, or
            started again.
        settings: plain values that determine every row.

    Attributes:
        resumed: rows found when it was opened.

    Raises:
        ConfigError: the file cannot be written to.
        DataError: another process is writing to it.

    Example:
        >>> with Journal(Path("r.rows.jsonl"), {"model": "ab12"}) as journal:  # doctest: +SKIP
        ...     journal.add([GalleryRow("ann", np.zeros(128, np.float32))])
    """

    def __init__(self, path: Path, settings: dict[str, Any]) -> None:
        try:
            self._lines = JsonLines(path)
        except BlockingIOError as error:
            raise DataError(
                f"Expected to be alone in writing to {str(path)!r}. Received: another evaluation is at work.",
                hint="Wait for it, or choose another `json`.",
            ) from error
        except OSError as error:
            raise ConfigError(f"Expected to write to {str(path)!r}. Received: {error.strerror}.") from error
        self._found: dict[tuple[type, str, str], Row] = {}
        self._read({"settings": settings})
        self.resumed = len(self._found)

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._lines.close()

    def get(self, kind: type, style: str, name: str) -> Row | None:
        """The row of a kind, style (empty where it has none) and subject, or None."""
        return self._found.get((kind, style, name))

    def done(self, kind: type, style: str, name: str) -> bool:
        """Whether a picture was measured, or could not be."""
        mark = "/" if kind is GalleryRow else style
        return (kind, style, name) in self._found or (FailedRow, mark, name) in self._found

    def of(self, kind: type) -> list[Any]:
        """All rows of a kind, in no order that means anything."""
        return [row for row in self._found.values() if isinstance(row, kind)]

    def add(self, rows: Iterable[Row]) -> None:
        """Adds rows that are not there yet; on the disk when this returns.

        Raises:
            DataError: they could not be written.
        """
        new = []
        for row in rows:
            key = (type(row), getattr(row, "style", ""), row.name)
            if key not in self._found:
                self._found[key] = row
                new.append(encode(row))
        self._lines.append(new)

    def _read(self, header: dict[str, Any]) -> None:
        header = json.loads(json.dumps(header, sort_keys=True))
        lines = iter(self._lines)
        if next(lines, None) != header:  # rows of other settings, or another file
            self._lines.clear()
            self._lines.append([header])
            return
        for values in lines:
            with suppress(ValueError, TypeError, KeyError, AttributeError):
                row = decode(values)
                self._found[type(row), getattr(row, "style", ""), row.name] = row
