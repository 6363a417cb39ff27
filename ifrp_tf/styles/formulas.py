"""Names of the formulas, apart from the formulas: a wrong name is reported before Keras is imported."""

from __future__ import annotations

NAMES: tuple[str, ...] = (
    "sketch", "pencil", "charcoal", "engraving", "crayon",
    "oil", "impasto", "swirl", "watercolour", "pointillism",
    "halftone", "comic", "contours", "woodblock", "tonal", "statistics",
    "mosaic", "stained_glass", "facets",
)  # fmt: skip
"""Every formula: drawn, painted, printed, tiled; the order of `procedural.STYLES`."""

RESERVED: tuple[str, ...] = ("engraving", "impasto", "facets")
"""Kept for testing, never trained on: one of lines, one of the brush, one of pieces."""

TRAIN: tuple[str, ...] = tuple(name for name in NAMES if name not in RESERVED)
"""The formulas to train on, in the order of `NAMES`."""
