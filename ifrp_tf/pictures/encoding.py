"""Pixels -> a file that keeps what another says beside its own: format, profile, resolution, metadata."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import numpy as np
from PIL import Image, ImageFile, JpegImagePlugin

from ifrp_tf.pictures import decoding
from ifrp_tf.pictures.decoding import check_pixels, encode_png, jpeg2000_profile, sniff

KEPT = {
    "JPEG": ".jpg", "PNG": ".png", "WEBP": ".webp", "TIFF": ".tif", "JPEG2000": ".jp2", "AVIF": ".avif",
}  # fmt: skip
"""The formats that are kept, and their suffixes; of the others a PNG is made: they cannot say what it is."""

_SOFTWARE, _EXIF, _GPS, _XMP = 0x0131, 0x8769, 0x8825, 700
# Description, maker, model, date, artist, copyright, names of document and page, XMP, IPTC: what is not about
# the arrangement of the pixels, which is another one now.
_ABOUT = (0x010D, 0x010E, 0x010F, 0x0110, 0x011D, 0x0132, 0x013B, 0x013C, 0x8298, 0x83BB, 0x9C9B, 0x9C9F)
_OF_PIXELS = (0xA002, 0xA003, 0x927C, 0xA005)  # of the sub-directory: size, the maker's own, interoperability
_QUALITY = 95


def encode_like(
    pixels: np.ndarray, source: bytes, text: Mapping[str, str] | None = None, *, page: int = 0
) -> tuple[bytes, str]:
    """A file of the pixels in the format of a source, with its profile, resolution, EXIF and XMP.

    The colours are those of the source's profile where it is one of RGB, else sRGB; the orientation is none,
    for the pixels are upright. A JPEG keeps its source's tables and so its quality. The text goes where the
    format has a place for it: a text chunk, a comment, the EXIF tag `Software`.

    Args:
        pixels: uint8 [H, W, 3], RGB, 0-255, sRGB, upright, such as `decode` gives and `blending.paste` makes.
        source: the bytes of the file that they come from.
        text: as in `encode_png`.
        page: of a TIFF, whose resolution and metadata are kept, counted from 1; 0 for the first.

    Returns:
        The bytes and the suffix for their file's name. A PNG for a source of another format than `KEPT`, and
        where what the source says cannot be kept.

    Raises:
        ImageError: the pixels are of another type or shape (`bad_array`).
        ConfigError: a key or a text cannot be stored.

    Example:
        >>> encode_like(np.zeros((16, 16, 3), np.uint8), encode_png(np.zeros((8, 8, 3), np.uint8)))[1]
        '.png'
    """
    check_pixels(pixels)
    plain = encode_png(pixels, text), ".png"
    format, _, _ = sniff(source or b"\0")
    if format not in KEPT:
        return plain
    try:
        with decoding.without_foreign_warnings():
            image = decoding.OPENERS[format](io.BytesIO(source), "")
            if page and format == "TIFF":
                image.seek(page - 1)
            words = "; ".join(f"{key}: {value}" for key, value in sorted((text or {}).items()))
            if format == "PNG":
                return _as_png(pixels, image, text), ".png"
            return _encoded(pixels, image, format, words, source), KEPT[format]
    except Exception:  # a source that is strange beside its pixels is no reason to lose the picture
        return plain


def _as_png(pixels: np.ndarray, image: ImageFile.ImageFile, text: Mapping[str, str] | None) -> bytes:
    image.load()  # what follows the pixels is read then
    shown, options = _common(pixels, image, "")
    xmp = options.pop("xmp", b"")
    if xmp:
        text = {**(text or {}), "XML:com.adobe.xmp": xmp.decode("utf-8", "replace")}
    return encode_png(np.asarray(shown), text, **options)


def _encoded(pixels: np.ndarray, image: ImageFile.ImageFile, format: str, words: str, source: bytes) -> bytes:
    if format == "JPEG2000":
        image.info["icc_profile"] = jpeg2000_profile(source)
    shown, options = _common(pixels, image, words)
    if format == "JPEG":
        options |= {"comment": words.encode(), "quality": _QUALITY, "subsampling": 0}
        if isinstance(image, JpegImagePlugin.JpegImageFile) and image.layers == 3 and image.mode == "RGB":
            options |= {"qtables": image.quantization, "subsampling": JpegImagePlugin.get_sampling(image)}
            del options["quality"]
    elif format == "JPEG2000":
        options = {"comment": words, "quality_mode": "dB", "quality_layers": [45]}
    elif format == "TIFF":
        exif = options.setdefault("exif", Image.Exif())
        if xmp := options.pop("xmp", b""):
            exif[_XMP] = xmp
        if _EXIF not in exif and _GPS not in exif:  # libtiff, which compresses, refuses directories inside
            options |= {"compression": "tiff_adobe_deflate"}
    else:
        options |= {"quality": _QUALITY}
        options.pop("dpi", None)  # they have no place for it but EXIF
    stream = io.BytesIO()
    shown.save(stream, format, **options)
    return stream.getvalue()


def _common(pixels: np.ndarray, image: ImageFile.ImageFile, words: str) -> tuple[Image.Image, dict[str, Any]]:
    """The pixels in the source's colours, and what Pillow is to write beside them."""
    shown, profile = _in_profile(Image.fromarray(np.ascontiguousarray(pixels)), image.info.get("icc_profile"))
    options: dict[str, Any] = {}
    if len(exif := _exif(image, words)):
        options["exif"] = exif
    if profile:
        options["icc_profile"] = profile
    if dpi := image.info.get("dpi"):
        options["dpi"] = tuple(float(value) for value in dpi)
    xmp = image.info.get("xmp") or image.info.get("XML:com.adobe.xmp") or b""
    if xmp := xmp.encode() if isinstance(xmp, str) else bytes(xmp):
        options["xmp"] = re.sub(rb'(tiff:Orientation(?:="|>))[0-9]', rb"\g<1>1", xmp)
    return shown, options


def _in_profile(shown: Image.Image, profile: bytes | None) -> tuple[Image.Image, bytes | None]:
    if not profile:
        return shown, None
    from PIL import ImageCms

    with suppress(Exception):  # unreadable, and ignored when it was decoded
        target = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if target.profile.xcolor_space.strip() == "RGB":
            transform = ImageCms.buildTransform(ImageCms.createProfile("sRGB"), target, "RGB", "RGB")
            return transform.apply(shown), profile
    return shown, None


def _exif(image: ImageFile.ImageFile, words: str) -> Image.Exif:
    kept, made = Image.Exif(), Image.Exif()
    if words:
        kept[_SOFTWARE] = words
    made.load(kept.tobytes())
    with suppress(Exception):  # damaged: its picture is worth more
        found = image.getexif()
        for tag in _ABOUT:
            if tag in found:
                kept[tag] = found[tag]
        for tag in (_EXIF, _GPS):
            if inner := {key: value for key, value in found.get_ifd(tag).items() if key not in _OF_PIXELS}:
                kept[tag] = inner
        made.load(kept.tobytes())  # as bytes: of directories made by hand Pillow writes none into a TIFF
    return made
