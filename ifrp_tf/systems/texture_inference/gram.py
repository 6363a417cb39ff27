"""Gram matrices of parts of a face: what its texture is, by place, with hidden pixels left out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from keras import ops

from ifrp_tf.core.types import Tensor

BANDS = (0.0, 36 / 128, 60 / 128, 84 / 128, 1.0)
"""Rows of forehead, eyes, nose and cheeks, mouth and chin in the tight frame, fractions of the side.

A Gram matrix of the whole face forgets where its textures are.
"""

FRAME = 4 / 128
"""Part of the side that is left out at the border, where the convolutions see padding."""


def band_masks(visible: np.ndarray) -> np.ndarray:
    """The visible pixels of each band.

    Args:
        visible: bool or float [S, S], 1 where the picture is to be believed.

    Returns:
        Float32 [S, S, R].
    """
    side = visible.shape[0]
    rows = (np.arange(side) + 0.5) / side
    inner = (rows > FRAME) & (rows < 1 - FRAME)
    kept = visible.astype(np.float32) * np.outer(inner, inner)
    bands = [((rows >= top) & (rows < end))[:, None] for top, end in zip(BANDS, BANDS[1:], strict=False)]
    return np.stack([kept * band for band in bands], axis=-1).astype(np.float32)


def reduced(masks: np.ndarray, times: int, margin: int = 0) -> np.ndarray:
    """Masks for maps of a smaller side: means over squares of pixels.

    Args:
        masks: float32 [S, S, R].
        times: how much smaller the maps are.
        margin: pixels around the picture before it is reduced; nothing of them counts.

    Returns:
        Float32 [(S + 2 margin) / times, .., R].
    """
    padded = np.pad(masks, ((margin, margin), (margin, margin), (0, 0)))
    height, width, count = padded.shape
    blocks = padded.reshape(height // times, times, width // times, times, count)
    return blocks.mean(axis=(1, 3)).astype(np.float32)


def masked_grams(maps: Tensor, masks: Tensor) -> Tensor:
    """The mean outer product of features over the positions of each mask (paper, eq. 2).

    Args:
        maps: float32 [N, H, W, C].
        masks: float32 [H, W, R], weights of positions, squared here.

    Output shape: `[N, R, C, C]`, float32; zero for a mask without positions.
    """
    channels, count = maps.shape[-1], masks.shape[-1]
    x = ops.reshape(maps, (-1, maps.shape[1] * maps.shape[2], channels))
    weights = ops.square(ops.reshape(masks, (-1, count)))
    totals = ops.maximum(ops.sum(weights, axis=0), 1e-6)
    parts = [
        ops.matmul(ops.transpose(x * weights[:, k : k + 1], (0, 2, 1)), x) / totals[k] for k in range(count)
    ]
    return ops.stack(parts, axis=1)


def flattened(grams: Mapping[str, np.ndarray], layers: Sequence[str]) -> np.ndarray:
    """Every block of every layer as one row: the upper triangles, [N, D].

    Off the diagonal entries count twice, so distances of rows are those of the matrices.

    Args:
        grams: layer -> float32 [N, R, C, C].
        layers: their order.
    """
    rows = []
    for layer in layers:
        matrices = grams[layer]
        above = np.triu_indices(matrices.shape[-1])
        scale = np.where(above[0] == above[1], 1.0, np.sqrt(2.0)).astype(np.float32)
        rows.append((matrices[:, :, above[0], above[1]] * scale).reshape(len(matrices), -1))
    return np.concatenate(rows, axis=1)


def norms(grams: np.ndarray) -> np.ndarray:
    """The mean Frobenius norm of each block over faces: [N, R, C, C] -> float32 [R], at least 1e-6."""
    return np.maximum(np.sqrt(np.square(grams).sum(axis=(2, 3))).mean(axis=0), 1e-6).astype(np.float32)
