"""SqueezeNet 1.1 (Iandola et al., 2016): a perceptual network eleven times cheaper than VGG-19 to relu3_2.

Frozen, trained on ImageNet. `perceptual_distance` of its maps, unit-normalised over channels and without any
learned weights, is what the evaluation calls `squeeze_distance`; it is not LPIPS, whose weights are learned.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import keras
import numpy as np
from keras import layers, ops

from ifrp_tf.core.archives import read_arrays
from ifrp_tf.core.errors import DataError
from ifrp_tf.core.types import Tensor
from ifrp_tf.nn.features.frozen import NetworkInput, initial_kernels, policy_name, select_outputs

ARCHIVE = "squeezenet11_imagenet.npz"
TAPS = ("conv1", "fire3", "fire5", "fire6", "fire7", "fire8", "fire9")
"""The seven maps that a distance compares."""

LOSS_TAPS = ("conv1", "fire3", "fire5", "fire7", "fire9")
"""The maps that the loss compares."""

_MEAN = (103.939, 116.779, 123.68)  # blue, green, red, levels
# Channels of the squeezing 1x1 convolution; each of the two expanding ones has four times as many.
_FIRES = {2: 16, 3: 16, 4: 32, 5: 32, 6: 48, 7: 48, 8: 64, 9: 64}
_POOLED_BEFORE = (2, 4, 6)


def squeezenet(
    weights: str | Path | None = "data/weights",
    *,
    outputs: Sequence[str] = TAPS,
    dtype: str | None = None,
    side: int | None = 128,
) -> keras.Model:
    """SqueezeNet 1.1 without its classifier.

    Args:
        weights: Folder with `squeezenet11_imagenet.npz`; `None` leaves random weights (for tests).
        outputs: Any of `"conv1"`, `"fire2"` .. `"fire9"`, after their ReLU.
        dtype: `"float32"`, `"bfloat16"` (variables stay float32) or `None`: the global policy.
        side: Of the pictures, pixels; `None` takes any of at least 32.

    Input shape: `[N, side, side, 3]`, float32 RGB in `[-1, 1]`.
    Output shape: float32 `[N, h, w, channels]`, >= 0; several outputs: a dict by name. For a side of 128,
        `conv1` is 63 x 63 x 64 and `fire9` 7 x 7 x 512.

    Raises:
        DataError: If the archive is missing, damaged or does not fit.
        ConfigError: If an output or the dtype is unknown.

    Example:
        >>> squeezenet("data/weights", outputs=("fire3",))(photos).shape
        (16, 31, 31, 128)
    """
    policy, initial = policy_name(dtype), initial_kernels(weights)
    named: dict[str, Tensor] = {}

    def convolution(x: Tensor, name: str, filters: int, kernel: int = 1, stride: int = 1) -> Tensor:
        padding = "valid" if stride == 2 else "same"
        layer = layers.Conv2D(
            filters, kernel, stride, padding, activation="relu", kernel_initializer=initial,
            name=name.replace("/", "_"), dtype=policy,
        )  # fmt: skip
        return layer(x)

    inputs = keras.Input((side, side, 3), name="photo", dtype="float32")
    x = NetworkInput(_MEAN, bgr=True)(inputs)
    x = named["conv1"] = convolution(x, "conv1", 64, 3, 2)
    for number, inside in _FIRES.items():
        if number in _POOLED_BEFORE:
            x = layers.MaxPooling2D(3, 2, dtype=policy)(x)
        name = f"fire{number}"
        x = convolution(x, f"{name}/squeeze1x1", inside)
        parts = [convolution(x, f"{name}/expand{k}x{k}", 4 * inside, k) for k in (1, 3)]
        x = named[name] = layers.Concatenate(dtype=policy)(parts)
    if weights is not None:
        _assign(keras.Model(inputs, x), Path(weights) / ARCHIVE)
    return select_outputs(inputs, named, outputs, "squeezenet")


def perceptual_distance(first: Mapping[str, Tensor], second: Mapping[str, Tensor]) -> Tensor:
    """How far apart two sets of pictures are for a network, one number a picture.

    At every place of every map the vectors of channels are brought to length one; squared differences are
    summed over channels, averaged over places, and summed over maps.

    Args:
        first: maps `[N, h, w, C]` by name.
        second: the same of the other pictures.

    Output shape: `[N]`, float32, in `[0, 4 * len(first)]`.

    Example:
        >>> perceptual_distance(network(recovered), network(photos))
    """
    total: Tensor = 0.0
    for name, one in first.items():
        difference = _unit(one) - _unit(second[name])
        total = total + ops.mean(ops.sum(ops.square(difference), axis=-1), axis=(1, 2))
    return total


def _unit(maps: Tensor) -> Tensor:
    maps = ops.cast(maps, "float32")
    return maps * ops.rsqrt(ops.sum(ops.square(maps), axis=-1, keepdims=True) + 1e-6)


def _assign(network: keras.Model, path: Path) -> None:
    arrays = read_arrays(path)
    for layer in network.layers:
        if not layer.weights:
            continue
        # Keras allows no slash in the name of a layer, which the archive has after `fire2`.
        name = layer.name.replace("_", "/") if layer.name.startswith("fire") else layer.name
        found = [arrays.get(f"{name}/{part}", np.zeros(0)) for part in ("kernel", "bias")]
        if any(a.shape != tuple(w.shape) for a, w in zip(found, layer.weights, strict=True)):
            raise DataError(
                f"Expected {name} of SqueezeNet 1.1 in {path}. Received another architecture.",
                hint="data/weights/WEIGHTS.md describes the archive.",
            )
        layer.set_weights([array.astype("float32") for array in found])
