"""The machine under a benchmark: its threads, its device, and the fastest arithmetic that it does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

MATMUL_SIDE = 2048
"""Large enough to run at a processor's full speed, small enough to be over in a fraction of a second."""


def device() -> str:
    """Where TensorFlow computes: `GPU` or `CPU`."""
    return "GPU" if tf.config.list_physical_devices("GPU") else "CPU"


def matmul() -> tuple[Callable[[], Any], int]:
    """A large float32 matrix product in TensorFlow, with the threads that TensorFlow has.

    Returns:
        A function that computes it once and waits for it, and its multiply-adds.

    Example:
        >>> product, operations = matmul()
        >>> operations == 2048**3
        True
    """
    a, b = tf.random.stateless_uniform((2, MATMUL_SIDE, MATMUL_SIDE), (1, 2))
    return lambda: tf.linalg.matmul(a, b)[0, 0].numpy(), MATMUL_SIDE**3
