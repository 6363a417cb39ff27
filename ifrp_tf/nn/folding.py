"""Batch normalisations folded into the convolutions before them: the same function with fewer operations."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from ifrp_tf.core.types import Tensor
from ifrp_tf.nn.layers import ResizeConv2D

_CHANNEL_AXIS: dict[type, int] = {
    keras.layers.Conv2D: 3,
    ResizeConv2D: 3,
    keras.layers.Conv2DTranspose: 2,
    keras.layers.Dense: 1,
}


def fold_batch_norms(model: keras.Model) -> keras.Model:
    """A copy of a model for inference, without the batch norms that a linear layer can absorb.

    In inference `norm(conv(x))` is `gamma (W x + b - mean) / sqrt(variance + eps) + beta`: a convolution with
    `W gamma / sqrt(variance + eps)` and another bias. A norm is folded where its input is a convolution or
    dense layer with a bias and no activation that nothing else reads; others stay.

    Args:
        model: a built functional model with one input; left as it is.

    Returns:
        A new model of equal outputs up to float32 rounding; not for training.

    Example:
        >>> fold_batch_norms(build_srn(ModelConfig(width=8, skips="none"))).count_params()  # doctest: +SKIP
    """
    pairs = _foldable(model)
    folded = keras.models.clone_model(model, call_function=lambda layer, *inputs, **options: _call(
        layer, pairs, *inputs, **options
    ))  # fmt: skip
    by_norm = {layer.name: model.get_layer(norm) for norm, layer in pairs.items()}
    for layer in [layer for layer in folded.layers if layer.weights]:
        source = model.get_layer(layer.name)
        values = source.get_weights()
        if layer.name in by_norm:
            values = _absorb(values, by_norm[layer.name], _CHANNEL_AXIS[type(source)])
        layer.set_weights(values)
    return folded


def _call(layer: Any, pairs: dict[str, Any], *inputs: Any, **options: Any) -> Tensor:
    return inputs[0] if layer.name in pairs else layer(*inputs, **options)


def _foldable(model: keras.Model) -> dict[str, Any]:
    """Name of each batch norm to fold -> the layer that absorbs it."""
    readers: dict[int, int] = {}
    makers: dict[int, Any] = {}
    for output in model.outputs:
        readers[id(output)] = 1
    for layer in model.layers:
        inputs = layer.input if isinstance(layer.input, list) else [layer.input]
        for tensor in inputs:
            readers[id(tensor)] = readers.get(id(tensor), 0) + 1
        makers[id(layer.output)] = layer
    pairs = {}
    for norm in model.layers:
        before = makers.get(id(norm.input)) if isinstance(norm, keras.layers.BatchNormalization) else None
        if before is not None and type(before) in _CHANNEL_AXIS and readers[id(norm.input)] == 1:
            linear = before.use_bias and before.activation is keras.activations.linear
            if linear and norm.axis in (-1, len(norm.input.shape) - 1):
                pairs[norm.name] = before
    return pairs


def _absorb(values: list[np.ndarray], norm: Any, axis: int) -> list[np.ndarray]:
    kernel, bias = (value.astype(np.float64) for value in values)
    state = {
        name: keras.ops.convert_to_numpy(variable).astype(np.float64)
        for name in ("gamma", "beta", "moving_mean", "moving_variance")
        if (variable := getattr(norm, name)) is not None
    }
    factor = state.get("gamma", 1.0) / np.sqrt(state["moving_variance"] + norm.epsilon)
    shape = [1] * kernel.ndim
    shape[axis] = -1
    bias = (bias - state["moving_mean"]) * factor + state.get("beta", 0.0)
    return [(kernel * factor.reshape(shape)).astype(np.float32), bias.astype(np.float32)]
