"""Pictures without a face: crops of style images and of scikit-image's photographs, and drawn textures."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

_NAMES = """
    bicentennial_print bricks horses_on_seashore kaleidoscope line_sketch mosaic_ducks poppy_field red_circles
    rhombus stars strip stripes the_trial towers zigzag candy composition_vii feathers starry_night udnie wave
    coffee gravel brick hubble_deep_field grass retina ihc moon motorcycle_left rocket text page horse cell
"""
FACELESS = frozenset(_NAMES.split())
"""Style images, and scikit-image's own, that show no human face."""

_CROPS = 5
_DRAWN = 12  # of each kind


def pictures(styles: str | Path) -> Iterator[tuple[str, np.ndarray]]:
    """Names, and pictures uint8 [H, W, 3] of 200 to 900 pixels a side.

    Args:
        styles: folder of style images, searched recursively; those that are named in `FACELESS` are taken.
    """
    import skimage.data

    found = [*sorted(Path(styles).rglob("*.jpg")), *sorted(Path(skimage.data.__file__).parent.iterdir())]
    sources = [path for path in found if path.stem in FACELESS]
    for index, path in enumerate(sources):
        with Image.open(path) as opened:
            image = opened.convert("RGB")
        for number in range(_CROPS):
            yield f"{path.stem}/{number}", _crop(image, number, np.random.default_rng([index, number]))
    for kind in (_cloud, _nebula, _stairs, _glass, _blobs, _strokes):
        for number in range(_DRAWN):
            yield f"{kind.__name__[1:]}/{number}", kind(np.random.default_rng(number))


def _crop(image: Image.Image, number: int, random: np.random.Generator) -> np.ndarray:
    """The whole for 0, else a random part of it, of 300 to 600 pixels."""
    part = 1.0 if number == 0 else random.uniform(0.3, 0.8)
    width, height = (max(1, round(part * length)) for length in image.size)
    left, top = int(random.integers(image.width - width + 1)), int(random.integers(image.height - height + 1))
    scale = random.uniform(300, 600) / max(width, height)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.array(
        image.crop((left, top, left + width, top + height)).resize(size, Image.Resampling.BICUBIC)
    )


def _noise(random: np.random.Generator, power: float, side: int = 400) -> np.ndarray:
    """Noise of a falling spectrum, 0 to 1: float64 [side, side]."""
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(side), np.fft.fftfreq(side)))
    frequency[0, 0] = 1
    spectrum = np.fft.fft2(random.normal(size=(side, side))) / frequency**power
    values = np.fft.ifft2(spectrum).real
    return (values - values.min()) / np.ptp(values)


def _coloured(values: np.ndarray, random: np.random.Generator) -> np.ndarray:
    stops = random.uniform(0, 255, (5, 3))
    return np.stack([np.interp(values, np.linspace(0, 1, 5), stop) for stop in stops.T], -1).astype(np.uint8)


def _colour(random: np.random.Generator, low: int, high: int) -> tuple[int, int, int]:
    red, green, blue = (int(value) for value in random.integers(low, high, 3))
    return red, green, blue


def _cloud(random: np.random.Generator) -> np.ndarray:
    return _coloured(_noise(random, random.uniform(0.8, 2.0)), random)


def _nebula(random: np.random.Generator) -> np.ndarray:
    glow = np.stack([_noise(random, 1.6) ** 2 for _ in range(3)], -1) * random.uniform(120, 255, 3)
    stars = (random.random(glow.shape[:2]) > 0.998) * random.uniform(80, 255, glow.shape[:2])
    points = np.array(Image.fromarray(stars.astype(np.uint8)).filter(ImageFilter.GaussianBlur(1)), float)
    return (glow + 4 * points[:, :, None]).clip(0, 255).astype(np.uint8)


def _stairs(random: np.random.Generator) -> np.ndarray:
    image = Image.new("RGB", (420, 520), _colour(random, 60, 220))
    pen = ImageDraw.Draw(image)
    count = int(random.integers(5, 14))
    for k in range(count):
        top, inset = 500 - 480 * k // count, int(random.integers(4, 14)) * k
        shade = int(60 + 150 * k / count)
        pen.rectangle((20 + inset, top - 200 // count, 400 - inset, top), fill=(shade, shade, shade - 20))
        pen.line((20 + inset, top, 400 - inset, top), fill=(30, 30, 30), width=3)
    return np.array(image.filter(ImageFilter.GaussianBlur(1)))


def _glass(random: np.random.Generator) -> np.ndarray:
    """Stained glass: a flower in the middle of cells."""
    seeds = random.uniform(0, 400, (int(random.integers(12, 40)), 2))
    y, x = np.mgrid[0:400, 0:400]
    far = np.hypot(x[None] - seeds[:, :1, None], y[None] - seeds[:, 1:, None])
    order = np.sort(far, 0)
    panes = random.integers(20, 256, (len(seeds), 3))[far.argmin(0)]
    panes[order[1] - order[0] < 5] = 20
    image = Image.fromarray(panes.astype(np.uint8))
    pen = ImageDraw.Draw(image)
    petals, reach = int(random.integers(4, 9)), float(random.uniform(40, 110))
    for angle in np.arange(petals) * 2 * np.pi / petals:
        middle = 200 + reach * np.array([np.cos(angle), np.sin(angle)])
        corners = (*(middle - 0.6 * reach), *(middle + 0.6 * reach))
        pen.ellipse(
            corners, fill=tuple(int(v) for v in random.integers(80, 256, 3)), outline=(20, 20, 20), width=4
        )
    pen.ellipse(
        (200 - reach / 2, 200 - reach / 2, 200 + reach / 2, 200 + reach / 2), fill=(230, 190, 60), width=4
    )
    return np.array(image)


def _blobs(random: np.random.Generator) -> np.ndarray:
    """A still life: round things on a table, lit from a side."""
    image = Image.new("RGB", (520, 400), _colour(random, 20, 120))
    pen = ImageDraw.Draw(image)
    pen.rectangle((0, 260, 520, 400), fill=_colour(random, 80, 200))
    for _ in range(int(random.integers(3, 10))):
        x, size, colour = random.integers(60, 460), random.integers(20, 70), random.integers(60, 256, 3)
        for k in range(12):
            inner = size * (1 - k / 12)
            shade = tuple(int(v) for v in colour * (0.5 + 0.5 * k / 12))
            middle = np.array([x - 0.02 * k * size, 280 - 0.02 * k * size])
            pen.ellipse((*(middle - inner), *(middle + inner)), fill=shade)
    return np.array(image.filter(ImageFilter.GaussianBlur(2)))


def _strokes(random: np.random.Generator) -> np.ndarray:
    image = Image.fromarray(_cloud(random))
    pen = ImageDraw.Draw(image)
    for _ in range(int(random.integers(60, 400))):
        x, y, angle, length = (random.uniform(0, high) for high in (400, 400, np.pi, 60))
        end = (x + length * np.cos(angle), y + length * np.sin(angle))
        pen.line((x, y, *end), fill=_colour(random, 0, 256), width=int(random.integers(1, 9)))
    return np.array(image)
