"""Faces warped by their landmarks: a differentiable polyharmonic spline (Cole et al. 2017, section 3.3).

A *texture* is a face moved so that its landmarks are where those of the mean shape are. Coordinates here are
fractions of the side, x before y, pixel k of S at (k + 0.5) / S.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from keras import ops

from ifrp_tf.core.types import Tensor
from ifrp_tf.nn.layers import bilinear_sample

Order = Literal[1, 2]
"""1: r (Cole et al., overshoots less); 2: r^2 log r (thin-plate)."""

BORDER = np.array(
    [[0, 0], [0.5, 0], [1, 0], [0, 0.5], [1, 0.5], [0, 1], [0.5, 1], [1, 1]], np.float32
)  # fmt: skip
"""Points of the border that stay where they are."""

COARSE = 32
"""Side of the grid on which a flow that differs from face to face is computed, then enlarged: off by .03 of a
pixel at 128, where the whole grid costs twenty times as much."""

MOST = 0.25
"""Displacements beyond this part of the side are cut off."""

_SMALLEST = 1e-8  # squared distance: a root has no slope at 0


def basis(squared: Tensor, order: Order = 1) -> Tensor:
    """The radial function of squared distances."""
    squared = ops.maximum(squared, _SMALLEST)
    return ops.sqrt(squared) if order == 1 else 0.5 * squared * ops.log(squared)


def fit(centres: Tensor, values: Tensor, *, order: Order = 1, smoothing: float = 0.0) -> Tensor:
    """The spline through values at centres; affine values are met exactly everywhere.

    Args:
        centres: float32 [N, n, 2], no two of a face at one place, not all on a line.
        values: float32 [N, n, k].
        order: of the basis.
        smoothing: added to the diagonal; 0 interpolates.

    Returns:
        Float32 [N, n + 3, k], for `evaluate`.
    """
    centres, values = ops.cast(centres, "float32"), ops.cast(values, "float32")
    count, number = centres.shape[1], ops.shape(centres)[0]
    matrix = basis(_squared(centres, centres), order) + smoothing * ops.eye(count)
    affine = ops.concatenate([centres, ops.ones_like(centres[..., :1])], axis=-1)
    corner = ops.zeros((number, 3, 3))
    upper = ops.concatenate([matrix, affine], axis=2)
    lower = ops.concatenate([ops.transpose(affine, (0, 2, 1)), corner], axis=2)
    right = ops.concatenate([values, ops.zeros((number, 3, values.shape[-1]))], axis=1)
    return ops.solve(ops.concatenate([upper, lower], axis=1), right)


def evaluate(points: Tensor, centres: Tensor, coefficients: Tensor, *, order: Order = 1) -> Tensor:
    """The spline at points.

    Args:
        points: float32 [N or 1, p, 2].
        centres: float32 [N, n, 2], as for `fit`.
        coefficients: of `fit`.
        order: as for `fit`.

    Returns:
        Float32 [N, p, k].
    """
    points, centres = ops.cast(points, "float32"), ops.cast(centres, "float32")
    kernel = basis(_squared(points, centres), order)
    count = centres.shape[1]
    ones = ops.concatenate([points, ops.ones_like(points[..., :1])], axis=-1)
    return ops.matmul(kernel, coefficients[:, :count]) + ops.matmul(ones, coefficients[:, count:])


def operator(centres: np.ndarray, points: np.ndarray, *, order: Order = 1) -> np.ndarray:
    """The matrix that takes values at centres to the spline at points, for centres that never change.

    Args:
        centres: float [n, 2].
        points: float [p, 2].
        order: of the basis.

    Returns:
        Float32 [p, n].
    """

    def kernel(a: np.ndarray) -> np.ndarray:
        squared = np.maximum(np.square(a[:, None] - centres[None]).sum(axis=-1), _SMALLEST)
        return np.sqrt(squared) if order == 1 else 0.5 * squared * np.log(squared)

    centres, points = centres.astype(np.float64), points.astype(np.float64)
    count = len(centres)
    affine = np.hstack([centres, np.ones((count, 1))])
    system = np.block([[kernel(centres), affine], [affine.T, np.zeros((3, 3))]])
    rows = np.hstack([kernel(points), points, np.ones((len(points), 1))])
    return (rows @ np.linalg.inv(system)[:, :count]).astype(np.float32)


def grid(side: int) -> np.ndarray:
    """The centres of all pixels: float32 [side * side, 2], x before y, row by row."""
    middle = (np.arange(side, dtype=np.float32) + 0.5) / side
    x, y = np.meshgrid(middle, middle)
    return np.stack([x.ravel(), y.ravel()], axis=1)


class Warp:
    """Warps between pictures and textures of one mean shape.

    Args:
        mean: float [n, 2], landmarks of the mean shape.
        side: of pictures and textures, pixels.
        order: of the basis.

    Example:
        >>> warp = Warp(mean_shape(), 128)
        >>> textures = warp.normalise(photos, landmarks)
        >>> photos_again = warp.render(textures, landmarks)
    """

    def __init__(self, mean: np.ndarray, side: int, *, order: Order = 1) -> None:
        self.mean, self.side, self.order = np.asarray(mean, np.float32), side, order
        self._grid = grid(side)
        centres = np.concatenate([self.mean, BORDER])
        self._operator = operator(centres, self._grid, order=order)[:, : len(self.mean)]

    def normalise(self, pictures: Tensor, landmarks: Tensor) -> Tensor:
        """Textures of pictures: each landmark is moved to its place in the mean shape.

        Args:
            pictures: float32 [N, side, side, C].
            landmarks: float32 [N, n, 2].

        Returns:
            Float32 [N, side, side, C].
        """
        flow = ops.matmul(self._operator, ops.cast(landmarks, "float32") - self.mean)
        return self._sampled(pictures, self._grid + ops.clip(flow, -MOST, MOST))

    def render(self, textures: Tensor, landmarks: Tensor) -> Tensor:
        """Pictures of textures: each landmark of the mean shape is moved to its own place.

        Args:
            textures: float32 [N, side, side, C].
            landmarks: float32 [N, n, 2].

        Returns:
            Float32 [N, side, side, C]; slopes reach textures and landmarks.
        """
        landmarks = ops.cast(landmarks, "float32")
        border = ops.broadcast_to(BORDER, (ops.shape(landmarks)[0], *BORDER.shape))
        centres = ops.concatenate([landmarks, border], axis=1)
        values = ops.concatenate([landmarks - self.mean, ops.zeros_like(border)], axis=1)
        coefficients = fit(centres, values, order=self.order, smoothing=1e-4)
        small = min(COARSE, self.side)
        flow = evaluate(grid(small)[None], centres, coefficients, order=self.order)
        flow = ops.reshape(ops.clip(flow, -MOST, MOST), (-1, small, small, 2))
        flow = ops.image.resize(flow, (self.side, self.side), interpolation="bilinear")
        return self._sampled(textures, self._grid - ops.reshape(flow, (-1, self.side**2, 2)))

    def _sampled(self, pictures: Tensor, places: Tensor) -> Tensor:
        positions = ops.reshape(places, (-1, self.side, self.side, 2))[..., ::-1] * self.side - 0.5
        return bilinear_sample(pictures, positions, "edge")


def _squared(a: Tensor, b: Tensor) -> Tensor:
    """Squared distances [N, p, n] by one product of matrices."""
    cross = ops.matmul(a, ops.transpose(b, (0, 2, 1)))
    own_a, own_b = (ops.sum(ops.square(x), axis=-1) for x in (a, b))
    return own_a[:, :, None] + own_b[:, None, :] - 2.0 * cross
