"""Settings of the Markovian GAN: its networks, its objective, and its presets."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from ifrp_tf.core.config import Config, within
from ifrp_tf.core.errors import ConfigError
from ifrp_tf.systems import equal_terms


@dataclasses.dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """A frozen encoder, the decoder that is trained, and the patch critic.

    Attributes:
        width: channels of the decoder's first stage (512 in the paper, of relu4_1; 256 here, of relu3_4).
        critic_width: channels of the critic's first stage (256 in the paper, 128 here).
        critic_layer: layer of VGG-19 whose patches the critic sees (relu3_1 in the paper).
    """

    width: int = 256
    critic_width: int = 128
    critic_layer: str = "block2_conv1"

    def __post_init__(self) -> None:
        within(self, width=(8, 512), critic_width=(4, 512))


@dataclasses.dataclass(frozen=True, kw_only=True)
class LossConfig:
    """Objective of the decoder (authors' code).

    Attributes:
        pixel: weight of the mean squared difference.
        adversarial: weight of the hinge of the critic on recovered patches.
    """

    pixel: float = 1.0
    adversarial: float = 0.01

    def __post_init__(self) -> None:
        within(self, pixel=(0, 1e4), adversarial=(0, 1e4))


def check(config: Config) -> None:
    """Settings of several sections that must go together.

    Raises:
        ConfigError: the pictures cannot be halved three times.
    """
    if config.data.side % 8 or config.data.side < 32:
        raise ConfigError(
            f"Expected data.side to be a multiple of 8, at least 32, for mgan. Received: {config.data.side}."
        )


def mgan() -> Config:
    """The decoder of relu3_4, the paper's three styles."""
    return Config(
        system="mgan",
        data=equal_terms.data(),
        model=ModelConfig(),
        train=equal_terms.train(1e-3),
    )


def mgan_toy() -> Config:
    """Drawn faces of 32 x 32 pixels: for tests and for trying things out; needs VGG-19's weights."""
    return Config(
        system="mgan",
        data=equal_terms.toy_data(),
        model=ModelConfig(width=32, critic_width=8),
        train=equal_terms.toy_train(1e-3),
    )


PRESETS: dict[str, Callable[[], Config]] = {"mgan": mgan, "mgan_toy": mgan_toy}
