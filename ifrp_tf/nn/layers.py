"""Layers of the method in `keras.ops`: spatial transformers, residual blocks, normalisation, upsampling."""

from __future__ import annotations

import math
from typing import Any, Literal

import keras
from keras import ops

from ifrp_tf.core.errors import ConfigError
from ifrp_tf.core.types import Tensor

# The building blocks of the networks.

Normalization = Literal["batch", "instance", "group", "none"]
LEAKY_SLOPE = 0.2


def affine_grid(parameters: Tensor, height: int, width: int) -> Tensor:
    """Sampling positions of a similarity transform (IFRP journal, appendix A; `stnbhwd` convention).

    With coordinates normalised to [-1, 1], corners on the centres of the border pixels, the output pixel
    at (y, x) is read from `M (y, x, 1)` with `M = R(theta) S(s) T(t)`:
    `y' = s cos y - s sin x + s (cos t1 - sin t2)`, `x' = s sin y + s cos x + s (sin t1 + cos t2)`.

    Args:
        parameters: float [N, 4]: `(theta in radians, s, t1 = t_y, t2 = t_x)`; identity is (0, 1, 0, 0).
        height: rows of the output.
        width: columns of the output.

    Returns:
        float32 [N, height, width, 2]: (y, x) in pixels of an input of the same size.
    """
    parameters = ops.cast(parameters, "float32")
    theta, scale, shift_y, shift_x = (parameters[:, k, None, None] for k in range(4))
    y = ops.reshape(ops.linspace(-1.0, 1.0, height, dtype="float32"), (1, height, 1)) + shift_y
    x = ops.reshape(ops.linspace(-1.0, 1.0, width, dtype="float32"), (1, 1, width)) + shift_x
    cos, sin = scale * ops.cos(theta), scale * ops.sin(theta)
    rows = (cos * y - sin * x + 1.0) * ((height - 1) / 2)
    columns = (sin * y + cos * x + 1.0) * ((width - 1) / 2)
    return ops.stack([rows, columns], axis=-1)


def bilinear_sample(images: Tensor, positions: Tensor, fill: Literal["zero", "edge"] = "zero") -> Tensor:
    """Reads `images` at fractional `positions`, differentiable in both.

    Args:
        images: float [N, H, W, C].
        positions: float32 [N, h, w, 2]: (y, x) in pixels, 0 and H - 1 being centres of border pixels.
        fill: what is outside: zeros (the paper), or the nearest border pixel.

    Returns:
        [N, h, w, C] of the dtype of `images`.
    """
    count, (height, width, channels) = ops.shape(images)[0], images.shape[1:]
    y, x = positions[..., 0], positions[..., 1]
    if fill == "edge":
        y, x = ops.clip(y, 0.0, height - 1.0), ops.clip(x, 0.0, width - 1.0)
    else:  # one pixel beyond the border every weight is zero already; keeps int32 casts in range
        y, x = ops.clip(y, -1.0, float(height)), ops.clip(x, -1.0, float(width))
    top, left = ops.floor(y), ops.floor(x)
    flat = ops.reshape(images, (-1, channels))
    first = ops.reshape(ops.arange(count, dtype="int32") * (height * width), (-1, 1, 1))
    result: Tensor = 0.0
    # Clipping integers, and asking for what is outside, lets a transform that is not a number come out as
    # such: the index stays valid and the weight does not turn into a plausible zero.
    for row, weight_y in ((top, top + 1.0 - y), (top + 1.0, y - top)):
        outside_y = ops.logical_or(row < 0.0, row > height - 1.0)
        index_y = ops.clip(ops.cast(row, "int32"), 0, height - 1) * width
        for column, weight_x in ((left, left + 1.0 - x), (left + 1.0, x - left)):
            outside = ops.logical_or(outside_y, ops.logical_or(column < 0.0, column > width - 1.0))
            index = first + index_y + ops.clip(ops.cast(column, "int32"), 0, width - 1)
            weight = ops.where(outside, 0.0, weight_y * weight_x)[..., None]
            result = result + ops.take(flat, index, axis=0) * ops.cast(weight, images.dtype)
    return result


