"""Localisation networks: what a Spatial Transformer looks at to decide how to turn, scale and shift.

The paper's sit inside the SRN (appendix A). Ours looks at the portrait itself and learns in training what
the right answer was (`losses.alignment_loss`).
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from ifrp_tf.core.types import Tensor
from ifrp_tf.nn.layers import LEAKY_SLOPE, BoundTransform, Normalization, SpatialTransformer, normalize
from ifrp_tf.systems.ifrp.settings import ModelConfig

# Journal appendix A: convolutions of the localisation networks, each followed by ReLU and a 2x2 max pool
# down to 4x4; then a Conv(20) without padding to 2x2, Dense(20) and Dense(4).
LOCALISATION_TABLES = {
    "stn1": (64, 128, 256, 20),
    "stn2": (128, 256, 20),
    "stn3": (256, 20),
    "stn4": (64, 128, 256),
    "stn3_wacv": (20,),
}
ALIGNMENT_LAYER = "stn0_transform"
"""The layer of an SRN with `stn=input` whose output is the transform that the portrait is read through."""

_CASCADE = (32, 64, 128, 192)


def inner_transformer(x: Tensor, name: str, config: ModelConfig) -> Tensor:
    """A Spatial Transformer with a localisation network of the paper's tables (or a light one).

    Args:
        x: [N, H, W, C] features.
        name: a key of `LOCALISATION_TABLES`; begins the names of the layers.
        config: `localisation`, `stn_start` and `stn_bounded` are used.

    Output shape: that of `x`.
    """
    y = x
    if config.localisation != "full":
        y = keras.layers.AveragePooling2D(max(1, x.shape[1] // 16), name=f"{name}_shrink")(y)
        for k in range(1, 3):
            y = keras.layers.Conv2D(
                32, 3, strides=2, padding="same", activation="relu", name=f"{name}_conv{k}"
            )(y)
    else:
        for k, channels in enumerate(LOCALISATION_TABLES[name], 1):
            y = keras.layers.Conv2D(channels, 3, padding="same", activation="relu", name=f"{name}_conv{k}")(y)
            y = keras.layers.MaxPooling2D(2, name=f"{name}_pool{k}")(y)
        y = keras.layers.Conv2D(20, 3, padding="valid", activation="relu", name=f"{name}_conv_valid")(y)
    y = keras.layers.Flatten(name=f"{name}_flatten")(y)
    y = keras.layers.Dense(20, activation="relu", name=f"{name}_dense1")(y)
    return SpatialTransformer(name=name)([x, _transform(y, name, config)])


def input_transformer(portrait: Tensor, config: ModelConfig) -> Tensor:
    """Our addition: one transformer on the portrait itself, whose target is known in training.

    Its localisation network sees the portrait at half size, or at `align_side` pixels. What it predicts is
    supervised by the synthetic misalignment, so the rest of the network sees an upright face. With
    `localisation=cascade` a second network looks at what the first one aligned and corrects it; the portrait
    is still sampled once, through both transforms composed.

    Args:
        portrait: [N, S, S, 3] in [-1, 1].
        config: `localisation`, `align_side`, `normalization`, `stn_start` and `stn_bounded` are used.

    Output shape: that of `portrait`.
    """
    times = portrait.shape[1] // config.align_side if config.align_side else 2
    small = keras.layers.AveragePooling2D(times, name="stn0_shrink")(portrait)
    if config.localisation == "cascade":
        first = _cascade_stage(small, "align1", config)
        nearer = SpatialTransformer("edge", name="align1")([small, first])
        transform = ComposeTransforms(name=ALIGNMENT_LAYER)([first, _cascade_stage(nearer, "align2", config)])
        return SpatialTransformer("edge", name="stn0")([portrait, transform])
    y, scale = small, 1 if config.localisation == "light" else 2
    for k, channels in enumerate([32, 64, 128, 128], 1):
        kernel = 5 if k == 1 else 3
        y = keras.layers.Conv2D(scale * channels, kernel, strides=2, padding="same", name=f"stn0_conv{k}")(y)
        y = _stage(y, f"stn0_{k}", config.normalization)
    y = keras.layers.Flatten(name="stn0_flatten")(y)
    y = keras.layers.Dense(128, activation="relu", name="stn0_dense1")(y)
    return SpatialTransformer("edge", name="stn0")([portrait, _transform(y, "stn0", config)])


@keras.saving.register_keras_serializable("ifrp_tf")
class ComposeTransforms(keras.layers.Layer):
    """The one transform that does what two do after each other.

    Reading through `first` and then reading the result through `second` is reading once through
    `M1 M2 = R(a1) S(s1) T(t1) R(a2) S(s2) T(t2)`, whose angle is `a1 + a2`, whose scale is `s1 s2`, and
    whose shift is `t2 + R(-a2) t1 / s2`.

    Call arguments:
        inputs: `[first, second]`, parameters as in `layers.affine_grid`.

    Input shape: `[(N, 4), (N, 4)]`.
    Output shape: `(N, 4)`.

    Example:
        >>> turn, move = np.array([[0.5, 1, 0, 0]]), np.array([[0, 1, 0.1, 0]])
        >>> ComposeTransforms()([turn, move])
        [[0.5, 1.0, 0.1, 0.0]]
    """

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("dtype", "float32")
        super().__init__(**kwargs)

    def call(self, inputs: list[Tensor]) -> Tensor:
        """Composes `inputs[0]` and `inputs[1]`."""
        (angle1, scale1, y1, x1), (angle2, scale2, y2, x2) = (ops.split(part, 4, axis=1) for part in inputs)
        cos, sin = ops.cos(angle2) / scale2, ops.sin(angle2) / scale2
        shift = [y2 + cos * y1 + sin * x1, x2 - sin * y1 + cos * x1]
        return ops.concatenate([angle1 + angle2, scale1 * scale2, *shift], axis=1)

    def compute_output_shape(self, input_shape: list[tuple[int | None, ...]]) -> tuple[int | None, ...]:
        """The shape of one transform."""
        return tuple(input_shape[0])


def _cascade_stage(picture: Tensor, name: str, config: ModelConfig) -> Tensor:
    y = picture
    for k, channels in enumerate(_CASCADE, 1):
        kernel = 5 if k == 1 else 3
        y = keras.layers.Conv2D(channels, kernel, strides=2, padding="same", name=f"{name}_conv{k}")(y)
        y = _stage(y, f"{name}_{k}", config.normalization)
        if k > 1:
            y = keras.layers.Conv2D(channels, 3, padding="same", name=f"{name}_conv{k}b")(y)
            y = _stage(y, f"{name}_{k}b", config.normalization)
    y = keras.layers.Flatten(name=f"{name}_flatten")(y)
    y = keras.layers.Dense(192, activation="relu", name=f"{name}_dense1")(y)
    return _transform(y, name, config)


def _stage(x: Tensor, name: str, kind: Normalization) -> Tensor:
    return keras.layers.LeakyReLU(LEAKY_SLOPE, name=f"{name}_leaky")(normalize(x, kind, f"{name}_norm"))


def _transform(y: Tensor, name: str, config: ModelConfig) -> Tensor:
    """The last dense layer, which starts at the identity (or at the authors' 57.3 degrees)."""
    start: list[float] = [0.0, 1.0, 0.0, 0.0] if config.stn_start == "identity" else [1.0, 1.0, 0.0, 0.0]
    if config.stn_bounded:
        start = [0.0] * 4
    options: dict[str, Any] = {"dtype": "float32", "kernel_initializer": "zeros"}
    free = "_free" if config.stn_bounded else "_transform"
    y = keras.layers.Dense(4, bias_initializer=_Start(start), name=f"{name}{free}", **options)(y)
    return BoundTransform(name=f"{name}_transform")(y) if config.stn_bounded else y


@keras.saving.register_keras_serializable("ifrp_tf")
class _Start(keras.initializers.Initializer):
    """A fixed vector as initial bias."""

    def __init__(self, values: list[float]) -> None:
        self.values = list(values)

    def __call__(self, shape: Any, dtype: Any = None) -> Tensor:
        return ops.reshape(ops.convert_to_tensor(self.values, dtype=dtype), shape)

    def get_config(self) -> dict[str, Any]:
        return {"values": self.values}
