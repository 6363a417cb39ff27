"""The two networks of the method: `build_srn` (style removal) and `build_discriminator`.

Plain Keras functional models. The journal draws the SRN only in part; `WORKSPACE.md` lists which widths
are given and which are reconstructed. Every option is a field of `ModelConfig`.
"""

from __future__ import annotations

import keras

from ifrp_tf.core.errors import ConfigError
from ifrp_tf.core.types import Tensor
from ifrp_tf.nn.layers import LEAKY_SLOPE, Normalization, normalize, residual_block, upsample
from ifrp_tf.systems.ifrp.localisation import (
    ALIGNMENT_LAYER,
    LOCALISATION_TABLES,
    inner_transformer,
    input_transformer,
)
from ifrp_tf.systems.ifrp.settings import ModelConfig

TOLD_LEVELS = (4, 3)
"""Decoder levels that attributes join: 8 and 16 pixels of 128. At 32 they made patterns."""

TOLD = "attributes"
"""Begins the names of the layers that attributes go through."""

TOLD_SCALE = 10.0
"""Of the vector: steps of Adam are of one size whatever the weights are, and these begin at zero."""

__all__ = ["ALIGNMENT_LAYER", "LOCALISATION_TABLES", "build_discriminator", "build_srn"]


def build_srn(config: ModelConfig | None = None, *, side: int = 128, attributes: int = 0) -> keras.Model:
    """The style removal network: portraits in, recovered photographs out.

    Args:
        config: architecture and options; the journal's network by default.
        side: side of the square pictures, pixels: a multiple of 32; at least 128 for full inner transformers.
        attributes: numbers of a second input `attributes`, which join the `ijcv` network in its decoder
            (`_told`); 0 for no such input. The other layers keep their names and shapes.

    Input shape: `(N, side, side, 3)`, float32 in [-1, 1]; with attributes a list of it and `(N, attributes)`.
    Output shape: `(N, side, side, 3)`, float32, about [-1, 1]: clip before use.

    Raises:
        ConfigError: if `side` is not such a number (128 for the conference networks).

    Example:
        >>> build_srn(ModelConfig(width=8, stn="none"), side=32).output_shape
        (None, 32, 32, 3)
    """
    config = config or ModelConfig()
    if side % 32 or (config.srn in ("wacv", "fdnn") and side != 128):
        raise ConfigError(f"Expected a side that is a multiple of 32 (128 for wacv, fdnn). Received: {side}.")
    if side < 128 and config.stn == "paper" and config.localisation == "full":
        raise ConfigError(
            f"Expected a side of 128 or more for stn=paper with localisation=full. Received: {side}.",
            hint="The localisation tables pool five times: choose localisation=light, stn=input or stn=none.",
        )
    portrait = keras.Input((side, side, 3), name="portrait")
    vector = keras.Input((attributes,), name=TOLD) if attributes else None
    if config.srn == "ijcv":
        told = None if vector is None else keras.layers.Rescaling(TOLD_SCALE, name=f"{TOLD}_scale")(vector)
        x = _srn_journal(portrait, config, told)
    elif vector is not None:
        raise ConfigError(f"Expected srn=ijcv with attributes. Received: srn={config.srn}.")
    else:
        x = (input_transformer if config.srn == "aligner" else _srn_conference)(portrait, config)
    photo = keras.layers.Activation(config.output, dtype="float32", name="photo")(x)
    inputs = portrait if vector is None else [portrait, vector]
    return keras.Model(inputs, photo, name=f"srn_{config.srn}")


def build_discriminator(config: ModelConfig | None = None, *, side: int = 128) -> keras.Model:
    """The discriminative network of the authors' code: 4 x (conv, max pool, norm, leaky ReLU), 2 dense.

    Args:
        config: `discriminator_width` and `discriminator_normalization` are used.
        side: side of the square pictures, pixels: a multiple of 16.

    Input shape: `(N, side, side, 3)`, float32 in [-1, 1].
    Output shape: `(N, 1)`, float32 logits: the sigmoid of the paper is part of the loss.
    """
    config = config or ModelConfig()
    width = config.discriminator_width
    photo = keras.Input((side, side, 3), name="photo")
    x = photo
    for k, (channels, kernel) in enumerate([(width, 5), (2 * width, 5), (4 * width, 5), (3 * width, 3)], 1):
        x = keras.layers.Conv2D(channels, kernel, padding="same", name=f"d{k}_conv")(x)
        x = keras.layers.MaxPooling2D(2, name=f"d{k}_pool")(x)
        x = normalize(x, config.discriminator_normalization, f"d{k}_norm")
        x = keras.layers.LeakyReLU(LEAKY_SLOPE, name=f"d{k}_leaky")(x)
    x = keras.layers.Flatten(name="flatten")(x)
    x = keras.layers.Dense(32 * width, name="dense1")(x)
    x = keras.layers.LeakyReLU(LEAKY_SLOPE, name="dense1_leaky")(x)
    logits = keras.layers.Dense(1, dtype="float32", name="logits")(x)
    return keras.Model(photo, logits, name="dn")


def _stage(x: Tensor, name: str, kind: Normalization) -> Tensor:
    return keras.layers.LeakyReLU(LEAKY_SLOPE, name=f"{name}_leaky")(normalize(x, kind, f"{name}_norm"))


