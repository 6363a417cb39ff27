"""Settings of Johnson et al.'s transformation network, its objective, and its presets."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from ifrp_tf.core.config import Config, within
from ifrp_tf.core.errors import ConfigError
from ifrp_tf.systems import equal_terms


@dataclasses.dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """The image transformation network.

    Attributes:
        width: channels of the first stage (32 in the paper).
        blocks: residual blocks (5 in the paper).
    """

    width: int = 32
    blocks: int = 5

    def __post_init__(self) -> None:
        within(self, width=(4, 256), blocks=(1, 16))


@dataclasses.dataclass(frozen=True, kw_only=True)
class LossConfig:
    """Objective (paper, eq. 5), on VGG-19 up to relu3_4 in place of VGG-16.

    Attributes:
        content: weight of the distance of features to the portrait's.
        style: weight of the distance of Gram matrices to the mean of photographs.
        variation: weight of the total variation.
    """

    content: float = 1.0
    style: float = 5.0
    variation: float = 1e-6

    def __post_init__(self) -> None:
        within(self, content=(0, 1e4), style=(0, 1e6), variation=(0, 10))


def check(config: Config) -> None:
    """Settings of several sections that must go together.

    Raises:
        ConfigError: the pictures cannot be halved twice, or a batch has no photograph of another person.
    """
    if config.data.side % 4:
        raise ConfigError(
            f"Expected data.side to be a multiple of 4 for johnson. Received: {config.data.side}."
        )
    if config.train.batch_size < 2:
        raise ConfigError(
            f"Expected train.batch_size of at least 2 for johnson. Received: {config.train.batch_size}.",
            hint="The style is the mean of the other photographs of a batch.",
        )


def johnson() -> Config:
    """Half the paper's width, the paper's three styles."""
    return Config(
        system="johnson",
        data=equal_terms.data(),
        model=ModelConfig(width=16),
        train=equal_terms.train(1e-3),
    )


def johnson_toy() -> Config:
    """Drawn faces of 32 x 32 pixels: for tests and for trying things out; needs VGG-19's weights."""
    return Config(
        system="johnson",
        data=equal_terms.toy_data(),
        model=ModelConfig(width=8, blocks=1),
        train=equal_terms.toy_train(1e-3),
    )


PRESETS: dict[str, Callable[[], Config]] = {"johnson": johnson, "johnson_toy": johnson_toy}
