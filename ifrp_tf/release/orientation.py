"""EXIF orientation inside a TensorFlow graph: where a JPEG or PNG says it, and pictures turned by it.

The rules are those of Pillow, which `decoding` follows: tags count up to the first one whose value is cut
off, and XMP decides where EXIF says nothing.
"""

from __future__ import annotations

import tensorflow as tf

from ifrp_tf.core.types import Tensor

_ORIENTATION = 0x0112
_MOST_SEGMENTS = 512
_EXIF, _XMP = b"Exif\0\0", b"tiff:Orientation"
# Bytes of a value of each TIFF type; 0 for a type that there is not, whose tag is skipped.
_SIZES = (0, 1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8, 4, 0, 0, 8, 0)
_SHORTS, _LONGS = (3, 8), (4, 9, 13)


def of_jpeg(data: Tensor) -> Tensor:
    """The orientation that a JPEG says; a file without EXIF costs one search for its name.

    Args:
        data: string scalar, the bytes of a JPEG.

    Returns:
        int64 scalar, 1 to 8; 1 where nothing, or nothing sensible, is said.
    """
    return _said(data, lambda: _in(data, _EXIF), lambda: _exif_of_jpeg(data))


def of_png(data: Tensor) -> Tensor:
    """The orientation that a PNG says in its eXIf chunk.

    Args:
        data: string scalar, the bytes of a PNG.

    Returns:
        int64 scalar, 1 to 8; 1 where nothing, or nothing sensible, is said.
    """
    return _said(data, lambda: _in(data, b"eXIf"), lambda: _exif_of_png(data))


def turn(pixels: Tensor, orientation: Tensor) -> Tensor:
    """A stored picture upright.

    Args:
        pixels: uint8 [H, W, 3].
        orientation: int64 scalar, 1 to 8.

    Returns:
        uint8 [H, W, 3], or [W, H, 3] from 5 on.
    """

    def among(*values: int) -> Tensor:
        return tf.reduce_any(orientation == tf.constant(values, tf.int64))

    def turned() -> Tensor:
        upright = tf.cond(orientation >= 5, lambda: tf.transpose(pixels, (1, 0, 2)), lambda: pixels)
        upright = tf.cond(among(3, 4, 7, 8), lambda: tf.reverse(upright, [0]), lambda: upright)
        return tf.cond(among(2, 3, 6, 7), lambda: tf.reverse(upright, [1]), lambda: upright)

    return tf.cond(orientation == 1, lambda: pixels, turned)


def _said(data: Tensor, has_exif: Tensor, exif: Tensor) -> Tensor:
    none = tf.constant(0, tf.int64)
    said = tf.cond(has_exif(), lambda: _of_exif(exif()), lambda: none)
    said = tf.cond((said == 0) & _in(data, _XMP), lambda: _of_xmp(data), lambda: said)
    return tf.where((said >= 1) & (said <= 8), said, 1)


def _in(data: Tensor, part: bytes) -> Tensor:
    return tf.size(tf.strings.split(data, part)) > 1


def _part(data: Tensor, start: Tensor, length: Tensor) -> Tensor:
    """Bytes from there on, fewer or none where the data ends."""
    return tf.strings.substr(data, tf.minimum(start, tf.strings.length(data)), length)


def _numbers(data: Tensor) -> Tensor:
    return tf.cast(tf.io.decode_raw(data, tf.uint8), tf.int64)


def _joined(digits: Tensor, is_big: Tensor | bool = True) -> Tensor:
    """Whole numbers from bytes, int64 [..., n]."""
    places = tf.constant([256**place for place in range(digits.shape[-1])], tf.int64)
    return tf.reduce_sum(digits * tf.where(is_big, tf.reverse(places, [0]), places), axis=-1)


def _exif_of_jpeg(data: Tensor) -> Tensor:
    """What the first APP1 of that kind holds, empty where it comes after the pixels or is cut off."""
    end = tf.strings.length(data)

    def step(place: Tensor, found: Tensor) -> tuple[Tensor, Tensor]:
        head = tf.reshape(_numbers(_part(data, place, 4)), (4,))
        length = tf.cast(_joined(head[2:4]), tf.int32)
        is_exif = (head[1] == 0xE1) & (_part(data, place + 4, len(_EXIF)) == _EXIF)
        found = tf.where(is_exif & (place + 2 + length <= end), _part(data, place + 4, length - 2), found)
        is_marker, is_padding = head[0] == 0xFF, head[1] == 0xFF
        stands_alone = (head[1] >= 0xD0) & (head[1] <= 0xD8) | (head[1] <= 1)
        is_last = is_marker & ((head[1] == 0xDA) | (head[1] == 0xD9))
        onward = tf.where(is_marker & ~is_padding, tf.where(stands_alone, 2, 2 + tf.maximum(length, 2)), 1)
        return tf.where(is_last | is_exif, end, place + onward), found

    _, found = tf.while_loop(
        lambda place, _: place + 4 <= end,
        step,
        (tf.constant(2), tf.constant(b"")),
        maximum_iterations=_MOST_SEGMENTS,
    )
    return found


