"""The rules of `images.py` inside a TensorFlow graph, for a served model that is given files.

Only PNG and JPEG, and only small ones: the header is judged before anything is decoded, because TensorFlow
would decode a picture of 20,000 x 20,000 pixels without complaint. EXIF orientation is obeyed (`orientation`)
and transparency laid on the mean of the opaque edge, as `images.read` does; colour profiles are ignored:
whoever needs them decodes with `images.read` and uses the signature that takes pixels.
"""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

from ifrp_tf.core.types import Tensor
from ifrp_tf.pictures.colours import OPAQUE, VISIBLE
from ifrp_tf.pictures.decoding import MAX_ASPECT, MAX_SIDE, MIN_SIDE
from ifrp_tf.release import orientation

MAX_BYTES = 2 * 2**20
"""The longest file that is decoded in a graph."""

MAX_PIXELS = 16_000_000
"""The most pixels that are decoded in a graph."""

_PNG, _JPEG = b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"
_PNG_HEADER_BYTES = 33


def decode_portrait(data: Tensor, side: int) -> Tensor:
    """Decodes a PNG or JPEG and letterboxes it as `images.letterbox` does.

    Equal to `images.read` and `images.letterbox` up to one level where the file has no colour profile and 8
    bits a channel.

    Args:
        data: string scalar, the bytes of a file of at most `MAX_BYTES` and `MAX_PIXELS`.
        side: of the result, pixels.

    Returns:
        uint8 [side, side, 3], RGB.

    Raises:
        tf.errors.InvalidArgumentError: when run, for anything else; nothing was decoded then.
    """
    length = tf.strings.length(data)
    expected = f"portrait_bytes: expected a PNG or JPEG file of at most {MAX_BYTES} bytes."
    fits = (length >= _PNG_HEADER_BYTES) & (length <= MAX_BYTES)
    data = _require(data, fits, [expected, "Received bytes:", length])
    is_png = tf.strings.substr(data, 0, len(_PNG)) == _PNG
    is_jpeg = tf.strings.substr(data, 0, len(_JPEG)) == _JPEG
    data = _require(data, is_png | is_jpeg, [expected, "Received a file that starts with:", _start(data)])
    return letterbox(tf.cond(is_png, lambda: _decode_png(data), lambda: _decode_jpeg(data)), side)


def letterbox(pixels: Tensor, side: int) -> Tensor:
    """`images.letterbox` with edges repeated: the longer side becomes `side`, nothing is stretched.

    Args:
        pixels: uint8 [H, W, 3], of any size.
        side: of the result, pixels.

    Returns:
        uint8 [side, side, 3].
    """
    size = tf.cast(tf.shape(pixels)[:2], tf.int64)
    longer = tf.reduce_max(size)
    scaled = tf.cast(tf.maximum((2 * size * side + longer) // (2 * longer), 1), tf.int32)
    levels = pixels
    for height, width in ((tf.shape(pixels)[0], scaled[1]), (scaled[0], scaled[1])):  # as Pillow: rows first
        levels = tf.image.resize(levels, (height, width), method="bicubic", antialias=True)
        levels = tf.cast(tf.floor(tf.clip_by_value(levels, 0.0, 255.0) + 0.5), tf.uint8)
    for axis in (0, 1):  # repeating the outermost pixels: reading beyond the edge reads the edge
        positions = tf.range(side) - (side - scaled[axis]) // 2
        levels = tf.gather(levels, tf.clip_by_value(positions, 0, scaled[axis] - 1), axis=axis)
    return tf.ensure_shape(levels, (side, side, 3))


def _decode_png(data: Tensor) -> Tensor:
    header = tf.cast(tf.io.decode_raw(tf.strings.substr(data, 16, 8), tf.uint8), tf.int64)
    places = tf.constant([1 << 24, 1 << 16, 1 << 8, 1], tf.int64)
    width, height = tf.unstack(tf.reduce_sum(tf.reshape(header, (2, 4)) * places, axis=1))
    begins_well = tf.strings.substr(data, 12, 4) == b"IHDR"
    data = _require(data, begins_well, ["portrait_bytes: expected a PNG header. Received:", _start(data)])
    # Old versions of ImageMagick write it so, compressed; unread, it would be a face on its side.
    has_profile = tf.size(tf.strings.split(data, b"Raw profile type exif")) > 1
    data = _require(
        data, ~has_profile, ["portrait_bytes: expected EXIF, if any, in an eXIf chunk of the PNG."]
    )
    pixels = tf.io.decode_png(_require_size(data, width, height), channels=4)
    is_opaque = tf.reduce_all(pixels[..., 3] == 255)
    pixels = tf.cond(is_opaque, lambda: pixels[..., :3], lambda: _on_its_edge(pixels))
    return orientation.turn(pixels, orientation.of_png(data))


def _decode_jpeg(data: Tensor) -> Tensor:
    height, width, _ = tf.unstack(tf.cast(tf.image.extract_jpeg_shape(data), tf.int64))
    data = _require_size(data, width, height)
    pixels = tf.io.decode_jpeg(data, channels=3, dct_method="INTEGER_ACCURATE")
    return orientation.turn(pixels, orientation.of_jpeg(data))


def _on_its_edge(pixels: Tensor) -> Tensor:
    """`colours.lay_on` without a background."""
    colours, alpha = tf.cast(pixels[..., :3], tf.int32), tf.cast(pixels[..., 3:], tf.int32)
    highest = tf.reduce_max(alpha)
    words = "portrait_bytes: expected a picture of which something can be seen. Received a transparent one."
    alpha = _require(alpha, highest >= VISIBLE, [words])
    opaque = alpha[..., 0] >= tf.minimum(OPAQUE, highest - highest // 32)
    other = tf.cast(~opaque, tf.float32)[None, :, :, None]
    edge = opaque & (tf.nn.max_pool2d(other, 3, 1, "SAME")[0, :, :, 0] > 0)
    edge = tf.cond(tf.reduce_any(edge), lambda: edge, lambda: opaque)
    mean = tf.reduce_mean(tf.cast(tf.boolean_mask(colours, edge), tf.float64), axis=0)
    background = tf.cast(tf.floor(mean + 0.5), tf.int32)
    return tf.cast((colours * alpha + background * (255 - alpha) + 127) // 255, tf.uint8)


def _require_size(data: Tensor, width: Tensor, height: Tensor) -> Tensor:
    short, long = tf.minimum(width, height), tf.maximum(width, height)
    fits = (short >= MIN_SIDE) & (long <= MAX_SIDE) & (long <= MAX_ASPECT * short)
    words = (
        f"portrait_bytes: expected sides from {MIN_SIDE} to {MAX_SIDE} pixels, {MAX_PIXELS} in all "
        f"at most and a proportion up to {MAX_ASPECT}:1. Received width and height:"
    )
    return _require(data, fits & (width * height <= MAX_PIXELS), [words, width, height])


def _require(value: Tensor, condition: Tensor, message: Sequence[Tensor]) -> Tensor:
    # Whatever uses the returned value waits for the check; an assertion alone would run beside the decoder.
    with tf.control_dependencies([tf.debugging.Assert(condition, message)]):
        return tf.identity(value)


def _start(data: Tensor) -> Tensor:
    # As text: a message that is not UTF-8 would hide the error behind another one in Python.
    start = tf.strings.substr(data, 0, 16)
    return tf.strings.unicode_transcode(start, "UTF-8", "UTF-8", replace_control_characters=True)
