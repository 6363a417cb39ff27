"""Pillow, both ways: bytes to upright uint8 RGB with notes on what was done, and uint8 RGB to a bare PNG."""

from __future__ import annotations

import io
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from PIL import (
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    ImageFile,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from ifrp_tf.colours import to_rgb
from ifrp_tf.errors import ConfigError, ImageError
from ifrp_tf.formats import (
    FORMATS,
    MAX_FILE_BYTES,
    MAX_PIXELS,
    check_pixels,
    check_size,
    describe_array,
    is_cut,
    sniff,
    webp_size,
)

_OPENERS: dict[str, Callable[..., ImageFile.ImageFile]] = {
    "JPEG": JpegImagePlugin.jpeg_factory,
    "PNG": PngImagePlugin.PngImageFile,
    "WEBP": WebPImagePlugin.WebPImageFile,
    "BMP": BmpImagePlugin.BmpImageFile,
    "TIFF": TiffImagePlugin.TiffImageFile,
    "GIF": GifImagePlugin.GifImageFile,
}
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
_COUNTED_FRAMES = 1000
_COUNTED_GIF_BYTES = 4 * 2**20


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


def decode(data: bytes, background: tuple[int, int, int]) -> Picture:
    """Decodes the first frame of a picture file that is in memory; see `images.read`.

    Args:
        data: The file's bytes.
        background: What lies behind transparent pixels, RGB 0-255.

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
    notes: list[str] = []
    try:
        image = _open(data, format)
        orientation = _load(image, format, notes)
        rgb = to_rgb(image, background, notes)
        if format != "TIFF" and orientation in _TURNS:  # Pillow turns a TIFF while loading it
            rgb = rgb.transpose(_TURNS[orientation])
        stored = image.size[::-1] if format == "TIFF" and orientation >= 5 else image.size
        _count_frames(image, data, format, notes)
    except ImageError:
        raise
    except Exception as error:  # Pillow's parsers raise whatever they trip over; only ImageError may get out
        raise _fault(error, data, format) from error
    pixels = np.array(rgb)
    # Looking at every pixel takes as long as decoding; where a few of them differ nobody needs to.
    if _spread(pixels[::_SPARSE, ::_SPARSE]) < _LOW_CONTRAST and _spread(pixels) < _LOW_CONTRAST:
        notes.append("low_contrast")
    return Picture(pixels, format, tuple(notes), stored)


def _spread(pixels: np.ndarray) -> int:
    """Between the darkest and the brightest level, in the channel where they lie farthest apart."""
    return max(int(np.ptp(pixels[..., channel])) for channel in range(3))


def _open(data: bytes, format: str) -> ImageFile.ImageFile:
    # Not `Image.open`: its limit on pixels is process-wide and half of it is a mere warning. Ours is decided
    # here, from the header, and only the plugin of the recognised format ever sees the bytes.
    if ImageFile.LOAD_TRUNCATED_IMAGES and is_cut(data, format):
        raise ImageError("truncated", "the end of the file is missing.")
    if format == "WEBP" and (size := webp_size(data)):
        check_size(*size)
    image = _OPENERS[format](io.BytesIO(data), "")
    check_size(*image.size)
    if format == "PNG":  # checks what decoding skips: the checksums of the pixel data
        _OPENERS[format](io.BytesIO(data), "").verify()
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        # A tile is allocated whole, whatever the size of the picture.
        tile = [int(image.tag_v2.get(tag, 1)) for tag in (322, 323)]
        if tile[0] * tile[1] > MAX_PIXELS:
            raise ImageError("too_large", f"received a TIFF of tiles of {tile[0]:,} x {tile[1]:,} pixels.")
    return image


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
    # Bounded: a hostile GIF or TIFF holds a frame in every few bytes, and to count them is to visit them all.
    if not getattr(image, "is_animated", False):
        return
    count: int | None = None
    try:
        if format == "TIFF":  # its own count looks every page up among all earlier ones
            for page in range(1, _COUNTED_FRAMES):
                count = page
                image.seek(page)
            count = None
        elif format != "GIF" or len(data) <= _COUNTED_GIF_BYTES:
            count = getattr(image, "n_frames", None)
    except EOFError:
        pass
    except Exception:  # a broken frame: the first is sound, and no other is wanted
        count = None
    notes.append(f"{count or 'several'} frames, first used")


def _fault(error: Exception, data: bytes, format: str) -> ImageError:
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


def encode_png(pixels: np.ndarray, text: Mapping[str, str] | None = None) -> bytes:
    """A PNG that holds the pixels, the given text and nothing else: no profile, no date, no place.

    Args:
        pixels: uint8 [H, W, 3], RGB, 0-255.
        text: Text chunks; a key has 1 to 79 Latin-1 characters. Written in the order of the keys.

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
        info.add_text(key, value.encode("utf-8", "backslashreplace").decode())
    stream = io.BytesIO()
    # Of a photograph the longer searches of other strategies save 2.5 % and take four times as long.
    Image.fromarray(np.ascontiguousarray(pixels)).save(stream, "PNG", pnginfo=info, compress_type=zlib.Z_RLE)
    return stream.getvalue()
