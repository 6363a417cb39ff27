"""What the presets of the compared systems have in common, so that they are compared on equal terms.

The same photographs, the paper's three styles and as many pictures for each; and what their `_toy` presets,
for tests and for trying things out, share.
"""

from __future__ import annotations

from ifrp_tf.core.config import DataConfig, TrainConfig

PICTURES = 40_000
"""Pairs that each trained system sees."""


def data() -> DataConfig:
    """The paper's three styles at full strength, nothing degraded."""
    return DataConfig(styles="paper_train", degrade=0.0, strength=1.0)


def train(learning_rate: float) -> TrainConfig:
    """Batches of 8 and averaged weights.

    Args:
        learning_rate: of Adam: each system's own.
    """
    return TrainConfig(
        optimizer="adam",
        learning_rate=learning_rate,
        batch_size=8,
        pictures=PICTURES,
        ema=0.999,
        dtype="bfloat16",
    )


def toy_data(side: int = 32) -> DataConfig:
    """Drawn faces, upright, nothing degraded.

    Args:
        side: of the pictures, pixels.
    """
    return DataConfig(
        side=side, validation_count=32, max_angle=0.0, max_scale=0.0, max_shift=0.0, degrade=0.0
    )


def toy_train(learning_rate: float, *, batch_size: int = 8, pictures: int = 3_200) -> TrainConfig:
    """Minutes on two CPU cores.

    Args:
        learning_rate: of Adam.
        batch_size: pictures a step.
        pictures: in all.
    """
    return TrainConfig(
        optimizer="adam",
        learning_rate=learning_rate,
        batch_size=batch_size,
        pictures=pictures,
        epoch_pictures=1_600,
        ema=0.98,
    )
