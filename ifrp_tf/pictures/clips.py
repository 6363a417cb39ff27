"""Moving pictures frame by frame: what a clip is, and GIF, animated WebP and PNG (videos: `video`).

A clip is read as often as asked, one frame after the other, and written in segments that are joined at the
end: so memory does not grow with its length, and a killed run loses a segment at most.
"""

from __future__ import annotations

import io
import itertools
import shutil
import struct
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from PIL import GifImagePlugin, Image

from ifrp_tf.core.errors import ImageError
from ifrp_tf.core.files import atomic
from ifrp_tf.pictures import decoding
from ifrp_tf.pictures.decoding import encode_png, sniff

_MOST_FRAMES = 20_000  # of an animation
_UNTIMED = 100  # ms that browsers show a frame without a duration
_QUALITY = 92


@dataclass(frozen=True, eq=False)
class Frame:
    """A frame of a clip.

    Attributes:
        pixels: uint8 [H, W, 3], RGB, 0-255, upright.
        time: when it is shown, in units of the clip's `time_base`; each frame's is above that of the last.
        duration: how long, in the same units.
    """

    pixels: np.ndarray
    time: int
    duration: int


class Clip(Protocol):
    """A moving picture on the disk.

    Attributes:
        kind: such as `GIF` or `mp4`, for people.
        size: (width, height) in pixels, upright.
        time_base: of times and durations, seconds.
        count: of frames as the header says; 0 where it does not.
        suffix: of the files that `join` makes: that of the clip's kind where it can be kept.
        notes: what is done to the frames when they are read.
        generated: whether it says of itself that this package made it.
    """

    kind: str
    size: tuple[int, int]
    time_base: Fraction
    count: int
    suffix: str
    notes: tuple[str, ...]
    generated: bool

    def frames(self, start: int = 0) -> Iterator[Frame]:
        """The frames from number `start` on.

        Raises:
            ImageError: the file is damaged (`corrupt`) or its end is missing (`truncated`).
        """
        ...

    def write(self, path: Path, frames: Iterable[Frame], first: int) -> None:
        """Writes a segment: consecutive frames of one size, of which the first has the number `first`.

        Raises:
            DataError: it cannot be written.
        """
        ...

    def join(self, segments: Sequence[Path], target: Path, size: tuple[int, int], words: str) -> None:
        """Makes one file of all segments, with the clip's sound.

        Args:
            segments: as of `write`, in order.
            target: the file.
            size: (width, height) of the frames in them, pixels.
            words: what it says of itself.

        Raises:
            DataError: it cannot be written.
        """
        ...


def is_animation(data: bytes) -> bool:
    """Whether the bytes of a file are a GIF, WebP or PNG of several frames, not more than are reasonable."""
    try:
        format = sniff(data)[0] if data else None
        if format not in _BLOCKS:
            return False
        with decoding.without_foreign_warnings():
            image: Any = decoding.OPENERS[format](io.BytesIO(data), "")
            uncounted = format == "GIF" and len(data) > decoding.COUNTED_GIF_BYTES
            return image.is_animated and (uncounted or image.n_frames <= _MOST_FRAMES)
    except Exception:  # damaged: whoever decodes it says how
        return False


class Animation:
    """A GIF, an animated WebP or an animated PNG; a `Clip`.

    Args:
        data: the bytes of the file.

    Raises:
        ImageError: as of `decoding.decode`.

    Example:
        >>> sum(1 for _ in Animation(Path("dance.gif").read_bytes()).frames())  # doctest: +SKIP
        24
    """

    time_base = Fraction(1, 1000)
    generated = False  # its bytes say so, see `recovery.folder.is_output`

    def __init__(self, data: bytes) -> None:
        picture = decoding.decode(data, _WHITE)
        self._data, self.kind = data, picture.format
        self.size = (picture.pixels.shape[1], picture.pixels.shape[0])
        self.suffix = f".{self.kind.lower()}"
        self.notes = tuple(note for note in picture.notes if "frames" not in note and note != "low_contrast")
        try:
            with decoding.without_foreign_warnings():
                self._head()
        except Exception as error:  # Pillow's parsers raise whatever they trip over
            raise decoding.fault(error, data, self.kind) from error

    def _head(self) -> None:
        image, data = self._image(), self._data
        self._skipped = int(getattr(image, "default_image", False))  # shown by what cannot animate
        uncounted = self.kind == "GIF" and len(data) > decoding.COUNTED_GIF_BYTES
        self.count, self._loop = 0 if uncounted else image.n_frames - self._skipped, image.info.get("loop")
        self._lossless = self.kind == "WEBP" and b"VP8L" in data[:4096]

    def _image(self) -> Any:
        return decoding.OPENERS[self.kind](io.BytesIO(self._data), "")

    def frames(self, start: int = 0) -> Iterator[Frame]:
        """See `Clip`; transparent pixels are laid on white."""
        time = 0
        with decoding.without_foreign_warnings():
            image = self._image()
            for number in itertools.count():
                if self.count and number == self.count:
                    return
                if number == _MOST_FRAMES:
                    raise ImageError("too_large", f"expected at most {_MOST_FRAMES:,} frames, received more.")
                try:
                    image.seek(number + self._skipped)
                    image.load()
                    pixels = np.array(decoding.to_rgb(image.copy(), _WHITE, [])) if number >= start else None
                except ImageError:
                    raise
                except EOFError:
                    return
                except Exception as error:  # Pillow's parsers raise whatever they trip over
                    found = decoding.fault(error, self._data, self.kind)
                    raise ImageError(found.reason, f"frame {number + 1}: {found.message}") from error
                duration = round(image.info.get("duration", 0)) or _UNTIMED
                if pixels is not None:
                    yield Frame(pixels, time, duration)
                time += duration

    def write(self, path: Path, frames: Iterable[Frame], first: int) -> None:
        """See `Clip`."""
        with atomic(path) as temporary, open(temporary, "wb") as file:
            for number, frame in enumerate(frames, first):
                file.write(_BLOCKS[self.kind](frame, number, self._lossless))

    def join(self, segments: Sequence[Path], target: Path, size: tuple[int, int], words: str) -> None:
        """See `Clip`."""
        length = sum(path.stat().st_size for path in segments)
        head, tail = _AROUND[self.kind](size, self.count, self._loop, words, length)
        with atomic(target) as temporary, open(temporary, "wb") as file:
            file.write(head)
            for path in segments:
                with open(path, "rb") as part:
                    shutil.copyfileobj(part, file)
            file.write(tail)


