"""What is accepted as a picture, and what a file's bytes say of themselves before a decoder sees them."""

from __future__ import annotations

import string
from typing import Literal

import numpy as np

from ifrp_tf.errors import ImageError

MAX_FILE_BYTES = 512 * 2**20
"""The largest file that is read."""

MAX_PIXELS = 120_000_000
"""The most pixels that are decoded: museum scans are large, and a bomb is refused by its header."""

MIN_SIDE, MAX_SIDE = 16, 16_384
"""The shortest and the longest side, in pixels."""

MAX_ASPECT = 20
"""How many times longer than the short side the long side may be."""

SUFFIXES = {
    ".jpg": "JPEG", ".jpeg": "JPEG", ".jpe": "JPEG", ".jfif": "JPEG", ".mpo": "JPEG", ".png": "PNG", ".apng":
    "PNG", ".webp": "WEBP", ".bmp": "BMP", ".dib": "BMP", ".tif": "TIFF", ".tiff": "TIFF", ".gif": "GIF",
}  # fmt: skip
"""The format that a file's suffix, in lower case, promises. Only notes depend on it: the content decides."""

FORMATS = tuple(dict.fromkeys(SUFFIXES.values()))
"""The formats that are read; everything else is refused, whatever Pillow could do with it."""

_MAGIC = (
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"II+\0", "TIFF"),
    (b"MM\0+", "TIFF"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
)
_OTHER_PICTURES = (
    (b"8BPS", "a Photoshop document"),
    (b"%!PS", "a PostScript program (EPS)"),
    (b"\xc5\xd0\xd3\xc6", "a PostScript program (EPS)"),
    (b"\0\0\0\x0cjP  ", "a JPEG 2000 picture"),
    (b"\xff\x4f\xff\x51", "a JPEG 2000 picture"),
    (b"\0\0\0\x0cJXL ", "a JPEG XL picture"),
    (b"\xff\x0a", "a JPEG XL picture"),
    (b"\0\0\1\0", "an icon"),
    (b"#?RADIANCE", "a Radiance HDR picture"),
    (b"v/1\x01", "an OpenEXR picture"),
    (b"DDS ", "a DirectDraw surface"),
    (b"qoif", "a QOI picture"),
    *((b"P%d" % digit + space, "a Netpbm picture") for digit in range(1, 8) for space in (b"\n", b" ")),
)
_OTHER_FILES = (
    (b"%PDF", "a PDF document"),
    (b"PK\x03\x04", "a ZIP archive"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"\x93NUMPY", "a NumPy array"),
    (b"\x89HDF", "an HDF5 file"),
    (b"\x7fELF", "a program"),
)
_BMP_HEADER_BYTES = (12, 16, 40, 52, 56, 64, 108, 124)


def check_size(width: int, height: int) -> None:
    """Refuses a size that no picture of a face has.

    Args:
        width: In pixels.
        height: In pixels.

    Raises:
        ImageError: With reason `too_large`, `too_small` or `too_elongated`.

    Example:

    >>> check_size(178, 218)
    """
    size, (short, long) = f"{width:,} x {height:,} pixels", sorted((width, height))
    if long > MAX_SIDE or width * height > MAX_PIXELS:
        message = f"expected sides up to {MAX_SIDE:,} and {MAX_PIXELS:,} pixels in all, received {size}."
        raise ImageError("too_large", message, hint="Scale the picture down first.")
    if short < MIN_SIDE:
        raise ImageError("too_small", f"expected sides of at least {MIN_SIDE} pixels, received {size}.")
    if long > MAX_ASPECT * short:
        message = f"expected sides in a proportion up to {MAX_ASPECT}:1, received {size}."
        raise ImageError("too_elongated", message, hint="Cut the face out first.")


def check_pixels(pixels: np.ndarray) -> None:
    """Refuses what is not a picture of the package: uint8 [H, W, 3].

    Args:
        pixels: Anything.

    Raises:
        ImageError: With reason `bad_array`, saying what was received.

    Example:

    >>> check_pixels(np.zeros((218, 178, 3), np.uint8))
    """
    if (
        not isinstance(pixels, np.ndarray)
        or pixels.dtype != np.uint8
        or pixels.ndim != 3
        or pixels.shape[2] != 3
    ):
        raise ImageError("bad_array", f"expected a uint8 array [H, W, 3], received {describe_array(pixels)}.")


