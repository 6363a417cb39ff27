"""Misalign photographs in their plane, and say exactly which transform would align them again.

One convention throughout, the one of the spatial transformers (appendix A of the journal paper): coordinates
are normalised and ordered `(y, x, 1)`; -1 and +1 lie on the **centres of the border pixels** (what other
libraries call `align_corners`), so a pixel `i` of a side of `n` pixels is at `2 i / (n - 1) - 1`. A turn
by a positive angle takes the y axis (down) to the x axis (right): on the screen the content turns
**counter-clockwise**. Shifts are in units in which 2.0 is the whole side: `p` pixels of a side of 128 are
`p / 64` (a border pixel's centre then moves `p * 127 / 128` pixels).

`parameters = (angle, scale, shift_y, shift_x)` describe the movement of the **content of the aligned photo**:
turned by `angle`, enlarged by `scale`, then shifted. A point of the aligned photo at `q` is found in the
misaligned picture at

    q' = scale * R(angle) q + shift,        R(angle) = [[cos, -sin], [sin, cos]].

The same map, written as the sampling grid `M = R(theta) S(s) T(t)` of a spatial transformer, takes every
pixel of the *aligned* output to the place in the *misaligned* input where its value is. It therefore
undoes the misalignment; `undoing_parameters` gives its `(theta, s, t1, t2)`.
"""

from __future__ import annotations

import math

from keras import ops

from ifrp_tf.core.errors import ConfigError
from ifrp_tf.core.types import Tensor

SMALL_ANGLES: tuple[float, ...] = (0.0, -5.0, 5.0, -10.0, 10.0, -15.0, 15.0, -20.0, 20.0, -30.0, 30.0)
"""Degrees of the journal paper's ablation of the spatial transformers: {0, ±5, ±10, ±15, ±20, ±30}."""

LARGE_ANGLES: tuple[float, ...] = (0.0, -15.0, 15.0, -30.0, 30.0)
"""Degrees of the coarser set of the same ablation: {0, ±15, ±30}."""

FILLS: tuple[str, ...] = ("nearest", "reflect", "constant")
"""What is outside the photograph: its border pixels, its mirror image, or mid-grey (0.0)."""


def similarity_parameters(
    noise: Tensor,
    *,
    max_angle: float = 30.0,
    max_scale: float = 0.15,
    max_shift: float = 8.0,
    angles: tuple[float, ...] | None = None,
) -> Tensor:
    """Turns uniform noise into the parameters of in-plane misalignments (section 4, data; appendix A).

    Args:
        noise: Float tensor `[N, 4]` of uniform numbers in `[0, 1)`.
        max_angle: Largest turn either way in degrees, in `[0, 180]`. Unused where `angles` is given.
        max_scale: Largest relative change of size, in `[0, 1)`; 0.15 gives scales of 0.85 to 1.15.
        max_shift: Largest shift along either axis in pixels of a side of 128, in `[0, 64]`.
        angles: Degrees to choose from with equal chances, such as `SMALL_ANGLES`; None for a uniform angle.

    Returns:
        Float32 tensor `[N, 4]`: angle in radians, scale factor, shift along y and along x in normalised units
        (2.0 is the whole side).

    Raises:
        ConfigError: If a limit is outside its range or `angles` is empty.

    Example:
        >>> similarity_parameters([[0.5, 0.5, 0.5, 0.5]])
        [[0.0, 1.0, 0.0, 0.0]]
    """
    for name, value, top in (("max_angle", max_angle, 180.0), ("max_shift", max_shift, 64.0)):
        if not 0.0 <= value <= top:
            raise ConfigError(
                f"{name} must lie in [0, {top:g}], received {value!r}.", hint=f"Choose a smaller {name}."
            )
    if not 0.0 <= max_scale < 1.0:
        raise ConfigError(
            f"max_scale must lie in [0, 1), received {max_scale!r}.", hint="0.15 means 85 to 115 per cent."
        )
    if angles is not None and not angles:
        raise ConfigError(
            "angles must name at least one angle, received none.", hint="Use None for any angle."
        )
    noise = ops.cast(noise, "float32")
    if angles is None:
        degrees = (2.0 * noise[:, 0] - 1.0) * max_angle
    else:
        # Noise just below one may round up to the length of the set.
        which = ops.minimum(ops.cast(noise[:, 0] * len(angles), "int32"), len(angles) - 1)
        degrees = ops.take(ops.convert_to_tensor(angles, dtype="float32"), which, axis=0)
    scale = 1.0 + (2.0 * noise[:, 1] - 1.0) * max_scale
    shifts = (2.0 * noise[:, 2:4] - 1.0) * (max_shift / 64.0)
    return ops.concatenate([ops.stack([degrees * (math.pi / 180.0), scale], axis=-1), shifts], axis=-1)


