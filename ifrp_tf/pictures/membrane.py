"""Filling a region so that it meets its surroundings without a seam: Poisson blending (Pérez et al. 2003)."""

from __future__ import annotations

import numpy as np
from scipy import sparse
from scipy.sparse import linalg


class Region:
    """Solves Laplace's equation inside a mask, its sparse matrix factorised once.

    Args:
        inside: bool [H, W], True where values are sought.

    Example:
        >>> seamless = Region(hole).composite(target, source)  # doctest: +SKIP
    """

    def __init__(self, inside: np.ndarray) -> None:
        self.inside = inside.astype(bool)
        self._number = np.full(inside.shape, -1)
        self._number[self.inside] = np.arange(self.inside.sum())
        self._edges: list[tuple[np.ndarray, np.ndarray]] = []  # (unknown, known neighbour's place)
        rows, columns, degree = [], [], np.zeros(int(self.inside.sum()))
        for axis, step in ((0, 1), (0, -1), (1, 1), (1, -1)):
            here, there = _neighbours(inside.shape, axis, step)
            a, b = self._number.ravel()[here], self._number.ravel()[there]
            both, border = (a >= 0) & (b >= 0), (a >= 0) & (b < 0)
            rows.append(a[both])
            columns.append(b[both])
            np.add.at(degree, a[a >= 0], 1.0)
            self._edges.append((a[border], there[border]))
        row, column = np.concatenate(rows), np.concatenate(columns)
        matrix = sparse.coo_matrix((-np.ones(len(row)), (row, column)), shape=(len(degree), len(degree)))
        matrix = matrix + sparse.diags(degree + 1e-9)  # a region without a border has no unique answer
        self._solve = linalg.factorized(matrix.tocsc()) if len(degree) else None

    def membrane(self, values: np.ndarray) -> np.ndarray:
        """The smoothest values inside that meet those outside.

        Args:
            values: float [H, W, C]; what is inside is not looked at.

        Returns:
            Float64 [H, W, C], `values` outside.
        """
        found = values.astype(np.float64).copy()
        if self._solve is None:
            return found
        flat = found.reshape(-1, found.shape[-1])
        for channel in range(flat.shape[1]):
            right = np.zeros(int(self.inside.sum()))
            for unknown, known in self._edges:
                np.add.at(right, unknown, flat[known, channel])
            flat[self.inside.ravel(), channel] = self._solve(right)
        return found

    def composite(self, target: np.ndarray, source: np.ndarray) -> np.ndarray:
        """`source` inside with the gradients that it has, shifted to meet `target` at the border.

        Args:
            target, source: float [H, W, C].

        Returns:
            Float64 [H, W, C], `target` outside.
        """
        difference = self.membrane(target.astype(np.float64) - source)
        return np.where(self.inside[..., None], source + difference, target)


class Soft:
    """Composites with a soft mask (Cole et al. 2017, section 3.5), their sparse matrix factorised once.

    Where the mask is 1 the answer is the inner picture, where it is 0 it has the gradients of the outer one:
    the surroundings take on the colours of what is put into them, not the other way about.

    Args:
        mask: float [H, W], 0 to 1, not 0 everywhere.

    Example:
        >>> together = Soft(mask).composite(outer, inner)  # doctest: +SKIP
    """

    def __init__(self, mask: np.ndarray) -> None:
        self._weights = np.square(mask.astype(np.float64)).ravel()
        count, self._edges = mask.size, []
        matrix = sparse.diags(self._weights + 1e-9)
        for axis in (0, 1):
            here, there = _neighbours(mask.shape, axis, 1)
            rows = np.arange(len(here))
            ones = np.ones(len(here))
            step = sparse.coo_matrix(
                (np.concatenate([-ones, ones]), (np.tile(rows, 2), np.concatenate([here, there]))),
                shape=(len(here), count),
            ).tocsr()
            share = 0.5 * (mask.ravel()[here] + mask.ravel()[there])
            self._edges.append((step, share[:, None]))
            matrix = matrix + step.T @ step
        self._solve = linalg.splu(matrix.tocsc())

    def composite(self, outer: np.ndarray, inner: np.ndarray) -> np.ndarray:
        """The two pictures as one.

        Args:
            outer, inner: float [H, W, C].

        Returns:
            Float64 [H, W, C].
        """
        outside, inside = (x.astype(np.float64).reshape(-1, x.shape[-1]) for x in (outer, inner))
        right = self._weights[:, None] * inside
        for step, share in self._edges:
            right = right + step.T @ (share * (step @ inside) + (1 - share) * (step @ outside))
        return self._solve.solve(right).reshape(outer.shape)


def _neighbours(shape: tuple[int, ...], axis: int, step: int) -> tuple[np.ndarray, np.ndarray]:
    """Flat places of all pixels with a neighbour in one direction, and of those neighbours."""
    places = np.arange(shape[0] * shape[1]).reshape(shape)
    front, back = [slice(None)] * 2, [slice(None)] * 2
    front[axis], back[axis] = (
        (slice(None, -1), slice(1, None)) if step > 0 else (slice(1, None), slice(None, -1))
    )
    return places[tuple(front)].ravel(), places[tuple(back)].ravel()
