"""Settings of Gatys et al.'s style transfer, and its preset."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Literal

from ifrp_tf.core.config import Config, within
from ifrp_tf.systems import equal_terms


@dataclasses.dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """How an answer is found.

    Attributes:
        style: whose Gram matrices an answer is to have: the `mean` of photographs, one at `random`, or
            those of the true photograph (`oracle`), which is cheating.
        iterations: of L-BFGS (500 to 1,000 in the paper).
    """

    style: Literal["mean", "random", "oracle"] = "mean"
    iterations: int = 100

    def __post_init__(self) -> None:
        within(self, iterations=(1, 10_000))


@dataclasses.dataclass(frozen=True, kw_only=True)
class LossConfig:
    """Objective (paper, eq. 7), on VGG-19 up to relu3_2.

    Attributes:
        content: weight of the mean squared difference of features to the portrait's.
        style: weight of the mean squared difference of Gram matrices, divided by the channels squared.
    """

    content: float = 1.0
    style: float = 1e3

    def __post_init__(self) -> None:
        within(self, content=(0, 1e6), style=(0, 1e9))


def gatys() -> Config:
    """VGG-19 up to relu3_2 and 100 iterations in place of relu5_1 and 500."""
    return Config(system="gatys", data=equal_terms.data())


PRESETS: dict[str, Callable[[], Config]] = {"gatys": gatys}
