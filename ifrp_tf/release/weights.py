"""Weights files of the networks: all of them loaded or an error, and half-precision copies for shipping."""

from __future__ import annotations

import warnings
from pathlib import Path

import h5py
import keras
import numpy as np

from ifrp_tf.core.errors import ModelError


def load(model: keras.Model, path: str | Path) -> None:
    """Loads a `.weights.h5` of float32 or float16: all of it or an error, and only finite numbers.

    Args:
        model: a built model of the architecture that the file was saved from.
        path: the file.

    Raises:
        ModelError: the file is missing or damaged, does not fit, or holds NaN or infinity.

    Example:
        >>> load(networks.build_srn(config.model), "saved_models/ifrp/1/srn.weights.h5")  # doctest: +SKIP
    """
    hint = "The configuration beside the weights must be the one that they were trained with."
    try:
        with h5py.File(path) as file:
            count = len(_datasets(file))
        if count != len(model.weights):
            message = f"{str(path)!r}: expected {len(model.weights)} arrays. Received: {count}."
            raise ModelError(message, hint=hint)
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            model.load_weights(path)
        left = [str(warning.message) for warning in warned if "Skipping" in str(warning.message)]
        if left:  # Keras only warns where it leaves weights as they were
            raise ValueError(left[0])
    except ModelError:
        raise
    except Exception as error:  # h5py and Keras raise whatever they trip over in a damaged file
        words = " ".join(str(error).split())[:400]
        raise ModelError(f"The weights {str(path)!r} cannot be loaded: {words}", hint=hint) from error
    for weight in model.weights:
        if not np.isfinite(keras.ops.convert_to_numpy(weight)).all():
            message = f"Expected finite weights in {str(path)!r}. Received: NaN or infinity in {weight.path}."
            raise ModelError(message, hint="Training diverged; choose an earlier checkpoint.")


def to_half(array: np.ndarray, name: str) -> np.ndarray:
    """Rounds weights to float16.

    Args:
        array: finite floats of at most 65,504.
        name: what they are, for the error.

    Raises:
        ModelError: a number is too large for float16.

    Example:
        >>> to_half(np.array([0.1], np.float32), "bias")
        array([0.1], dtype=float16)
    """
    with np.errstate(over="ignore"):
        half = array.astype(np.float16)
    if not np.isfinite(half).all():
        largest = np.abs(array).max()
        raise ModelError(f"Expected weights of at most 65,504 in {name}. Received: {largest}.")
    return half


def write_half(source: str | Path, target: str | Path) -> None:
    """Copies a `.weights.h5` with every float rounded to float16; `load` reads both alike.

    Args:
        source: a file that Keras wrote.
        target: the copy, replaced where it exists.

    Raises:
        ModelError: the source cannot be read, or a number does not fit.
    """
    try:
        with h5py.File(source) as whole, h5py.File(target, "w") as copy:

            def add(name: str, item: h5py.Group | h5py.Dataset) -> None:
                if isinstance(item, h5py.Group):
                    made = copy.require_group(name)
                else:
                    values = item[()]
                    is_float = item.dtype.kind == "f"
                    made = copy.create_dataset(name, data=to_half(values, name) if is_float else values)
                made.attrs.update(item.attrs)

            copy.attrs.update(whole.attrs)
            whole.visititems(add)
    except OSError as error:
        raise ModelError(f"The weights {str(source)!r} cannot be copied: {error}.") from error


def _datasets(file: h5py.File) -> list[h5py.Dataset]:
    found: list[h5py.Dataset] = []
    file.visititems(lambda _, item: found.append(item) if isinstance(item, h5py.Dataset) else None)
    return found
