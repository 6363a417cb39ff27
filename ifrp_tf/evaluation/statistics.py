"""Scores with intervals: bootstrap over subjects, evidence by style, the summary of a measurement."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ifrp_tf.evaluation import retrieval
from ifrp_tf.evaluation.retrieval import TOP, Crossing, Descriptor
from ifrp_tf.evaluation.store import GalleryRow, PairRow, PhotoRow, Scores
from ifrp_tf.pictures import sharpness

# How far a mean would stray if other subjects had been tested: percentile intervals.

LEVEL, RESAMPLES, SEED = 0.95, 1000, 0
_CHUNK = 100


@dataclasses.dataclass(frozen=True)
class Sample:
    """One number a subject.

    Attributes:
        subjects: int64 [n], indices of subjects.
        values: float64 [n]; those that are not finite are left out of every mean.
    """

    subjects: np.ndarray
    values: np.ndarray

    def finite(self) -> Sample:
        """Without the values that are not finite."""
        kept = np.isfinite(self.values)
        return Sample(self.subjects[kept], self.values[kept])

    def minus(self, other: Sample) -> Sample:
        """The difference to another sample of the same subjects, subject by subject."""
        with np.errstate(invalid="ignore"):
            return Sample(self.subjects, self.values - other.values)


def mean(samples: Sequence[Sample]) -> float | None:
    """The mean over samples (styles) of the mean over subjects; None where no value is finite."""
    means = [float(part.values.mean()) for part in map(Sample.finite, samples) if len(part.values)]
    return float(np.mean(means)) if means else None


class Bootstrap:
    """Resamples of subjects, the same for every number of an evaluation.

    Args:
        subjects: how many there are.
        resamples: how often to draw.
        seed: of the draws.

    Example:
        >>> Bootstrap(3).interval([Sample(np.arange(3), np.full(3, 0.5))])
        (0.5, 0.5)
    """

    def __init__(self, subjects: int, *, resamples: int = RESAMPLES, seed: int = SEED) -> None:
        generator = np.random.default_rng(seed)
        self._counts = np.zeros((resamples, subjects), np.uint16)
        for row in self._counts:
            row[:] = np.bincount(generator.integers(0, subjects, subjects), minlength=subjects)

    def interval(self, samples: Sequence[Sample]) -> tuple[float, float] | None:
        """The 95 % interval of `mean(samples)`.

        Args:
            samples: of the styles; empty ones count for nothing.

        Returns:
            (low, high); None where no value is finite, or no resample has any of these subjects.
        """
        parts = [part for part in map(Sample.finite, samples) if len(part.values)]
        if not parts:
            return None
        means = []
        for start in range(0, len(self._counts), _CHUNK):
            block = []
            for part in parts:
                weights = self._counts[start : start + _CHUNK, part.subjects].astype(np.float64)
                total = weights.sum(axis=1)
                with np.errstate(invalid="ignore"):  # a resample may miss all subjects of a small style
                    block.append(weights @ part.values / np.where(total > 0, total, np.nan))
            means.append(_mean_of_present(np.stack(block)))
        found = np.concatenate(means)
        found = found[np.isfinite(found)]
        if not found.size:
            return None
        tail = 100 * (1 - LEVEL) / 2
        low, high = np.percentile(found, [tail, 100 - tail])
        return float(low), float(high)


def _mean_of_present(block: np.ndarray) -> np.ndarray:
    """The mean along the first axis of what is not NaN; NaN where nothing is."""
    present = np.isfinite(block)
    count = present.sum(axis=0)
    return np.where(present, block, 0.0).sum(axis=0) / np.where(count > 0, count, np.nan)


# All that an evaluation measured: one number a subject for every answer, style and metric.

ANSWERS = ("model", "input", "mean_face")
"""The recovered faces, and the two trivial answers: the portrait as it is, and always the mean face."""

METRICS = ("psnr", "ssim", "fsim", *(f"frr_top{k}" for k in TOP))
"""What every table has; `distance` to the own photograph is beside."""


DISTANCES = ("squeeze_distance", "vgg_distance")
"""Of pictures to their photographs, by networks; measured only where asked for."""


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
    """The vectors to search, and where each subject's own one is.

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
    columns = {
        name: [getattr(score, name) for score in scores] for name in ("psnr", "ssim", "fsim", *DISTANCES)
    }
    values = {name: np.array(column, np.float64) for name, column in columns.items()}
    nothing = np.full(len(subjects), np.nan)
    for k in TOP:
        values[f"frr_top{k}"] = nothing if placed is None else placed.success(k)
    values["distance"] = nothing if placed is None else placed.distance
    return {name: Sample(subjects, column) for name, column in values.items()}


