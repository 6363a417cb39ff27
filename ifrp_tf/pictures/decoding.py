"""Bytes of a picture file -> upright uint8 RGB, or an `ImageError` with a reason; and PNG back.

The only place that decodes: formats are recognised by their first bytes, sizes are checked before pixels are
unpacked, colours are converted to sRGB, orientation is applied. `tiff` chooses the page, `colours` knows
ranges, profiles and transparency.
"""

from __future__ import annotations

import ctypes
import functools
import io
import logging
import re
import string
import sys
import threading
import warnings
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from PIL import (
    AvifImagePlugin,
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    ImageFile,
    Jpeg2KImagePlugin,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from ifrp_tf.core.errors import ConfigError, ImageError
from ifrp_tf.pictures import avif, colours, pdf, tiff
from ifrp_tf.pictures.avif import boxes

# Which files are accepted, judged by their first bytes.

MAX_FILE_BYTES = 512 * 2**20
"""The largest file that is read."""

MAX_PIXELS = 120_000_000
"""The most pixels that are decoded: museum scans are large, and a bomb is refused by its header. Of a JPEG, a
JPEG 2000 or a TIFF with reduced copies of more, up to `MAX_SIDE` a side, a smaller version is decoded."""

MIN_SIDE, MAX_SIDE = 16, 16_384
"""The shortest and the longest side, in pixels."""

MAX_ASPECT = 20
"""How many times longer than the short side the long side may be."""

SUFFIXES = {
    ".jpg": "JPEG", ".jpeg": "JPEG", ".jpe": "JPEG", ".jfif": "JPEG", ".mpo": "JPEG", ".png": "PNG", ".apng":
    "PNG", ".webp": "WEBP", ".bmp": "BMP", ".dib": "BMP", ".tif": "TIFF", ".tiff": "TIFF", ".gif": "GIF",
    ".jp2": "JPEG2000", ".j2k": "JPEG2000", ".j2c": "JPEG2000", ".jpc": "JPEG2000", ".jpf": "JPEG2000",
    ".jpx": "JPEG2000", ".avif": "AVIF", ".avifs": "AVIF", ".heic": "HEIC", ".heif": "HEIC", ".hif": "HEIC",
    ".pdf": "PDF",
}  # fmt: skip
"""The format that a file's suffix, in lower case, promises. Only notes depend on it: the content decides."""

EXTRAS = {"HEIC": "heic", "PDF": "pdf"}
"""The formats that are read only where an extra of the package is installed, and its name."""

FORMATS = tuple(format for format in dict.fromkeys(SUFFIXES.values()) if format not in EXTRAS)
"""The formats that are always read; everything else is refused, whatever Pillow could do with it."""

_MAGIC = (
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"II+\0", "TIFF"),
    (b"MM\0+", "TIFF"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
    (b"\0\0\0\x0cjP  ", "JPEG2000"),
    (b"\xff\x4f\xff\x51", "JPEG2000"),
    (b"%PDF", "PDF"),
)
_OTHER_PICTURES = (
    (b"8BPS", "a Photoshop document"),
    (b"%!PS", "a PostScript program (EPS)"),
    (b"\xc5\xd0\xd3\xc6", "a PostScript program (EPS)"),
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
    (b"PK\x03\x04", "a ZIP archive"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"\x93NUMPY", "a NumPy array"),
    (b"\x89HDF", "an HDF5 file"),
    (b"\x7fELF", "a program"),
)
VIDEO = "a video"
"""What `sniff` calls a video, which is read frame by frame elsewhere: `video.Video`."""

_VIDEOS = (
    b"\x1a\x45\xdf\xa3",  # Matroska, WebM
    b"OggS",
    b"FLV\x01",
    b"\x30\x26\xb2\x75\x8e\x66\xcf\x11",  # ASF: WMV
    b"\0\0\1\xba",  # MPEG
    b"\0\0\1\xb3",
)
_QUICKTIME = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot")
_HEIC_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1")
_BMP_HEADER_BYTES = (12, 16, 40, 52, 56, 64, 108, 124)


def check_size(width: int, height: int, *, reducible: bool = False) -> None:
    """Refuses a size that no picture of a face has.

    Args:
        width: In pixels.
        height: In pixels.
        reducible: Whether a smaller version will be decoded, so that only the sides count.

    Raises:
        ImageError: With reason `too_large`, `too_small` or `too_elongated`.

    Example:

    >>> check_size(178, 218)
    """
    size, (short, long) = f"{width:,} x {height:,} pixels", sorted((width, height))
    if long > MAX_SIDE or (width * height > MAX_PIXELS and not reducible):
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
        The format, one of `FORMATS` or `EXTRAS`, or None; whether it is a picture at all; and what it is in
        words.

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
    if data[4:8] == b"ftyp" and (format := _brand(data)):
        return format, True, format
    if data.startswith(_VIDEOS) or data[4:8] in _QUICKTIME or _is_riff_or_stream(data):
        return None, True, VIDEO
    for magic, words in _OTHER_PICTURES:
        if data.startswith(magic):
            return None, True, words
    for magic, words in _OTHER_FILES:
        if data.startswith(magic):
            return None, False, words
    words, is_picture = _textual(data)
    return None, is_picture, f"{words} (it starts with {data[:16]!r})"


def _is_riff_or_stream(data: bytes) -> bool:
    """Whether it begins as AVI, or as packets of an MPEG transport stream."""
    return (data[:4], data[8:12]) == (b"RIFF", b"AVI ") or (data[:1], data[188:189]) == (b"G", b"G")


def _brand(data: bytes) -> str | None:
    """AVIF or HEIC, by the brands of a file that begins with an `ftyp` box; the compatible ones decide."""
    end = min(int.from_bytes(data[:4], "big"), 4096)
    brands = [data[8:12], *(data[at : at + 4] for at in range(16, end - 3, 4))]
    if any(brand in (b"avif", b"avis") for brand in brands):
        return "AVIF"
    return "HEIC" if any(brand in _HEIC_BRANDS for brand in brands) else None


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


def jpeg2000_size(data: bytes) -> tuple[int, int] | None:
    """Width and height that the codestream of a JPEG 2000 says, which its decoder takes memory by.

    Args:
        data: The file's bytes: boxes, or a codestream alone.

    Returns:
        (width, height) in pixels, or None where there is no codestream, or one of more than four channels.

    Example:

    >>> jpeg2000_size(b"no codestream") is None
    True
    """
    start = 0
    if not data.startswith(b"\xff\x4f"):
        start = next((begin for kind, begin, _ in boxes(data) if kind == b"jp2c"), len(data))
    head = data[start : start + 42]
    if len(head) < 42 or head[:4] != b"\xff\x4f\xff\x51" or not 1 <= int.from_bytes(head[40:42], "big") <= 4:
        return None
    right, bottom, left, top = (int.from_bytes(head[at : at + 4], "big") for at in (8, 12, 16, 20))
    return right - left, bottom - top


def jpeg2000_profile(data: bytes) -> bytes | None:
    """The colour profile of a JPEG 2000 file, which Pillow leaves out.

    Args:
        data: The file's bytes.

    Returns:
        An ICC profile, or None.

    Example:

    >>> jpeg2000_profile(b"\xff\x4f\xff\x51") is None
    True
    """
    for kind, start, end in boxes(data):
        if kind == b"jp2h":
            for inner, begin, stop in boxes(data, start, min(end, len(data))):
                if inner == b"colr" and data[begin : begin + 1] in (b"\2", b"\3"):
                    return bytes(data[begin + 3 : stop])
        if kind == b"jp2c":
            return None
    return None


def is_cut(data: bytes, format: str) -> bool:
    """Whether the end of a damaged file seems to be missing, rather than its middle to be wrong.

    Args:
        data: The file's bytes.
        format: Its format, one of `FORMATS` or `EXTRAS`.

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
    if format in ("AVIF", "HEIC", "JPEG2000") and not data.startswith(b"\xff\x4f"):
        ends = [end for _, _, end in boxes(data)]
        if not ends or ends[-1] > len(data):
            return True
    return {
        "AVIF": False,
        "HEIC": False,
        "PDF": b"%%EOF" not in data[-1024:],
        "JPEG2000": b"\xff\xd9" not in data,
        "PNG": b"IEND" not in data,
        "JPEG": b"\xff\xd9" not in data,
        "GIF": data[-1:] != b";",
        "BMP": int.from_bytes(data[2:6], "little") > len(data),
        "WEBP": int.from_bytes(data[4:8], "little") + 8 > len(data),
    }[format]


# Pixels of every kind to 8-bit sRGB.


def to_rgb(
    image: Image.Image, background: tuple[int, int, int] | None, notes: list[str],
    low_bytes: Callable[[], Image.Image | None] | None = None,
) -> Image.Image:  # fmt: skip
    """Converts a loaded Pillow image of any mode to 8-bit sRGB without transparency.

    Grey of 16 bits is divided by 257 and rounded, so that white stays white; colour of 16 bits comes from
    Pillow as its high byte, at most one level off. Where 16 bits hold the values of a device of 8 to 14 they
    are stretched, with a note. Floats must lie in [0, 1], or else in [0, 255]: the largest decides. A
    colour profile is obeyed where it can be read and fits the pixels, and a PNG's gamma where there is none;
    CMYK without one is converted plainly.

    Args:
        image: A loaded image.
        background: What is behind transparent pixels, RGB 0-255; None for the mean of the opaque edge.
        notes: A list to which a note is added for whatever the user should know.
        low_bytes: Of an image whose 16-bit colours Pillow cut to their high bytes, gives that of the low
            ones, or None where it cannot be had.

    Returns:
        An image of mode RGB, of the same size.

    Raises:
        ImageError: With reason `not_finite`, `transparent`, or `unsupported_format` for values in no
            documented range.

    Example:

    >>> half = Image.new("LA", (16, 16), (0, 0)); half.putpixel((3, 3), (7, 255))
    >>> to_rgb(half, (255, 0, 0), []).getpixel((0, 0))
    (255, 0, 0)
    """
    profile, gamma, alpha = image.info.get("icc_profile"), colours.gamma_of(image), None
    if image.mode == "F":
        image = Image.fromarray(colours.from_floats(np.asarray(image), notes))
    elif image.mode.startswith("I"):
        image, alpha = _from_integers(image, gamma, notes)
        gamma = None
    else:
        if low_bytes is not None:
            image, gamma = _from_high_bytes(image, low_bytes, gamma, notes)
        if image.has_transparency_data:
            opaque_mode = "L" if image.mode in ("1", "L", "LA", "La") else "RGB"
            image = image.convert("RGBA")
            alpha, image = image.getchannel("A"), image.convert(opaque_mode)
    if gamma is not None:
        image = image.convert("L" if image.mode in ("1", "L") else "RGB")
        image = image.point(colours.gamma_table(gamma, 255).tolist() * len(image.getbands()))
        notes.append(f"gamma of the PNG applied: {gamma:g}")
    image = colours.to_srgb(image, profile, notes)
    return image if alpha is None else colours.lay_on(image, alpha, background, notes)


_ROWS = 256  # at a time: wide numbers take many times the memory of levels


def _from_integers(
    image: Image.Image, gamma: float | None, notes: list[str]
) -> tuple[Image.Image, Image.Image | None]:
    """16-bit grey to mode L, and the transparency of a PNG that declares one grey value transparent."""
    tags = getattr(image, "tag_v2", {})  # of a TIFF
    bits = min(32, tags.get(258, (16,))[0])
    signed = tags.get(339, (1,))[0] == 2
    usable = min(16, bits) - signed if bits > 8 else 16
    stored = np.asarray(image)
    low, high = int(stored.min()), int(stored.max())
    if low < 0 or high >= 2 ** min(16, bits if bits > 8 else 16):
        message = f"expected integer pixels in [0, {2**usable - 1}], received {low} to {high}."
        raise ImageError("unsupported_format", message, hint="Save the picture with 8 or 16 bits a channel.")
    if bits > 16 or high >= 2**usable:
        usable = 16
    most = tags.get(281, 0)  # MaxSampleValue
    said = int(most[0] if isinstance(most, tuple) else most)
    depth = said.bit_length() if said >= max(high, 255) and said + 1 == 2 ** said.bit_length() else 99
    depth = depth if depth < usable else colours.used_bits(low, high, usable)
    if depth != bits:
        notes.append(f"values from {low:,} to {high:,} of {bits} bits, stretched: taken for {depth} bits")
    table = _table(2**depth - 1, gamma, notes)
    if tags.get(262) == 0:  # white is stored as zero; Pillow turns that round for 8 bits only
        table = table[::-1]
    grey = np.empty(stored.shape, np.uint8)
    for top in range(0, len(stored), _ROWS):
        grey[top : top + _ROWS] = table[stored[top : top + _ROWS]]
    key = image.info.get("transparency")
    alpha = (
        Image.fromarray(np.where(stored == key, 0, 255).astype(np.uint8)) if isinstance(key, int) else None
    )
    return Image.fromarray(grey), alpha


def _table(peak: int, gamma: float | None, notes: list[str]) -> np.ndarray:
    """The levels of all whole numbers up to the one that is white."""
    if gamma is None:
        return colours.stretched(np.arange(peak + 1), peak)
    notes.append(f"gamma of the PNG applied: {gamma:g}")
    return colours.gamma_table(gamma, peak)


def _from_high_bytes(
    image: Image.Image, low_bytes: Callable[[], Image.Image | None], gamma: float | None, notes: list[str]
) -> tuple[Image.Image, float | None]:
    """16-bit colour that needs its low bytes too, being dark or of another gamma; and what gamma is left."""
    top = max(int(high) for _, high in image.getextrema()[:3])  # type: ignore[misc]
    if top >= 64 and gamma is None:
        return image, gamma
    other = low_bytes()
    if other is None:
        return _without_low_bytes(image, top, notes), gamma
    parts = [(0, top, image.width, min(top + _ROWS, image.height)) for top in range(0, image.height, _ROWS)]

    def wide(part: tuple[int, int, int, int]) -> np.ndarray:
        return np.asarray(image.crop(part)) * np.uint16(256) + np.asarray(other.crop(part))

    # Of every band the extremes, transparency apart.
    ends = [(values[..., :3].min(), values[..., :3].max(), values[..., 3:].max(initial=0))
            for values in map(wide, parts)]  # fmt: skip
    least, most, opaque = (
        int(min(end[0] for end in ends)),
        int(max(end[1] for end in ends)),
        max(e[2] for e in ends),
    )
    depth = colours.used_bits(least, most, 16)
    if depth != 16:
        notes.append(f"values from {least:,} to {most:,} of 16 bits, stretched: taken for {depth} bits")
    elif gamma is None:
        return image, gamma
    table = _table(2**depth - 1, gamma, notes)
    alphas = colours.stretched(np.arange(65536), 2**depth - 1 if opaque < 2**depth else 65535)
    for part in parts:  # in place: wide numbers of a whole scan would fill the memory
        values = wide(part)
        levels = np.concatenate([table[values[..., :3]], alphas[values[..., 3:]]], axis=2)
        other.paste(Image.fromarray(levels), part)
    if "transparency" in image.info:
        notes.append("one transparent colour ignored")
    other.info.pop("transparency", None)
    return other, None


def _without_low_bytes(image: Image.Image, top: int, notes: list[str]) -> Image.Image:
    if top >= 64:
        return image
    if top < 16:
        message = f"expected colours that fill 16 bits, received values up to {256 * top + 255:,}."
        raise ImageError("unsupported_format", message, hint="Save it with 8 bits a channel.")
    notes.append(f"values up to {256 * top + 255:,} of 16 bits, stretched: taken for 14 bits")
    table = [min(255, (level * 255 + 31) // 63) for level in range(256)]
    alpha = list(range(256)) if image.mode == "RGBA" else []
    return image.point(table * 3 + alpha)


# Decoding and encoding with Pillow.

OPENERS: dict[str, Callable[..., ImageFile.ImageFile]] = {
    "JPEG": JpegImagePlugin.jpeg_factory,
    "PNG": PngImagePlugin.PngImageFile,
    "WEBP": WebPImagePlugin.WebPImageFile,
    "BMP": BmpImagePlugin.BmpImageFile,
    "TIFF": TiffImagePlugin.TiffImageFile,
    "GIF": GifImagePlugin.GifImageFile,
    "JPEG2000": Jpeg2KImagePlugin.Jpeg2KImageFile,
    "AVIF": AvifImagePlugin.AvifImageFile,
    "HEIC": lambda stream, name: _heic(stream, name),
}
"""What opens a format, by its name: takes a stream and the name of a file, and reads the header."""

_REDUCIBLE = ("JPEG", "JPEG2000")
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_LOW_CONTRAST = 8
_SPARSE = 16
COUNTED_GIF_BYTES = 4 * 2**20
"""The largest GIF whose frames are counted: a hostile one holds a frame in every few bytes."""


@dataclass(frozen=True, eq=False)
class Picture:
    """A decoded picture.

    Args:
        pixels: uint8 [H, W, 3], RGB, 0-255, upright, writable.
        format: The format of its content: one of `FORMATS`, whatever the file is called.
        notes: What was done or noticed, such as `"4 frames, first used"` or `"low_contrast"`.
        size_in_file: (width, height) in pixels as stored, before EXIF turned it upright.

    Example:

    >>> Picture(np.zeros((16, 20, 3), np.uint8), "PNG", ("low_contrast",), (20, 16)).size_in_file
    (20, 16)
    """

    pixels: np.ndarray
    format: str
    notes: tuple[str, ...]
    size_in_file: tuple[int, int]


def _heic(stream: io.BytesIO, name: str) -> ImageFile.ImageFile:
    try:
        import pillow_heif
    except ImportError as error:
        message = f"expected one of {', '.join(FORMATS)}, received a HEIC picture."
        hint = "Install the extra that reads it: pip install 'ifrp_tf[heic]'."
        raise ImageError("unsupported_format", message, hint=hint) from error
    return pillow_heif.HeifImageFile(stream, name)


_silence, _silent = threading.Lock(), [0]
_OF_PILLOW = ("ignore", None, Warning, re.compile(r"PIL\.|pillow_heif"), 0)


@functools.cache
def _quieten() -> None:
    """Keeps libtiff and Pillow's log off the terminal: what they say of a file, our error says as well.

    Pillow turns off libtiff's warnings and leaves its errors, which go to the process's stderr.
    """
    if (log := logging.getLogger("PIL")).level == logging.NOTSET:
        log.setLevel(logging.CRITICAL)
    with suppress(Exception):  # a Pillow that is built another way: then they are seen
        # The symbol is found in the library that Pillow's own module was linked with.
        library = ctypes.CDLL(Image.core.__file__)
        library.TIFFSetErrorHandler.argtypes = [ctypes.c_void_p]
        library.TIFFSetErrorHandler.restype = ctypes.c_void_p
        library.TIFFSetErrorHandler(None)


@contextmanager
def without_foreign_warnings() -> Iterator[None]:
    """Pillow's warnings are not for our users: what matters becomes a note. May be entered by many threads.

    `warnings.catch_warnings` may not: it puts back what another thread has changed meanwhile.
    """
    filters: list[tuple[object, ...]] = warnings.filters  # type: ignore[assignment]
    with _silence:
        _silent[0] += 1
        if _OF_PILLOW not in filters[:1]:
            filters.insert(0, _OF_PILLOW)
    try:
        yield
    finally:
        with _silence:
            _silent[0] -= 1
            if not _silent[0]:
                with suppress(ValueError):  # somebody put other filters in their place
                    warnings.filters.remove(_OF_PILLOW)  # type: ignore[attr-defined]


def decode(
    data: bytes,
    background: tuple[int, int, int] | None = None,
    *,
    admit: Callable[[int, int], None] | None = None,
    page: int = 0,
) -> Picture:
    """Decodes the picture of a file that is in memory: its first frame or largest page; see `images.read`.

    Args:
        data: The file's bytes.
        background: What is behind transparent pixels, RGB 0-255; None for the mean of the opaque edge.
        admit: Called with width and height, known from the header, before memory is taken for the pixels.
        page: Of a TIFF or PDF, one of `page_numbers`; 0 for the largest page of a TIFF, the first of a PDF.

    Returns:
        The picture.

    Raises:
        ImageError: The bytes are not a whole, sound picture of an accepted format and size.

    Example:

    >>> decode(encode_png(np.full((16, 16, 3), 7, np.uint8)), (255, 255, 255)).pixels[0, 0].tolist()
    [7, 7, 7]
    """
    if not isinstance(data, bytes | bytearray):
        message = f"expected a path or the bytes of a file, received {describe_array(data)}."
        raise ImageError("not_an_image", message, hint="Arrays go through `from_array`.")
    if len(data) > MAX_FILE_BYTES:
        raise ImageError("too_large", f"expected at most {MAX_FILE_BYTES:,} bytes, received {len(data):,}.")
    if not data:
        raise ImageError("empty", "expected a picture, received 0 bytes.")
    format, is_picture, words = sniff(data)
    accepted = f"expected one of {', '.join(FORMATS)}, received {words}."
    if format is None:
        reason = "unsupported_format" if is_picture else "not_an_image"
        raise ImageError(reason, accepted, hint="Save it as PNG or JPEG." if is_picture else "")
    try:
        with without_foreign_warnings():
            rgb, notes, stored = _decoded(data, format, background, admit, page)
    except ImageError:
        raise
    except Exception as error:  # Pillow's parsers raise whatever they trip over; only ImageError may get out
        raise fault(error, data, format) from error
    pixels = np.array(rgb)
    # Looking at every pixel takes as long as decoding; where a few of them differ nobody needs to.
    if _spread(pixels[::_SPARSE, ::_SPARSE]) < _LOW_CONTRAST and _spread(pixels) < _LOW_CONTRAST:
        notes.append("low_contrast")
    return Picture(pixels, format, tuple(notes), stored)


def _decoded(
    data: bytes,
    format: str,
    background: tuple[int, int, int] | None,
    admit: Callable[[int, int], None] | None,
    page: int,
) -> tuple[Image.Image, list[str], tuple[int, int]]:
    """The upright picture, what is to be noted of it, and its size as stored."""
    if format == "PDF":
        return _drawn(data, page or 1, admit)
    if format == "TIFF":
        _quieten()
    notes: list[str] = []
    stream, stored = _stream(data, format, notes, page)
    image = _open(data, stream, format)
    size = image.size
    stored = stored or size
    if size[0] * size[1] > MAX_PIXELS:
        size = _reduce(image)
        notes.append(f"{stored[0]:,} x {stored[1]:,} pixels, decoded at {size[0]:,} x {size[1]:,}")
    if admit is not None:
        admit(*size)
    low_bytes = _low_bytes(image, stream, format)
    orientation = _load(image, format, notes)
    rgb = to_rgb(image, background, notes, low_bytes)
    if format != "TIFF" and orientation in _TURNS:  # Pillow turns a TIFF while loading it
        rgb = rgb.transpose(_TURNS[orientation])
    if format != "TIFF":
        _count_frames(image, data, format, notes)
    return rgb, notes, stored


def page_numbers(data: bytes) -> list[int]:
    """The pages of a file that are pictures of their own, counted from 1.

    Args:
        data: The file's bytes.

    Returns:
        Of a TIFF those that are neither masks nor reduced copies, of a PDF all, at most `tiff.COUNTED_PAGES`;
        `[1]` for every other file, be it a picture or not.

    Raises:
        ImageError: A PDF cannot be read, or the extra `pdf` is not installed.

    Example:

    >>> page_numbers(encode_png(np.zeros((16, 16, 3), np.uint8)))
    [1]
    """
    if data[:4] == b"%PDF":
        return list(range(1, min(pdf.count(data), tiff.COUNTED_PAGES) + 1))
    found = tiff.pages(data)[0] if data and sniff(data)[0] == "TIFF" else []
    return sorted({page.number for page in found if page.width and not page.aside}) or [1]


def _drawn(
    data: bytes, page: int, admit: Callable[[int, int], None] | None
) -> tuple[Image.Image, list[str], tuple[int, int]]:
    notes: list[str] = []

    def fit(width: float, height: float) -> float:
        shrink = (0.999 * MAX_PIXELS / (width * height + 1.0)) ** 0.5  # sides are rounded up
        return min(1.0, (MAX_SIDE - 1) / max(width, height, 1.0), shrink)

    def checked(width: int, height: int) -> None:
        check_size(width, height)
        if admit is not None:
            admit(width, height)

    image = pdf.draw(data, page, fit, checked, notes)
    return image, notes, image.size


def _stream(
    data: bytes, format: str, notes: list[str], page: int
) -> tuple[io.BytesIO, tuple[int, int] | None]:
    """What is to be opened, and its size where another one is opened in its place: the page of a TIFF."""
    found, count = tiff.pages(data) if format == "TIFF" else ([], 0)
    if page > 1 or (page and count > 1):
        found = [one for one in found if one.number == page]
        if not found:
            raise ImageError("no_page", f"expected a page from 1 to {max(count, 1)}, received {page}.")
    picture = tiff.picture_of(found) if found else None
    if picture is None:
        return io.BytesIO(data), None
    stored = picture.width, picture.height
    if count > 1 and page:
        notes.append(f"page {page} of {count}")
    elif count > 1:
        many = "several" if count >= tiff.COUNTED_PAGES else count
        which = "first used" if picture.offset == found[0].offset else f"number {picture.number} used"
        largest = "" if picture.offset == found[0].offset else ", the largest of full resolution"
        notes.append(f"{many} frames, {which}{largest}")
    if max(stored) > MAX_SIDE or stored[0] * stored[1] > MAX_PIXELS:
        copy = tiff.copy_of(picture, found, MAX_SIDE, MAX_PIXELS)
        if copy is None:
            check_size(*stored)
        else:
            size = f"{copy.width:,} x {copy.height:,}"
            notes.append(f"{stored[0]:,} x {stored[1]:,} pixels, its reduced copy of {size} used")
            picture = copy
    return tiff.starting_at(data, picture.offset), stored


_COEFFICIENT_BYTES = 2**30


def _reduce(image: ImageFile.ImageFile) -> tuple[int, int]:
    """Has a picture of too many pixels decoded at half its sides, which are returned."""
    width, height = image.size
    if isinstance(image, JpegImagePlugin.JpegImageFile):
        # A progressive JPEG is unpacked into coefficients of two bytes before any pixel is made.
        across, down = (max([layer[axis] for layer in image.layer] or [1]) for axis in (1, 2))
        samples = sum(layer[1] * layer[2] for layer in image.layer) / (across * down)
        if image.info.get("progressive") and 2 * samples * width * height > _COEFFICIENT_BYTES:
            check_size(width, height)
        image.draft(None, (width // 2, height // 2))
        width, height = image.size
    elif isinstance(image, Jpeg2KImagePlugin.Jpeg2KImageFile):
        image.reduce = 1
        width, height = (width + 1) // 2, (height + 1) // 2
    check_size(width, height)
    return width, height


def _low_bytes(
    image: ImageFile.ImageFile, stream: io.BytesIO, format: str
) -> Callable[[], Image.Image | None] | None:
    """For colour of 16 bits: how to decode it again, with the other byte of every number."""
    if image.mode not in ("RGB", "RGBA") or format not in ("PNG", "TIFF"):
        return None
    kinds = [_kind(tile) for tile in image.tile]
    if not any(";16" in kind for kind in kinds):
        return None
    planes = getattr(image, "tag_v2", {}).get(284) == 2 and getattr(image, "use_load_libtiff", False)

    def again() -> Image.Image | None:
        if planes or not all(re.fullmatch(r"(R|G|B|A|RGB|RGBA);16[LBN]", kind) for kind in kinds):
            return None
        other = OPENERS[format](io.BytesIO(stream.getbuffer()), "")
        tiff.mend_planes(other)
        other.tile = [tile._replace(args=_with_other_byte(tile)) for tile in other.tile]
        other.load()
        return other

    return again


def _kind(tile: ImageFile._Tile) -> str:
    """How Pillow will unpack a tile, such as `RGB;16B`."""
    return str(tile.args[0] if isinstance(tile.args, tuple) else tile.args)


def _with_other_byte(tile: ImageFile._Tile) -> str | tuple[object, ...]:
    kind = _kind(tile)
    order = kind[-1].replace("N", "L" if sys.byteorder == "little" else "B")
    kind = kind[:-1] + ("B" if order == "L" else "L")
    return (kind, *tile.args[1:]) if isinstance(tile.args, tuple) else kind


def _spread(pixels: np.ndarray) -> int:
    """Between the darkest and the brightest level, in the channel where they lie farthest apart."""
    return max(int(np.ptp(pixels[..., channel])) for channel in range(3))


def _open(data: bytes, stream: io.BytesIO, format: str) -> ImageFile.ImageFile:
    # Not `Image.open`: its limit on pixels is process-wide and half of it is a mere warning. Ours is decided
    # here, from the header, and only the plugin of the recognised format ever sees the bytes.
    if ImageFile.LOAD_TRUNCATED_IMAGES and is_cut(data, format):
        raise ImageError("truncated", "the end of the file is missing.")
    inside = _sizes_inside(data, format)
    for size in inside:
        check_size(*size, reducible=format in _REDUCIBLE)
    image = OPENERS[format](stream, "")
    check_size(*image.size, reducible=format in _REDUCIBLE)
    if format == "JPEG2000":
        if image.size != inside[0]:
            raise ImageError(
                "corrupt", f"the JPEG2000 data is damaged: it says {image.size} and {inside[0]}."
            )
        if profile := jpeg2000_profile(data):
            image.info["icc_profile"] = profile
    if format == "PNG":  # checks what decoding skips: the checksums of the pixel data
        OPENERS[format](io.BytesIO(data), "").verify()
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        # A tile is allocated whole, whatever the size of the picture.
        tile = [int(image.tag_v2.get(tag, 1)) for tag in (322, 323)]
        if tile[0] * tile[1] > MAX_PIXELS:
            raise ImageError("too_large", f"received a TIFF of tiles of {tile[0]:,} x {tile[1]:,} pixels.")
        tiff.refuse_signed_bytes(image)
        tiff.mend_planes(image)
    return image


def _sizes_inside(data: bytes, format: str) -> list[tuple[int, int]]:
    """The sizes by which a decoder takes memory, where Pillow does not say them before it does."""
    if format == "AVIF":
        return avif.coded_sizes(data)
    if format == "WEBP":
        return [size] if (size := webp_size(data)) else []
    if format == "JPEG2000":
        if is_cut(data, format):  # its decoder would be content with less
            raise ImageError("truncated", "the end of the JPEG2000 data is missing.")
        if (size := jpeg2000_size(data)) is None:
            expected = "a codestream of 1 to 4 channels"
            raise ImageError("corrupt", f"the JPEG2000 data is damaged: expected {expected}.")
        return [size]
    return []


def _load(image: ImageFile.ImageFile, format: str, notes: list[str]) -> int:
    """Decodes, and returns the EXIF orientation, 1 where there is none."""
    if format != "TIFF":  # in the other formats EXIF may follow the pixels; a TIFF forgets it when loaded
        image.load()
    orientation: object = 1
    try:
        exif = image.getexif()
        orientation = exif.get(0x0112, 1)
        if not exif and image.info.get("exif"):
            notes.append("exif unreadable, ignored")
    except Exception:
        notes.append("exif unreadable, ignored")
    image.load()
    if orientation in _TURNS and isinstance(orientation, int):
        notes.append(f"exif orientation {orientation} applied")
        return orientation
    if orientation != 1:
        notes.append(f"exif orientation {orientation!r:.20} ignored")
    return 1


def _count_frames(image: ImageFile.ImageFile, data: bytes, format: str, notes: list[str]) -> None:
    # Bounded: a hostile GIF holds a frame in every few bytes, and to count them is to visit them all.
    if not getattr(image, "is_animated", False):
        return
    count: int | None = None
    try:
        if format != "GIF" or len(data) <= COUNTED_GIF_BYTES:
            count = getattr(image, "n_frames", None)
    except EOFError:
        pass
    except Exception:  # a broken frame: the first is sound, and no other is wanted
        count = None
    notes.append(f"{count or 'several'} frames, first used")


def fault(error: Exception, data: bytes, format: str) -> ImageError:
    """What an error of Pillow's says of a file.

    Args:
        error: Whatever a parser tripped over.
        data: The file's bytes.
        format: Its format, one of `FORMATS` or `EXTRAS`.
    """
    said = f"{error}" or type(error).__name__
    if isinstance(error, Image.DecompressionBombError | Image.DecompressionBombWarning | MemoryError):
        return ImageError("too_large", f"the {format} data would need too much memory: {said}.")
    if "MAX_TEXT" in said:
        return ImageError("too_large", f"the {format} data holds too much text: {said}.")
    if is_cut(data, format) or "truncated" in said.lower():
        message = f"the end of the {format} data is missing ({len(data):,} bytes are there): {said}."
        return ImageError("truncated", message, hint="Copy or download the file again.")
    if any(word in said.lower() for word in ("unknown", "unsupported", "not supported", "not implemented")):
        return ImageError("unsupported_format", f"this kind of {format} is not supported: {said}.")
    return ImageError("corrupt", f"the {format} data is damaged: {said}.")


def encode_png(pixels: np.ndarray, text: Mapping[str, str] | None = None, **beside: Any) -> bytes:
    """A PNG that holds the pixels, the given text and nothing else: no profile, no date, no place.

    Args:
        pixels: uint8 [H, W, 3], RGB, 0-255.
        text: Text chunks; a key has 1 to 79 Latin-1 characters. Written in the order of the keys.
        **beside: More for Pillow, such as `dpi`: see `encoding.encode_like`.

    Returns:
        The file's bytes; equal for equal arguments.

    Raises:
        ImageError: With reason `bad_array`: the pixels are of another type or shape.
        ConfigError: A key or a text cannot be stored.

    Example:

    >>> encode_png(np.zeros((16, 16, 3), np.uint8), {"Software": "ifrp_tf"})[:4]
    b'\\x89PNG'
    """
    check_pixels(pixels)
    info = PngImagePlugin.PngInfo()
    for key, value in sorted((text or {}).items()):
        if not 1 <= len(key) <= 79 or not key.isprintable() or max(key) > "\xff" or "\0" in value:
            raise ConfigError(f"expected a key of 1 to 79 Latin-1 characters for a text, received {key!r}.")
        # A file name may hold bytes that are no text; they are written as escapes.
        value = value.encode("utf-8", "backslashreplace").decode()
        add = info.add_itxt if key.startswith("XML:") else info.add_text  # where XMP is looked for
        add(key, value)
    stream = io.BytesIO()
    # Of a photograph the longer searches of other strategies save 2.5 % and take four times as long.
    Image.fromarray(np.ascontiguousarray(pixels)).save(
        stream, "PNG", pnginfo=info, compress_type=zlib.Z_RLE, **beside
    )
    return stream.getvalue()
