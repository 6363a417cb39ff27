"""Settings of CycleGAN: its networks, its objective, and its presets."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from ifrp_tf.core.config import Config, within
from ifrp_tf.core.errors import ConfigError
from ifrp_tf.systems import equal_terms


@dataclasses.dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """Two generators of residual blocks and two patch critics.

    Attributes:
        width: channels of a generator's first stage (64 in the paper).
        blocks: residual blocks of a generator (6 in the paper for sides of 128).
        critic_width: channels of a critic's first stage (64 in the paper).
        reduce: the networks work on pictures reduced so many times (1 in the paper); answers are enlarged.
        pool: recovered pictures that are kept for each critic (50 in the paper).
    """

    width: int = 64
    blocks: int = 6
    critic_width: int = 64
    reduce: int = 1
    pool: int = 50

    def __post_init__(self) -> None:
        within(self, width=(4, 256), blocks=(1, 16), critic_width=(4, 256), reduce=(1, 4), pool=(1, 1000))


@dataclasses.dataclass(frozen=True, kw_only=True)
class LossConfig:
    """Objective of the two generators (paper, eq. 3 and section 5.2).

    Attributes:
        cycle: weight of the mean absolute difference after going there and back.
        identity: weight of the mean absolute change of a picture that is of the target kind already.
    """

    cycle: float = 10.0
    identity: float = 5.0

    def __post_init__(self) -> None:
        within(self, cycle=(0, 1e4), identity=(0, 1e4))


def check(config: Config) -> None:
    """Settings of several sections that must go together.

    Raises:
        ConfigError: the pictures that the networks see have no side that can be halved twice and judged.
    """
    inner = config.data.side // config.model.reduce
    if config.data.side % (4 * config.model.reduce) or inner < 32:
        raise ConfigError(
            "Expected data.side to be a multiple of 4 model.reduce and at least 32 of it for cyclegan. "
            f"Received: {config.data.side} with model.reduce={config.model.reduce}."
        )
    if config.train.batch_size < 2:
        raise ConfigError(
            f"Expected train.batch_size of at least 2 for cyclegan. Received: {config.train.batch_size}.",
            hint="A batch of one has no photograph of another person.",
        )


def cyclegan() -> Config:
    """Three eighths of the paper's width, four blocks, half the side: the paper's costs 160 GMAC."""
    return Config(
        system="cyclegan",
        data=equal_terms.data(),
        model=ModelConfig(width=24, blocks=4, critic_width=32, reduce=2),
        train=equal_terms.train(2e-4),
    )


def cyclegan_toy() -> Config:
    """Drawn faces of 32 x 32 pixels: for tests and for trying things out."""
    return Config(
        system="cyclegan",
        data=equal_terms.toy_data(),
        model=ModelConfig(width=8, blocks=1, critic_width=8, pool=16),
        train=equal_terms.toy_train(5e-4),
    )


PRESETS: dict[str, Callable[[], Config]] = {"cyclegan": cyclegan, "cyclegan_toy": cyclegan_toy}