def powers(evidence: Evidence, style: str, answer: str) -> np.ndarray:
    """Mean power of a style's answers by band (`sharpness.BANDS`), over that of their photographs.

    Args:
        evidence: what was measured.
        style: of the portraits.
        answer: of `ANSWERS`.

    Returns:
        Float64 [3]: 1 is as sharp as photographs; not a number where it was not measured.
    """
    rows = evidence.styles[style]
    photos = [evidence.photos[row.name] for row in rows]
    chosen = {"model": [row.model for row in rows], "input": [row.input for row in rows]}
    own = chosen.get(answer, [photo.mean_face for photo in photos])

    def mean(scores: Sequence[Scores]) -> np.ndarray:
        return np.mean([[s.power_low, s.power_middle, s.power_high] for s in scores], axis=0)

    with np.errstate(divide="ignore", invalid="ignore"):  # flat photographs have no power
        return mean(own) / mean([photo.itself for photo in photos])


def crossings(evidence: Evidence, answer: str) -> list[Crossing]:
    """Every style of an answer looked up in every other; none without a descriptor."""
    if evidence.descriptor is None:
        return []
    vectors = {
        style: {row.name: _vector(row, answer, evidence) for row in rows}
        for style, rows in evidence.styles.items()
    }
    return retrieval.cross(evidence.descriptor, vectors)


# From rows to the result: plain values, ready for JSON.

UNITS = {
    "psnr": "dB, mean over pictures of finite values; null if all are infinite",
    "ssim": "-1 to 1",
    "fsim": "0 to 1",
    "frr_top1": "0 to 1",
    "frr_top5": "0 to 1",
    "fcr": "0 to 1, top 5",
    "distance": "of the descriptor, to the own photograph",
    "squeeze_distance": "of SqueezeNet's maps, to the photograph, at least 0; null if not asked for",
    "vgg_distance": "of VGG-19's maps, to the photograph, at least 0; null if not asked for",
    "sharpness": "mean power of the luminance in bands of cycles a pixel, over that of the photographs",
}
_DIGITS = 6
_BIN = 10.0


def summarise(evidence: Evidence, *, resamples: int = RESAMPLES) -> dict[str, Any]:
    """The tables of an evaluation.

    Args:
        evidence: what was measured; every style with at least one row.
        resamples: of the bootstrap.

    Returns:
        `styles`, `mean`, `fcr` of the model; `input`, `mean_face`, `photos` and `chance` beside them;
        `confidence`, `gain`, `by_angle`, `sharpness`, `units`.
    """
    subjects = evidence.subjects
    index = {name: k for k, name in enumerate(subjects)}
    draws = Bootstrap(len(subjects), resamples=resamples)
    gallery = Gallery(evidence)
    tables: dict[str, Any] = {}
    confidence: dict[str, Any] = {
        "level": LEVEL, "resamples": resamples, "seed": SEED, "over": "subjects"
    }  # fmt: skip
    sampled = {answer: samples(evidence, answer, index, gallery) for answer in ANSWERS}
    crossed = {answer: crossings(evidence, answer) for answer in ANSWERS}
    for answer in ANSWERS:
        tables[answer], confidence[answer] = _table(sampled[answer], crossed[answer], index, draws)
    sizes = [k.gallery_size for k in crossed["model"]]
    chance: dict[str, Any] = {f"frr_top{k}": _rounded(gallery.chance(k)) for k in TOP}
    chance["fcr"] = _rounded(np.mean([min(1.0, TOP[-1] / size) for size in sizes])) if sizes else None
    return {
        **tables["model"],
        "input": tables["input"],
        "mean_face": tables["mean_face"],
        "photos": _photos(evidence, subjects, gallery),
        "chance": chance,
        "gain": {answer: _gain(sampled["model"], sampled[answer], draws) for answer in ANSWERS[1:]},
        "confidence": confidence,
        "by_angle": _by_angle(evidence),
        "sharpness": {answer: _sharpness(evidence, answer) for answer in ANSWERS},
        "gallery": {"size": len(gallery.index), "own_added": gallery.own_added},
        "units": UNITS,
    }


