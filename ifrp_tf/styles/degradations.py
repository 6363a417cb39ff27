"""What scanners, screens and time do to portraits: degradations, by formulas without weights or state."""

from __future__ import annotations

import numpy as np
from keras import ops

from ifrp_tf.core.types import Tensor
from ifrp_tf.styles.filters import amount, chance, draws, grain, luminance, smooth
from ifrp_tf.styles.palettes import bend, signed, unit


def degrade(portraits: Tensor, params: Tensor, field: Tensor) -> Tensor:
    """Damages portraits as scanners, screens and time do, so that no network trusts their colours.

    Each of these befalls a random part of the pictures: another colour matrix (one half), grey (one in
    eight), negative (one in thirty), bent tones (one half), contrast (one half), uneven light (two in
    five), blur (one third), canvas (one quarter), craquelure (one in eight), noise (one half), JPEG (one
    third).

    Args:
        portraits: Float32 tensor `[N, H, W, 3]` in `[-1, 1]`.
        params: Float32 tensor `[N, 16]`, uniform in `[0, 1)`; not the ones given to the style.
        field: Float32 tensor `[N, H, W, 3]`, uniform in `[0, 1)`; the style's own will do.

    Output shape: `[N, H, W, 3]`, in `[-1, 1]`.

    Example:
        >>> portraits = degrade(portraits, params, field)
    """
    picture = unit(portraits)
    free = draws(field, -1, 4) - 0.5
    matrix = ops.eye(3) + chance(params, 0, 0.5) * free[:, :3] * amount(params, 1, 0.2, 1.2)
    # Rows that add up to about one keep whites light.
    matrix = matrix + 0.7 * (1.0 - ops.sum(matrix, axis=1, keepdims=True)) / 3.0
    picture = ops.matmul(picture, matrix[:, None])
    grey = chance(params, 2, 0.125)[..., None]
    picture = picture + grey * (luminance(picture)[..., None] - picture)
    picture = ops.clip(picture, 0.0, 1.0)
    picture = picture + chance(params, 2, 1.0 / 30.0)[..., None] * (1.0 - 2.0 * picture)
    bent = bend(picture, ops.exp(amount(params, 3, -0.8, 0.8))[..., None])
    picture = picture + chance(params, 4, 0.5)[..., None] * (bent - picture)
    contrast = 1.0 + chance(params, 5, 0.5) * amount(params, 6, -0.45, 0.35)
    picture = 0.5 + (picture - 0.5) * contrast[..., None]
    blurred = smooth(picture, amount(params, 7, 0.4, 1.4))
    picture = picture + chance(params, 8, 1.0 / 3.0)[..., None] * (blurred - picture)
    # The noise of the style must not cancel or double here: read the field upside down.
    turned = ops.flip(field, axis=1)
    light = chance(params, 9, 0.4) * amount(params, 10, 0.04, 0.2) * grain(turned[..., 0], 24.0)
    weave = grain(turned[..., 1], 0.5, 1.7) + grain(turned[..., 1], 1.7, 0.5)
    light = light + chance(params, 11, 0.25) * amount(params, 12, 0.01, 0.06) * weave
    aged = chance(params, 11, 0.375) - chance(params, 11, 0.25)
    light = light - aged * amount(params, 12, 0.2, 0.7) * craquelure(turned[..., 2])
    noise = chance(params, 13, 0.5) * amount(params, 14, 0.02, 0.2)
    picture = picture * (1.0 + light[..., None]) + noise[..., None] * (turned - 0.5)
    # The number that decides whether also says how strongly: of those below 1/3, low ones.
    compressed = jpeg(ops.clip(picture, 0.0, 1.0), 0.3 + 9.0 * params[:, 15])
    picture = picture + chance(params, 15, 1.0 / 3.0)[..., None] * (compressed - picture)
    return signed(picture)


def craquelure(plane: Tensor) -> Tensor:
    """A net of fine cracks as in old varnish: where two maps of smooth noise change sign.

    Args:
        plane: Float32 tensor `[N, H, W]`, uniform in `[0, 1)`.

    Output shape: `[N, H, W]`, in `[0, 1]`: 1 in the middle of a crack.
    """
    maps = grain(plane, 3.0), grain(ops.flip(plane, axis=1), 4.5)
    return ops.maximum(*[ops.exp(-ops.square(part / 0.09)) for part in maps])


def jpeg(picture: Tensor, coarseness: Tensor) -> Tensor:
    """What JPEG leaves of a picture: cosine coefficients of 8 x 8 blocks, rounded (ITU T.81, K.1, K.2).

    Args:
        picture: Float32 tensor `[N, H, W, 3]` in `[0, 1]`.
        coarseness: Float32 tensor `[N]`, factor of the tables: 1 is quality 50, 3 about quality 17.

    Output shape: `[N, H, W, 3]`.
    """
    height, width = picture.shape[1:3]
    below, right = -height % 8, -width % 8
    padded = ops.pad(picture, [[0, 0], [0, below], [0, right], [0, 0]], mode="symmetric")
    planes = ops.matmul(padded * 255.0 - 128.0, ops.convert_to_tensor(_TO_YCC))
    rows, columns = (height + below) // 8, (width + right) // 8
    blocks = ops.reshape(planes, (-1, rows, 8, columns, 8, 3))
    cosines = ops.convert_to_tensor(_COSINES)
    coefficients = ops.einsum("ik,nakblc,jl->naibjc", cosines, blocks, cosines)
    table = ops.convert_to_tensor(_QUANTA)[None, None, :, None] * coarseness[:, None, None, None, None, None]
    coefficients = ops.round(coefficients / table) * table
    blocks = ops.einsum("ik,naibjc,jl->nakblc", cosines, coefficients, cosines)
    planes = ops.reshape(blocks, (-1, height + below, width + right, 3))
    result = (ops.matmul(planes, ops.convert_to_tensor(_FROM_YCC)) + 128.0) / 255.0
    return ops.clip(result[:, :height, :width], 0.0, 1.0)


def _tables() -> np.ndarray:
    """[8, 8, 3]: the standard's tables for luminance and twice for colour."""
    luminance_table = (
        "16 11 10 16 24 40 51 61 12 12 14 19 26 58 60 55 14 13 16 24 40 57 69 56 14 17 22 29 51 87 80 62 "
        "18 22 37 56 68 109 103 77 24 35 55 64 81 104 113 92 "
        "49 64 78 87 103 121 120 101 72 92 95 98 112 100 103 99"
    )
    colour = np.full((8, 8), 99.0)
    colour[:4, :4] = [[17, 18, 24, 47], [18, 21, 26, 66], [24, 26, 56, 99], [47, 66, 99, 99]]
    light = np.array(luminance_table.split(), float).reshape(8, 8)
    return np.stack([light, colour, colour], axis=-1).astype(np.float32)


def _cosines() -> np.ndarray:
    k = np.arange(8)
    matrix = np.cos((2 * k[None] + 1) * k[:, None] * np.pi / 16) / 2
    matrix[0] /= np.sqrt(2)
    return matrix.astype(np.float32)


_TO_YCC = np.array(
    [[0.299, -0.168736, 0.5], [0.587, -0.331264, -0.418688], [0.114, 0.5, -0.081312]], np.float32
)
_FROM_YCC = np.linalg.inv(_TO_YCC.astype(np.float64)).astype(np.float32)
_COSINES, _QUANTA = _cosines(), _tables()
