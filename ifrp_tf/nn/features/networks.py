"""Frozen feature networks: what a photo looks like to a face recogniser and to an object recogniser.

Every network is a `keras.Model` that takes float32 photos `[N, 128, 128, 3]` in `[-1, 1]` in the tight frame
and does its own cropping and rescaling, so a loss or a metric can call it on a recovered photo directly. None
of them learns: no variable is trainable, and `training=True` changes nothing. Their archives, layer names and
crops are documented in `data/weights/WEIGHTS.md`; those of `facenet`, on TensorFlow only, in `facenet.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import keras
import numpy as np
from keras import layers, ops

from ifrp_tf.core.archives import assign_arrays, load_arrays
from ifrp_tf.core.types import Tensor
from ifrp_tf.nn.features.facenet import FACENET_FEATURE as FACENET_FEATURE
from ifrp_tf.nn.features.facenet import facenet as facenet
from ifrp_tf.nn.features.frozen import FrozenPReLU, NetworkInput, initial_kernels, policy_name, select_outputs
from ifrp_tf.pictures.images import to_levels

PHOTO_SHAPE = (128, 128, 3)
MOBILEFACENET_FEATURE = "res_3_block1"
"""MobileFaceNet's analogue of VGG's relu3_2: the 28x28x64 sum after the second residual block of stage 3."""

_EPSILON, _FC_EPSILON = 1e-3, 2e-5
_MOBILEFACENET_CROP = (112, 0.8531, 1.928, 15.641)
# Block, stride, channels inside, channels out.
_MOBILEFACENET_BLOCKS = (
    ("dconv_23", 2, 128, 64),
    *((f"res_3_block{k}", 1, 128, 64) for k in range(4)),
    ("dconv_34", 2, 256, 128),
    *((f"res_4_block{k}", 1, 256, 128) for k in range(6)),
    ("dconv_45", 2, 512, 128),
    *((f"res_5_block{k}", 1, 256, 128) for k in range(2)),
)
_VGG_BLOCKS = ((64, 2), (128, 2), (256, 4))
_DLIB_CROP = (150, 1.2423, -5.494, -7.494)
# The number is that of the channels; "down" halves the side.
_DLIB_BLOCKS = "32_1 32_2 32_3 64_down 64_1 64_2 64_3 128_down 128_1 128_2 256_down 256_1 256_2 256_down_out"


def mobilefacenet(
    weights: str | Path | None = "data/weights",
    *,
    outputs: Sequence[str] = ("embedding",),
    dtype: str | None = None,
    fold: bool = True,
) -> keras.Model:
    """MobileFaceNet (ArcFace-trained, 128 numbers): the differentiable face descriptor of the identity loss.

    Compare L2-normalised embeddings by their cosine: same person 0.63, different persons 0.01 on average. Its
    crop leaves out the lowest 15 rows of the frame (the chin): no gradient reaches them.

    Args:
        weights: Folder with `mobilefacenet.npz`; `None` leaves random weights (for tests).
        outputs: Any of `"embedding"` (raw: norm about 11), the name of a block (`"res_3_block1"`, see
            `MOBILEFACENET_FEATURE`) or of a unit (`"conv_1"`, `"res_3_block0_conv_dw"`) after its activation.
        dtype: `"float32"`, `"bfloat16"` (variables stay float32) or `None`: the global policy.
        fold: Merge each batch normalisation into its convolution: the same function, computed faster.

    Input shape: `[N, 128, 128, 3]`, float32 in `[-1, 1]`.
    Output shape: float32 `[N, 128]` for the embedding; one name gives a tensor, several a dict by name.

    Raises:
        DataError: If the archive is missing, damaged or does not fit.
        ConfigError: If an output or the dtype is unknown.

    Example:
        >>> network = mobilefacenet(outputs=("embedding", MOBILEFACENET_FEATURE), dtype="bfloat16")
        >>> network(photos)["res_3_block1"].shape
        (16, 28, 28, 64)
    """
    policy = policy_name(dtype)
    initial = initial_kernels(weights)
    inputs, named = _mobilefacenet_graph(policy, initial, folded=fold and weights is None)
    if weights is not None:
        network = keras.Model(inputs, named["embedding"])
        arrays = load_arrays(Path(weights) / "mobilefacenet.npz", network)
        if fold:
            arrays = _folded(arrays)
            inputs, named = _mobilefacenet_graph(policy, initial, folded=True)
            network = keras.Model(inputs, named["embedding"])
        assign_arrays(network, arrays)
    return select_outputs(inputs, named, outputs, "mobilefacenet")


def _mobilefacenet_graph(policy: str, initial: str, folded: bool) -> tuple[Tensor, dict[str, Tensor]]:
    """The input and every named tensor of the network; `folded` leaves batch normalisation out."""
    named: dict[str, Tensor] = {}

    def unit(
        x: Tensor, name: str, kernel: int, stride: int = 1, filters: int = 0, active: bool = True
    ) -> Tensor:
        # TensorFlow's CPU gradient of a strided depthwise convolution is 20 times slower in bfloat16.
        own = "float32" if stride == 2 and not filters else policy
        if stride == 2:  # padding 1 all around, less the last row and column, which no window reaches
            x = layers.ZeroPadding2D(((1, 0), (1, 0)), dtype=policy)(x)
        padding = "same" if kernel == 3 and stride == 1 else "valid"
        settings = {"strides": stride, "padding": padding, "use_bias": folded, "dtype": own}
        label = f"{name}_conv2d"
        if filters:
            x = layers.Conv2D(filters, kernel, kernel_initializer=initial, name=label, **settings)(x)
        else:
            x = layers.DepthwiseConv2D(kernel, depthwise_initializer=initial, name=label, **settings)(x)
        if not folded:
            x = layers.BatchNormalization(epsilon=_EPSILON, name=f"{name}_batchnorm", dtype=policy)(x)
        if active:
            x = FrozenPReLU(shared_axes=[1, 2], name=f"{name}_relu", dtype=policy)(x)
        named[name] = x
        return x

    inputs = keras.Input(PHOTO_SHAPE, name="photo", dtype="float32")
    grey = float(to_levels(np.zeros((), "float32")))
    x = NetworkInput([grey] * 3, 128, crop=_MOBILEFACENET_CROP)(inputs)
    x = unit(x, "conv_1", 3, 2, 64)
    x = unit(x, "conv_2_dw", 3)
    for block, stride, inside, out in _MOBILEFACENET_BLOCKS:
        y = unit(x, f"{block}_conv_sep", 1, filters=inside)
        y = unit(y, f"{block}_conv_dw", 3, stride)
        y = unit(y, f"{block}_conv_proj", 1, filters=out, active=False)
        x = y if stride == 2 else layers.Add(name=f"{block}_add", dtype=policy)([x, y])
        named[block] = x
    x = unit(x, "conv_6sep", 1, filters=512)
    x = unit(x, "conv_6dw7_7", 7, active=False)
    x = ops.squeeze(x, (1, 2))
    x = layers.Dense(128, kernel_initializer=initial, name="pre_fc1", dtype=policy)(x)
    if not folded:
        x = layers.BatchNormalization(epsilon=_FC_EPSILON, scale=False, name="fc1", dtype=policy)(x)
    named["embedding"] = x
    return inputs, named


def _folded(arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The arrays of the network without batch normalisation: its gain in the kernels, the rest in biases."""
    folded = {name: array for name, array in arrays.items() if name.endswith("/alpha")}
    for name in (name for name in arrays if name.endswith("/kernel")):
        kernel, layer = arrays[name], name.partition("/")[0]
        norm, epsilon = layer.replace("_conv2d", "_batchnorm"), _EPSILON
        if layer == "pre_fc1":
            norm, epsilon = "fc1", _FC_EPSILON
        spread = np.sqrt(arrays[f"{norm}/moving_variance"] + epsilon)
        gain = arrays.get(f"{norm}/gamma", np.float32(1)) / spread
        bias = arrays.get(f"{layer}/bias", np.float32(0)) - arrays[f"{norm}/moving_mean"]
        depthwise = kernel.ndim == 4 and kernel.shape[-1] == 1
        folded[name] = kernel * (gain[:, None] if depthwise else gain)
        folded[f"{layer}/bias"] = bias * gain + arrays[f"{norm}/beta"]
    return folded


