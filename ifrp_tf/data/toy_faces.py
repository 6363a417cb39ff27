"""Drawn synthetic faces: data for the toy preset and for tests, made from a seed, showing nobody."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw

from ifrp_tf.data.photos import PhotoSet

COUNT = 2_000
"""Faces of a training run without data."""

_DRAWN = 128
_SMILES = 2.0  # pixels by which the middle of a smiling mouth is below its corners: half of all faces


def draw(count: int, *, side: int = 32, seed: int = 0) -> PhotoSet:
    """Draws `count` faces in the tight frame: eyes at x .33 / .67, y .34, mouth at y .70.

    Args:
        count: how many.
        side: of the pictures, pixels.
        seed: same seed, same faces.

    Returns:
        Photographs named `toy/<k>.png`.

    Example:
        >>> draw(2, side=16).pixels.shape
        (2, 16, 16, 3)
    """
    generator = np.random.default_rng(seed)
    pixels = np.stack([_face(generator, side)[0] for _ in range(count)])
    return PhotoSet(pixels, tuple(f"toy/{k:05d}.png" for k in range(count)))


def attributes(count: int, *, seed: int = 0) -> dict[str, dict[str, int]]:
    """What the faces of `draw` have, `Eyeglasses` and `Smiling`, 1 or -1, by the names of photographs.

    Args:
        count: how many.
        seed: same seed, same faces.

    Example:
        >>> attributes(1)["toy/00000.png"]
        {'Smiling': 1, 'Eyeglasses': -1}
    """
    generator = np.random.default_rng(seed)
    return {f"toy/{k:05d}.png": _face(generator, 1)[1] for k in range(count)}


def _face(generator: np.random.Generator, side: int) -> tuple[np.ndarray, dict[str, int]]:
    def colour(low: tuple[int, int, int], high: tuple[int, int, int]) -> tuple[int, int, int]:
        mix = generator.random()
        noise = generator.integers(-12, 13, 3)
        values = (np.array(low) * (1 - mix) + np.array(high) * mix + noise).clip(0, 255)
        return tuple(int(value) for value in values)  # type: ignore[return-value]

    def around(value: float, spread: float) -> float:
        return value + spread * (2 * generator.random() - 1)

    skin = colour((96, 62, 44), (245, 205, 178))
    hair = colour((20, 15, 12), (210, 170, 100))
    iris = colour((40, 60, 90), (110, 80, 40))
    lips = colour((150, 60, 60), (200, 100, 100))
    canvas = Image.new("RGB", (_DRAWN, _DRAWN), colour((30, 40, 60), (220, 220, 230)))
    pen = ImageDraw.Draw(canvas)
    width, top = around(56, 5), around(10, 6)
    pen.ellipse((64 - width, top - 14, 64 + width, 150), fill=hair)
    pen.ellipse((64 - width + 6, top + around(6, 4), 64 + width - 6, around(130, 6)), fill=skin)
    eye_y, size, mouth_y = around(44, 2), around(9, 2.5), around(90, 3)
    brow, lip, smile = around(3, 2), around(4, 2), around(2, 5)
    for x in (around(42.7, 1.5), around(85.3, 1.5)):
        pen.ellipse((x - size, eye_y - size * 0.6, x + size, eye_y + size * 0.6), fill=(245, 245, 240))
        pen.ellipse((x - size * 0.45, eye_y - size * 0.5, x + size * 0.45, eye_y + size * 0.5), fill=iris)
        pen.line((x - size - 3, eye_y - 12, x + size + 3, eye_y - 12), fill=hair, width=max(1, round(brow)))
    shade = tuple(int(0.75 * value) for value in skin)
    pen.polygon([(64, eye_y + 6), (64 - around(7, 3), 72), (64 + around(7, 3), 72)], fill=shade)
    half = around(20, 5)
    outline = [
        (64 - half, mouth_y),
        (64, mouth_y + smile - lip),
        (64 + half, mouth_y),
        (64, mouth_y + smile + lip),
    ]
    pen.polygon(outline, fill=lips)
    has_glasses = generator.random() < 0.3
    if has_glasses:
        for x in (42.7, 85.3):
            pen.ellipse((x - 15, eye_y - 12, x + 15, eye_y + 13), outline=(30, 30, 30), width=2)
    there = {"Smiling": 1 if smile > _SMILES else -1, "Eyeglasses": 1 if has_glasses else -1}
    return np.asarray(canvas.resize((side, side), Image.Resampling.BOX)), there
