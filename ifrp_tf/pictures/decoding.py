"""Bytes of a picture file -> upright uint8 RGB, or an `ImageError` with a reason; and PNG back.

The only place that decodes: formats are recognised by their first bytes, sizes are checked before pixels are
unpacked, colours are converted to sRGB, orientation is applied.
"""

from __future__ import annotations

import io
import string
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

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

from ifrp_tf.core.errors import ConfigError, ImageError

# Which files are accepted, judged by their first bytes.

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


# Pixels of every kind to 8-bit sRGB.

_PROFILE_SPACES = {"L": "GRAY", "RGB": "RGB", "CMYK": "CMYK"}


def to_rgb(image: Image.Image, background: tuple[int, int, int], notes: list[str]) -> Image.Image:
    """Converts a loaded Pillow image of any mode to 8-bit sRGB without transparency.

    Grey of 16 bits is divided by 257 and rounded, so that white stays white; colour of 16 bits comes from
    Pillow as its high byte, at most one level off. Floats must lie in [0, 1], or else in [0, 255]: the
    largest decides. A colour profile is obeyed where it can be read and fits the pixels; CMYK without one is
    converted plainly.

    Args:
        image: A loaded image.
        background: What is behind transparent pixels, RGB 0-255.
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


# Decoding and encoding with Pillow.

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


def decode(
    data: bytes, background: tuple[int, int, int], *, admit: Callable[[int, int], None] | None = None
) -> Picture:
    """Decodes the first frame of a picture file that is in memory; see `images.read`.

    Args:
        data: The file's bytes.
        background: What is behind transparent pixels, RGB 0-255.
        admit: Called with width and height, known from the header, before memory is taken for the pixels.

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
        if admit is not None:
            admit(*image.size)
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