def vgg19(
    weights: str | Path | None = "data/weights",
    *,
    outputs: Sequence[str] = ("block3_conv2",),
    dtype: str | None = None,
    side: int | None = 128,
) -> keras.Model:
    """VGG-19 (ImageNet) up to relu3_4: features for Gram losses and the conference paper's identity loss.

    Args:
        weights: Folder with `vgg19_imagenet_conv1_1_to_conv3_4.npz`; `None` leaves random weights.
        outputs: Any of `"block1_conv1"` .. `"block3_conv4"`, after the ReLU; `"block3_conv2"` is relu3_2.
        dtype: `"float32"`, `"bfloat16"` (variables stay float32) or `None`: the global policy.
        side: Of the pictures, pixels; `None` takes any.

    Input shape: `[N, side, side, 3]`, float32 RGB in `[-1, 1]`.
    Output shape: float32 `[N, side / 4, side / 4, 256]` for relu3_2, >= 0; several outputs: a dict by name.

    Raises:
        DataError: If the archive is missing, damaged or does not fit.
        ConfigError: If an output or the dtype is unknown.

    Example:
        >>> vgg19("data/weights")(photos).shape
        (16, 32, 32, 256)
    """
    policy = policy_name(dtype)
    named: dict[str, Tensor] = {}
    settings = {
        "padding": "same",
        "activation": "relu",
        "kernel_initializer": initial_kernels(weights),
        "dtype": policy,
    }
    inputs = keras.Input((side, side, 3), name="photo", dtype="float32")
    x = NetworkInput((103.939, 116.779, 123.68), bgr=True)(inputs)
    for block, (filters, count) in enumerate(_VGG_BLOCKS, start=1):
        if block > 1:
            x = layers.MaxPooling2D(2, name=f"block{block - 1}_pool", dtype=policy)(x)
        for k in range(1, count + 1):
            name = f"block{block}_conv{k}"
            x = layers.Conv2D(filters, 3, name=name, **settings)(x)
            named[name] = x
    if weights is not None:
        network = keras.Model(inputs, x)
        assign_arrays(network, load_arrays(Path(weights) / "vgg19_imagenet_conv1_1_to_conv3_4.npz", network))
    return select_outputs(inputs, named, outputs, "vgg19")


