"""A model on the disk as a function from portraits to recovered faces, and how it is asked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ifrp_tf.core import runtime
from ifrp_tf.core.errors import ImageError, ModelError
from ifrp_tf.data import attributes
from ifrp_tf.pictures import images
from ifrp_tf.release import folder

if TYPE_CHECKING:
    import keras

    from ifrp_tf.core.config import Config

Network = Callable[..., np.ndarray]
"""Of portraits, and of a model that is told attributes also of those."""

BATCH = 16
"""On a processor the networks are fastest at about this size."""


@dataclass(frozen=True, eq=False)
class Loaded:
    """A model that can be asked.

    Attributes:
        network: uint8 [N, side, side, 3] portraits to uint8 recovered faces of the same shape; where there
            are `attributes`, a second argument float32 [N, 14] in [-1, 1] says them.
        side: of the pictures, pixels.
        name: of the model, for people.
        fingerprint: of the model, 64 hexadecimal digits.
        attributes: names of what the model can be told of the sitter; none of most models.
    """

    network: Network
    side: int
    name: str
    fingerprint: str
    attributes: tuple[str, ...] = ()


def load(model: str | Path, *, trust: bool = False) -> Loaded:
    """Loads a model that is whole and unaltered.

    Args:
        model: a version folder, a folder of numbered versions (the highest wins), a run folder or a
            `.weights.h5` file with its `config.json` (`model_folder.locate`).
        trust: load a version folder whose files do not match its `SHA256SUMS`. A SavedModel is a program.

    Raises:
        ModelError: there is no model, it is damaged or altered, or it is not one of this package.

    Example:
        >>> load("saved_models/ifrp").name  # doctest: +SKIP
        'ifrp/1'
    """
    found, fingerprint = identify(model, trust=trust)
    if found.kind == "version":
        side = folder.read_side(found)
        network, told = _load_version(found.path, side)
    else:
        network, side, told = _load_weights(found)
    return Loaded(network, side, found.name, fingerprint, attributes.NAMES if told else ())


def identify(model: str | Path, *, trust: bool = False) -> tuple[folder.ModelFolder, str]:
    """Where a model is and its fingerprint, without loading it, nor TensorFlow.

    Args:
        model, trust: as of `load`.

    Raises:
        ModelError: there is no model, or it is damaged or altered.
    """
    found = folder.locate(model)
    if found.kind == "version":
        return found, folder.verify(found.path, trust=trust)
    return found, folder.sha256(found.path)


def load_network(model: str | Path, system: str) -> tuple[keras.Model, Config, str, str]:
    """The network of a model of one system, for tools that ask for more than an answer.

    Args:
        model: as of `load`.
        system: whose models it must be, such as `normalised_face`.

    Returns:
        The released network, its configuration, its name and its fingerprint.

    Raises:
        ModelError: there is no model, it is damaged, or it is of another system.
    """
    found, fingerprint = identify(model)
    config = folder.read_config(found)
    if config.system != system:
        raise ModelError(
            f"Expected a model of the system {system}. Received: {found.name} of {config.system}."
        )
    with runtime.start_up():
        from ifrp_tf.release import graph_weights, weights
        from ifrp_tf.systems import base
    path = folder.weights_in(found.path) if found.kind == "version" else found.path
    if path is None:  # exported without them: the graph holds the same numbers, batch norms folded
        return graph_weights.load_srn(found.path), config, found.name, fingerprint
    network = base.build_released(config)
    weights.load(network, path)
    return network, config, found.name, fingerprint


def _load_version(path: Path, side: int) -> tuple[Network, bool]:
    with runtime.start_up():
        import tensorflow as tf
    try:
        signatures = tf.saved_model.load(str(path)).signatures
        signature, guided = signatures["serving_default"], signatures.get("recover_attributes")
        spec = signature.structured_input_signature[1]["portrait"]
        expected = spec.dtype == tf.uint8 and spec.shape.as_list() == [None, side, side, 3]
    except Exception as error:  # whatever TensorFlow trips over in a damaged or foreign model
        raise ModelError(f"The model {str(path)!r} cannot be loaded: {error}") from error
    if not expected:
        message = f"Expected a signature of portrait uint8 [None, {side}, {side}, 3]. Received: {spec}."
        raise ModelError(message, hint="The folder's config.json and saved_model.pb do not belong together.")

    def network(portraits: np.ndarray, told: np.ndarray | None = None) -> np.ndarray:
        given = {} if told is None else {"attributes": tf.constant(told)}
        try:
            return (guided if given else signature)(portrait=tf.constant(portraits), **given)["photo"].numpy()
        except tf.errors.InvalidArgumentError as error:
            raise ModelError(f"The model {str(path)!r} gave no usable answer: {error.message}") from error

    return network, guided is not None


def _load_weights(found: folder.ModelFolder) -> tuple[Network, int, bool]:
    config = folder.read_config(found)
    with runtime.start_up():
        import keras

        from ifrp_tf.release import weights
        from ifrp_tf.systems import base
    system, released = base.create(config), base.build_released(config)
    weights.load(released, found.path)

    def network(portraits: np.ndarray, told: np.ndarray | None = None) -> np.ndarray:
        x = images.to_model_range(portraits)
        answer = system.recover(released, x) if told is None else system.recover_told(released, x, told)
        try:
            return images.to_uint8(keras.ops.convert_to_numpy(answer))
        except ImageError as error:
            raise ModelError(f"The model {str(found.path)!r} gave no usable answer: {error}") from error

    return network, config.data.side, bool(system.attributes)


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
