"""Pictures of any size to the square that networks see, and contact sheets; nothing is ever stretched."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from ifrp_tf.core.errors import ConfigError, ImageError
from ifrp_tf.pictures.decoding import check_pixels

RULES = ("letterbox", "crop")
"""What `fit` can do with a picture that is not square."""


def letterbox(pixels: np.ndarray, side: int = 128, fill: tuple[int, int, int] | None = None) -> np.ndarray:
    """Fits a whole picture into a square, by the one rule of the package.

    The longer side becomes `side`, the shorter one is scaled by the same factor, rounded and at least 1;
    bicubic, antialiased (Keys, a = -0.5). What is missing is shared evenly, an odd pixel going below or to
    the right, and is filled by repeating the outermost pixels: networks are trained on misaligned pictures
    filled that way, and a bar of one colour is a hard edge that they never saw.

    Pillow scales the width first, then the height, with whole levels in between; a graph that does the same
    with `tf.image.resize(..., "bicubic", antialias=True)` and gathers at clipped indices agrees to one level.

    Args:
        pixels: uint8 [H, W, 3], RGB, 0-255.
        side: Of the result, in pixels, at least 1.
        fill: A colour, RGB 0-255, in place of the repeated pixels.

    Returns:
        uint8 [side, side, 3].

    Raises:
        ImageError: With reason `bad_array`.
        ConfigError: The side is not a whole number of at least 1.

    Example:

    >>> letterbox(np.zeros((300, 200, 3), np.uint8)).shape
    (128, 128, 3)
    """
    check_pixels(pixels)
    _check_side(side)
    height, width = pixels.shape[:2]
    longer = max(height, width)
    # In whole numbers: floats would round halves differently from place to place.
    height, width = (max(1, (2 * length * side + longer) // (2 * longer)) for length in (height, width))
    inner = _scale(pixels, height, width)
    top, left = (side - height) // 2, (side - width) // 2
    pads = ((top, side - height - top), (left, side - width - left), (0, 0))
    if fill is None:
        return np.pad(inner, pads, mode="edge")
    framed = np.broadcast_to(np.array(fill, np.uint8), (side, side, 3)).copy()
    framed[top : top + height, left : left + width] = inner
    return framed


def centre_crop(pixels: np.ndarray, side: int) -> np.ndarray:
    """Cuts out the square in the middle; CelebA's photographs, 178 x 218, are cut with side 178.

    Args:
        pixels: uint8 [H, W, 3], RGB, 0-255.
        side: Of the square, in pixels, at most H and W. An odd pixel too many stays below or to the right.

    Returns:
        uint8 [side, side, 3].

    Raises:
        ImageError: With reason `bad_array`, or `too_small` for the square.

    Example:

    >>> centre_crop(np.zeros((218, 178, 3), np.uint8), 178).shape
    (178, 178, 3)
    """
    check_pixels(pixels)
    height, width = pixels.shape[:2]
    if not 1 <= side <= min(height, width):
        message = f"expected a picture of at least {side} x {side} pixels, received {width} x {height}."
        raise ImageError("too_small", message)
    top, left = (height - side) // 2, (width - side) // 2
    return pixels[top : top + side, left : left + side].copy()


def resize(pixels: np.ndarray, side: int) -> np.ndarray:
    """Scales a square picture: bicubic, antialiased, the same filter as `letterbox`.

    Args:
        pixels: uint8 [S, S, 3], RGB, 0-255.
        side: Of the result, in pixels, at least 1.

    Returns:
        uint8 [side, side, 3].

    Raises:
        ImageError: With reason `bad_array`, also where the picture is not square: it would be stretched.

    Example:

    >>> resize(np.zeros((178, 178, 3), np.uint8), 128).shape
    (128, 128, 3)
    """
    check_pixels(pixels)
    _check_side(side)
    if pixels.shape[0] != pixels.shape[1]:
        message = f"expected a square picture, received {pixels.shape[1]} x {pixels.shape[0]} pixels."
        raise ImageError("bad_array", message, hint="Use `fit`, which letterboxes or crops it first.")
    return _scale(pixels, side, side)


def fit(pixels: np.ndarray, side: int = 128, rule: str = "letterbox") -> np.ndarray:
    """Brings a picture of any size to a square.

    Args:
        pixels: uint8 [H, W, 3], RGB, 0-255.
        side: Of the result, in pixels, at least 1.
        rule: `"letterbox"` keeps the whole picture; `"crop"` takes the largest square in its middle.

    Returns:
        uint8 [side, side, 3].

    Raises:
        ImageError: With reason `bad_array`.
        ConfigError: The rule is unknown.

    Example:

    >>> fit(np.zeros((218, 178, 3), np.uint8), rule="crop").shape
    (128, 128, 3)
    """
    if rule not in RULES:
        raise ConfigError(f"expected a rule out of {', '.join(RULES)}, received {rule!r}.")
    check_pixels(pixels)
    if rule == "letterbox":
        return letterbox(pixels, side)
    return resize(centre_crop(pixels, min(pixels.shape[:2])), side)


def _check_side(side: int) -> None:
    if not isinstance(side, int) or side < 1:
        raise ConfigError(f"expected a side of at least 1 pixel, received {side!r}.")


def _scale(pixels: np.ndarray, height: int, width: int) -> np.ndarray:
    if pixels.shape[:2] == (height, width):
        return pixels.copy()
    image = Image.fromarray(np.ascontiguousarray(pixels))
    return np.array(image.resize((width, height), Image.Resampling.BICUBIC))


def grid(rows: Sequence[np.ndarray] | np.ndarray, pad: int = 2) -> np.ndarray:
    """Draws a contact sheet on white.

    Args:
        rows: Rows of pictures, each uint8 [N, H, W, 3], or one array [R, C, H, W, 3]. Rows may differ in N,
            not in H and W.
        pad: White pixels between the pictures and around them.

    Returns:
        uint8 [R * (H + pad) + pad, max(N) * (W + pad) + pad, 3].

    Raises:
        ImageError: With reason `bad_array`.

    Example:

    >>> grid([np.zeros((3, 8, 8, 3), np.uint8), np.zeros((2, 8, 8, 3), np.uint8)], pad=1).shape
    (19, 28, 3)
    """
    sizes = {np.shape(picture)[:2] for row in rows for picture in row}
    if len(sizes) != 1:
        found = ", ".join(str(size) for size in sorted(sizes)) or "no picture"
        raise ImageError("bad_array", f"expected pictures of one size, received {found}.")
    (height, width), columns = sizes.pop(), max(len(row) for row in rows)
    shape = (len(rows) * (height + pad) + pad, columns * (width + pad) + pad, 3)
    sheet = np.full(shape, 255, np.uint8)
    for i, row in enumerate(rows):
        for j, picture in enumerate(row):
            check_pixels(picture)
            top, left = pad + i * (height + pad), pad + j * (width + pad)
            sheet[top : top + height, left : left + width] = picture
    return sheet


def label(text: str, side: int) -> np.ndarray:
    """Text, black on white, in the middle of the height of a square: what a row of a sheet is called.

    Args:
        text: broken into lines of about 16 characters; underscores become spaces.
        side: of the square, pixels.

    Returns:
        uint8 [side, side, 3].
    """
    image = Image.new("RGB", (side, side), "white")
    font = ImageFont.load_default(max(8, side // 9))
    words = textwrap.fill(text.replace("_", " "), 16)
    ImageDraw.Draw(image).text((side // 24, side // 2), words, "black", font, anchor="lm")
    return np.asarray(image)


def side_by_side(portrait: np.ndarray, recovered: np.ndarray) -> np.ndarray:
    """Puts a portrait and what was recovered from it next to each other.

    Args:
        portrait: uint8 [H, W, 3]; letterboxed to the other's size where they differ.
        recovered: uint8 [S, S, 3].

    Returns:
        uint8 [S + 4, 2 * S + 6, 3].

    Raises:
        ImageError: With reason `bad_array`.

    Example:

    >>> side_by_side(np.zeros((300, 200, 3), np.uint8), np.zeros((128, 128, 3), np.uint8)).shape
    (132, 262, 3)
    """
    check_pixels(recovered)
    if portrait.shape != recovered.shape:
        portrait = letterbox(portrait, recovered.shape[0])
    return grid([np.stack([portrait, recovered])])
