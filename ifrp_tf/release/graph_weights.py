"""Weights of a released graph that ships without its `.weights.h5` (releases up to 4).

Reads the constants of a `saved_model.pb` back into a Keras network, folded or with its batch norms restored.
Goes away together with release 4: from release 5 on the weights ship beside the graph.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from ifrp_tf.core.errors import ModelError
from ifrp_tf.nn.folding import fold_batch_norms, partners
from ifrp_tf.release import folder as model_folder
from ifrp_tf.systems import base
from ifrp_tf.systems.ifrp import networks

# The network inside an exported version folder, as a Keras model again.


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


# A released model turned back into a network that can be trained on.

_BATCH, _VARIANCE = 16, 1e-8


def load_released(folder: str | Path, portraits: np.ndarray) -> keras.Model:
    """The SRN of a version folder, ready to be trained further; needs TensorFlow to read the folder.

    Args:
        folder: a version folder, verified against its `SHA256SUMS`.
        portraits: float32 [N, S, S, 3] in [-1, 1], as in training: some hundreds.

    Returns:
        The float32 network that `networks.build_srn` makes of the folder's configuration.

    Raises:
        ModelError: if the folder is damaged, or its weights are not those of its configuration.

    Example:
        >>> load_released("saved_models/ifrp/1", portraits)  # doctest: +SKIP
    """
    place = model_folder.locate(folder)
    model_folder.verify(place.path)
    config = model_folder.read_config(place)
    srn = networks.build_srn(config.model, side=config.data.side)
    folded = fold_batch_norms(srn)
    _assign(folded, _unfolding_constants(place.path), place.path)
    pairs = partners(srn)
    moments = _moments(folded, sorted(set(pairs.values())), portraits)
    for layer in folded.layers:
        if layer.weights:
            srn.get_layer(layer.name).set_weights(layer.get_weights())
    for norm_name, layer_name in pairs.items():
        norm, (mean, variance) = srn.get_layer(norm_name), moments[layer_name]
        norm.set_weights([np.sqrt(variance + norm.epsilon), mean, mean, variance])
    return srn


def _unfolding_constants(folder: Path) -> list[np.ndarray]:
    """The float16 constants of the function that holds most of them, in the order of their making."""
    import tensorflow as tf
    from tensorflow.core.protobuf import saved_model_pb2

    model = saved_model_pb2.SavedModel()
    model.ParseFromString((folder / "saved_model.pb").read_bytes())
    half = tf.float16.as_datatype_enum
    found = [
        [node for node in function.node_def if node.op == "Const" and node.attr["dtype"].type == half]
        for function in model.meta_graphs[0].graph_def.library.function
    ]
    return [tf.make_ndarray(node.attr["value"].tensor) for node in max(found, key=len)]


def _assign(folded: keras.Model, constants: list[np.ndarray], folder: Path) -> None:
    variables = [*folded.trainable_variables, *folded.non_trainable_variables]  # the order of `export`
    shapes = [variable.shape for variable in variables]
    if [array.shape for array in constants] != shapes:
        raise ModelError(
            f"Expected the {len(shapes)} arrays of the configuration in {str(folder)!r}. "
            f"Received: {len(constants)}, or others.",
            hint="It was exported by another version of this package.",
        )
    for variable, array in zip(variables, constants, strict=True):
        variable.assign(array.astype(np.float32))


def _moments(
    model: keras.Model, names: list[str], portraits: np.ndarray
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Mean and variance of each channel of the outputs of layers."""
    probe = keras.Model(model.input, [model.get_layer(name).output for name in names])
    sums = {name: np.zeros((2, model.get_layer(name).output.shape[-1])) for name in names}
    batches = [portraits[k : k + _BATCH] for k in range(0, len(portraits), _BATCH)]
    for batch in batches:
        for name, output in zip(names, probe(batch, training=False), strict=True):
            flat = keras.ops.convert_to_numpy(output).astype(np.float64)
            flat = flat.reshape(-1, flat.shape[-1])
            sums[name] += np.stack([flat.mean(axis=0), np.square(flat).mean(axis=0)]) * len(batch)
    found = {}
    for name, (first, second) in sums.items():
        mean = first / len(portraits)
        found[name] = (mean, np.maximum(second / len(portraits) - np.square(mean), _VARIANCE))
    return found
