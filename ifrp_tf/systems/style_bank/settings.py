"""Settings of the style bank: which styles it learns, its objective, and its preset."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from ifrp_tf.core.config import Config, DataConfig, TrainConfig, within


@dataclasses.dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """Which styles are learned, and whether into a new network.

    Attributes:
        styles: style images: pictures, folders or patterns, separated by commas.
        start: folder of a bank to add to: its convolutions stay as they are, only the parameters of the
            new styles are trained. Empty: a new bank, which also learns the style `photograph`.
    """

    styles: str = ""
    start: str = ""

    def __post_init__(self) -> None:
        within(self)


@dataclasses.dataclass(frozen=True, kw_only=True)
class LossConfig:
    """Weights of the objective; the content term has 1 (Johnson et al. 2016, section 3.2).

    Attributes:
        style: of the Gram terms.
        photograph: of the absolute difference, for the style `photograph`.
    """

    style: float = 2.0
    photograph: float = 10.0

    def __post_init__(self) -> None:
        within(self, style=(0, 1e6), photograph=(0, 1e6))


def style_bank() -> Config:
    """The bank that is shipped: about 3,000 photographs a style."""
    return Config(
        system="style_bank",
        data=DataConfig(group=1),
        train=TrainConfig(
            optimizer="adam",
            learning_rate=2e-3,
            schedule="cosine",
            batch_size=8,
            pictures=50_000,
            dtype="bfloat16",
            checkpoint_minutes=2.0,
        ),
    )


PRESETS: dict[str, Callable[[], Config]] = {"style_bank": style_bank}
