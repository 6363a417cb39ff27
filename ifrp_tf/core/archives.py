"""Weight archives: plain `.npz` files with one checked array per variable of a network, never a pickle."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ifrp_tf.core.errors import DataError
from ifrp_tf.core.files import write_bytes_atomic

if TYPE_CHECKING:
    import keras

_DAMAGED = "The archive is damaged, or not the one that WEIGHTS.md beside it describes: fetch it again."
_MOST_BYTES = 2**30


def model_variables(model: keras.Model) -> Iterator[tuple[str, Any]]:
    """Every variable of a network with its name in an archive, `layer/variable`.

    Args:
        model: A functional model.

    Example:
        >>> dict(model_variables(vgg19(None)))["block1_conv1/bias"].shape
        (64,)
    """
    for layer in model.layers:
        for variable in layer.weights:
            yield f"{layer.name}/{variable.name}", variable


def load_arrays(path: Path, model: keras.Model) -> dict[str, np.ndarray]:
    """Read the arrays that a network needs, each checked for presence, type, shape and values.

    Args:
        path: A `.npz` archive with one array per variable, named `layer/variable`.
        model: The network whose variables say what is expected.

    Returns:
        float32 arrays by name.

    Raises:
        DataError: If the archive is missing, cannot be read, or lacks a fitting finite array.

    Example:
        >>> load_arrays(Path("data/weights/mobilefacenet.npz"), network)["pre_fc1/bias"].shape
        (128,)
    """
    if not path.is_file():
        raise DataError(
            f"Expected the weight archive {path.name} in {path.parent or '.'}, found none.",
            hint="Put it there, or name the folder that holds it (argument `weights`, default data/weights).",
        )
    try:
        if not zipfile.is_zipfile(path):
            raise zipfile.BadZipFile("not a zip file")
        with np.load(path, allow_pickle=False) as archive:
            wanted = dict(model_variables(model))
            return {name: _checked_array(archive, name, tuple(wanted[name].shape), path) for name in wanted}
    except DataError:
        raise
    except Exception as error:  # zipfile and NumPy raise whatever they trip over in a damaged file
        raise DataError(f"Expected a NumPy .npz archive. Received {path}: {error}", hint=_DAMAGED) from error


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """Reads every array of an archive.

    Args:
        path: A `.npz` archive.

    Raises:
        DataError: If it is missing, cannot be read or would unpack to more than a gibibyte.
    """
    try:
        with zipfile.ZipFile(path) as members:
            size = sum(member.file_size for member in members.infolist())
        if size > _MOST_BYTES:
            raise ValueError(f"{size:,} bytes when unpacked, more than {_MOST_BYTES:,}")
        with np.load(path, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except Exception as error:  # zipfile and NumPy raise whatever they trip over in a damaged file
        raise DataError(f"Expected a NumPy .npz archive. Received {path}: {error}.") from error


def write_arrays(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Writes an archive, whole or not at all.

    Args:
        path: The `.npz` to write; its folder exists.
        arrays: By name; no objects.
    """
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)  # type: ignore[arg-type]  # an option among them would be one of bool
    write_bytes_atomic(path, buffer.getvalue())


def _checked_array(archive: Any, name: str, shape: tuple[int, ...], path: Path) -> np.ndarray:
    if name not in archive.files:
        raise DataError(f"Expected an array {name!r} of shape {shape} in {path}, found none.", hint=_DAMAGED)
    found, dtype = declared(archive, name)  # before any of it is unpacked: it may be a bomb
    if dtype.kind != "O" and (found != shape or dtype.kind != "f"):
        received = f"{dtype} of shape {found} in {path}"
        raise DataError(f"Expected {name!r} as floats of shape {shape}. Received: {received}.", hint=_DAMAGED)
    array = archive[name]  # refuses objects itself
    if not np.isfinite(array).all():
        raise DataError(f"Expected {name!r} finite. Received: NaN or infinity in {path}.", hint=_DAMAGED)
    return array.astype("float32")


def declared(archive: Any, name: str) -> tuple[tuple[int, ...], np.dtype]:
    """Shape and type of an array by its header; nothing is unpacked, for it may be a bomb.

    Args:
        archive: from `np.load`.
        name: of an array in it.
    """
    with archive.zip.open(f"{name}.npy") as member:
        first = np.lib.format.read_magic(member) == (1, 0)
        read = np.lib.format.read_array_header_1_0 if first else np.lib.format.read_array_header_2_0
        shape, _, dtype = read(member)
    return shape, dtype


def assign_arrays(model: keras.Model, arrays: Mapping[str, np.ndarray]) -> None:
    """Give every variable of a network its array.

    Args:
        model: A functional model.
        arrays: float32 arrays by `layer/variable`, one for every variable of the model.

    Example:
        >>> assign_arrays(network, load_arrays(path, network))
    """
    for name, variable in model_variables(model):
        variable.assign(arrays[name])
