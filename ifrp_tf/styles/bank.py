"""Learned styles: one feed-forward network, and for every style the parameters of its normalisations.

The network of Johnson et al. (2016), narrow, with resize-convolutions and the conditional instance
normalisation of Dumoulin et al. (2017): the convolutions (the trunk) are the same for all styles, a style is
the scale and offset of every channel. So a style costs about a thousand numbers, a group of pictures costs
the same whatever its style, and styles can be mixed. The first style, `photograph`, gives the picture back.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from ifrp_tf.core import assets
from ifrp_tf.core.archives import read_arrays
from ifrp_tf.core.errors import DataError
from ifrp_tf.core.types import Tensor

PREFIX = "bank_"
"""What names of learned styles begin with: `bank_candy` is not the formula `candy`."""

PHOTOGRAPH = "photograph"
RESERVED = tuple(
    PREFIX + name
    for name in ("wave", "feathers", "sketch", "composition_vii", "starry_night", "udnie", "la_muse")
)
"""The paper's unseen styles: tested on, never trained on."""

FOLDER = str(assets.folder() / "style_bank")
TRUNK, RESERVED_FILE = "trunk.npz", "reserved.npz"

# (name, kernel, stride, channels in, channels out, normalised): "up" doubles the side first.
_DOWN = (("conv1", 5, 2, 3, 24), ("conv2", 3, 2, 24, 48))
_BLOCKS = tuple((f"block{k}{half}", 3, 1, 48, 48) for k in range(1, 5) for half in "ab")
_UP = (("up1", 3, 1, 48, 24), ("up2", 3, 1, 24, 16))
_LAST = ("out", 5, 1, 16, 3)
_NORMALISED = (*_DOWN, *_BLOCKS, *_UP)
PARAMETERS = 2 * sum(channels for *_, channels in _NORMALISED)
"""Numbers that make a style: a scale and an offset for every channel that is normalised."""

_EPSILON = 1e-5


@dataclasses.dataclass(frozen=True)
class StyleBank:
    """The trunk and the styles.

    Attributes:
        trunk: float32 kernels `[k, k, in, out]` and biases by name, as `initial_trunk` makes them.
        styles: float32 [PARAMETERS] by name; `photograph` among them.
    """

    trunk: Mapping[str, np.ndarray]
    styles: Mapping[str, np.ndarray]

    @property
    def names(self) -> tuple[str, ...]:
        """Every style but `photograph`, in order, with the prefix."""
        return tuple(PREFIX + name for name in self.styles if name != PHOTOGRAPH)

    def table(self, names: tuple[str, ...]) -> np.ndarray:
        """Float32 [1 + len(names), PARAMETERS]: the photograph's parameters, then those of `names`."""
        rows = [self.styles[name.removeprefix(PREFIX)] for name in names]
        return np.stack([self.styles[PHOTOGRAPH], *rows])


def initial_trunk(seed: int) -> dict[str, np.ndarray]:
    """A trunk to train: He-normal kernels; only the last convolution, which is not normalised, has a bias.

    Args:
        seed: of the random kernels.
    """
    random = np.random.default_rng(seed)
    trunk = {
        name: random.normal(0, np.sqrt(2 / (kernel**2 * inside)), (kernel, kernel, inside, out))
        for name, kernel, _, inside, out in (*_NORMALISED, _LAST)
    }
    trunk["out"] *= 0.3
    trunk["out_bias"] = np.zeros(3)
    return {name: values.astype(np.float32) for name, values in trunk.items()}


def initial_style() -> np.ndarray:
    """Float32 [PARAMETERS]: scales 1, offsets 0."""
    parts = [part for *_, channels in _NORMALISED for part in (np.ones(channels), np.zeros(channels))]
    return np.concatenate(parts).astype(np.float32)


