"""Settings of texture inference, and its preset."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from ifrp_tf.core.config import Config, within


@dataclasses.dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """How a texture is found.

    Attributes:
        faces: of the database, at most.
        iterations: of L-BFGS (about 1,000 in the paper, at 2,048 pixels).
    """

    faces: int = 160
    iterations: int = 80

    def __post_init__(self) -> None:
        within(self, faces=(2, 10_000), iterations=(1, 10_000))


@dataclasses.dataclass(frozen=True, kw_only=True)
class LossConfig:
    """Objective (paper, section 5), every term of order 1.

    Attributes:
        style: weight of the Gram matrices of `gram.BANDS` and `system.LAYERS` (2,000 in the paper's units).
        content: weight of the features of relu3_1 against those of the start.
        low: weight of the low-pass against that of the start.
        identity: of 1 - cosine of MobileFaceNet's embeddings of answer and start, where only detail is asked
            for (our addition: detail of other faces moves a descriptor).
    """

    style: float = 1.0
    content: float = 1.0
    low: float = 10.0
    identity: float = 4.0

    def __post_init__(self) -> None:
        within(self, style=(0, 1e6), content=(0, 1e6), low=(0, 1e6), identity=(0, 1e6))


def texture_inference() -> Config:
    """The paper's at 128 pixels: VGG-19 up to relu3_1, four bands, 80 iterations."""
    return Config(system="texture_inference")


PRESETS: dict[str, Callable[[], Config]] = {"texture_inference": texture_inference}
