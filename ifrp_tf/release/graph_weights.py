"""The network inside an exported version folder as a Keras model again: what is served, not what was trained.

Reads the constants of a `saved_model.pb`, batch norms folded and rounded to float16, so that the graph can be
checked and timed against Keras and ONNX Runtime computing with the same numbers.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from ifrp_tf.core.errors import ModelError
from ifrp_tf.nn.folding import fold_batch_norms
from ifrp_tf.release import folder as model_folder
from ifrp_tf.systems import base


def load_srn(folder: str | Path) -> keras.Model:
    """The network that a version folder serves, batch norms folded, weights as rounded there.

    Args:
        folder: a version folder; its checksums are for `model_folder.verify` to check.

    Returns:
        A float32 model [N, side, side, 3] to the same, in [-1, 1]; not for training. Its second input, if it
        has one, are attributes.

    Raises:
        ModelError: the folder was not exported by this package, or its parts do not belong together.

    Example:
        >>> load_srn("saved_models/ifrp/1").output_shape  # doctest: +SKIP
        (None, 128, 128, 3)
    """
    folder = Path(folder)
    config = model_folder.read_config(model_folder.locate(folder))
    stored = _constants(folder / "saved_model.pb")
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("float32")
    try:
        srn = fold_batch_norms(base.create(config).build_released())
    finally:
        keras.config.set_dtype_policy(policy)
    variables = [*srn.trainable_variables, *srn.non_trainable_variables]
    expected, received = (
        [tuple(variable.shape) for variable in variables],
        [values.shape for values in stored],
    )
    if expected != received:
        raise ModelError(
            f"Expected {len(expected)} float16 arrays of {_size(expected):,} numbers in {str(folder)!r}. "
            f"Received: {len(received)} of {_size(received):,}, or other shapes.",
            hint="config.json and saved_model.pb do not belong together, or another version made them.",
        )
    for variable, values in zip(variables, stored, strict=True):
        variable.assign(values.astype(np.float32))
    return srn


def _constants(path: Path) -> list[np.ndarray]:
    """The float16 constants of the one function that has any, as they were numbered when it was made."""
    from google.protobuf.message import DecodeError
    from tensorflow.core.protobuf import saved_model_pb2

    saved_model = saved_model_pb2.SavedModel()
    try:
        saved_model.ParseFromString(path.read_bytes())
    except (OSError, DecodeError) as error:
        raise ModelError(f"The model {str(path)!r} cannot be read: {error}.") from error
    for meta_graph in saved_model.meta_graphs:
        for function in meta_graph.graph_def.library.function:
            halves = [node for node in function.node_def if _is_half(node)]
            if halves:
                halves.sort(key=lambda node: int(re.sub(r"\D", "", node.name) or 0))
                return [tf.make_ndarray(node.attr["value"].tensor) for node in halves]
    return []


def _is_half(node: Any) -> bool:
    return node.op == "Const" and node.attr["dtype"].type == tf.float16.as_datatype_enum


def _size(shapes: list[tuple[int, ...]]) -> int:
    return sum(int(np.prod(shape)) for shape in shapes)