@keras.saving.register_keras_serializable("ifrp_tf")
class SpatialTransformer(keras.layers.Layer):
    """Warps a feature map by the similarity transform that a localisation network predicts.

    Journal appendix A; Jaderberg et al. 2015. The grid is always computed in float32.

    Args:
        fill: `"zero"` outside the input as in the paper, or `"edge"` (nearest border pixel).

    Call arguments:
        inputs: `[features, parameters]`, parameters as in `affine_grid`.

    Input shape: `[(N, H, W, C), (N, 4)]`.
    Output shape: `(N, H, W, C)`.

    Example:
        >>> import numpy as np
        >>> picture = np.random.rand(1, 8, 8, 3).astype("float32")
        >>> same = SpatialTransformer()([picture, np.array([[0.0, 1.0, 0.0, 0.0]], "float32")])
        >>> bool(np.abs(np.asarray(same) - picture).max() < 1e-4)
        True
    """

    def __init__(self, fill: Literal["zero", "edge"] = "zero", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if fill not in ("zero", "edge"):
            raise ConfigError(f"SpatialTransformer expects fill 'zero' or 'edge'. Received: fill={fill!r}.")
        self.fill = fill
        self.autocast = False  # a transform in bfloat16 would be a pixel off at 128 pixels

    def call(self, inputs: list[Tensor]) -> Tensor:
        """Warps `inputs[0]` by `inputs[1]`."""
        features, parameters = inputs
        features = ops.cast(features, self.compute_dtype)
        return bilinear_sample(features, affine_grid(parameters, *features.shape[1:3]), self.fill)

    def compute_output_shape(self, input_shape: list[tuple[int | None, ...]]) -> tuple[int | None, ...]:
        """The shape of the features."""
        return tuple(input_shape[0])

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {**super().get_config(), "fill": self.fill}


@keras.saving.register_keras_serializable("ifrp_tf")
class BoundTransform(keras.layers.Layer):
    """Maps four free numbers to a transform that cannot run away: zeros are the identity.

    `theta = max_angle tanh(p0)`, `s = max_scale ** tanh(p1)`, `t = max_shift tanh(p2, p3)`. Unbounded
    localisation networks are known to diverge to all-black outputs; this is our remedy, not the paper's.

    Args:
        max_angle: radians.
        max_scale: largest factor (its inverse is the smallest).
        max_shift: in units where 2 is the whole side.

    Input shape: `(N, 4)`.
    Output shape: `(N, 4)` as in `affine_grid`.
    """

    def __init__(
        self, max_angle: float = math.pi / 4, max_scale: float = 1.5, max_shift: float = 0.5, **kwargs: Any
    ) -> None:
        kwargs.setdefault("dtype", "float32")
        super().__init__(**kwargs)
        self.max_angle, self.max_scale, self.max_shift = max_angle, max_scale, max_shift

    def call(self, inputs: Tensor) -> Tensor:
        """Bounds `inputs`."""
        free = ops.tanh(inputs)
        scale = ops.exp(math.log(self.max_scale) * free[:, 1:2])
        return ops.concatenate([self.max_angle * free[:, :1], scale, self.max_shift * free[:, 2:]], axis=-1)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        bounds = {"max_angle": self.max_angle, "max_scale": self.max_scale, "max_shift": self.max_shift}
        return {**super().get_config(), **bounds}


def normalize(x: Tensor, kind: Normalization, name: str) -> Tensor:
    """Appends a normalisation; batch norm with Torch's momentum 0.1 and epsilon 1e-5 (paper)."""
    if kind == "batch":
        return keras.layers.BatchNormalization(momentum=0.9, epsilon=1e-5, name=name)(x)
    if kind == "instance":
        return keras.layers.GroupNormalization(groups=-1, epsilon=1e-5, name=name)(x)
    if kind == "group":
        if x.shape[-1] % 8:
            raise ConfigError(f"Expected a multiple of 8 channels for group norm. Received: {x.shape[-1]}.")
        return keras.layers.GroupNormalization(groups=8, epsilon=1e-5, name=name)(x)
    if kind == "none":
        return x
    raise ConfigError(f"Expected normalization batch, instance, group or none. Received: {kind!r}.")


def residual_block(x: Tensor, name: str, normalization: Normalization = "batch") -> Tensor:
    """Pre-activation residual block: norm, ReLU, 3x3, norm, ReLU, 1x1, plus the input.

    The journal puts three of them on each skip connection but does not draw one; this form is the
    authors' group's own in their next system (JFFH).

    Input shape: `(N, H, W, C)`.
    Output shape: `(N, H, W, C)`.
    """
    channels = x.shape[-1]
    y = keras.layers.ReLU(name=f"{name}_relu1")(normalize(x, normalization, f"{name}_norm1"))
    y = keras.layers.Conv2D(channels, 3, padding="same", name=f"{name}_conv1")(y)
    y = keras.layers.ReLU(name=f"{name}_relu2")(normalize(y, normalization, f"{name}_norm2"))
    y = keras.layers.Conv2D(channels, 1, name=f"{name}_conv2")(y)
    return keras.layers.Add(name=f"{name}_add")([x, y])


# Doubling height and width.

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