def _exif_of_png(data: Tensor) -> Tensor:
    """What the eXIf chunk holds; the name may also occur in pixels, so its place is looked for by lengths."""
    end = tf.cast(tf.strings.length(data), tf.int64)

    def step(place: Tensor, found: Tensor) -> tuple[Tensor, Tensor]:
        length = _joined(tf.reshape(_numbers(_part(data, tf.cast(place, tf.int32), 4)), (4,)))
        is_exif = _part(data, tf.cast(place + 4, tf.int32), 4) == b"eXIf"
        held = _part(data, tf.cast(place + 8, tf.int32), tf.cast(tf.minimum(length, end), tf.int32))
        return tf.where(is_exif, end, place + 12 + length), tf.where(is_exif, held, found)

    start = tf.constant(8, tf.int64), tf.constant(b"")
    return tf.while_loop(lambda place, _: place + 12 <= end, step, start)[1]


def _of_exif(exif: Tensor) -> Tensor:
    """The orientation of a block of EXIF: 0 where there is none, 9 where it is no number from 1 to 8."""
    is_named = tf.strings.substr(exif, 0, tf.minimum(6, tf.strings.length(exif))) == _EXIF
    block = _part(exif, tf.where(is_named, 6, 0), tf.strings.length(exif))
    order = _part(block, 0, 4)
    is_big = tf.reduce_any(order == tf.constant([b"MM\0*", b"MM*\0"]))
    is_tiff = is_big | tf.reduce_any(order == tf.constant([b"II*\0", b"II\0*"]))
    enough = tf.strings.length(block) >= 10
    return tf.cond(is_tiff & enough, lambda: _of_directory(block, is_big), lambda: tf.constant(0, tf.int64))


def _of_directory(block: Tensor, is_big: Tensor) -> Tensor:
    end = tf.cast(tf.strings.length(block), tf.int64)
    start = tf.minimum(_joined(tf.reshape(_numbers(_part(block, 4, 4)), (4,)), is_big), end)
    directory = _numbers(_part(block, tf.cast(start, tf.int32), tf.cast(end, tf.int32)))
    directory = tf.concat([directory, tf.zeros(2, tf.int64)], axis=0)  # so that there are two to be read
    count = tf.minimum(_joined(tf.reshape(directory[:2], (2,)), is_big), (end - start - 2) // 12)
    tags = tf.reshape(directory[2 : 2 + 12 * tf.maximum(count, 0)], (-1, 12))
    kind, values = _joined(tags[:, 2:4], is_big), _joined(tags[:, 4:8], is_big)
    size = values * tf.gather(tf.constant(_SIZES, tf.int64), tf.minimum(kind, len(_SIZES) - 1))
    is_cut = (size > 4) & (_joined(tags[:, 8:12], is_big) + size > end)
    counts = tf.cumsum(tf.cast(is_cut, tf.int64)) == 0  # what follows a tag that is cut off is not read
    wanted = counts & (_joined(tags[:, 0:2], is_big) == _ORIENTATION) & (size > 0)

    def of(kinds: tuple[int, ...], bytes_each: int) -> Tensor:
        """The first value of the tags of some types, whose values are in the tag itself; 0 of the others."""
        is_such = tf.reduce_any(kind[:, None] == tf.constant(kinds, tf.int64), axis=1) & (size <= 4)
        return tf.where(is_such, _joined(tags[:, 8 : 8 + bytes_each], is_big), 0)

    value = of(_SHORTS, 2) + of(_LONGS, 4)
    value = tf.boolean_mask(tf.where((value >= 1) & (value <= 8), value, 9), wanted)
    return tf.cond(tf.size(value) > 0, lambda: value[-1], lambda: tf.constant(0, tf.int64))


def _of_xmp(data: Tensor) -> Tensor:
    """The digit in `tiff:Orientation="6"` or `tiff:Orientation>6<`; 0 where there is none."""
    parts = tf.strings.split(data, _XMP)[1:]
    parts = tf.strings.substr(tf.strings.join([parts, tf.fill(tf.shape(parts), b"\0\0\0")]), 0, 3)
    digits = tf.where(
        tf.strings.substr(parts, 0, 2) == b'="',
        tf.strings.substr(parts, 2, 1),
        tf.where(tf.strings.substr(parts, 0, 1) == b">", tf.strings.substr(parts, 1, 1), b""),
    )
    found = tf.boolean_mask(digits, tf.strings.regex_full_match(digits, "[0-9]"))
    return tf.cond(
        tf.size(found) > 0,
        lambda: tf.strings.to_number(found[0], tf.int64),
        lambda: tf.constant(0, tf.int64),
    )
