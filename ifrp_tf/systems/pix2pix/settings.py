"""Settings of pix2pix: its networks, its objective, and its presets."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Literal

from ifrp_tf.core.config import Config, within
from ifrp_tf.core.errors import ConfigError
from ifrp_tf.systems import equal_terms


@dataclasses.dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """The U-Net and the patch critic.

    Attributes:
        width: channels of the U-Net's first stage (64 in the paper).
        critic_width: channels of the critic's first stage (64 in the paper).
        normalization: of both; `batch` is the paper's, whose batch of one makes it one of instances.
        dropout: of the first three decoder stages while training: the paper's only noise.
    """

    width: int = 64
    critic_width: int = 64
    normalization: Literal["batch", "instance"] = "batch"
    dropout: float = 0.5

    def __post_init__(self) -> None:
        within(self, width=(4, 256), critic_width=(4, 256), dropout=(0, 0.9))


@dataclasses.dataclass(frozen=True, kw_only=True)
class LossConfig:
    """Objective of the generator (eq. 4).

    Attributes:
        pixel: weight of the mean absolute difference.
        adversarial: weight of -log D(portrait, G(portrait)).
    """

    pixel: float = 100.0
    adversarial: float = 1.0

    def __post_init__(self) -> None:
        within(self, pixel=(0, 1e4), adversarial=(0, 1e4))


def check(config: Config) -> None:
    """Settings of several sections that must go together.

    Raises:
        ConfigError: the side is not a power of two: every stage of the U-Net halves it, down to one pixel.
    """
    side = config.data.side
    if side & (side - 1):
        raise ConfigError(f"Expected data.side to be a power of two for pix2pix. Received: {side}.")


def pix2pix() -> Config:
    """Half the paper's width (10.5 of 41.8 million parameters, a quarter of the work), the paper's styles."""
    return Config(
        system="pix2pix",
        data=equal_terms.data(),
        model=ModelConfig(width=32, critic_width=32),
        train=equal_terms.train(2e-4),
    )


def pix2pix_toy() -> Config:
    """Drawn faces of 64 x 64 pixels: learns in minutes on two CPU cores, needs no data at all."""
    return Config(
        system="pix2pix",
        data=equal_terms.toy_data(64),
        model=ModelConfig(width=8, critic_width=8),
        train=equal_terms.toy_train(1e-3, batch_size=16, pictures=4_800),
    )


PRESETS: dict[str, Callable[[], Config]] = {"pix2pix": pix2pix, "pix2pix_toy": pix2pix_toy}
