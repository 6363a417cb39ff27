"""How far styles lie apart: the log-Euclidean distance between Gram matrices of VGG-19 features.

The paper names the measure (IJCV, introduction) and neither its layer nor its regulariser; relu3_2 and
`EPSILON` are ours. The distance of one style to itself is not 0, for two of its pictures differ: compare
distances with the noise floor (`Style.noise_floor`). Everything after the features is float64.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Callable, Sequence

import numpy as np
from PIL import Image

from ifrp_tf.core.errors import ConfigError, DataError
from ifrp_tf.core.types import Tensor
from ifrp_tf.pictures import images

EPSILON = 1e-4
"""Share of the mean eigenvalue that is added to all of them: a Gram matrix of few pictures is singular."""

SIDE = 128
MAX_SUBSETS = 200_000
AIMS = ("min", "sum")


@dataclasses.dataclass(frozen=True)
class Style:
    """A style as the distance sees it.

    Attributes:
        name: of the style.
        logs: by layer, the logarithm of the regularised Gram matrix, float64 [C, C].
        noise_floor: distance between the halves of its own pictures: an upper bound of what chance does to
            a distance, for halves show less of the style. NaN where there is one picture.
        pictures: tiles of 128 x 128 pixels behind the matrix.
    """

    name: str
    logs: tuple[np.ndarray, ...]
    noise_floor: float
    pictures: int


def gram(features: np.ndarray) -> np.ndarray:
    """The second moments of features over all pictures and places: FᵀF / (N H W).

    Args:
        features: [N, H, W, C], any float type.

    Returns:
        float64 [C, C], symmetric and positive semi-definite.

    Raises:
        DataError: If a feature is NaN or infinite.
    """
    flat = np.asarray(features, np.float64).reshape(-1, np.shape(features)[-1])
    product = flat.T @ flat / len(flat)
    if not np.isfinite(product).all():
        raise DataError("Expected finite features. Received: NaN or infinity.", hint="Check the weights.")
    return (product + product.T) / 2


def regularised(matrix: np.ndarray, epsilon: float = EPSILON) -> np.ndarray:
    """`matrix` + epsilon x its mean eigenvalue x identity: positive definite, and scaled like `matrix`.

    Args:
        matrix: symmetric positive semi-definite, [C, C].
        epsilon: greater than 0.

    Raises:
        ConfigError, DataError: If epsilon or the trace is not positive.
    """
    matrix = np.asarray(matrix, np.float64)
    size, mean = len(matrix), float(np.trace(matrix)) / len(matrix)
    if not epsilon > 0:
        raise ConfigError(f"Expected epsilon > 0. Received: {epsilon}.")
    if not mean > 0:
        raise DataError(f"Expected a Gram matrix with a positive trace. Received: {mean * size}.")
    return matrix + epsilon * mean * np.eye(size)


def logarithm(matrix: np.ndarray) -> np.ndarray:
    """The matrix logarithm of a symmetric positive definite matrix, float64, by its eigenvalues."""
    values, vectors = np.linalg.eigh(np.asarray(matrix, np.float64))
    if values[0] <= 0:
        raise DataError(f"Expected a positive definite matrix. Received: least eigenvalue {values[0]:.3g}.")
    result = (vectors * np.log(values)) @ vectors.T
    return (result + result.T) / 2


def tiles(pixels: np.ndarray, scale: int = 256) -> np.ndarray:
    """A style image as squares of 128 pixels, the checkerboard's white fields before its black ones.

    Args:
        pixels: uint8 [H, W, 3].
        scale: pixels of the shorter side before it is cut, 128 or more: how coarse strokes are.

    Returns:
        uint8 [N, 128, 128, 3], evenly spread, so that they cover the picture and overlap a little.
    """
    if scale < SIDE:
        raise ConfigError(f"Expected a scale of at least {SIDE} pixels. Received: {scale}.")
    height, width = pixels.shape[:2]
    shorter = min(height, width)
    size = tuple(max(scale, round(length * scale / shorter)) for length in (height, width))
    pixels = np.asarray(Image.fromarray(pixels).resize(size[::-1], Image.Resampling.BICUBIC))
    starts = [np.linspace(0, length - SIDE, -(-length // SIDE)).round().astype(int) for length in size]
    places = sorted(
        itertools.product(*map(enumerate, starts)), key=lambda place: sum(k for k, _ in place) % 2
    )
    return np.stack([pixels[top : top + SIDE, left : left + SIDE] for (_, top), (_, left) in places])


def measure(
    name: str,
    pictures: np.ndarray,
    network: Callable[[Tensor], Tensor],
    *,
    epsilon: float = EPSILON,
    batch: int = 16,
) -> Style:
    """A style from pictures in it: one style image's `tiles`, or many faces stylised alike.

    Args:
        name: of the style.
        pictures: uint8 [N, 128, 128, 3], at least one; the noise floor compares the first half of them with
            the second.
        network: such as `features.vgg19("data/weights")`: one tensor, or a dict of them for several layers.
        epsilon: see `regularised`.
        batch: pictures a call, at least 1.

    Raises:
        DataError: If there is no picture, or they have no features.
    """
    count = len(pictures)
    if not count:
        raise DataError(f"Expected at least one picture of the style {name!r}. Received: none.")

    def logs(matrices: Sequence[np.ndarray]) -> tuple[np.ndarray, ...]:
        return tuple(logarithm(regularised(matrix, epsilon)) for matrix in matrices)

    middle = (count + 1) // 2
    first = _grams(pictures[:middle], network, batch)
    if count == 1:
        return Style(name, logs(first), math.nan, count)
    second = _grams(pictures[middle:], network, batch)
    share = middle / count
    whole = [share * a + (1 - share) * b for a, b in zip(first, second, strict=True)]
    return Style(name, logs(whole), _between(logs(first), logs(second)), count)


def _grams(pictures: np.ndarray, network: Callable[[Tensor], Tensor], batch: int) -> list[np.ndarray]:
    from keras import ops

    total: list[np.ndarray] = []
    for start in range(0, len(pictures), batch):
        part = np.asarray(images.to_model_range(pictures[start : start + batch]))
        found = network(part)
        layers = list(found.values()) if isinstance(found, dict) else [found]
        grams = [len(part) * gram(ops.convert_to_numpy(layer)) for layer in layers]
        total = [a + b for a, b in zip(total, grams, strict=True)] if total else grams
    return [matrix / len(pictures) for matrix in total]


def _between(one: Sequence[np.ndarray], other: Sequence[np.ndarray]) -> float:
    """Root mean square of the layers' distances ‖log A - log B‖_F."""
    return math.sqrt(np.mean([np.sum((a - b) ** 2) for a, b in zip(one, other, strict=True)]))


