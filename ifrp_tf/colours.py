"""Every kind of pixel that a picture file can hold, to 8-bit sRGB."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from ifrp_tf.errors import ImageError

_PROFILE_SPACES = {"L": "GRAY", "RGB": "RGB", "CMYK": "CMYK"}


def to_rgb(image: Image.Image, background: tuple[int, int, int], notes: list[str]) -> Image.Image:
    """Converts a loaded Pillow image of any mode to 8-bit sRGB without transparency.

    Grey of 16 bits is divided by 257 and rounded, so that white stays white; colour of 16 bits comes from
    Pillow as its high byte, at most one level off. Floats must lie in [0, 1], or else in [0, 255]: the
    largest decides. A colour profile is obeyed where it can be read and fits the pixels; CMYK without one is
    converted plainly.

    Args:
        image: A loaded image.
        background: What lies behind transparent pixels, RGB 0-255.
        notes: A list to which a note is added for whatever the user should know.

    Returns:
        An image of mode RGB, of the same size.

    Raises:
        ImageError: With reason `not_finite`, or `unsupported_format` for values in no documented range.

    Example:

    >>> to_rgb(Image.new("LA", (16, 16), (0, 0)), (255, 0, 0), []).getpixel((0, 0))
    (255, 0, 0)
    """
    profile, alpha = image.info.get("icc_profile"), None
    if image.mode == "F":
        image = Image.fromarray(_from_floats(np.asarray(image)))
    elif image.mode.startswith("I"):
        image, alpha = _from_integers(image)
    elif image.has_transparency_data:
        opaque_mode = "L" if image.mode in ("1", "L", "LA", "La") else "RGB"
        image = image.convert("RGBA")
        alpha, image = image.getchannel("A"), image.convert(opaque_mode)
    image = _to_srgb(image, profile, notes)
    if alpha is None or alpha.getextrema() == (255, 255):
        return image
    notes.append(f"transparency laid on {background}")
    canvas = Image.new("RGB", image.size, background)
    canvas.paste(image, mask=alpha)
    return canvas


def _from_floats(values: np.ndarray) -> np.ndarray:
    if not np.isfinite(values).all():
        count = values.size - int(np.isfinite(values).sum())
        raise ImageError("not_finite", f"expected numbers, received NaN or infinity in {count:,} pixels.")
    low, high = float(values.min()), float(values.max())
    if low < 0 or high > 255:
        message = f"expected float pixels in [0, 1] or [0, 255], received {low:g} to {high:g}."
        raise ImageError("unsupported_format", message, hint="Tone-map the picture to 8 bits first.")
    return np.floor(values * (255 if high <= 1 else 1) + 0.5).astype(np.uint8)


def _from_integers(image: Image.Image) -> tuple[Image.Image, Image.Image | None]:
    """16-bit grey to mode L, and the transparency of a PNG that declares one grey value transparent."""
    tags = getattr(image, "tag_v2", {})  # of a TIFF
    bits = tags.get(258, (16,))[0]
    peak = 2**bits - 1 if 8 < bits <= 16 else 65535
    stored = np.asarray(image)
    low, high = int(stored.min()), int(stored.max())
    if low < 0 or high > peak:
        message = f"expected integer pixels in [0, {peak}], received {low} to {high}."
        raise ImageError("unsupported_format", message, hint="Save the picture with 8 or 16 bits a channel.")
    values = stored.astype(np.uint32)
    if tags.get(262) == 0:  # white is stored as zero; Pillow turns that round for 8 bits only
        values = peak - values
    grey = Image.fromarray(((values * 255 + peak // 2) // peak).astype(np.uint8))
    key = image.info.get("transparency")
    if not isinstance(key, int):
        return grey, None
    return grey, Image.fromarray(np.where(stored == key, 0, 255).astype(np.uint8))


def _to_srgb(image: Image.Image, profile: bytes | None, notes: list[str]) -> Image.Image:
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
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile or b""))
        name = "".join(filter(str.isprintable, ImageCms.getProfileDescription(source)))[:60].strip()
        space = source.profile.xcolor_space.strip()
        if space != _PROFILE_SPACES[image.mode]:
            notes.append(f"colour profile ignored: it is for {space:.4}, the picture is {image.mode}")
            return image.convert("RGB")
        if "srgb" in name.lower():  # as good as every picture: do not pay, nor round, for nothing
            return image.convert("RGB")
        converted = ImageCms.buildTransform(source, srgb, image.mode, "RGB").apply(image)
    except Exception:  # a broken profile is no reason to refuse a sound picture
        notes.append("colour profile unreadable, ignored")
        return image.convert("RGB")
    notes.append(f"colours converted from {name or 'an unnamed profile'}")
    return converted
