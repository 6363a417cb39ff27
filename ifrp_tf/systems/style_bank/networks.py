"""The bank as a Keras network: `styles/bank.py` with variables that can be trained."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import ops

from ifrp_tf.core.errors import DataError
from ifrp_tf.core.types import Tensor
from ifrp_tf.nn.features import networks
from ifrp_tf.styles import bank

GRAM_LAYERS = ("block1_conv2", "block2_conv2", "block3_conv2", "block3_conv4")
CONTENT_LAYER = "block3_conv2"
SIDE = 96
"""Pictures that the bank is trained on, pixels a side."""


@keras.saving.register_keras_serializable("ifrp_tf")
class Bank(keras.layers.Layer):
    """Paints photographs, each in a style of its own.

    Args:
        count: number of styles.
        frozen: whether the convolutions (the trunk) are left as they are.
        compute: dtype of the convolutions; parameters of styles and normalisations are float32.

    Input: `[photos, style]`: float32 [N, H, W, 3] in [-1, 1] and int32 [N], 0 to count - 1.
    Output shape: `[N, H, W, 3]`, float32 in (-1, 1).
    """

    def __init__(self, count: int, *, frozen: bool = False, compute: str = "float32", **options: Any) -> None:
        super().__init__(**{**options, "dtype": "float32"})
        self.count, self.frozen, self.compute = count, frozen, compute

    def build(self, input_shape: Any) -> None:
        """Makes the trunk, then the table of styles."""
        trunk = bank.initial_trunk(0)
        self.trunk = {
            name: self.add_weight(shape=value.shape, name=name, trainable=not self.frozen)
            for name, value in trunk.items()
        }
        self.styles = self.add_weight(shape=(self.count, bank.PARAMETERS), name="styles")

    def assign(self, trunk: Mapping[str, np.ndarray], styles: np.ndarray) -> None:
        """Sets the trunk, by name, and the styles [count, PARAMETERS]."""
        for name, variable in self.trunk.items():
            variable.assign(trunk[name])
        self.styles.assign(styles)

    def call(self, inputs: list[Tensor]) -> Tensor:
        """Paints."""
        photos, style = inputs
        trunk = {name: ops.cast(variable, self.compute) for name, variable in self.trunk.items()}
        return bank.stylise(trunk, ops.take(self.styles, style, axis=0), photos)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        own = {"count": self.count, "frozen": self.frozen, "compute": self.compute}
        return {**super().get_config(), **own}


def build_bank(count: int, *, frozen: bool, compute: str) -> keras.Model:
    """A network with one layer, `bank`.

    Args:
        count, frozen, compute: as for `Bank`.
    """
    photos = keras.Input((SIDE, SIDE, 3), name="photos")
    style = keras.Input((), dtype="int32", name="style")
    layer = Bank(count, frozen=frozen, compute=compute, name="bank")
    return keras.Model([photos, style], layer([photos, style]), name="style_bank")


def perceptual_network(
    weights: str | Path | None, dtype: str, source: keras.Model | None = None
) -> keras.Model:
    """VGG-19 for the content and Gram terms: from the archive, or else from `keras.applications`.

    Args:
        weights: folder with the VGG-19 archive; None = random weights, for tests.
        dtype: of the computation.
        source: a `keras.applications.VGG19` to take the weights from; by default what Keras downloads.

    Returns:
        A network of the outputs `GRAM_LAYERS`, for pictures of any side.

    Raises:
        DataError: if there is neither an archive nor a download.
    """
    options: dict[str, Any] = {"outputs": GRAM_LAYERS, "dtype": dtype, "side": None}
    if source is None and (weights is None or any(Path(weights).glob("vgg19*.npz"))):
        return networks.vgg19(weights, **options)
    try:
        source = source or keras.applications.VGG19(include_top=False)
    except Exception as error:  # whatever the download meets
        raise DataError(
            f"Expected VGG-19 in {str(weights)!r}, or from keras.applications. Received: {error}.",
            hint="Put the archive into the folder of weights, or connect to the network once.",
        ) from error
    network = networks.vgg19(None, **options)
    for layer in network.layers:
        if layer.weights:
            layer.set_weights(source.get_layer(layer.name).get_weights())
    return network