def distances(rows: Sequence[Style], columns: Sequence[Style] | None = None) -> np.ndarray:
    """Distances of every row to every column, root mean square over the layers.

    Args:
        rows: styles.
        columns: styles; the rows by default, which gives a symmetric matrix with a diagonal of zeros.

    Returns:
        float64 [rows, columns], at least 0.
    """
    return np.array([[_between(a.logs, b.logs) for b in columns or rows] for a in rows], np.float64)


def select(
    matrix: np.ndarray,
    names: Sequence[str],
    count: int,
    *,
    aim: str = "min",
    anchor: np.ndarray | None = None,
) -> list[str]:
    """The most distinct styles: those whose least distance (or sum of distances) is largest.

    Every subset is tried while there are at most 200,000. Beyond that it is greedy: to the style of the
    largest mean distance the best one is added, again and again. Ties go to the larger sum, then to names.

    Args:
        matrix: symmetric distances, [n, n].
        names: n names, all different.
        count: how many, 1 to n.
        aim: `min` (the least of the pairwise distances) or `sum`.
        anchor: distances [n] to something else, such as photographs, that count like those to a chosen style.

    Returns:
        Names in alphabetical order.
    """
    if aim not in AIMS:
        raise ConfigError(f"Expected an aim out of {', '.join(AIMS)}. Received: {aim!r}.")
    if not 1 <= count <= len(names):
        raise ConfigError(f"Expected to choose 1 to {len(names)} of {len(names)} styles. Received: {count}.")
    order = sorted(range(len(names)), key=lambda k: names[k])
    means = np.asarray(matrix, np.float64).sum(axis=1)

    def worth(chosen: Sequence[int]) -> tuple[float, float]:
        pairs = [float(matrix[a, b]) for a, b in itertools.combinations(chosen, 2)]
        pairs += [] if anchor is None else [float(anchor[k]) for k in chosen]
        pairs = pairs or [float(means[chosen[0]])]
        # Rounded, or sums of equal numbers in another order would decide instead of the names.
        return (round(min(pairs) if aim == "min" else sum(pairs), 9), round(sum(pairs), 9))

    if math.comb(len(names), count) <= MAX_SUBSETS:
        best = max(itertools.combinations(order, count), key=worth)  # `max` keeps the first of equals
        return sorted(names[k] for k in best)
    chosen: list[int] = []
    while len(chosen) < count:
        chosen.append(max((k for k in order if k not in chosen), key=lambda k: worth([*chosen, k])))
    return sorted(names[k] for k in chosen)


def embedding(matrix: np.ndarray) -> tuple[np.ndarray, float]:
    """Points in the plane whose distances are near those of `matrix` [n, n]: classical scaling.

    Returns:
        float64 [n, 2], centred; and the share of the spread that the two dimensions hold, 0 to 1.
    """
    size = len(matrix)
    centre = np.eye(size) - 1 / size
    values, vectors = np.linalg.eigh(-centre @ np.square(np.asarray(matrix, np.float64)) @ centre / 2)
    values = np.maximum(values[::-1], 0)
    points = np.zeros((size, 2))
    kept = min(2, size)
    axes = vectors[:, ::-1][:, :kept]
    # The sign of an eigenvector is arbitrary: its largest part is positive.
    axes = axes * np.where(axes[np.abs(axes).argmax(axis=0), range(kept)] < 0, -1.0, 1.0)
    points[:, :kept] = axes * np.sqrt(values[:kept])
    return points, float(values[:2].sum() / values.sum()) if values.sum() > 0 else 1.0
