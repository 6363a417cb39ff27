"""Numbers of every kind to 8-bit sRGB: ranges, gamma, colour profiles, and what is behind transparency.

A range is stretched, or cut, only where a note says so; a profile is judged by what it does to colours.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageChops, ImageFilter

from ifrp_tf.core.errors import ImageError

VISIBLE, OPAQUE = 8, 250
"""Of 255: what is fainter is not seen, and what is opaque enough to be the edge of a picture."""

_DEPTHS = (8, 10, 12, 14)
_HAIR = 0.1
_DARK = 16.0


def used_bits(low: int, high: int, bits: int) -> int:
    """How many bits a device filled whose values lie in wider numbers, as a 12-bit camera's do in 16.

    Args:
        low: The smallest value, at least 0.
        high: The largest value.
        bits: Of the numbers.

    Returns:
        8, 10, 12 or 14 where the largest value needs no more and fills at least a quarter of that range, so
        that a black picture stays black; else `bits`.

    Example:

    >>> used_bits(0, 4080, 16), used_bits(0, 65535, 16), used_bits(0, 20, 16)
    (12, 16, 16)
    """
    if low < high:
        for depth in _DEPTHS:
            if depth < bits and high < 2**depth:
                return depth if high >= 2 ** (depth - 2) else bits
    return bits


def from_floats(values: np.ndarray, notes: list[str]) -> np.ndarray:
    """Float pixels to levels: in [0, 1] or in [0, 255], by the largest; a tenth of that beyond is cut off.

    Args:
        values: Floats [H, W].
        notes: A list to which a note is added where something was cut off.

    Returns:
        uint8 [H, W].

    Raises:
        ImageError: With reason `not_finite`, or `unsupported_format` for values in no such range.

    Example:

    >>> from_floats(np.array([[0.5, 1.02]]), [])
    array([[128, 255]], dtype=uint8)
    """
    if not np.isfinite(values).all():
        count = values.size - int(np.isfinite(values).sum())
        raise ImageError("not_finite", f"expected numbers, received NaN or infinity in {count:,} pixels.")
    low, high = float(values.min()), float(values.max())
    peak = 1 if high <= 1 + _HAIR else 255
    if low < -_HAIR * peak or high > (1 + _HAIR) * peak or (peak == 255 and high < _DARK):
        message = f"expected float pixels in [0, 1] or [0, 255], received {low:g} to {high:g}."
        raise ImageError("unsupported_format", message, hint="Tone-map the picture to 8 bits first.")
    if low < 0 or high > peak:
        notes.append(f"values from {low:g} to {high:g} cut off to 0 to {peak}")
        values = np.clip(values, 0, peak)
    return np.floor(values * (255 // peak) + 0.5).astype(np.uint8)


def stretched(values: np.ndarray, peak: int) -> np.ndarray:
    """Whole numbers to levels, rounded: 0 to 0 and `peak` to 255.

    Args:
        values: Whole numbers from 0 to `peak`, of any shape.
        peak: The number that is white.

    Returns:
        uint8 of the same shape.

    Example:

    >>> stretched(np.array([0, 4095]), 4095)
    array([  0, 255], dtype=uint8)
    """
    wide = values.astype(np.uint32)
    return ((wide * 255 + peak // 2) // peak).astype(np.uint8)


# Gamma and profiles.


def gamma_of(image: Image.Image) -> float | None:
    """The power by which a PNG says that its samples were encoded, where it changes what is shown.

    Args:
        image: An opened image.

    Returns:
        Such as 1.0 for linear light; None where nothing is said, a profile or an sRGB chunk says it better,
        or it is about that of sRGB (1 / 2.2, within 5 %).

    Example:

    >>> image = Image.new("RGB", (16, 16)); image.info["gamma"] = 1.0
    >>> gamma_of(image)
    1.0
    """
    gamma = image.info.get("gamma")
    if "icc_profile" in image.info or "srgb" in image.info or not isinstance(gamma, float | int):
        return None
    return float(gamma) if 0.1 <= gamma <= 5 and abs(gamma * 2.2 - 1) > 0.05 else None


def gamma_table(gamma: float, peak: int) -> np.ndarray:
    """The levels that samples encoded with a power have in sRGB.

    Args:
        gamma: The power: sample = light ** gamma.
        peak: The largest sample, 255 or 65535.

    Returns:
        uint8 [peak + 1].

    Example:

    >>> gamma_table(1.0, 255)[[0, 55, 255]]
    array([  0, 128, 255], dtype=uint8)
    """
    light = (np.arange(peak + 1) / peak) ** (1 / gamma)
    encoded = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    return np.floor(255 * encoded + 0.5).astype(np.uint8)


_PROFILE_SPACES = {"L": "GRAY", "RGB": "RGB", "CMYK": "CMYK"}
_LIKE_SRGB = 3  # levels
_KNOWN: dict[tuple[bytes, str], bool] = {}
_KNOWN_PROFILES = 256


def to_srgb(image: Image.Image, profile: bytes | None, notes: list[str]) -> Image.Image:
    """Converts 8-bit pixels to sRGB by their colour profile.

    A profile that moves no colour of a probe by more than three levels is as good as sRGB, whatever its name:
    nothing is converted, nor rounded.

    Args:
        image: A loaded image without transparency.
        profile: An ICC profile, or None.
        notes: A list to which a note is added for whatever the user should know.

    Returns:
        An image of mode RGB, of the same size.

    Example:

    >>> to_srgb(Image.new("L", (16, 16), 9), None, []).getpixel((0, 0))
    (9, 9, 9)
    """
    if image.mode not in ("LAB", *_PROFILE_SPACES):
        image = image.convert("RGB")
    if image.mode != "LAB" and not profile:
        return image.convert("RGB")
    from PIL import ImageCms  # most pictures need no colour engine

    srgb = ImageCms.createProfile("sRGB")
    if image.mode == "LAB":
        notes.append("colours converted from Lab")
        return ImageCms.buildTransform(ImageCms.createProfile("LAB"), srgb, "LAB", "RGB").apply(image)
    try:
        key = (hashlib.sha256(profile or b"").digest(), image.mode)
        if _KNOWN.get(key):
            return image.convert("RGB")
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile or b""))
        name = "".join(filter(str.isprintable, ImageCms.getProfileDescription(source)))[:60].strip()
        space = source.profile.xcolor_space.strip()
        if space != _PROFILE_SPACES[image.mode]:
            notes.append(f"colour profile ignored: it is for {space:.4}, the picture is {image.mode}")
            return image.convert("RGB")
        transform = ImageCms.buildTransform(source, srgb, image.mode, "RGB")
        if key not in _KNOWN:
            if len(_KNOWN) >= _KNOWN_PROFILES:
                _KNOWN.clear()
            _KNOWN[key] = _is_like_srgb(transform, image.mode)
        if _KNOWN[key]:
            return image.convert("RGB")
        converted = transform.apply(image)
    except Exception:  # a broken profile is no reason to refuse a sound picture
        notes.append("colour profile unreadable, ignored")
        return image.convert("RGB")
    notes.append(f"colours converted from {name or 'an unnamed profile'}")
    return converted


def _is_like_srgb(transform: object, mode: str) -> bool:
    if mode == "CMYK":
        return False
    ramp = np.arange(256, dtype=np.uint8)
    colours = np.repeat(ramp[:, None], 3, axis=1)
    if mode == "RGB":
        grid = np.stack(np.meshgrid(*[np.arange(0, 256, 51).astype(np.uint8)] * 3), axis=-1).reshape(-1, 3)
        colours = np.concatenate([colours, grid])
    probe = Image.fromarray(np.ascontiguousarray(colours[None] if mode == "RGB" else ramp[None]))
    shown = np.asarray(transform.apply(probe))[0].astype(int)  # type: ignore[attr-defined]
    return int(np.abs(shown - colours).max()) <= _LIKE_SRGB


# What is behind transparent pixels.


def lay_on(
    image: Image.Image, alpha: Image.Image, background: Sequence[int] | None, notes: list[str]
) -> Image.Image:
    """Lays a picture on a colour where it is transparent.

    Args:
        image: Mode RGB.
        alpha: Mode L, of the same size; 0 is transparent.
        background: RGB 0-255; None takes the mean colour of the opaque pixels next to others that are not,
            so that a face that was cut out is not lit, nor darkened, by what it is laid on.
        notes: A list to which a note is added where anything is transparent.

    Returns:
        An image of mode RGB.

    Raises:
        ImageError: With reason `transparent`: nothing of the picture can be seen.

    Example:

    >>> half = Image.new("L", (16, 16)); half.paste(255, (8, 0, 16, 16))
    >>> lay_on(Image.new("RGB", (16, 16), (9, 8, 7)), half, None, []).getpixel((0, 0))
    (9, 8, 7)
    """
    lowest, highest = (int(level) for level in alpha.getextrema())  # type: ignore[arg-type]
    if lowest == 255:
        return image
    if highest < VISIBLE:
        message = (
            "expected a picture of which something can be seen, received one that is wholly transparent."
        )
        raise ImageError("transparent", message, hint="Save it without transparency.")
    if background is None:
        colour = _edge_colour(image, alpha, highest)
        notes.append(f"transparency laid on {colour}, the mean of its opaque edge")
    else:
        colour = (background[0], background[1], background[2])
        notes.append(f"transparency laid on {colour}")
    canvas = Image.new("RGB", image.size, colour)
    canvas.paste(image, mask=alpha)
    return canvas


def _edge_colour(image: Image.Image, alpha: Image.Image, highest: int) -> tuple[int, int, int]:
    # A picture that is nowhere opaque has an edge all the same: of what is nearly as opaque as it gets.
    enough = min(OPAQUE, highest - highest // 32)
    opaque = alpha.point([255 if level >= enough else 0 for level in range(256)])
    near = ImageChops.invert(opaque).filter(ImageFilter.MaxFilter(3))
    edge = ImageChops.multiply(opaque, near)
    pixels = np.asarray(image)[np.asarray(edge if edge.getbbox() else opaque) > 0]
    red, green, blue = (int(level) for level in np.floor(pixels.mean(axis=0, dtype=np.float64) + 0.5))
    return red, green, blue


# Blank pages.

_MARGIN, _CELLS, _FLAT = 20, 48, 12


def is_flat(pixels: np.ndarray) -> bool:
    """Whether a picture is one flat colour, or nearly: a blank page, a black first frame, an empty canvas.

    It is made small, so that grain and dust do not count, without a twentieth at each side, where scanners
    leave borders; then all but half a percent at either end must lie within 12 levels in every channel. Takes
    about a millisecond a megapixel.

    Args:
        pixels: uint8 [H, W, 3], RGB, 0-255.

    Returns:
        True where there is nothing to be seen. A small drawing on a large sheet is something.

    Example:

    >>> is_flat(np.full((300, 200, 3), 250, np.uint8))
    True
    """
    height, width = pixels.shape[:2]
    top, left = height // _MARGIN, width // _MARGIN
    inner = pixels[top : height - top, left : width - left]
    step = max(1, min(inner.shape[:2]) // 1024)  # nobody needs every pixel of a large scan
    image = Image.fromarray(np.ascontiguousarray(inner[::step, ::step]))
    cells = tuple(max(1, min(_CELLS, length // 4)) for length in image.size)
    small = np.asarray(image.resize((cells[0], cells[1]), Image.Resampling.BOX)).reshape(-1, 3)
    low, high = np.percentile(small, (0.5, 99.5), axis=0)
    return bool((high - low).max() <= _FLAT)
