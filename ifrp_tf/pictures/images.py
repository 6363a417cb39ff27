"""The way in for pictures: a file, bytes or an array to upright uint8 RGB, or an error that says why not.

Outside a network pictures are uint8 RGB, 0-255; inside they are float32 in [-1, 1]. `to_model_range`,
`to_levels` and `to_uint8` are the only ways across. The modules that share the work (`decoding`, `colours`,
`tiff`, `framing`) are offered here under one name. Nothing here imports TensorFlow or Keras until a
tensor asks for it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image, ImageOps

from ifrp_tf.core.errors import ConfigError, ImageError
from ifrp_tf.core.files import list_pictures, read_bytes, write_bytes_atomic
from ifrp_tf.core.types import Tensor
from ifrp_tf.pictures.colours import is_flat, lay_on
from ifrp_tf.pictures.decoding import (
    FORMATS,
    MAX_ASPECT,
    MAX_FILE_BYTES,
    MAX_PIXELS,
    MAX_SIDE,
    MIN_SIDE,
    SUFFIXES,
    Picture,
    check_size,
    decode,
    describe_array,
    encode_png,
    to_rgb,
)
from ifrp_tf.pictures.framing import centre_crop, fit, grid, label, letterbox, resize, side_by_side

__all__ = [
    "FORMATS", "MAX_ASPECT", "MAX_FILE_BYTES", "MAX_PIXELS", "MAX_SIDE", "MIN_SIDE", "WHITE", "Picture",
    "Source", "centre_crop", "encode_png", "fit", "from_array", "grid", "is_flat", "label", "letterbox",
    "list_pictures", "read", "resize", "side_by_side", "take", "to_levels", "to_model_range", "to_uint8",
    "write_bytes_atomic", "write_png",
]  # fmt: skip

WHITE = (255, 255, 255)
"""A background that a caller may ask for; without one, it is the mean colour of a picture's opaque edge."""

_HALF_RANGE = 127.5


def read(
    source: str | Path | bytes, *, background: tuple[int, int, int] | None = None, page: int = 0
) -> Picture:
    """Reads a picture: a JPEG, PNG, WebP, BMP, TIFF, GIF, JPEG 2000 or AVIF, recognised by its content.

    The pixels come upright (EXIF), in 8-bit sRGB (profiles, gamma, CMYK, grey, palettes, 16 bits), laid on
    the background where they are transparent, from the first frame, or the largest page of a TIFF. Of a
    JPEG, JPEG 2000 or TIFF of more than `MAX_PIXELS` a smaller version is decoded. What was done is in the
    notes. HEIC and pages of a PDF are read where the extras `heic` and `pdf` are installed. The size is
    judged by the header, before any pixel is decoded. May be called from several threads.

    Args:
        source: A path, always literal, or the bytes of a file.
        background: What is behind transparent pixels, RGB 0-255; None for the mean of the opaque edge.
        page: Of a TIFF or PDF, as in `decoding.decode`.

    Returns:
        The picture: uint8 [H, W, 3] and what is known of it.

    Raises:
        ImageError: With the reason `missing`, `not_a_file`, `unreadable`, `empty`, `not_an_image`,
            `unsupported_format`, `no_page`, `truncated`, `corrupt`, `too_large`, `too_small`,
            `too_elongated`, `not_finite` or `transparent`.
        ConfigError: The background is not a colour.

    Example:

    >>> read(encode_png(np.zeros((16, 20, 3), np.uint8))).notes
    ('low_contrast',)
    """
    background = _colour(background)
    name, suffix = "the given bytes", ""
    if isinstance(source, str | Path):
        name, suffix = repr(str(source)), Path(source).suffix.lower()
    try:
        data = read_bytes(source, MAX_FILE_BYTES) if isinstance(source, str | Path) else source
        picture = decode(data, background, page=page)
    except ImageError as error:
        raise ImageError(error.reason, f"{name}: {error.message}", hint=error.hint) from error
    if suffix and SUFFIXES.get(suffix) != picture.format:
        note = f"{picture.format} data in a {suffix} file"
        picture = replace(picture, notes=(note, *picture.notes))
    return picture


Source = str | Path | bytes | bytearray | memoryview | BinaryIO | Image.Image | np.ndarray
"""One picture in any form that `take` knows."""