def misalign(photos: Tensor, parameters: Tensor, fill: str = "nearest") -> Tensor:
    """Turns, scales and shifts photographs in their plane, with bilinear sampling.

    Args:
        photos: Float32 tensor `[N, H, W, 3]`, any range; H and W known, at least 2.
        parameters: Float32 tensor `[N, 4]` of `similarity_parameters`: how the content moves.
        fill: What is outside the photograph, one of `FILLS`. `"reflect"` mirrors about the outer edge.

    Input shape: `[N, H, W, 3]` and `[N, 4]`. Output shape: `[N, H, W, 3]`, the range of the input.

    Raises:
        ConfigError: If `fill` is unknown.

    Example:
        >>> tilted = misalign(photos, similarity_parameters(noise))
    """
    if fill not in FILLS:
        raise ConfigError(f"fill must be one of {FILLS}, received {fill!r}.", hint="'nearest' suits faces.")
    height, width = photos.shape[1], photos.shape[2]
    parameters = ops.cast(parameters, "float32")
    angle, scale, shift_y, shift_x = (parameters[:, i] for i in range(4))
    # The sampler wants, for each output pixel, the input pixel: the inverse movement, in pixels from a
    # corner.
    cos, sin = ops.cos(angle) / scale, ops.sin(angle) / scale
    half_y, half_x = (height - 1) / 2.0, (width - 1) / 2.0
    yy, yx = cos, sin * (half_y / half_x)
    xy, xx = -sin * (half_x / half_y), cos
    centre_y, centre_x = half_y * (1.0 + shift_y), half_x * (1.0 + shift_x)
    offset_y = half_y - yy * centre_y - yx * centre_x
    offset_x = half_x - xy * centre_y - xx * centre_x
    zero = ops.zeros_like(angle)
    transform = ops.stack([xx, xy, offset_x, yx, yy, offset_y, zero, zero], axis=-1)
    return ops.image.affine_transform(
        photos, transform, interpolation="bilinear", fill_mode=fill, data_format="channels_last"
    )


def undoing_parameters(parameters: Tensor) -> Tensor:
    """Gives the transformer's `(theta, s, t1, t2)` that aligns a misaligned picture again (appendix A).

    With `M = R(theta) S(s) T(t)` on coordinates `(y, x, 1)`,

        y' = s cos y - s sin x + s (cos t1 - sin t2),    x' = s sin y + s cos x + s (sin t1 + cos t2),

    sampling the misaligned picture at `(y', x')` for every output pixel `(y, x)` gives the aligned photo. So
    `theta` and `s` are the angle and the scale of the movement itself, and `t = R(-angle) shift / scale`,
    because `T` acts before the turn and the shift of the content after it.

    Args:
        parameters: Float tensor `[N, 4]` of `similarity_parameters`, scales above 0.

    Returns:
        Float32 tensor `[N, 4]`: `theta` in radians, `s` as a factor, `t1` (along y) and `t2` (along x) in
        normalised units.

    Example:
        >>> undoing_parameters([[0.0, 2.0, 0.5, 0.0]])
        [[0.0, 2.0, 0.25, 0.0]]
    """
    parameters = ops.cast(parameters, "float32")
    angle, scale, shift_y, shift_x = (parameters[:, i] for i in range(4))
    cos, sin = ops.cos(angle) / scale, ops.sin(angle) / scale
    return ops.stack([angle, scale, cos * shift_y + sin * shift_x, cos * shift_x - sin * shift_y], axis=-1)


def parameters_of(undoing: Tensor) -> Tensor:
    """The inverse of `undoing_parameters`: how the content moved, of what undoes it.

    Args:
        undoing: Float tensor `[N, 4]`: `theta` in radians, `s` above 0, `t1`, `t2` in normalised units.

    Returns:
        Float32 tensor `[N, 4]` of `similarity_parameters`.

    Example:
        >>> parameters_of([[0.0, 2.0, 0.25, 0.0]])
        [[0.0, 2.0, 0.5, 0.0]]
    """
    undoing = ops.cast(undoing, "float32")
    theta, scale, up, along = (undoing[:, i] for i in range(4))
    cos, sin = ops.cos(theta) * scale, ops.sin(theta) * scale
    return ops.stack([theta, scale, cos * up - sin * along, sin * up + cos * along], axis=-1)


def between(first: Tensor, second: Tensor) -> Tensor:
    """The movement that after a first one makes a second one of the two: `second = between after first`.

    Args:
        first: Float tensor `[N, 4]` of `similarity_parameters`, scales above 0.
        second: The same: where the content is to be in the end.

    Returns:
        Float32 tensor `[N, 4]` of `similarity_parameters`.

    Example:
        >>> between([[0.1, 1.0, 0.0, 0.0]], [[0.3, 1.1, 0.0, 0.05]])
        [[0.2, 1.1, 0.0, 0.05]]
    """
    first, second = ops.cast(first, "float32"), ops.cast(second, "float32")
    angle, scale = second[:, 0] - first[:, 0], second[:, 1] / first[:, 1]
    cos, sin = ops.cos(angle) * scale, ops.sin(angle) * scale
    down = second[:, 2] - cos * first[:, 2] + sin * first[:, 3]
    across = second[:, 3] - sin * first[:, 2] - cos * first[:, 3]
    return ops.stack([angle, scale, down, across], axis=-1)
