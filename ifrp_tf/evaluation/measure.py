"""Measures pictures one by one, in bounded memory: every picture becomes a row on disk."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from tqdm import tqdm

from ifrp_tf.core.errors import DataError
from ifrp_tf.evaluation.pairs import Gallery, Pictures, Problem, Protocol
from ifrp_tf.evaluation.retrieval import Descriptor
from ifrp_tf.evaluation.statistics import Evidence
from ifrp_tf.evaluation.store import (
    DetectedRow,
    FailedRow,
    GalleryRow,
    Journal,
    PairRow,
    PhotoRow,
    Row,
    Scores,
)
from ifrp_tf.nn import metrics
from ifrp_tf.nn.perceptual import Perceptual
from ifrp_tf.pictures import sharpness
from ifrp_tf.recovery.detectors import Mtcnn, shows_face

BATCH = 32

Recover = Callable[..., np.ndarray]


@dataclasses.dataclass(frozen=True)
class Candidate:
    """What is measured, and with what.

    Attributes:
        recover: uint8 [N, side, side, 3] portraits to recovered faces.
        name: of the model, for people.
        fingerprint: of the model.
        mean_face: uint8 [side, side, 3], the constant answer; None takes the mean of the photographs.
        descriptor: None leaves retrieval out.
        perceptual: distances by networks to measure as well.
        cheats: `recover` gets the true photographs, too: what an objective could reach at best.
    """

    recover: Recover
    name: str
    fingerprint: str
    mean_face: np.ndarray | None = None
    descriptor: Descriptor | None = None
    perceptual: Sequence[Perceptual] = ()
    cheats: bool = False


def score(pictures: np.ndarray, photos: np.ndarray, perceptual: Sequence[Perceptual] = ()) -> list[Scores]:
    """PSNR, SSIM, FSIM, power by band and perceptual distances of each picture, computed 32 at a time.

    Args:
        pictures: uint8 [N, S, S, 3], 0-255.
        photos: uint8 [N, S, S, 3], the truth.
        perceptual: distances by networks; those that are not among them are not a number.

    Returns:
        N scores.
    """
    found: list[Scores] = []
    for start in range(0, len(photos), BATCH):
        a, b = pictures[start : start + BATCH], photos[start : start + BATCH]
        columns = [np.asarray(metric(a, b)) for metric in (metrics.psnr, metrics.ssim, metrics.fsim)]
        columns += list(sharpness.band_powers(a).T)
        distances = {f"{part.name}_distance": part.distances(a, b) for part in perceptual}
        for k, values in enumerate(zip(*columns, strict=True)):
            further = {name: float(column[k]) for name, column in distances.items()}
            found.append(Scores(*map(float, values), **further))
    return found


class Measurement:
    """The steps of an evaluation, each of which goes on where its rows end.

    Args:
        candidate: the model, and what to measure it with.
        protocol: the pictures.
        gallery: photographs to search besides those of the protocol.
        mean: uint8 [side, side, 3], the mean face.
        journal: of the rows.
    """

    def __init__(
        self,
        candidate: Candidate,
        protocol: Protocol,
        gallery: Gallery | None,
        mean: np.ndarray,
        journal: Journal,
    ) -> None:
        self._candidate, self._protocol, self._gallery = candidate, protocol, gallery
        self._mean, self._journal = mean, journal

    def measure_photos(self) -> None:
        """Every photograph: its vectors, and how close the mean face comes."""
        for names in self._open(self._protocol.photos, PhotoRow, "", "photographs"):
            found = self._protocol.read_photos(names)
            photos = found.pixels
            constant = np.broadcast_to(self._mean, photos.shape)
            columns = (
                score(photos, photos),
                self._score(constant, photos),
                self._embed(photos),
                self._embed(photos[:, :, ::-1]),
            )
            rows = [PhotoRow(*values) for values in zip(found.names, *columns, strict=True)]
            self._journal.add([*rows, *_failed(found, "")])

    def measure_gallery(self) -> None:
        """The vectors of a gallery of its own."""
        if self._gallery is None or self._candidate.descriptor is None:
            return
        for names in self._open(self._gallery.photos, GalleryRow, "", "gallery"):
            found = self._gallery.read_photos(names)
            rows = [
                GalleryRow(*values) for values in zip(found.names, self._embed(found.pixels), strict=True)
            ]
            self._journal.add([*rows, *_failed(found, "/")])

    def measure_portraits(self) -> None:
        """Every portrait of a readable photograph: what the model makes of it, and it as it is."""
        for style in self._protocol.styles:
            for names in self._open(self._measurable(style), PairRow, style, style):
                found, photos = self._read_pairs(style, names)
                told = (photos,) if self._candidate.cheats else ()
                recovered = self._candidate.recover(found.pixels, *told)
                rows = [
                    PairRow(style, *values)
                    for values in zip(
                        found.names,
                        found.angles or [None] * len(found.names),
                        self._score(recovered, photos),
                        self._score(found.pixels, photos),
                        self._embed(recovered),
                        self._embed(found.pixels),
                        strict=True,
                    )
                ]
                self._journal.add([*rows, *_failed(found, style)])

    def evidence(self) -> Evidence:
        """All rows in the protocol's order.

        Raises:
            DataError: not one portrait could be measured.
        """
        styles = {}
        for style, names in self._protocol.styles.items():
            rows = [self._journal.get(PairRow, style, name) for name in names]
            if measured := [row for row in rows if isinstance(row, PairRow)]:
                styles[style] = measured
        if not styles:
            first = next(iter(self.problems()))
            raise DataError(
                f"Expected portraits that can be read. Received: none; {first.file}: {first.message}"
            )
        photos = {row.name: row for row in self._journal.of(PhotoRow)}
        ordered = {name: photos[name] for name in self._protocol.photos if name in photos}
        descriptor = self._candidate.descriptor
        gallery = sorted(self._journal.of(GalleryRow), key=lambda row: row.name)
        mean = self._embed(self._mean[None])[0]
        return Evidence(styles, ordered, gallery if descriptor else (), mean, descriptor)

    def detect(self, count: int) -> dict[str, Any]:
        """Shares of pictures in which a face is found, among the first `count` of each style."""
        detector = Mtcnn()
        styles = {style: list(self._measurable(style)[:count]) for style in self._protocol.styles}
        photos = sorted({name for names in styles.values() for name in names})
        for names in self._open(photos, DetectedRow, "", "detection, photographs"):
            found = self._protocol.read_photos(names)
            seen = shows_face(found.pixels, detector).tolist()
            self._journal.add(
                DetectedRow("", name, hit, hit) for name, hit in zip(found.names, seen, strict=True)
            )
        for style, subjects in styles.items():
            for names in self._open(subjects, DetectedRow, style, f"detection, {style}"):
                found, _ = self._read_pairs(style, names)
                recovered = shows_face(self._candidate.recover(found.pixels), detector).tolist()
                raw = shows_face(found.pixels, detector).tolist()
                self._journal.add(map(DetectedRow, [style] * len(raw), found.names, recovered, raw))
        shares: dict[str, Any] = {
            "pictures": count,
            "mean_face": bool(shows_face(self._mean[None], detector)[0]),
            "styles": {},
            "input": {},
            "photos": self._share("", photos),
        }
        for style, names in styles.items():
            shares["styles"][style] = self._share(style, names)
            shares["input"][style] = self._share(style, names, raw=True)
        return shares

    def problems(self) -> list[Problem]:
        """Everything that was wrong with a file."""
        found = [*self._protocol.problems, *(self._gallery.problems if self._gallery else ())]
        failed = sorted(self._journal.of(FailedRow), key=lambda row: (row.style, row.name))
        return found + [row.problem for row in failed]

    def counts(self, evidence: Evidence) -> dict[str, Any]:
        """How many portraits and photographs there were, and what became of them."""
        styles = {
            style: {"portraits": len(names), "measured": len(evidence.styles.get(style, ()))}
            for style, names in self._protocol.styles.items()
        }
        lost = [problem for problem in self._protocol.problems if problem.is_failure]
        portraits = sum(part["portraits"] for part in styles.values()) + len(lost)
        measured = sum(part["measured"] for part in styles.values())
        return {
            "portraits": portraits,
            "measured": measured,
            "failed": portraits - measured,
            "photos": len(self._protocol.photos),
            "photos_without_portrait": len(self._protocol.problems) - len(lost),
            "subjects": len(evidence.subjects),
            "styles": styles,
        }

    def _measurable(self, style: str) -> Sequence[str]:
        names = self._protocol.styles[style]
        return [name for name in names if self._journal.get(PhotoRow, "", name) is not None]

    def _read_pairs(self, style: str, names: Sequence[str]) -> tuple[Pictures, np.ndarray]:
        found = self._protocol.read_portraits(style, names)
        return found, self._protocol.read_photos(found.names).pixels

    def _embed(self, pictures: np.ndarray) -> np.ndarray:
        if self._candidate.descriptor is None or not len(pictures):
            return np.zeros((len(pictures), 0), np.float32)
        return self._candidate.descriptor.embed(np.ascontiguousarray(pictures))

    def _score(self, pictures: np.ndarray, photos: np.ndarray) -> list[Scores]:
        return score(pictures, photos, self._candidate.perceptual)

    def _open(self, names: Sequence[str], kind: type, style: str, label: str) -> Iterator[Sequence[str]]:
        """Batches of which something is still to be measured; always the same ones, so that digits are."""
        watched = sys.stderr is not None and sys.stderr.isatty()
        with tqdm(total=len(names), desc=label, unit="picture", disable=not watched, file=sys.stderr) as bar:
            for start in range(0, len(names), BATCH):
                batch = names[start : start + BATCH]
                if not all(self._journal.done(kind, style, name) for name in batch):
                    yield batch
                bar.update(len(batch))

    def _share(self, style: str, names: Sequence[str], *, raw: bool = False) -> float | None:
        rows = [self._journal.get(DetectedRow, style, name) for name in names]
        hits = [row.input if raw else row.answer for row in rows if isinstance(row, DetectedRow)]
        return round(float(np.mean(hits)), 6) if hits else None


def _failed(found: Pictures, style: str) -> list[Row]:
    return [FailedRow(style, name, **vars(problem)) for name, problem in found.problems.items()]
