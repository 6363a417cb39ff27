"""The convex combination of a database that explains an observation (paper, eq. 3)."""

from __future__ import annotations

from typing import Literal

import numpy as np
from scipy.optimize import nnls

RIDGE = 1e-3
_STRICT = 100.0


def simplex(v: np.ndarray) -> np.ndarray:
    """The nearest point of the probability simplex (Held, Wolfe and Crowder 1974).

    Args:
        v: float64 [K].

    Returns:
        Float64 [K], at least 0, with a sum of 1.

    Example:
        >>> simplex(np.array([0.8, 0.6, -1.0])).round(2).tolist()
        [0.6, 0.4, 0.0]
    """
    sorted_v = np.sort(v)[::-1]
    excess = (np.cumsum(sorted_v) - 1.0) / np.arange(1, len(v) + 1)
    last = np.nonzero(sorted_v > excess)[0][-1]
    return np.maximum(v - excess[last], 0.0)


def weights(
    database: np.ndarray, observed: np.ndarray, *, solver: Literal["nnls", "fista"] = "nnls"
) -> np.ndarray:
    """Weights on the simplex that bring a combination of rows closest to an observation.

    Args:
        database: float [K, D].
        observed: float [D].
        solver: `nnls` solves exactly, the sum of 1 enforced by a heavy row; `fista` descends and projects.

    Returns:
        Float64 [K], at least 0, with a sum of 1.
    """
    a = database.astype(np.float64)
    q, c = a @ a.T, a @ observed.astype(np.float64)
    count = len(q)
    q += RIDGE * float(np.trace(q)) / count * np.eye(count)
    return _nnls(q, c) if solver == "nnls" else _fista(q, c)


def _nnls(q: np.ndarray, c: np.ndarray) -> np.ndarray:
    upper = np.linalg.cholesky(q).T
    heavy = _STRICT * float(np.sqrt(np.trace(q) / len(q)))
    rows = np.vstack([upper, np.full((1, len(q)), heavy)])
    found, _ = nnls(rows, np.append(np.linalg.solve(upper.T, c), heavy), maxiter=50 * len(q))
    return found / found.sum()


def _fista(q: np.ndarray, c: np.ndarray, iterations: int = 3_000) -> np.ndarray:
    step = 1.0 / np.linalg.eigvalsh(q)[-1]
    now = ahead = np.full(len(q), 1.0 / len(q))
    momentum = 1.0
    for _ in range(iterations):
        new = simplex(ahead - step * (q @ ahead - c))
        faster = (1 + np.sqrt(1 + 4 * momentum**2)) / 2
        ahead = new + (momentum - 1) / faster * (new - now)
        if np.abs(new - now).max() < 1e-12:
            break
        now, momentum = new, faster
    return new


def error(database: np.ndarray, chosen: np.ndarray, observed: np.ndarray) -> float:
    """How far a combination is from what was observed, as a part of its norm."""
    away, norm = float(np.linalg.norm(chosen @ database - observed)), float(np.linalg.norm(observed))
    return away / max(norm, 1e-12)