_WHITE = (255, 255, 255)

# What stands for a frame in each format, and what comes before and behind all of them. Pillow writes
# animations too, but holds all frames in memory.


def _gif_block(frame: Frame, number: int, lossless: bool) -> bytes:
    # Not dithered: the dots would be others in every frame.
    image = Image.fromarray(frame.pixels).quantize(256, dither=Image.Dither.NONE)
    return b"".join(GifImagePlugin.getdata(image, duration=frame.duration, include_color_table=True))


def _around_gif(
    size: tuple[int, int], count: int, loop: int | None, words: str, length: int
) -> tuple[bytes, bytes]:
    head = b"GIF89a" + struct.pack("<HHBBB", *size, 0x70, 0, 0)
    if loop is not None:
        head += b"\x21\xff\x0bNETSCAPE2.0\x03\x01" + struct.pack("<HB", loop, 0)
    comment = words.encode()[:255]
    return head + b"\x21\xfe" + bytes([len(comment)]) + comment + b"\0", b";"


def _png_block(frame: Frame, number: int, lossless: bool) -> bytes:
    height, width = frame.pixels.shape[:2]
    place = struct.pack(">IIII", width, height, 0, 0)
    # A frame takes two numbers of the sequence, the first one.
    control = _chunk(b"fcTL", struct.pack(">I", max(0, 2 * number - 1)) + place
                     + struct.pack(">HHBB", min(frame.duration, 65_535), 1000, 0, 0))  # fmt: skip
    data = b"".join(part for kind, part in _chunks(encode_png(frame.pixels)) if kind == b"IDAT")
    return control + (
        _chunk(b"fdAT", struct.pack(">I", 2 * number) + data) if number else _chunk(b"IDAT", data)
    )


def _around_png(
    size: tuple[int, int], count: int, loop: int | None, words: str, length: int
) -> tuple[bytes, bytes]:
    key, _, text = words.partition(": ")
    head = _chunk(b"IHDR", struct.pack(">IIBBBBB", *size, 8, 2, 0, 0, 0))
    head += _chunk(b"tEXt", key.encode() + b"\0" + text.encode("latin-1", "replace"))
    head += _chunk(b"acTL", struct.pack(">II", count, loop or 0))
    return b"\x89PNG\r\n\x1a\n" + head, _chunk(b"IEND", b"")


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _chunks(png: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = 8
    while at < len(png):
        length = int.from_bytes(png[at : at + 4], "big")
        yield png[at + 4 : at + 8], png[at + 8 : at + 8 + length]
        at += length + 12


def _webp_block(frame: Frame, number: int, lossless: bool) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(frame.pixels).save(stream, "WEBP", quality=_QUALITY, lossless=lossless)
    height, width = frame.pixels.shape[:2]
    numbers = (0, 0, width - 1, height - 1, min(frame.duration, 0xFFFFFF))
    head = b"".join(value.to_bytes(3, "little") for value in numbers)
    return _riff(b"ANMF", head + b"\x02" + stream.getvalue()[12:])  # not blended with the frame before


def _around_webp(
    size: tuple[int, int], count: int, loop: int | None, words: str, length: int
) -> tuple[bytes, bytes]:
    exif = Image.Exif()
    exif[0x0131] = words  # `Software`
    tail = _riff(b"EXIF", exif.tobytes()[6:])
    sides = b"".join((side - 1).to_bytes(3, "little") for side in size)
    head = _riff(b"VP8X", b"\x0a\0\0\0" + sides)  # with animation and EXIF
    head += _riff(b"ANIM", b"\xff\xff\xff\xff" + struct.pack("<H", loop or 0))
    whole = 4 + len(head) + length + len(tail)
    return b"RIFF" + struct.pack("<I", whole) + b"WEBP" + head, tail


def _riff(kind: bytes, data: bytes) -> bytes:
    return kind + struct.pack("<I", len(data)) + data + bytes(len(data) % 2)


_BLOCKS = {"GIF": _gif_block, "PNG": _png_block, "WEBP": _webp_block}
_AROUND = {"GIF": _around_gif, "PNG": _around_png, "WEBP": _around_webp}
