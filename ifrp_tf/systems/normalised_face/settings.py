"""Settings of the decoder of normalised faces, its objective, and its presets."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Literal

from ifrp_tf.core.config import Config, TrainConfig, within
from ifrp_tf.core.errors import ConfigError

SIDE = 128
"""Of pictures and textures, pixels: MobileFaceNet's crop is defined for it."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """The decoder, and what it is trained on.

    Attributes:
        rank: of the linear decoder of textures, to whose answer that of the networks is added.
        hidden: numbers of the dense layer that both halves share.
        within: how much weight has what varies between pictures of one person when the features are projected
            onto what tells persons apart (`linear.person_map`); 0: they are taken as they are.
        width: channels of the texture at 8 and 16 pixels a side, then half as many each time, 16 at least.
        sources: `all`; `averages`: averages of persons and studio faces only; `singles`: photographs as they
            are, without averages and morphs. For comparisons.
    """

    rank: int = 96
    hidden: int = 256
    within: float = 0.0
    width: int = 64
    sources: Literal["all", "averages", "singles"] = "all"

    def __post_init__(self) -> None:
        within(self, rank=(1, 512), hidden=(8, 4096), width=(16, 512), within=(0, 100))


@dataclasses.dataclass(frozen=True, kw_only=True)
class LossConfig:
    """Weights of the three terms (paper, section 3.3): shape and texture apart, identity through the warp.

    Attributes:
        landmarks: of the mean squared error, in fractions of the side.
        texture: of the mean absolute error in [-1, 1], within the face in full, outside a fifth.
        identity: of 1 - cosine of MobileFaceNet's embeddings, of the rendered face.
        identity_rows: part of a batch that the identity term looks at, by far the most expensive one.
    """

    landmarks: float = 1000.0
    texture: float = 1.0
    identity: float = 0.0
    identity_rows: float = 0.5

    def __post_init__(self) -> None:
        within(self, landmarks=(0, 1e6), texture=(0, 1e4), identity=(0, 1e3), identity_rows=(0.01, 1))


def check(config: Config) -> None:
    """Settings of several sections that must go together.

    Raises:
        ConfigError: the pictures are of another side.
    """
    if config.data.side != SIDE:
        raise ConfigError(f"Expected data.side={SIDE} for normalised_face. Received: {config.data.side}.")


def normalised_face() -> Config:
    """The first stage: landmarks and texture."""
    return Config(
        system="normalised_face",
        model=ModelConfig(within=2.0),
        train=TrainConfig(
            optimizer="adam",
            learning_rate=1e-3,
            schedule="cosine",
            batch_size=32,
            pictures=48_000,
            epoch_pictures=4_000,
            ema=0.995,
            dtype="bfloat16",
            checkpoint_minutes=3.0,
        ),
    )


def normalised_face_identity() -> Config:
    """The second stage, from the first (`--initial=RUN`): the face must also be recognised."""
    return Config(
        system="normalised_face",
        model=normalised_face().model,
        loss=LossConfig(identity=0.5),
        train=dataclasses.replace(
            normalised_face().train, learning_rate=3e-4, pictures=12_000, epoch_pictures=2_000
        ),
    )


def normalised_face_toy() -> Config:
    """Drawn faces and features that are no network's: for tests and for trying things out."""
    return Config(
        system="normalised_face",
        model=ModelConfig(rank=2, hidden=64, width=16),
        train=TrainConfig(
            optimizer="adam",
            learning_rate=3e-3,
            schedule="cosine",
            batch_size=8,
            pictures=1_600,
            epoch_pictures=800,
            ema=0.98,
        ),
    )


PRESETS: dict[str, Callable[[], Config]] = {
    "normalised_face": normalised_face,
    "normalised_face_identity": normalised_face_identity,
    "normalised_face_toy": normalised_face_toy,
}
