"""Tensors of requests and answers: `TensorProto` to arrays and back, without trust in what a proto claims."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from ifrp_tf.served_model import Arrays, Signature
from ifrp_tf.serving_status import Refusal

MAX_FILLED = 2**22
"""Most elements of a tensor that is told by fewer values than it has elements."""


def read_tensors(protos: Any, signature: Signature) -> Arrays:
    """The tensors of a request.

    Args:
        protos: map of name to `TensorProto`.
        signature: that they are for.

    Returns:
        Arrays by name.

    Raises:
        Refusal: INVALID_ARGUMENT, if one does not hold what it says, or has an unknown name.
    """
    signature.check_names(protos)
    arrays = {}
    for key, proto in protos.items():
        try:
            sizes = [axis.size for axis in proto.tensor_shape.dim]
            # A few bytes can claim to be a tensor of any size, filled with one value.
            if min(sizes, default=1) < 0 or np.prod(sizes, dtype=object) > max(_values(proto), MAX_FILLED):
                raise ValueError(f"{_values(proto)} values for the shape {sizes[:16]}")
            arrays[key] = np.asarray(tf.make_ndarray(proto))
        except Exception as error:  # many kinds, from TensorFlow, NumPy and Python
            words = " ".join(str(error).split())[:200]
            raise Refusal(
                "INVALID_ARGUMENT", f"{key[:100]}: expected a tensor. Received: {words}."
            ) from error
    return arrays


def write_tensor(proto: Any, array: np.ndarray) -> None:
    """Fills a `TensorProto`.

    Args:
        proto: gets the array.
        array: of numbers, or of bytes objects.
    """
    proto.CopyFrom(tf.make_tensor_proto(array))


def _values(proto: Any) -> int:
    if proto.tensor_content:
        size = tf.as_dtype(proto.dtype).size or 1
        return len(proto.tensor_content) // size
    return max((len(value) for field, value in proto.ListFields() if field.name.endswith("_val")), default=0)