def take(source: Source) -> Picture:
    """Reads a picture that is given in any form.

    Args:
        source: A path, the bytes of a file, a file opened for reading bytes, a Pillow image, or an array as
            in `from_array`.

    Returns:
        As `read`; the format of an array is empty.

    Raises:
        ImageError: As in `read` and `from_array`; with the reason `bad_array` for anything else.

    Example:

    >>> import io
    >>> take(io.BytesIO(encode_png(np.zeros((16, 20, 3), np.uint8)))).format
    'PNG'
    """
    if isinstance(source, str | Path | bytes):
        return read(source)
    if isinstance(source, bytearray | memoryview):
        return read(bytes(source))
    if isinstance(source, Image.Image):
        check_size(*source.size)
        notes: list[str] = []
        upright = ImageOps.exif_transpose(source)
        if (turn := source.getexif().get(0x0112, 1)) in range(2, 9):
            notes.append(f"exif orientation {turn} applied")
        return Picture(np.array(to_rgb(upright, None, notes)), source.format or "", tuple(notes), source.size)
    if hasattr(source, "read"):
        data = source.read(MAX_FILE_BYTES + 1)
        if isinstance(data, bytes) and len(data) <= MAX_FILE_BYTES:
            return read(data)
        received = f"more than {MAX_FILE_BYTES:,}" if isinstance(data, bytes) else type(data).__name__
        message = f"expected a file of at most {MAX_FILE_BYTES:,} bytes, received {received}."
        reason = "too_large" if isinstance(data, bytes) else "bad_array"
        raise ImageError(reason, message, hint="Open it in binary mode.")
    if isinstance(source, np.ndarray):
        pixels = from_array(source)
        return Picture(pixels, "", (), (pixels.shape[1], pixels.shape[0]))
    known = "a path, the bytes of a file, an open file, a Pillow image or an array"
    raise ImageError("bad_array", f"expected {known}, received {type(source).__name__}.")


def _colour(colour: Sequence[int] | None) -> tuple[int, int, int] | None:
    if colour is None:
        return None
    levels = list(colour) if isinstance(colour, tuple | list) else []
    if len(levels) != 3 or not all(isinstance(level, int) and 0 <= level <= 255 for level in levels):
        raise ConfigError(f"expected a colour of three whole numbers from 0 to 255, received {colour!r}.")
    return levels[0], levels[1], levels[2]


def from_array(array: np.ndarray, *, background: tuple[int, int, int] | None = None) -> np.ndarray:
    """Checks a user's array, and brings its two documented variants to uint8 [H, W, 3]. Nothing is guessed.

    The channels must be RGB: that they were BGR cannot be seen.

    Args:
        array: uint8, 0-255: RGB [H, W, 3], grey [H, W] or RGB with transparency [H, W, 4].
        background: What is behind transparent pixels, RGB 0-255; None for the mean of the opaque edge.

    Returns:
        uint8 [H, W, 3], contiguous; the same memory where nothing had to be done.

    Raises:
        ImageError: With reason `bad_array` (another type, shape or range), `not_finite`, `transparent`,
            `too_small`, `too_large` or `too_elongated`; the message says what was received.
        ConfigError: The background is not a colour.

    Example:

    >>> from_array(np.full((16, 16), 9, np.uint8)).shape
    (16, 16, 3)
    """
    background = _colour(background)

    hint, reason = "Scale it to 0-255 and cast it.", "bad_array"
    if isinstance(array, np.ndarray) and array.dtype == np.uint8:
        if array.ndim == 2 or (array.ndim == 3 and array.shape[2] in (3, 4)):
            check_size(array.shape[1], array.shape[0])
            hint = "It looks like a picture in [0, 1] that was cast: scale it to 0-255 first."
            if array.max() != 1:
                return _to_three_channels(array, background)
        else:
            hint = "If its channels come first, transpose it; give one picture at a time."
    elif isinstance(array, np.ndarray) and array.dtype.kind == "f" and not np.isfinite(array).all():
        hint, reason = "It holds NaN or infinity.", "not_finite"
    expected = "expected uint8 [H, W, 3], [H, W] or [H, W, 4], 0-255"
    raise ImageError(reason, f"{expected}, received {describe_array(array)}.", hint=hint)


def _to_three_channels(array: np.ndarray, background: tuple[int, int, int] | None) -> np.ndarray:
    if array.ndim == 2:
        return np.repeat(array[:, :, None], 3, axis=2)
    if array.shape[2] == 4:
        image = Image.fromarray(np.ascontiguousarray(array))
        return np.array(lay_on(image.convert("RGB"), image.getchannel("A"), background, []))
    return np.ascontiguousarray(array)