def dlib_resnet(weights: str | Path | None = "data/weights") -> keras.Model:
    """dlib's face recognition ResNet (128 numbers): the independent descriptor behind FRR and FCR.

    Never use it in a training loss: it measures identity only as long as nothing was optimised against it.
    Compare raw descriptors by their Euclidean distance: same person 0.45, different persons 0.82 on average.

    Args:
        weights: Folder with `dlib_face_resnet.npz`; `None` leaves random weights (for tests).

    Input shape: `[N, 128, 128, 3]`, float32 in `[-1, 1]`.
    Output shape: float32 `[N, 128]`, norm about 1.4.

    Raises:
        DataError: If the archive is missing, damaged or does not fit.

    Example:
        >>> descriptors = dlib_resnet("data/weights")(photos)
    """
    initial = initial_kernels(weights)

    def affine(x: Tensor, name: str, filters: int, kernel: int = 3, stride: int = 1) -> Tensor:
        padding = "same" if stride == 1 else "valid"
        settings = {"strides": stride, "padding": padding, "use_bias": False, "kernel_initializer": initial}
        x = layers.Conv2D(filters, kernel, name=f"{name}_conv", dtype="float32", **settings)(x)
        return layers.BatchNormalization(epsilon=0.0, name=f"{name}_scale", dtype="float32")(x)

    inputs = keras.Input(PHOTO_SHAPE, name="photo", dtype="float32")
    x = NetworkInput((122.782, 117.001, 104.298), 256, crop=_DLIB_CROP)(inputs)
    x = ops.relu(affine(x, "conv32_down", 32, 7, 2))
    x = layers.MaxPooling2D(3, 2, dtype="float32")(x)
    for block in _DLIB_BLOCKS.split():
        filters, down = int(block.partition("_")[0]), "down" in block
        y = ops.relu(affine(x, f"conv{block}_1", filters, stride=2 if down else 1))
        y = affine(y, f"conv{block}_2", filters)
        if down:
            x = layers.AveragePooling2D(2, 2, dtype="float32")(x)
            x = ops.pad(x, [(0, 0), (0, 0), (0, 0), (0, filters - x.shape[-1])])
            missing = (0, x.shape[1] - y.shape[1])
            y = ops.pad(y, [(0, 0), missing, missing, (0, 0)])
        x = ops.relu(x + y)
    x = layers.GlobalAveragePooling2D(dtype="float32")(x)
    x = layers.Dense(128, use_bias=False, kernel_initializer=initial, name="fc", dtype="float32")(x)
    if weights is not None:
        network = keras.Model(inputs, x)
        assign_arrays(network, load_arrays(Path(weights) / "dlib_face_resnet.npz", network))
    return select_outputs(inputs, {"embedding": x}, ("embedding",), "dlib_resnet")
