"""Settings of attribute transfer: its networks, its objective, and its presets."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Literal

import numpy as np

from ifrp_tf.core.config import Config, DataConfig, TrainConfig, within
from ifrp_tf.core.errors import ConfigError
from ifrp_tf.data import attributes

SHARES = {"Mouth_Slightly_Open": 0.2, "Smiling": 0.25, "Eyeglasses": 0.25, "Young": 0.7, "Male": 0.72}
"""How much of a picture an attribute may change (the authors' for gender); others: `OTHERS`."""

OTHERS = 0.4


@dataclasses.dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """A network for one attribute in one direction: what it changes, where it does, and its critic.

    Attributes:
        attribute: what answers are to have, such as `mouth=1` (open) or `male=-1` (`data.attributes.parse`).
        width: channels of the first convolution (64 in the authors' code), a multiple of 8.
        critic_width: channels of the critic's first convolution (64 in the authors' code).
        share: part of the picture that the mask aims at, 0 to 1; 0: that of `SHARES`.
        soft: the mask is as the network gives it, not cut to 0 and 1 first.
    """

    attribute: str = "mouth=1"
    width: int = 32
    critic_width: int = 32
    share: float = 0.0
    soft: bool = False

    def __post_init__(self) -> None:
        within(self, width=(8, 256), critic_width=(4, 256), share=(0, 1))
        if self.width % 8:
            raise ConfigError(f"Expected model.width to be a multiple of 8. Received: {self.width}.")
        vector = attributes.parse(self.attribute)
        if np.abs(vector).sum() != 1 or np.abs(vector).max() != 1:
            raise ConfigError(
                f"Expected model.attribute to be one attribute, 1 or -1. Received: {self.attribute!r}.",
                hint="Such as mouth=1, smile=1, male=-1, young=1, glasses=-1.",
            )

    @property
    def place(self) -> int:
        """Of the attribute in `data.attributes.NAMES`."""
        return int(np.flatnonzero(attributes.parse(self.attribute))[0])

    @property
    def sign(self) -> int:
        """1: answers have the attribute; -1: they have it no longer."""
        return int(attributes.parse(self.attribute)[self.place])

    @property
    def aim(self) -> float:
        """The part of the picture that the mask aims at."""
        return self.share or SHARES.get(attributes.NAMES[self.place], OTHERS)


@dataclasses.dataclass(frozen=True, kw_only=True)
class LossConfig:
    """Objective (v3 of the paper and the authors' code).

    Attributes:
        adversarial: of the critic's verdict, hinge.
        features: what must stay: maps of the recogniser (DIAT), or of the critic itself, which change with
            it (DIAT-A: adaptive, and without a second network).
        content: weight of their relative squared difference.
        identity: of 1 - cosine of the recogniser's embeddings.
        ratio: of the squared distance of the mask's share from `model.aim`, from `mask_start` on.
        smooth: of the mask's total variation.
        mask_start: steps for which the mask, which begins by covering everything, is left alone: against a
            critic that has learned nothing a mask only learns to hide.
        slope: of the critic's squared slope at real pictures (R1), every `slope_every` steps.
        slope_every: see there.
    """

    adversarial: float = 1.0
    features: Literal["recogniser", "critic"] = "recogniser"
    content: float = 1.0
    identity: float = 0.5
    ratio: float = 10.0
    smooth: float = 0.01
    mask_start: int = 300
    slope: float = 1.0
    slope_every: int = 8

    def __post_init__(self) -> None:
        within(self, adversarial=(0, 100), content=(0, 100), identity=(0, 100), ratio=(0, 1e4))
        within(self, smooth=(0, 100), mask_start=(0, 10**6), slope=(0, 1e4), slope_every=(1, 1000))


def check(config: Config) -> None:
    """Settings of several sections that must go together.

    Raises:
        ConfigError: the side is no power of two, or not the recogniser's where that is asked.
    """
    side, loss = config.data.side, config.loss
    if side < 32 or not math.log2(side).is_integer():
        raise ConfigError(f"Expected data.side to be a power of two, 32 at least. Received: {side}.")
    if side != 128 and (loss.identity or (loss.content and loss.features == "recogniser")):
        raise ConfigError(
            f"Expected data.side=128, which the recogniser sees. Received: {side}.",
            hint="Or loss.features=critic loss.identity=0.",
        )


def diat() -> Config:
    """The mouth is opened; what must stay is what MobileFaceNet sees. 48,000 pictures."""
    return Config(
        system="diat",
        data=DataConfig(labels="data/labels"),
        train=TrainConfig(
            optimizer="adam",
            learning_rate=2e-4,
            schedule="cosine",
            pictures=48_000,
            epoch_pictures=4_000,
            ema=0.995,
            dtype="bfloat16",
        ),
    )


def diat_a() -> Config:
    """The same with the critic's own features, no recogniser: the paper's DIAT-A."""
    recipe = diat()
    return dataclasses.replace(recipe, loss=LossConfig(features="critic", identity=0.0))


def diat_toy() -> Config:
    """Drawn faces begin to smile: for tests and for trying things out, without data."""
    return Config(
        system="diat",
        data=DataConfig(side=32, validation_count=64),
        model=ModelConfig(attribute="smile=1", width=16, critic_width=16),
        loss=LossConfig(features="critic", identity=0.0, mask_start=50),
        train=TrainConfig(
            optimizer="adam",
            learning_rate=5e-4,
            schedule="cosine",
            batch_size=8,
            pictures=8_000,
            epoch_pictures=2_000,
            ema=0.98,
        ),
    )


PRESETS: dict[str, Callable[[], Config]] = {"diat": diat, "diat_a": diat_a, "diat_toy": diat_toy}
