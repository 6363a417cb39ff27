"""The machine under a benchmark: its threads, its device, and the fastest arithmetic that it does."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from ifrp_tf.errors import ConfigError

MATMUL_SIDE = 2048
"""Large enough to run at a processor's full speed, small enough to be over in a fraction of a second."""


def use_threads(count: int) -> int:
    """Gives TensorFlow a number of threads; before its first operation.

    Args:
        count: 1 to 1,024, or 0 for one on each core that this process may use, which is TensorFlow's way.

    Returns:
        How many that is.

    Raises:
        ConfigError: another number, or TensorFlow has started.
    """
    if not 0 <= count <= 1024:
        raise ConfigError(f"Expected threads from 0 (all cores) to 1024. Received: {count}.")
    if not count:
        return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        tf.config.threading.set_intra_op_parallelism_threads(count)
        tf.config.threading.set_inter_op_parallelism_threads(count)
    except RuntimeError as error:
        message = f"Expected TensorFlow not to have started when threads are set. Received: {error}"
        raise ConfigError(message) from error
    return count


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
