"""How far a mean would stray if other subjects had been tested: percentile intervals of the bootstrap.

Whole subjects are drawn, with all their portraits: two portraits of one face are not two faces.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

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
            (low, high); None where no value is finite.
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
        tail = 100 * (1 - LEVEL) / 2
        low, high = np.percentile(found, [tail, 100 - tail])
        return float(low), float(high)


def _mean_of_present(block: np.ndarray) -> np.ndarray:
    """The mean along the first axis of what is not NaN; NaN where nothing is."""
    present = np.isfinite(block)
    count = present.sum(axis=0)
    return np.where(present, block, 0.0).sum(axis=0) / np.where(count > 0, count, np.nan)