def _table(
    samples: Mapping[str, Mapping[str, Sample]],
    crossings: Sequence[Crossing],
    index: Mapping[str, int],
    draws: Bootstrap,
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The means of one answer, and their intervals."""
    names = (*METRICS, "distance", *DISTANCES)
    values: dict[str, Any] = {"styles": {}, "mean": {}}
    intervals: dict[str, Any] = {"styles": {}, "mean": {}}
    for style, part in samples.items():
        values["styles"][style] = {name: _rounded(mean([part[name]])) for name in names}
        values["styles"][style] |= {
            "psnr_infinite": int(np.isinf(part["psnr"].values).sum()),
            "count": len(part["psnr"].values),
        }
        intervals["styles"][style] = {name: _pair(draws.interval([part[name]])) for name in names}
    for name in names:
        columns = [part[name] for part in samples.values()]
        values["mean"][name] = _rounded(mean(columns))
        intervals["mean"][name] = _pair(draws.interval(columns))
    for key, k in (("fcr", TOP[-1]), ("fcr_top1", TOP[0])):
        crossed = [
            Sample(np.array([index[name] for name in found.subjects]), found.placements.success(k))
            for found in crossings
        ]
        values[key] = _rounded(retrieval.fcr(crossings, k))
        intervals[key] = _pair(draws.interval(crossed))
    return values, intervals


def _gain(
    model: Mapping[str, Mapping[str, Sample]], other: Mapping[str, Mapping[str, Sample]], draws: Bootstrap
) -> dict[str, Any]:
    """What the model adds to a trivial answer, portrait by portrait: the mean and its interval."""
    gains: dict[str, Any] = {}
    for name in METRICS:
        columns = [model[style][name].minus(other[style][name]) for style in model]
        interval = _pair(draws.interval(columns))
        gains[name] = {"value": _rounded(mean(columns)), "interval": interval}
    return gains


def _photos(evidence: Evidence, subjects: Sequence[str], gallery: Gallery) -> dict[str, Any]:
    """The photographs themselves, the ceiling, and mirrored, a ceiling that the descriptor must work for."""
    rows = [evidence.photos[name] for name in subjects]
    indices = np.arange(len(rows))
    found = of_scores(
        [row.itself for row in rows], gallery.place([row.vector for row in rows], subjects), indices
    )
    turned = of_scores(
        [row.itself for row in rows], gallery.place([row.mirrored for row in rows], subjects), indices
    )
    retrieved = [name for name in (*METRICS, "distance") if name not in ("psnr", "ssim", "fsim")]
    return {
        "mean": {name: _rounded(mean([sample])) for name, sample in found.items()},
        "psnr_infinite": int(np.isinf(found["psnr"].values).sum()),
        "mirrored": {name: _rounded(mean([turned[name]])) for name in retrieved},
    }


def _by_angle(evidence: Evidence) -> list[dict[str, Any]]:
    """PSNR and SSIM in bins of 10 degrees of tilt, over all styles; empty where no tilt is known."""
    bins: dict[float, list[PairRow]] = {}
    for rows in evidence.styles.values():
        for row in rows:
            if row.angle is not None:
                # 30 degrees belong to the bin that ends there, on either side.
                steps = math.ceil(row.angle / _BIN) - 1 if row.angle > 0 else math.floor(row.angle / _BIN)
                bins.setdefault(_BIN * steps, []).append(row)
    table = []
    for low in sorted(bins):
        entry: dict[str, Any] = {"from": low, "to": low + _BIN, "count": len(bins[low])}
        for answer in ANSWERS:
            scores = [
                evidence.photos[row.name].mean_face if answer == "mean_face" else getattr(row, answer)
                for row in bins[low]
            ]
            finite = [score.psnr for score in scores if math.isfinite(score.psnr)]
            entry[answer] = {
                "psnr": _rounded(float(np.mean(finite))) if finite else None,
                "ssim": _rounded(float(np.mean([score.ssim for score in scores]))),
            }
        table.append(entry)
    return table


def _sharpness(evidence: Evidence, answer: str) -> dict[str, Any]:
    """Power by band over that of the photographs, by style and the mean over styles."""

    def named(ratios: np.ndarray) -> dict[str, float | None]:
        finite = [_rounded(ratio) if math.isfinite(ratio) else None for ratio in ratios]
        return dict(zip(sharpness.BANDS, finite, strict=True))

    found = {style: powers(evidence, style, answer) for style in evidence.styles}
    mean = np.mean(list(found.values()), axis=0)
    return {"styles": {style: named(ratios) for style, ratios in found.items()}, "mean": named(mean)}


def _rounded(value: Any) -> float | None:
    return None if value is None else round(float(value), _DIGITS)


def _pair(interval: tuple[float, float] | None) -> list[float | None] | None:
    return None if interval is None else [_rounded(end) for end in interval]
