"""What the frozen feature networks share: input layer, lean PReLU, choice of outputs and dtype."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
from keras import layers, ops

from ifrp_tf.core.errors import ConfigError
from ifrp_tf.core.types import Tensor
from ifrp_tf.pictures.images import to_levels


@keras.saving.register_keras_serializable("ifrp_tf")
class NetworkInput(layers.Layer):
    """From a photo in [-1, 1] to a foreign network's input: levels 0-255, cropped, minus a mean, divided.

    The crop is `out = scale * in + translation` along each axis, as one constant matrix an axis, with the
    weights of a triangle kernel (half-width `1 / scale` input pixels when shrinking, else bilinear). So it
    costs two matrix products, its gradient is exact, and what is outside the photo is black; in float32.

    Args:
        mean: Subtracted from each channel, in levels 0-255, in the order of the output channels.
        divisor: The result is divided by this, > 0.
        crop: `(side, scale, x, y)`: pixels of the square output, output pixels per input pixel, and the
            translation in output pixels (pixel `i` has its centre at `i + 0.5`); `None` keeps the frame.
        bgr: Whether the output channels are blue, green, red.

    Input shape: `[N, H, W, C]`, float in [-1, 1].
    Output shape: `[N, side, side, C]`, or `[N, H, W, C]` without a crop; float32 in
    `[-max(mean) / divisor, (255 - min(mean)) / divisor]`.

    Example:
        >>> layer = NetworkInput((123.68, 116.779, 103.939), crop=(112, 0.8531, 1.928, 15.641))
        >>> layer(np.zeros((2, 128, 128, 3), "float32")).shape
        (2, 112, 112, 3)
    """

    def __init__(
        self,
        mean: Sequence[float],
        divisor: float = 1.0,
        *,
        crop: Sequence[float] | None = None,
        bgr: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**{**kwargs, "dtype": "float32"})
        self.mean, self.divisor, self.bgr = tuple(map(float, mean)), float(divisor), bool(bgr)
        self.crop = None
        if crop is not None:
            side, scale, across, down = crop
            self.crop = (int(side), float(scale), float(across), float(down))

    def build(self, input_shape: tuple[Any, ...]) -> None:
        """Make the resampling matrices for the height, width and channels of `input_shape`."""
        if self.crop is not None:
            _, height, width, channels = input_shape
            side, scale, across, down = self.crop
            self._rows = _resampling_matrix(height, side, scale, down)
            # Interleaved channels make the second product a plain one too, without a transposition.
            columns = _resampling_matrix(width, side, scale, across)
            self._columns = np.kron(columns.T, np.eye(channels, dtype="float32"))
        super().build(input_shape)

    def call(self, inputs: Tensor) -> Tensor:
        """Return the network's input."""
        x = to_levels(inputs)  # black is 0 from here on, so a missing weight means black
        if self.crop is not None:
            height, width, channels = inputs.shape[1:]
            x = ops.reshape(x, (-1, height, width * channels))
            x = ops.matmul(ops.convert_to_tensor(self._rows), x)
            x = ops.matmul(x, ops.convert_to_tensor(self._columns))
            x = ops.reshape(x, (-1, self.crop[0], self.crop[0], channels))
        if self.bgr:
            x = ops.flip(x, axis=-1)
        return (x - ops.convert_to_tensor(self.mean, dtype="float32")) / self.divisor

    def compute_output_shape(self, input_shape: tuple[Any, ...]) -> tuple[Any, ...]:
        """Return `(N, side, side, C)`, or the input's shape without a crop."""
        if self.crop is None:
            return tuple(input_shape)
        return (input_shape[0], self.crop[0], self.crop[0], input_shape[-1])

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the layer."""
        own = {"mean": self.mean, "divisor": self.divisor, "crop": self.crop, "bgr": self.bgr}
        return {**super().get_config(), **own}


def _resampling_matrix(size: int, side: int, scale: float, translation: float) -> np.ndarray:
    """Weights [side, size] of a triangle kernel, normalised over the endless grid: outside counts as 0."""
    reach = max(1.0, 1.0 / scale)
    centres = (np.arange(side) + 0.5 - translation) / scale
    first = np.floor(centres - reach).astype(int)
    taps = first[:, None] + np.arange(int(np.ceil(2 * reach)) + 2)
    weights = np.maximum(0.0, 1.0 - np.abs(taps + 0.5 - centres[:, None]) / reach)
    weights /= weights.sum(axis=1, keepdims=True)
    matrix = np.zeros((side, size), "float32")
    row, tap = np.nonzero((taps >= 0) & (taps < size))
    matrix[row, taps[row, tap]] = weights[row, tap]
    return matrix


@keras.saving.register_keras_serializable("ifrp_tf")
class FrozenPReLU(layers.PReLU):
    """`PReLU` as one selection instead of two rectifiers: the same function, faster on a CPU in bfloat16.

    Input shape: any, last axes as `PReLU`'s `shared_axes` ask.
    Output shape: the same.

    Example:
        >>> FrozenPReLU(shared_axes=[1, 2])(keras.ops.ones((1, 4, 4, 8))).shape
        (1, 4, 4, 8)
    """

    def call(self, inputs: Tensor) -> Tensor:
        """Return `inputs` where positive, `alpha * inputs` elsewhere."""
        return ops.where(inputs > 0, inputs, ops.cast(self.alpha, inputs.dtype) * inputs)


def policy_name(dtype: str | None) -> str:
    """The Keras dtype policy for the `dtype` argument of a network.

    Args:
        dtype: `"float32"`, `"bfloat16"` (computes in bfloat16, keeps variables in float32), or `None`: the
            global policy of `keras.mixed_precision`.

    Raises:
        ConfigError: If `dtype` is anything else.

    Example:
        >>> policy_name("bfloat16")
        'mixed_bfloat16'
    """
    policies = {"float32": "float32", "bfloat16": "mixed_bfloat16", None: keras.config.dtype_policy().name}
    if dtype not in policies:
        raise ConfigError(
            f"dtype must be None, 'float32' or 'bfloat16'. Received: {dtype!r}.",
            hint="None follows the global policy of keras.mixed_precision.",
        )
    return policies[dtype]


def initial_kernels(weights: object) -> str:
    """The initializer of a network's kernels: random only if they stay, for drawing them costs seconds.

    Args:
        weights: Where an archive comes from, or `None` for a network with random weights.

    Example:
        >>> initial_kernels("data/weights")
        'zeros'
    """
    return "glorot_uniform" if weights is None else "zeros"


def select_outputs(
    inputs: Tensor, named: Mapping[str, Tensor], outputs: Sequence[str], name: str
) -> keras.Model:
    """The frozen network from `inputs` to some of its named tensors, as float32.

    Args:
        inputs: Symbolic input.
        named: Symbolic tensors that may be asked for.
        outputs: Names: one gives a model that returns a tensor, several one that returns a dict by name.
        name: Name of the model.

    Raises:
        ConfigError: If no output or an unknown one is named.

    Example:
        >>> select_outputs(photo, {"embedding": x}, ["embedding"], "mobilefacenet")
    """
    wanted = (outputs,) if isinstance(outputs, str) else tuple(outputs)
    unknown = [output for output in wanted if output not in named]
    if unknown or not wanted:
        raise ConfigError(
            f"{name} expects one or more of these outputs: {', '.join(named)}. Received: {list(outputs)}.",
            hint="Outputs are named as in data/weights/WEIGHTS.md.",
        )
    chosen = {}
    for key in wanted:
        chosen[key] = layers.Activation("linear", dtype="float32", name=f"{key}_output")(named[key])
    model = keras.Model(inputs, chosen if len(wanted) > 1 else chosen[wanted[0]], name=name)
    model.trainable = False
    return model