def to_model_range(levels: Tensor) -> Tensor:
    """Maps levels 0-255 to the range inside networks, [-1, 1].

    NumPy arrays stay NumPy arrays and are checked; anything else goes through `keras.ops`, unchecked, so that
    this works in `tf.data`, in a compiled step and on any backend.

    Args:
        levels: uint8, or unrounded float levels, 0-255, of any shape.

    Returns:
        float32 of the same shape, in [-1, 1].

    Raises:
        ImageError: A NumPy array holds NaN, infinity or values outside 0-255.

    Example:

    >>> to_model_range(np.array([0, 255], np.uint8))
    array([-1.,  1.], dtype=float32)
    """
    if isinstance(levels, np.ndarray):
        if levels.dtype != np.uint8 and levels.size and not (levels.min() >= 0 and levels.max() <= 255):
            _refuse_not_finite(levels)
            raise ImageError("bad_array", f"expected levels 0-255, received {describe_array(levels)}.")
        return levels.astype(np.float32) / np.float32(_HALF_RANGE) - np.float32(1)
    from keras import ops

    return ops.cast(levels, "float32") / _HALF_RANGE - 1.0


def to_levels(model_range: Tensor) -> Tensor:
    """Maps [-1, 1] to float levels 0-255, neither rounded nor clipped, and differentiable: what VGG takes.

    Args:
        model_range: Floats in [-1, 1], of any shape.

    Returns:
        float32 of the same shape, 0-255.

    Example:

    >>> to_levels(np.array([-1.0, 0.0], np.float32))
    array([  0. , 127.5], dtype=float32)
    """
    if isinstance(model_range, np.ndarray):
        return (model_range.astype(np.float32) + np.float32(1)) * np.float32(_HALF_RANGE)
    from keras import ops

    return (ops.cast(model_range, "float32") + 1.0) * _HALF_RANGE


def to_uint8(model_range: Tensor) -> Tensor:
    """Maps a network's output in [-1, 1] to a picture: clipped, and rounded with halves away from zero.

    A NumPy array that is not finite is refused, for cast to uint8 it would be a plausible black face. A
    backend tensor cannot be checked in a compiled graph: there the caller must see that it is finite.

    Args:
        model_range: Floats in [-1, 1], of any shape; beyond it they are clipped.

    Returns:
        uint8 of the same shape, 0-255.

    Raises:
        ImageError: A NumPy array holds NaN or infinity (`not_finite`) or no floats (`bad_array`).

    Example:

    >>> to_uint8(np.array([-1.0, 0.0, 2.0], np.float32))
    array([  0, 128, 255], dtype=uint8)
    """
    if isinstance(model_range, np.ndarray):
        if model_range.dtype.kind not in "fV":
            received = describe_array(model_range)
            raise ImageError("bad_array", f"expected floats in [-1, 1], received {received}.")
        _refuse_not_finite(model_range)
        return np.floor(np.clip(to_levels(model_range), 0, 255) + np.float32(0.5)).astype(np.uint8)
    from keras import ops

    return ops.cast(ops.floor(ops.clip(to_levels(model_range), 0.0, 255.0) + 0.5), "uint8")


def _refuse_not_finite(array: np.ndarray) -> None:
    bad = array.size - int(np.isfinite(array).sum())
    if bad:
        message = f"expected finite numbers, received NaN or infinity in {bad:,} of {array.size:,} values."
        raise ImageError("not_finite", message)


def write_png(path: str | Path, pixels: np.ndarray, *, text: Mapping[str, str] | None = None) -> None:
    """Writes a PNG, whole or not at all, that holds the pixels, the given text and no other metadata.

    Args:
        path: Where to write; an existing file is replaced.
        pixels: uint8 [H, W, 3], RGB, 0-255.
        text: Text chunks, such as `{"Software": "ifrp_tf"}`.

    Raises:
        ImageError: The pixels are of another type or shape.
        ConfigError: A key or a text cannot be stored.
        DataError: The file could not be written.

    Example:

    >>> write_png("recovered.png", np.zeros((128, 128, 3), np.uint8))  # doctest: +SKIP
    """
    write_bytes_atomic(path, encode_png(pixels, text))