def _told(x: Tensor, vector: Tensor, level: int) -> Tensor:
    """Adds what an attribute vector says at each place; at first nothing.

    Behind a convolution this equals widening its kernel by a channel for each attribute that holds its value
    everywhere, but what is added may differ from place to place: faces are aligned here, and a mouth is in
    few cells. At a vector of zeros nothing is ever added.
    """
    shape = tuple(x.shape[1:])
    size = shape[0] * shape[1] * shape[2]
    said = keras.layers.Dense(size, use_bias=False, kernel_initializer="zeros", name=f"{TOLD}{level}_dense")(
        vector
    )
    said = keras.layers.Reshape(shape, name=f"{TOLD}{level}_reshape")(said)
    return keras.layers.Add(name=f"{TOLD}{level}_add")([x, said])


def _srn_journal(portrait: Tensor, config: ModelConfig, vector: Tensor | None = None) -> Tensor:
    """Journal network (reconstruction of method notes 2.2): encoder, bottleneck, decoder, skips."""
    kind, width = config.normalization, config.width
    paper_stn = config.stn == "paper"
    x = input_transformer(portrait, config) if config.stn == "input" else portrait
    encoded = []
    for k in range(1, 6):
        x = keras.layers.Conv2D(
            min(2 ** (k - 1), 16) * width, 4, strides=2, padding="same", name=f"e{k}_conv"
        )(x)
        x = _stage(x, f"e{k}", kind)
        if paper_stn and k <= 2:
            x = inner_transformer(x, f"stn{k}", config)
        encoded.append(x)
    x = _bottleneck(x, config)
    for k in range(4, 0, -1):
        channels = 2 ** (k - 1) * width
        x = upsample(x, channels, config.upsampling, f"d{k}")
        if vector is not None and k in TOLD_LEVELS:
            x = _told(x, vector, k)
        x = _stage(x, f"d{k}", kind)
        for block in range(1, 1 + config.deep_blocks * (k in (4, 3))):
            x = residual_block(x, f"deep{k}_block{block}", kind)
        if paper_stn and k in (3, 2):
            x = inner_transformer(x, "stn3" if k == 3 else "stn4", config)
        x = _join_skip(x, encoded[k - 1], k, config)
    return upsample(x, 3, config.upsampling, "out")


def _bottleneck(x: Tensor, config: ModelConfig) -> Tensor:
    channels = x.shape[-1]
    if config.bottleneck == "conv":
        x = keras.layers.Conv2D(channels, 3, padding="same", name="bottleneck_conv")(x)
        return _stage(x, "bottleneck", config.normalization)
    shape = x.shape[1:]
    x = keras.layers.Dense(2048, name="bottleneck_dense")(keras.layers.Flatten(name="bottleneck_flatten")(x))
    x = keras.layers.Dense(shape[0] * shape[1] * shape[2], name="bottleneck_expand")(x)
    return keras.layers.Reshape(shape, name="bottleneck_reshape")(x)


def _join_skip(x: Tensor, skip: Tensor, level: int, config: ModelConfig) -> Tensor:
    """The skip connection of `level` (1 = highest resolution), if the configuration has it."""
    if config.skips == "none" or (level > 2 and config.skips != "unet"):
        return x
    if config.skips == "top2_residual":
        for block in range(1, 1 + config.skip_blocks):
            skip = residual_block(skip, f"skip{level}_block{block}", config.normalization)
    merge = keras.layers.Concatenate if config.skip_merge == "concat" else keras.layers.Add
    return merge(name=f"skip{level}_{config.skip_merge}")([x, skip])


def _srn_conference(portrait: Tensor, config: ModelConfig) -> Tensor:
    """WACV'18 network as in the authors' code; `fdnn` (DICTA'17) is the same without transformers."""
    kind = config.normalization
    has_stn = config.srn == "wacv" and config.stn != "none"
    x = portrait
    for k, (channels, kernel) in enumerate([(16, 5), (32, 5), (64, 3), (128, 3), (256, 1), (512, 1)], 1):
        x = keras.layers.Conv2D(channels, kernel, padding="same", name=f"e{k}_conv")(x)
        x = _stage(x, f"e{k}", kind)
        if has_stn and k in (2, 3):
            x = inner_transformer(x, f"stn{k - 1}", config)
        x = keras.layers.MaxPooling2D(2, name=f"e{k}_pool")(x)
    shape = x.shape[1:]
    x = keras.layers.Dense(2048, name="bottleneck_dense")(keras.layers.Flatten(name="bottleneck_flatten")(x))
    x = keras.layers.Reshape(shape, name="bottleneck_reshape")(x)
    stages = [(256, 1, 2), (128, 3, 2), (64, 3, 2), (512, 3, 2), (256, 3, 2), (128, 5, 2), (64, 5, 1)]
    # As in the authors' code: conv, norm, ReLU, then nearest-neighbour doubling where the list says 2.
    for k, (channels, kernel, factor) in enumerate(stages, 1):
        x = keras.layers.Conv2D(channels, kernel, padding="same", name=f"d{k}_conv")(x)
        x = keras.layers.ReLU(name=f"d{k}_relu")(normalize(x, kind, f"d{k}_norm"))
        if factor == 2:
            x = keras.layers.UpSampling2D(2, name=f"d{k}_up")(x)
        if has_stn and k == 2:
            x = inner_transformer(x, "stn3_wacv", config)
    return keras.layers.Conv2D(3, 5, padding="same", name="out_conv")(x)
