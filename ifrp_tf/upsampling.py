"""Doubling height and width: transposed convolutions, and resizing with a convolution after it."""

from __future__ import annotations

from typing import Any, Literal

import keras
from keras import ops

from ifrp_tf.errors import ConfigError
from ifrp_tf.types import Tensor

# Row k of the doubled picture's 3 taps falls on these 4 rows of a transposed convolution's kernel.
_SPREAD = ((1.0, 0.0, 0.0), (1.0, 1.0, 0.0), (0.0, 1.0, 1.0), (0.0, 0.0, 1.0))
_WIDEST = 4


@keras.saving.register_keras_serializable("ifrp_tf")
class ResizeConv2D(keras.layers.Conv2D):
    """Nearest-neighbour doubling and a 3x3 convolution, computed as one transposed convolution.

    Doubling is a transposed convolution with a 2x2 kernel of ones, and two convolutions in a row are one: the
    result is a 4x4 kernel of stride 2. It is the same function to rounding, borders included, with 16
    multiplications where the two layers have 36, and the doubled picture is never written to memory.

    Its weights are those of the 3x3 convolution.

    Args:
        filters: channels of the output.
        **kwargs: as of `keras.layers.Conv2D`, but kernel size, strides, padding and the like are fixed.

    Input shape: `(N, H, W, C)`.
    Output shape: `(N, 2 H, 2 W, filters)`.

    Example:
        >>> ResizeConv2D(3)(keras.ops.ones((1, 4, 4, 8))).shape
        TensorShape([1, 8, 8, 3])
    """

    def __init__(self, filters: int, **kwargs: Any) -> None:
        fixed = {"kernel_size": (3, 3), "padding": "same"}
        super().__init__(filters, **{**kwargs, **fixed})
        if self.strides != (1, 1) or self.dilation_rate != (1, 1) or self.groups != 1:
            raise ConfigError(
                "ResizeConv2D expects strides, dilation_rate and groups of 1. "
                f"Received: {self.strides}, {self.dilation_rate}, {self.groups}."
            )

    def call(self, inputs: Tensor) -> Tensor:
        """Doubles and convolves `inputs`."""
        outputs = ops.conv_transpose(
            inputs, transposed_kernel(self.kernel), strides=2, padding="same", data_format="channels_last"
        )
        if self.use_bias:
            outputs = outputs + self.bias
        return outputs if self.activation is None else self.activation(outputs)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Twice the height and width."""
        height, width = (side and 2 * side for side in input_shape[1:3])
        return (input_shape[0], height, width, self.filters)


def transposed_kernel(kernel: Tensor) -> Tensor:
    """The kernel of the transposed convolution of stride 2 that doubles and then convolves.

    Args:
        kernel: [3, 3, C, D] of a convolution (which is a correlation).

    Returns:
        [4, 4, D, C] of the same dtype, as `keras.ops.conv_transpose` takes it.
    """
    spread = ops.cast(ops.convert_to_tensor(_SPREAD), kernel.dtype)
    # A transposed convolution paints its kernel, a convolution reads through it: mirrored.
    return ops.einsum("ai,bj,ijcd->abdc", spread, spread, ops.flip(kernel, axis=(0, 1)))


def upsample(
    x: Tensor, channels: int, kind: Literal["transposed", "resize"], name: str, **kwargs: Any
) -> Tensor:
    """Doubles height and width: 4x4 transposed convolution (paper), or nearest resize and 3x3 (no grid).

    Input shape: `(N, H, W, C)`.
    Output shape: `(N, 2 H, 2 W, channels)`.
    """
    if kind == "transposed":
        return keras.layers.Conv2DTranspose(
            channels, 4, strides=2, padding="same", name=f"{name}_deconv", **kwargs
        )(x)
    if kind != "resize":
        raise ConfigError(f"Expected upsampling 'transposed' or 'resize'. Received: {kind!r}.")
    if channels <= _WIDEST:
        return ResizeConv2D(channels, name=f"{name}_conv", **kwargs)(x)
    # Measured on a CPU: with more channels it is no faster; into three it saves an eighth of a training step.
    x = keras.layers.UpSampling2D(2, interpolation="nearest", name=f"{name}_up")(x)
    return keras.layers.Conv2D(channels, 3, padding="same", name=f"{name}_conv", **kwargs)(x)
