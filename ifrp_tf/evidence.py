"""All that an evaluation measured, and one number a subject for every answer, style and metric."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from ifrp_tf import retrieval
from ifrp_tf.bootstrap import Sample
from ifrp_tf.retrieval import TOP, Crossing, Descriptor
from ifrp_tf.rows import GalleryRow, PairRow, PhotoRow, Scores

ANSWERS = ("model", "input", "mean_face")
"""The recovered faces, and the two trivial answers: the portrait as it is, and always the mean face."""

METRICS = ("psnr", "ssim", "fsim", *(f"frr_top{k}" for k in TOP))
"""What every table has; `distance` to the own photograph stands beside."""


@dataclasses.dataclass(frozen=True)
class Evidence:
    """All that was measured.

    Attributes:
        styles: style -> rows of its portraits.
        photos: name -> row of the photograph.
        gallery: rows of a gallery of its own; empty where the photographs are the gallery.
        mean_face: float32 [D], vector of the mean face; empty without a descriptor.
        descriptor: None leaves retrieval out.
    """

    styles: Mapping[str, Sequence[PairRow]]
    photos: Mapping[str, PhotoRow]
    gallery: Sequence[GalleryRow] = ()
    mean_face: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros(0, np.float32))
    descriptor: Descriptor | None = None

    @property
    def subjects(self) -> list[str]:
        """Names of all subjects of which a portrait was measured, sorted."""
        return sorted({row.name for rows in self.styles.values() for row in rows})


class Gallery:
    """The vectors to search, and where each subject's own one stands.

    Where there is a gallery of its own it is searched, and subjects that it does not show are added to it.

    Args:
        evidence: what was measured.

    Attributes:
        index: name -> place.
        own_added: how many photographs were added to a gallery of its own.
    """

    def __init__(self, evidence: Evidence) -> None:
        vectors = {row.name: row.vector for row in evidence.gallery}
        own = {name: row.vector for name, row in evidence.photos.items() if name not in vectors}
        if vectors:  # of the protocol's photographs only those that are looked for
            own = {name: own[name] for name in evidence.subjects if name in own}
        self.own_added = len(own) if vectors else 0
        vectors.update(own)
        self.index = {name: k for k, name in enumerate(vectors)}
        self.descriptor = evidence.descriptor
        self.vectors = np.stack(list(vectors.values()))

    def place(self, queries: Sequence[np.ndarray], names: Sequence[str]) -> retrieval.Placements | None:
        """Looks queries [D] up whose own photographs have those names; None without a descriptor."""
        if self.descriptor is None:
            return None
        own = [self.index[name] for name in names]
        return retrieval.place(self.descriptor, np.stack(queries), self.vectors, own)

    def chance(self, k: int) -> float | None:
        """The top-k share of an answer that knows nothing; None without a descriptor."""
        return None if self.descriptor is None else min(1.0, k / len(self.index))


def _vector(row: PairRow, answer: str, evidence: Evidence) -> np.ndarray:
    return {"model": row.vector, "input": row.input_vector}.get(answer, evidence.mean_face)


def samples(
    evidence: Evidence, answer: str, index: Mapping[str, int], gallery: Gallery
) -> dict[str, dict[str, Sample]]:
    """Style -> metric (and `distance`) -> one value a subject.

    Args:
        evidence: what was measured.
        answer: of `ANSWERS`.
        index: subject -> its number.
        gallery: of the evidence.
    """
    found = {}
    for style, rows in evidence.styles.items():
        names = [row.name for row in rows]
        if answer == "mean_face":
            scores = [evidence.photos[name].mean_face for name in names]
        else:
            scores = [row.model if answer == "model" else row.input for row in rows]
        placed = gallery.place([_vector(row, answer, evidence) for row in rows], names)
        found[style] = of_scores(scores, placed, np.array([index[name] for name in names], np.int64))
    return found


def of_scores(
    scores: Sequence[Scores], placed: retrieval.Placements | None, subjects: np.ndarray
) -> dict[str, Sample]:
    """Metric -> one value a subject, of scores and placements in the order of `subjects`."""
    columns = {name: [getattr(score, name) for score in scores] for name in ("psnr", "ssim", "fsim")}
    values = {name: np.array(column, np.float64) for name, column in columns.items()}
    nothing = np.full(len(subjects), np.nan)
    for k in TOP:
        values[f"frr_top{k}"] = nothing if placed is None else placed.success(k)
    values["distance"] = nothing if placed is None else placed.distance
    return {name: Sample(subjects, column) for name, column in values.items()}


def crossings(evidence: Evidence, answer: str) -> list[Crossing]:
    """Every style of an answer looked up in every other; none without a descriptor."""
    if evidence.descriptor is None:
        return []
    vectors = {
        style: {row.name: _vector(row, answer, evidence) for row in rows}
        for style, rows in evidence.styles.items()
    }
    return retrieval.cross(evidence.descriptor, vectors)
