"""FaceNet, from the keras-facenet package: the journal's identity network, and one more face descriptor.

Its weights (95 MB) are not ours to hand out. They are read from a file given, from a folder that holds it, or
from the package's cache, into which they are downloaded where there is a connection. The package draws its
graph with TensorFlow, so this network alone needs that backend; and with `Lambda` layers, which Keras refuses
to read from a file: keep the weights, never a `.keras` file of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
from keras import ops

from ifrp_tf.core import files
from ifrp_tf.core.archives import assign_arrays, model_variables
from ifrp_tf.core.errors import ConfigError, DataError
from ifrp_tf.nn.features.frozen import policy_name, select_outputs

FACENET_FEATURE = "Conv2d_4a_3x3_Activation"
"""FaceNet's analogue of VGG's relu3_2, the journal's "ReLU3-2": 36x36x192, after the ReLU.

It is the second convolution after the second down-sampling (`Conv2d_1a_3x3`, `MaxPool_3a_3x3`), as relu3_2 is
in VGG-19, and the last layer before the third (`Conv2d_4b_3x3`).
"""

WEIGHTS_FILE = "20180402-114759-weights.h5"
"""The weights: Inception-ResNet-v1 trained on VGGFace2, an HDF5 file of Keras 2 with an array a variable."""

_KEY, _SIDE, _NUMBERS = "20180402-114759", 160, 512
_CACHE = Path("~/.keras-facenet") / _KEY
_ENDS = re.compile(r"(Conv2d|Block)((?!Branch).)*_Activation|MaxPool_3a_3x3|Mixed_\da|AvgPool")
_DAMAGED = "The file is damaged, or of another network: fetch it again."


def facenet(
    weights: str | Path | None = "data/weights",
    *,
    outputs: Sequence[str] = ("embedding",),
    dtype: str | None = None,
) -> keras.Model:
    """FaceNet (keras-facenet's Inception-ResNet-v1, 512 numbers) on photos in the tight frame.

    The whole frame is scaled to 160x160 bilinearly, as the package scales the face crops it is given. Levels
    enter as (v - 127.5) / 127.5, the range of our photos: these weights want no whitening of each picture,
    which the package keeps for those of 2017. Compare embeddings by their cosine.

    Args:
        weights: File or folder, see `locate`; `None` leaves random weights (for tests), which follow
            `keras.utils.set_random_seed`.
        outputs: Any of `"embedding"` (of length 1), `FACENET_FEATURE`, or another layer that ends a unit or a
            block of the package's graph (`"Block35_5_Activation"`, `"Mixed_6a"`).
        dtype: `"float32"`, `"bfloat16"` (variables stay float32) or `None`: the global policy.

    Input shape: `[N, 128, 128, 3]`, float32 in `[-1, 1]`.
    Output shape: float32 `[N, 512]` for the embedding; one name gives a tensor, several a dict by name.

    Raises:
        DataError: If the weights are missing, damaged or do not fit, or cannot be downloaded.
        ConfigError: If an output or the dtype is unknown, or the backend is not TensorFlow.

    Example:
        >>> network = facenet("data/weights", outputs=("embedding", FACENET_FEATURE))
        >>> network(photos)["Conv2d_4a_3x3_Activation"].shape
        (16, 36, 36, 192)
    """
    if keras.backend.backend() != "tensorflow":
        raise ConfigError(
            f"FaceNet expects Keras on TensorFlow. Received: {keras.backend.backend()}.",
            hint="Set KERAS_BACKEND=tensorflow, or choose mobilefacenet, which runs on every backend.",
        )
    policy, path = policy_name(dtype), None if weights is None else locate(weights)
    from keras_facenet.inception_resnet_v1 import InceptionResNetV1  # late: it loads OpenCV and TensorFlow

    with _policy(policy):  # no dropout: `training=True` must not change anything
        network = InceptionResNetV1((_SIDE, _SIDE, 3), classes=_NUMBERS, dropout_keep_prob=1.0)
    if path is not None:
        assign_arrays(network, read_arrays(path, network))
    named = {"embedding": network.output}
    named |= {layer.name: layer.output for layer in network.layers if _ENDS.fullmatch(layer.name)}
    network = select_outputs(network.input, named, outputs, "facenet")
    inputs = keras.Input((128, 128, 3), name="photo", dtype="float32")
    # Measured: mtcnn, which cut the training pictures, boxes faces at x 15-109, y -6-121 of the frame.
    scaled = ops.image.resize(inputs, (_SIDE, _SIDE), interpolation="bilinear")
    model = keras.Model(inputs, network(scaled), name="facenet")
    model.trainable = False
    return model


def locate(weights: str | Path = "data/weights") -> Path:
    """Where the weights are, downloaded if need be.

    Args:
        weights: A file (`.h5`), taken as it is; or a folder: `WEIGHTS_FILE` in it, or else in keras-facenet's
            own cache, `~/.keras-facenet/20180402-114759`, or else downloaded into that cache. Of those three
            the checksum must be the one that the package states.

    Returns:
        The file.

    Raises:
        DataError: If the file does not exist, has another checksum, or cannot be downloaded.

    Example:
        >>> locate("data/weights")
        PosixPath('data/weights/20180402-114759-weights.h5')
    """
    given = Path(weights)
    if given.suffix.lower() in (".h5", ".hdf5"):
        if given.is_file():
            return given
        raise DataError(f"Expected FaceNet's weights in {given}, found no such file.", hint="Check the path.")
    from keras_facenet.metadata import MODEL_METADATA

    address, checksum = (MODEL_METADATA[_KEY][f"keras_weights_{part}"] for part in ("url", "sha256"))
    path, kept = given / WEIGHTS_FILE, _CACHE.expanduser() / WEIGHTS_FILE
    if path.is_file():
        if (found := files.sha256(path)) != checksum:
            raise DataError(
                f"Expected {path} to have the SHA-256 {checksum}. Received: {found}.",
                hint=f"Fetch it again from {address}; or name the file itself, to use weights of your own.",
            )
        return path
    kept.parent.mkdir(parents=True, exist_ok=True)  # or Keras takes /tmp/.keras
    hint = f"Fetch {address} where there is a connection, and put it into {given}, or name the file."
    try:
        keras.utils.get_file(
            WEIGHTS_FILE, address, file_hash=checksum, cache_dir=str(kept.parent), cache_subdir=""
        )
    except ValueError as error:  # another checksum; the file is left there
        found, size = files.sha256(kept), kept.stat().st_size
        kept.unlink()
        message = f"Expected {address} to have the SHA-256 {checksum}. Received: {found}, {size:,} bytes."
        raise DataError(message, hint=hint) from error
    except Exception as error:  # what Keras raises where the connection fails
        raise DataError(
            f"Expected FaceNet's weights, {WEIGHTS_FILE}. Found none; the download failed: {error}.",
            hint=hint,
        ) from error
    return kept


@contextmanager
def _policy(name: str) -> Iterator[None]:
    """Layers made within get this dtype policy: the package gives them none."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def read_arrays(path: str | Path, network: keras.Model) -> dict[str, np.ndarray]:
    """Reads the arrays that a network needs from an HDF5 file of Keras 2, each checked.

    Args:
        path: File of `save_weights`, or of a whole saved model: a group a layer, found by the layer's name.
        network: The network whose variables say what is expected.

    Returns:
        float32 arrays by `layer/variable`.

    Raises:
        DataError: If the file cannot be read, or lacks a fitting finite array.

    Example:
        >>> read_arrays("data/weights/20180402-114759-weights.h5", network)["Bottleneck/kernel"].shape
        (1792, 512)
    """
    try:
        with h5py.File(path, "r") as file:
            root = file.get("model_weights", file)
            return {
                name: _checked_array(root, name, tuple(variable.shape), path)
                for name, variable in model_variables(network)
            }
    except DataError:
        raise
    except Exception as error:  # h5py raises whatever it trips over in a damaged file
        raise DataError(f"Expected an HDF5 weights file. Received {path}: {error}", hint=_DAMAGED) from error


def _checked_array(root: Any, name: str, shape: tuple[int, ...], path: str | Path) -> np.ndarray:
    layer, _, variable = name.partition("/")
    listed = root[layer].attrs.get("weight_names", ()) if layer in root else ()
    paths = [item.decode() if isinstance(item, bytes) else str(item) for item in listed]
    found = [item for item in paths if item.rpartition("/")[2].partition(":")[0] == variable]
    if len(found) != 1 or found[0] not in root[layer]:
        raise DataError(f"Expected an array {name!r} of shape {shape} in {path}, found none.", hint=_DAMAGED)
    array = np.asarray(root[layer][found[0]])
    if array.shape != shape or array.dtype.kind != "f":
        received = f"{array.dtype} of shape {array.shape} in {path}"
        raise DataError(f"Expected {name!r} as floats of shape {shape}. Received: {received}.", hint=_DAMAGED)
    if not np.isfinite(array).all():
        raise DataError(f"Expected {name!r} finite. Received: NaN or infinity in {path}.", hint=_DAMAGED)
    return array.astype("float32")