def stylise(trunk: Mapping[str, Tensor], style: Tensor, photos: Tensor) -> Tensor:
    """Paints photographs in the style of some parameters (Johnson et al., section 3.1).

    Args:
        trunk: as in `StyleBank`; its dtype is that of the computation (bfloat16 is faster on some CPUs).
        style: float [N, PARAMETERS] or [1, PARAMETERS]: rows of `StyleBank.table`, or mixtures of them.
        photos: float [N, H, W, 3] in [-1, 1]; H and W multiples of 4.

    Output shape: `[N, H, W, 3]`, float32 in (-1, 1).

    Example:
        >>> bank = load()
        >>> stylise(bank.trunk, bank.table(("bank_candy",))[1:], photos)  # doctest: +SKIP
    """
    from keras import ops  # late: names and numbers of a bank need no Keras

    position = 0

    def normalised(x: Tensor, layer: tuple[str, int, int, int, int]) -> Tensor:
        nonlocal position
        channels = layer[-1]
        x = _convolve(x, trunk[layer[0]], layer[2])
        y = ops.cast(x, "float32")
        mean, variance = ops.moments(y, axes=(1, 2), keepdims=True)
        scale = style[:, None, None, position : position + channels]
        offset = style[:, None, None, position + channels : position + 2 * channels]
        position += 2 * channels
        factor = scale * ops.rsqrt(variance + _EPSILON)
        return x * ops.cast(factor, x.dtype) + ops.cast(offset - mean * factor, x.dtype)

    x = ops.cast(photos, trunk["conv1"].dtype)
    for layer in _DOWN:
        x = ops.relu(normalised(x, layer))
    for first, second in zip(_BLOCKS[::2], _BLOCKS[1::2], strict=True):
        x = x + normalised(ops.relu(normalised(x, first)), second)
    for layer in _UP:
        x = ops.relu(normalised(ops.repeat(ops.repeat(x, 2, axis=1), 2, axis=2), layer))
    x = ops.cast(_convolve(x, trunk["out"], 1), "float32") + ops.cast(trunk["out_bias"], "float32")
    return ops.tanh(x)


def mixed(table: Tensor, style: Tensor, strength: Tensor, second: Tensor, share: Tensor) -> Tensor:
    """Parameters between two styles and on the way from the photograph.

    Args:
        table: float32 [1 + K, PARAMETERS] of `StyleBank.table`.
        style: int scalar, 0 to K - 1.
        strength: float32 [N] in [0, 1]: 0 is the photograph.
        second: int scalar: another style.
        share: float32 [N] in [0, 1]: how much of the second.

    Output shape: `[N, PARAMETERS]`.
    """
    from keras import ops

    table = ops.convert_to_tensor(table)
    share, strength = share[:, None], strength[:, None]
    pure = ops.take(table, style + 1, axis=0)[None] * (1.0 - share)
    pure = pure + ops.take(table, second + 1, axis=0)[None] * share
    return table[:1] * (1.0 - strength) + pure * strength


@functools.lru_cache(maxsize=4)
def load(folder: str = "") -> StyleBank:
    """Reads a bank: `trunk.npz`, and the styles of every other `.npz` beside it.

    Args:
        folder: made by `tools/train_style_bank.py`; empty = `FOLDER`, the one that is shipped.

    Raises:
        DataError: if it holds no whole bank.
    """
    root = Path(folder or FOLDER)
    try:
        trunk = {name: values.astype(np.float32) for name, values in read_arrays(root / TRUNK).items()}
        files = [path for path in sorted(root.glob("*.npz")) if path.name != TRUNK]
        parts = [read_arrays(path) for path in files]
    except DataError as error:
        raise DataError(
            f"Expected a style bank in {str(root)!r}. Received: {error}",
            hint="Train one with tools/train_style_bank.py, or choose styles=procedural.",
        ) from error
    styles = {name: values.astype(np.float32) for part in parts for name, values in part.items()}
    expected = {name: values.shape for name, values in initial_trunk(0).items()}
    if {name: values.shape for name, values in trunk.items()} != expected or PHOTOGRAPH not in styles:
        raise DataError(f"{str(root)!r} holds a style bank of another architecture, or without photograph.")
    wrong = [name for name, values in styles.items() if values.shape != (PARAMETERS,)]
    if wrong:
        raise DataError(f"Expected {PARAMETERS} numbers a style in {str(root)!r}. Received others: {wrong}.")
    wrong = [name for name, values in {**trunk, **styles}.items() if not np.isfinite(values).all()]
    if wrong:
        raise DataError(f"Expected finite numbers in {str(root)!r}. Received NaN or infinity in {wrong}.")
    return StyleBank(trunk, styles)


def _convolve(x: Tensor, kernel: Tensor, stride: int) -> Tensor:
    """A convolution whose padding mirrors the picture, so that no frame appears."""
    from keras import ops

    margin = kernel.shape[0] // 2
    x = ops.pad(x, [[0, 0], [margin, margin], [margin, margin], [0, 0]], mode="reflect")
    return ops.conv(x, kernel, strides=stride, padding="valid", data_format="channels_last")
