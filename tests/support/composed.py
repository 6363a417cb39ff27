"""Whole pictures made by the tests: tilted faces of known places among clutter."""

import functools

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from ifrp_tf.pictures.geometry import Place

WIDTH, HEIGHT = 1800, 1200


def scene(photos, seed, *, treatment=None):
    """A picture of 1,800 x 1,200 with tilted faces, and their places.

    Args:
        photos: four tight faces, uint8 [S, S, 3].
        seed: of the clutter, the tilts (up to 30 degrees) and the sizes (180 to 320 pixels).
        treatment: what is done to the whole picture at the end, Image to Image.
    """
    random = np.random.default_rng(seed)
    canvas = _clutter(random)
    places = []
    for index, photo in enumerate(photos):
        side = int(random.integers(180, 321))
        angle = float(random.uniform(-30, 30))
        x = 300 + 400 * index + int(random.integers(-30, 31))
        y = int(random.integers(320, 881))
        places.append(Place(x, y, side, angle))
        canvas = _add(canvas, photo, places[-1])
    if treatment is not None:
        canvas = treatment(canvas)
    return np.array(canvas), places


def painted(canvas):
    """Flat colours and soft edges, as of a poster."""
    return (
        canvas.filter(ImageFilter.ModeFilter(7))
        .convert("P", palette=Image.Palette.ADAPTIVE, colors=48)
        .convert("RGB")
    )


def drawn(canvas):
    """Grey, with more contrast."""
    grey = canvas.convert("L")
    edges = grey.filter(ImageFilter.GaussianBlur(6))
    dodge = np.array(grey, float) / np.maximum(np.array(edges, float), 1) * 200
    mixed = 0.6 * np.clip(dodge, 0, 255) + 0.4 * np.array(grey, float)
    return Image.fromarray(mixed.astype(np.uint8)).convert("RGB")


@functools.cache
def _ramp():
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    return x / WIDTH, y / HEIGHT


def _clutter(random):
    x, y = _ramp()
    low, high = random.uniform(60, 200, (2, 3))
    ground = low + (high - low) * (0.6 * x + 0.4 * y)[:, :, None]
    ground += random.normal(0, 6, ground.shape)
    canvas = Image.fromarray(np.clip(ground, 0, 255).astype(np.uint8))
    pen = ImageDraw.Draw(canvas)
    for _ in range(120):
        colour = tuple(int(v) for v in random.integers(20, 236, 3))
        left, top = (int(v) for v in random.integers(-100, (WIDTH, HEIGHT)))
        w, h = (int(v) for v in random.integers(20, 240, 2))
        shape = [pen.ellipse, pen.rectangle][int(random.integers(2))]
        shape(
            (left, top, left + w, top + h),
            fill=colour if random.random() < 0.6 else None,
            outline=colour,
            width=5,
        )
    return canvas


def _add(canvas, photo, place):
    """The face as on a card with softened edges, turned clockwise by the place's angle."""
    side = round(place.side)
    card = Image.fromarray(photo).resize((side, side), Image.Resampling.BICUBIC).convert("RGBA")
    soft = Image.new("L", (side, side), 0)
    rim = max(2, side // 20)
    ImageDraw.Draw(soft).rectangle((rim, rim, side - rim, side - rim), fill=255)
    card.putalpha(soft.filter(ImageFilter.GaussianBlur(rim / 2)))
    turned = card.rotate(-place.angle, Image.Resampling.BICUBIC, expand=True)
    canvas.paste(turned, (round(place.x - turned.width / 2), round(place.y - turned.height / 2)), turned)
    return canvas


def scenes(data_dir):
    """The three scenes of the acceptance: photographs, flat colours, grey drawings; and their places."""
    paths = sorted((data_dir / "faces" / "test").rglob("*.jpg"))[50::160]
    photos = [np.array(Image.open(path).convert("RGB")) for path in paths[:12]]
    return [
        scene(photos[4 * k : 4 * k + 4], k, treatment=treatment)
        for k, treatment in enumerate((None, painted, drawn))
    ]


def gradient(picture):
    levels = picture.astype(float)
    down, right = np.gradient(levels, axis=(0, 1))
    return np.hypot(down, right).mean(-1)


def ring(shape, place, inner, outer):
    y, x = np.mgrid[0 : shape[0], 0 : shape[1]]
    points = place.to_frame(np.stack([x.ravel() + 0.5, y.ravel() + 0.5], axis=1))
    radius = np.abs(2 * points - 1).max(1).reshape(shape[:2])
    return (radius >= inner) & (radius < outer)


def border_ratio(before, after, place, within=1.0):
    """Mean colour gradient across the border of a paste, in parts of that of the surrounding picture.

    `within` 1 is the border of the frame; smaller ones are squares inside, where the paste fades.
    """
    left, top, w, h = place.widened(2.2).box(*before.shape[:2])  # the rest is not asked for
    before, after = (picture[top : top + h, left : left + w] for picture in (before, after))
    place = Place(place.x - left, place.y - top, place.side, place.angle)
    width = 4 / place.side
    border = ring(before.shape, place, within - width, within + width)
    around = ring(before.shape, place, 1 + width, 1.5)
    return gradient(after)[border].mean() / gradient(before)[around].mean()


def outside(before, after, places):
    """Which pixels changed outside all frames."""
    changed = (before != after).any(-1)
    for place in places:
        changed &= ~ring(before.shape, place, 0, 1 + 4 / place.side)
    return changed