def describe_array(array: object) -> str:
    """What an array is, for an error message: its type, shape and range.

    Args:
        array: Anything.

    Returns:
        Words such as `float32 [128, 128, 3] from 0.0 to 1.0`.

    Example:

    >>> describe_array(np.array([[0.5, 1.0]]))
    'float64 [1, 2] from 0.5 to 1.0'
    """
    if not isinstance(array, np.ndarray):
        return f"a {type(array).__name__}"
    words = f"{array.dtype} {list(array.shape)}"
    if array.size and array.dtype.kind in "buif":
        words += f" from {array.min()} to {array.max()}"
    return words


def sniff(data: bytes) -> tuple[str | None, bool, str]:
    """Recognises a file by its content.

    Args:
        data: The file's bytes, at least one.

    Returns:
        The format, one of `FORMATS`, or None; whether it is a picture at all; and what it is in words.

    Example:

    >>> sniff(b"<!DOCTYPE html><title>404</title>")
    (None, False, "an HTML page (it starts with b'<!DOCTYPE html><')")
    """
    for magic, name in _MAGIC:
        if data.startswith(magic):
            return name, True, name
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WEBP", True, "WEBP"
    # Two letters are weak evidence: a text may well start with BM.
    if data[:2] == b"BM" and (len(data) < 18 or int.from_bytes(data[14:18], "little") in _BMP_HEADER_BYTES):
        return "BMP", True, "BMP"
    if data[4:8] == b"ftyp" and data[8:12] in (b"avif", b"avis", b"heic", b"heix", b"mif1", b"msf1", b"hevc"):
        return None, True, "an AVIF or HEIC picture"
    for magic, words in _OTHER_PICTURES:
        if data.startswith(magic):
            return None, True, words
    for magic, words in _OTHER_FILES:
        if data.startswith(magic):
            return None, False, words
    words, is_picture = _textual(data)
    return None, is_picture, f"{words} (it starts with {data[:16]!r})"


def _textual(data: bytes) -> tuple[str, bool]:
    text = data[:2048].decode("utf-8", "replace").lstrip("\ufeff").lstrip().lower()
    if "<svg" in text and text.startswith("<"):
        return "an SVG drawing", True
    if text.startswith(("<!doctype html", "<html", "<head", "<body")):
        return "an HTML page", False
    if text.startswith(("{", "[")):
        return "JSON or other text", False
    strange = sum(not (x.isprintable() or x in string.whitespace) or x == "\ufffd" for x in text)
    return ("text" if 20 * strange < len(text) else "unknown data"), False


def webp_size(data: bytes) -> tuple[int, int] | None:
    """Width and height from the header of a WebP file, read here because its decoder allocates when it opens.

    Args:
        data: The file's bytes, beginning with a WebP header.

    Returns:
        (width, height) in pixels, or None where the header is damaged.

    Example:

    >>> webp_size(b"RIFF....WEBPVP8X........" + bytes([99, 0, 0, 49, 0, 0]))
    (100, 50)
    """
    kind = data[12:16]
    if len(data) < 30 or kind not in (b"VP8 ", b"VP8L", b"VP8X"):
        return None
    if kind == b"VP8X":
        return 1 + int.from_bytes(data[24:27], "little"), 1 + int.from_bytes(data[27:30], "little")
    if kind == b"VP8L":
        bits = int.from_bytes(data[21:25], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    return int.from_bytes(data[26:28], "little") & 0x3FFF, int.from_bytes(data[28:30], "little") & 0x3FFF


def is_cut(data: bytes, format: str) -> bool:
    """Whether the end of a damaged file seems to be missing, rather than its middle to be wrong.

    Args:
        data: The file's bytes.
        format: Its format, one of `FORMATS`.

    Returns:
        True where the end that the format asks for, or the length that the header announces, is not there.

    Example:

    >>> is_cut(b"GIF89a", "GIF")
    True
    """
    if format == "TIFF":
        if 43 in data[2:4]:  # BigTIFF: too rare to be worth its own layout here
            return False
        order: Literal["little", "big"] = "little" if data[:2] == b"II" else "big"
        start = int.from_bytes(data[4:8], order)
        return start + 2 + 12 * int.from_bytes(data[start : start + 2], order) > len(data)
    return {
        "PNG": b"IEND" not in data,
        "JPEG": b"\xff\xd9" not in data,
        "GIF": data[-1:] != b";",
        "BMP": int.from_bytes(data[2:6], "little") > len(data),
        "WEBP": int.from_bytes(data[4:8], "little") + 8 > len(data),
    }[format]
