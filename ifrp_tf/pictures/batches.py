"""Pictures through a function in batches of one size."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

BATCH = 16
"""On a processor the networks are fastest at about this size."""


def in_batches(
    function: Callable[..., np.ndarray], *arrays: np.ndarray, size: int = BATCH, fill: bool = True
) -> np.ndarray:
    """Calls a function on a few rows at a time, so that memory does not grow with their number.

    The last batch is filled up to `size` with its last row, since other sizes add numbers up in another
    order: so an answer is the same to the bit, whatever its neighbours are.

    Args:
        function: `size` rows of each array to as many rows of an array.
        *arrays: [N, ...] each, N at least 1.
        size: of a batch.
        fill: Whether to fill the last batch up; without it a few rows take less time.

    Returns:
        [N, ...], the answers.

    Example:
        >>> in_batches(lambda rows: rows + len(rows), np.arange(5), size=4).tolist()
        [4, 5, 6, 7, 8]
    """
    count, answers = len(arrays[0]), []
    for start in range(0, count, size):
        parts = [array[start : start + size] for array in arrays]
        missing = size - len(parts[0])
        if fill and missing:
            parts = [np.concatenate([part, np.repeat(part[-1:], missing, axis=0)]) for part in parts]
        answers.append(np.asarray(function(*parts))[: count - start])
    return np.concatenate(answers)
