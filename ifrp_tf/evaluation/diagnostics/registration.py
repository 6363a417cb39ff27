"""By how much a picture has to be turned, scaled and shifted to lie upon another: registration by brightness.

An answer may have every feature right and all of them a pixel off; that costs more than softness does. Here
two pictures of one face are registered by the inverse compositional algorithm (Baker and Matthews 2004) on
smoothed, standardised luminance, from coarse to fine. It finds movements of up to about 8 degrees, 8 per cent
and 6 pixels of a side of 128.
"""

from __future__ import annotations

import numpy as np

from ifrp_tf.core.errors import ImageError

SMOOTHED: tuple[float, ...] = (4.0, 2.0, 1.2)
"""Blurs from coarse to fine, in pixels of a side of 128."""

ROUNDS = 12
"""Steps at each blur."""

_LUMINANCE = np.array([0.2989, 0.587, 0.114])


def estimate(pictures: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """The movement that takes each true picture onto the picture that is measured.

    Args:
        pictures: uint8 or float [N, S, S, 3], levels 0-255.
        truth: the same: where things ought to lie.

    Returns:
        Float64 [N, 4], as of `misalign.similarity_parameters`: angle in radians, scale factor, shift along y
        and along x in normalised units (2.0 is the side). Equal pictures give 0, 1, 0, 0.

    Raises:
        ImageError: if the shapes differ or are not those of RGB squares.

    Example:
        >>> np.degrees(estimate(answers, photos)[:, 0])  # doctest: +SKIP
        array([ 0.9, -1.4])
    """
    if np.shape(pictures) != np.shape(truth) or np.ndim(truth) != 4 or truth.shape[1] != truth.shape[2]:
        raise ImageError(
            "shape", f"Expected two batches [N, S, S, 3]. Received: {np.shape(pictures)}, {np.shape(truth)}."
        )
    moved, still = (np.asarray(part, np.float64) @ _LUMINANCE for part in (pictures, truth))
    found = [_register(one, other) for one, other in zip(moved, still, strict=True)]
    return _parameters(*np.array(found, np.complex128).reshape(-1, 2).T)


def of_transforms(own: np.ndarray, known: np.ndarray) -> np.ndarray:
    """How an answer is placed that was sampled by one transform, where another one would have been right.

    Args:
        own: float [N, 4], transforms of a Spatial Transformer (`misalign.undoing_parameters`).
        known: float [N, 4], those that undo the misalignment.

    Returns:
        Float64 [N, 4], as `estimate`.

    Example:
        >>> of_transforms(np.array([[0.1, 1.0, 0.0, 0.0]]), np.array([[0.0, 1.0, 0.0, 0.0]]))
        array([[-0.1,  1. ,  0. ,  0. ]])
    """
    (factor, shift), (right, place) = (_map(part) for part in (own, known))
    return _parameters(right / factor, (place - shift) / factor)


def summarise(parameters: np.ndarray, side: int) -> dict[str, dict[str, float]]:
    """Median and 90th percentile of what was found, without signs.

    Args:
        parameters: float [N, 4] of `estimate`, or of `misalign.parameters_of`.
        side: of the pictures, pixels.

    Returns:
        `corners`: mean distance of the corners in pixels; `degrees`; `percent` of scale; `pixels` of shift:
        each with `median` and `p90`.
    """
    angle, scale, down, across = np.asarray(parameters, np.float64).T
    factor, shift = scale * np.exp(1j * angle), down + 1j * across
    corners = np.array([y + 1j * x for y in (-1, 1) for x in (-1, 1)])
    moved = np.abs((factor[:, None] - 1) * corners + shift[:, None]) * (side - 1) / 2
    columns = {
        "corners": moved.mean(axis=1),
        "degrees": np.abs(np.degrees(angle)),
        "percent": 100 * np.abs(scale - 1),
        "pixels": np.abs(shift) * side / 2,
    }
    return {
        name: {"median": float(np.median(values)), "p90": float(np.quantile(values, 0.9))}
        for name, values in columns.items()
    }


def _map(transforms: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """`z -> factor * z + shift` of transforms `M = R(theta) S(s) T(t)`, z = y + i x."""
    theta, scale, down, across = np.asarray(transforms, np.float64).T
    factor = scale * np.exp(1j * theta)
    return factor, factor * (down + 1j * across)


def _parameters(factor: np.ndarray, shift: np.ndarray) -> np.ndarray:
    return np.stack([np.angle(factor), np.abs(factor), shift.real, shift.imag], axis=-1)


def _register(moved: np.ndarray, still: np.ndarray) -> tuple[complex, complex]:
    """`z -> factor * z + shift` from a place of `still` to the place of its like in `moved`, z = y + i x."""
    side = len(still)
    axis = np.linspace(-1, 1, side)
    y, x = np.meshgrid(axis, axis, indexing="ij")
    places, weight = y + 1j * x, np.outer(np.hanning(side + 2)[1:-1], np.hanning(side + 2)[1:-1])
    factor, shift = 1 + 0j, 0j
    for width in SMOOTHED:
        soft_moved, target = (_smooth(part, width * side / 128) for part in (moved, still))
        target = _standard(target, weight)
        down, across = np.gradient(target, axis, axis)
        # How the target changes with scale, angle and the two shifts at no movement at all.
        steps = np.stack([y * down + x * across, y * across - x * down, down, across])
        hessian = np.einsum("iyx,jyx,yx->ij", steps, steps, weight) + 1e-6 * np.eye(4) * weight.sum()
        for _ in range(ROUNDS):
            seen = _standard(_sampled(soft_moved, factor * places + shift), weight)
            scale, turn, up, along = np.linalg.solve(
                hessian, np.einsum("iyx,yx,yx->i", steps, seen - target, weight)
            )
            factor = factor / (1 + scale + 1j * turn)
            shift = shift - factor * (up + 1j * along)
            if max(abs(scale), abs(turn), abs(up), abs(along)) < 1e-5:
                break
    return factor, shift


def _smooth(plane: np.ndarray, width: float) -> np.ndarray:
    place = np.arange(len(plane))
    kernel = np.exp(-0.5 * np.square((place[:, None] - place[None]) / width))
    kernel /= kernel.sum(axis=1, keepdims=True)
    return kernel @ plane @ kernel.T


def _standard(plane: np.ndarray, weight: np.ndarray) -> np.ndarray:
    plane = plane - np.average(plane, weights=weight)
    return plane / np.sqrt(np.average(np.square(plane), weights=weight) + 1e-3)


def _sampled(plane: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Bilinear; the border is repeated."""
    side = len(plane)
    y, x = (np.clip((part + 1) * (side - 1) / 2, 0, side - 1.001) for part in (places.real, places.imag))
    top, left = y.astype(int), x.astype(int)
    down, along = y - top, x - left
    upper = plane[top, left] * (1 - along) + plane[top, left + 1] * along
    lower = plane[top + 1, left] * (1 - along) + plane[top + 1, left + 1] * along
    return upper * (1 - down) + lower * down
