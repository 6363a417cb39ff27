"""What an answer costs, counted in the graph and not by a clock."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def gmac(function: Callable[..., Any], *shapes: tuple[int, ...]) -> float:
    """Multiplications with addition, in thousand millions, as TensorFlow's profiler counts them.

    Convolutions, transposed ones and matrix products count; what it knows no rule for (sampling, resizing)
    does not.

    Args:
        function: of float32 tensors, such as a Keras model.
        *shapes: of these tensors.

    Example:
        >>> layer = keras.layers.Conv2D(8, 3, padding="same", use_bias=False)  # doctest: +SKIP
        >>> gmac(layer, (1, 100, 100, 4))  # 100 * 100 * 3 * 3 * 4 * 8 / 1e9  # doctest: +SKIP
        0.00288
    """
    import tensorflow as tf
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    specs = [tf.TensorSpec(shape, tf.float32) for shape in shapes]
    traced = tf.function(lambda *given: function(*given)).get_concrete_function(*specs)
    graph = convert_variables_to_constants_v2(traced).graph  # functions called inside are counted, too
    profiler = tf.compat.v1.profiler
    options = profiler.ProfileOptionBuilder(profiler.ProfileOptionBuilder.float_operation())
    counted = profiler.profile(graph, options=options.with_empty_output().build())
    return float(counted.total_float_ops) / 2e9
