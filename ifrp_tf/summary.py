"""From rows to the result: every table of an evaluation as plain values, ready for JSON."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ifrp_tf import bootstrap, retrieval
from ifrp_tf import evidence as evidences
from ifrp_tf.bootstrap import Bootstrap, Sample
from ifrp_tf.evidence import ANSWERS, METRICS, Evidence, Gallery
from ifrp_tf.retrieval import TOP, Crossing
from ifrp_tf.rows import PairRow

UNITS = {
    "psnr": "dB, mean over pictures of finite values; null if all are infinite",
    "ssim": "-1 to 1",
    "fsim": "0 to 1",
    "frr_top1": "0 to 1",
    "frr_top5": "0 to 1",
    "fcr": "0 to 1, top 5",
    "distance": "of the descriptor, to the own photograph",
}
_DIGITS = 6
_BIN = 10.0


def summarise(evidence: Evidence, *, resamples: int = bootstrap.RESAMPLES) -> dict[str, Any]:
    """The tables of an evaluation.

    Args:
        evidence: what was measured; every style with at least one row.
        resamples: of the bootstrap.

    Returns:
        `styles`, `mean`, `fcr` of the model; `input`, `mean_face`, `photos` and `chance` beside them;
        `confidence`, `gain`, `by_angle`, `units`.
    """
    subjects = evidence.subjects
    index = {name: k for k, name in enumerate(subjects)}
    draws = Bootstrap(len(subjects), resamples=resamples)
    gallery = Gallery(evidence)
    tables: dict[str, Any] = {}
    confidence: dict[str, Any] = {
        "level": bootstrap.LEVEL, "resamples": resamples, "seed": bootstrap.SEED, "over": "subjects"
    }  # fmt: skip
    sampled = {answer: evidences.samples(evidence, answer, index, gallery) for answer in ANSWERS}
    crossed = {answer: evidences.crossings(evidence, answer) for answer in ANSWERS}
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
    names = (*METRICS, "distance")
    values: dict[str, Any] = {"styles": {}, "mean": {}}
    intervals: dict[str, Any] = {"styles": {}, "mean": {}}
    for style, part in samples.items():
        values["styles"][style] = {name: _rounded(bootstrap.mean([part[name]])) for name in names}
        values["styles"][style] |= {
            "psnr_infinite": int(np.isinf(part["psnr"].values).sum()),
            "count": len(part["psnr"].values),
        }
        intervals["styles"][style] = {name: _pair(draws.interval([part[name]])) for name in names}
    for name in names:
        columns = [part[name] for part in samples.values()]
        values["mean"][name] = _rounded(bootstrap.mean(columns))
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
        gains[name] = {"value": _rounded(bootstrap.mean(columns)), "interval": interval}
    return gains


def _photos(evidence: Evidence, subjects: Sequence[str], gallery: Gallery) -> dict[str, Any]:
    """The photographs themselves, the ceiling, and mirrored, a ceiling that the descriptor must work for."""
    rows = [evidence.photos[name] for name in subjects]
    indices = np.arange(len(rows))
    found = evidences.of_scores(
        [row.itself for row in rows], gallery.place([row.vector for row in rows], subjects), indices
    )
    turned = evidences.of_scores(
        [row.itself for row in rows], gallery.place([row.mirrored for row in rows], subjects), indices
    )
    retrieved = [name for name in (*METRICS, "distance") if name not in ("psnr", "ssim", "fsim")]
    return {
        "mean": {name: _rounded(bootstrap.mean([sample])) for name, sample in found.items()},
        "psnr_infinite": int(np.isinf(found["psnr"].values).sum()),
        "mirrored": {name: _rounded(bootstrap.mean([turned[name]])) for name in retrieved},
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


def _rounded(value: Any) -> float | None:
    return None if value is None else round(float(value), _DIGITS)


def _pair(interval: tuple[float, float] | None) -> list[float | None] | None:
    return None if interval is None else [_rounded(end) for end in interval]
