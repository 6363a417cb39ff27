"""Distances of pictures for networks that learned to see: what a person notices and PSNR does not.

`squeeze` compares seven maps of SqueezeNet, `vgg` three of VGG-19 (relu1_2, 2_2, 3_2), each unit-normalised
over channels, equal weights (`squeezenet.perceptual_distance`). A model trained with one of them in its loss
is to be judged by the other.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

import keras
import numpy as np

from ifrp_tf.core.errors import ConfigError, DataError
from ifrp_tf.nn.features import networks, squeezenet
from ifrp_tf.pictures import images

NAMES = ("squeeze", "vgg")
SMALLEST_SIDE = 32
"""Pixels below which SqueezeNet has nothing left to look at."""

_VGG_UNITS = ("block1_conv2", "block2_conv2", "block3_conv2")
_FILES = {"squeeze": squeezenet.ARCHIVE, "vgg": "vgg19_imagenet_conv1_1_to_conv3_4.npz"}


class Perceptual:
    """One of the distances.

    Args:
        name: of `NAMES`.
        weights: folder with the network's weights.
        side: of the pictures, pixels.

    Attributes:
        name: of the distance.
        fingerprint: hash of the weights, 16 hexadecimal digits.

    Raises:
        ConfigError: if the name is unknown.
        DataError: if the weights are missing or damaged.

    Example:
        >>> Perceptual("squeeze", side=128).distances(answers, photos)  # doctest: +SKIP
        array([2.31, 2.74], dtype=float32)
    """

    def __init__(self, name: str, weights: str | Path = "data/weights", *, side: int = 128) -> None:
        if name not in NAMES:
            raise ConfigError(f"Unknown distance {name!r}.", hint=f"Known: {', '.join(NAMES)}.")
        path = Path(weights) / _FILES[name]
        builders: dict[str, Callable[[], keras.Model]] = {
            "squeeze": lambda: squeezenet.squeezenet(weights, dtype="float32", side=side),
            "vgg": lambda: networks.vgg19(weights, outputs=_VGG_UNITS, dtype="float32", side=side),
        }
        self.name, self._network = name, builders[name]()
        try:
            self.fingerprint = hashlib.sha256(path.read_bytes()).hexdigest()[:16]
        except OSError as error:
            raise DataError(f"Expected the weights {path}. Received: {error}.") from error

    def distances(self, pictures: np.ndarray, photos: np.ndarray) -> np.ndarray:
        """How far each picture is from its photograph.

        Args:
            pictures: uint8 [N, side, side, 3], RGB.
            photos: uint8 [N, side, side, 3].

        Returns:
            Float32 [N], at least 0.
        """
        if not len(photos):
            return np.zeros(0, np.float32)
        maps = [self._network.predict_on_batch(images.to_model_range(part)) for part in (pictures, photos)]
        return np.asarray(squeezenet.perceptual_distance(*maps), np.float32)


def load(names: str, weights: str | Path = "data/weights", *, side: int = 128) -> Sequence[Perceptual]:
    """The distances that a comma-separated list names.

    Args:
        names: of `NAMES`; empty or `none` for none; `auto` for `squeeze` where its weights are.
        weights: folder with the networks' weights.
        side: of the pictures, pixels.

    Raises:
        ConfigError, DataError: as `Perceptual`.
    """
    if names == "auto":
        there = (Path(weights) / squeezenet.ARCHIVE).is_file() and side >= SMALLEST_SIDE
        names = "squeeze" if there else ""
    wanted = [name for part in names.split(",") if (name := part.strip()) not in ("", "none")]
    return [Perceptual(name, weights, side=side) for name in wanted]
