"""Videos as clips: frames upright one after the other, and files of them with the sound of another (PyAV)."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from ifrp_tf.core.errors import DataError, ImageError
from ifrp_tf.core.files import atomic
from ifrp_tf.pictures.clips import Frame
from ifrp_tf.pictures.decoding import VIDEO, check_size, sniff

SUFFIXES = frozenset(
    {".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".ts", ".ogv", ".wmv", ".flv", ".3gp"}
)
"""What the names of videos end in. Only names of outputs depend on it: the content decides."""

CONTAINERS = {".mp4": "mp4", ".mov": "mov", ".mkv": "matroska", ".webm": "webm"}
"""What is written, by suffix."""

_KEPT = {("mp4", ".mov"): ".mov", ("mp4", ""): ".mp4", ("matroska", ".webm"): ".webm"}
_LENGTH_KNOWN = ("mp4", "matroska", "avi", "asf", "flv")  # their headers say how long they are
_SHORT = (0.25, 0.02)  # seconds, and part of its length, that may be missing at the end of a video
_H264 = {"crf": "17", "preset": "faster", "bf": "0"}  # without B frames a segment's packets are in order
_VP9 = {"crf": "20", "b": "0", "deadline": "good", "cpu-used": "4", "row-mt": "1", "auto-alt-ref": "0"}


def is_video(head: bytes) -> bool:
    """Whether a file begins as a video does.

    Args:
        head: its first bytes, 200 or more where there are so many.
    """
    return bool(head) and sniff(head)[2] == VIDEO


class Video:
    """A video file; a `clips.Clip`.

    Times are kept as they are, so that a variable frame rate stays one and the sound fits. Frames are turned
    as the file asks, and stretched where its pixels are not square. What is written is H.264 in MP4, MOV and
    Matroska, VP9 in WebM; other containers become Matroska, which holds every sound.

    Args:
        path: of the file.

    Raises:
        ImageError: it is no video, is damaged, or PyAV is not installed (`unsupported_format`).

    Example:
        >>> next(Video("film.mp4").frames()).pixels.shape  # doctest: +SKIP
        (720, 1280, 3)
    """

    def __init__(self, path: str | Path) -> None:
        self._path = Path(path)
        try:
            import av
        except ImportError as error:
            message = "expected the package PyAV, which reads videos. Received: none."
            hint = "pip install 'ifrp_tf[video]'"
            raise ImageError("unsupported_format", message, hint=hint) from error
        self._av = av
        with self._opened() as (container, stream):
            self._head(container, stream)

    def _head(self, container: Any, stream: Any) -> None:
        names = container.format.name.split(",")
        self.kind = next((name for name in ("mp4", "matroska") if name in names), names[0])
        suffix = self._path.suffix.lower()
        self.suffix = _KEPT.get((self.kind, suffix)) or _KEPT.get((self.kind, ""), ".mkv")
        self.time_base = Fraction(stream.time_base or Fraction(1, 1000))
        self.count = stream.frames or round(float(container.duration or 0) / 1e6 * float(self._rate(stream)))
        said = str(container.metadata.get("comment") or container.metadata.get("COMMENT") or "")
        self.generated, self._said = said.startswith("ifrp_tf: "), said
        self._metadata = {
            key: value
            for key, value in container.metadata.items()
            if key.lower()
            in ("title", "artist", "author", "date", "copyright", "creation_time", "description")
        }
        self._frame_rate = self._rate(stream)
        self._average = max(1, round(1 / self._frame_rate / self.time_base))
        first = next(self._decoded(container, stream), None)
        if first is None:
            raise ImageError("truncated", "expected a video, received a file without a single whole frame.")
        check_size(first.width, first.height)
        self._turns = round(first.rotation / 90) % 4
        self._stored = (first.width, first.height)
        width, height = self._square = self._square_pixels(first, stream)
        self.size = (height, width) if self._turns % 2 else (width, height)
        check_size(*self.size)
        self._colours = (first.colorspace, first.color_range, first.color_primaries, first.color_trc)
        notes = [f"turned by {360 - 90 * self._turns} degrees, as the file asks"] if self._turns else []
        if self._square != self._stored:
            notes.append(f"pixels are not square: {first.width} x {first.height} shown as {width} x {height}")
        self.notes = tuple(notes)

    @staticmethod
    def _rate(stream: Any) -> Fraction:
        rate = stream.average_rate or stream.guessed_rate or 25
        return Fraction(rate) if 1 <= rate <= 1000 else Fraction(25)

    def _square_pixels(self, frame: Any, stream: Any) -> tuple[int, int]:
        shape = stream.sample_aspect_ratio or Fraction(1)
        if not Fraction(1, 4) <= shape <= 4 or shape == 1:
            return frame.width, frame.height
        return 2 * round(frame.width * shape / 2), frame.height

    @contextmanager
    def _opened(self) -> Iterator[tuple[Any, Any]]:
        """The container and its first stream of pictures that is no cover."""
        try:
            with self._av.open(str(self._path)) as container:
                streams = [
                    one
                    for one in container.streams.video
                    if not one.disposition & self._av.stream.Disposition.attached_pic
                ]
                if not streams:
                    message = "expected a video, received a file without a stream of pictures."
                    raise ImageError("not_an_image", message)
                streams[0].thread_type = "AUTO"
                yield container, streams[0]
        except self._av.error.FFmpegError as error:
            if isinstance(error, OSError) and error.errno in (2, 13):
                raise ImageError("unreadable", f"the file cannot be read: {error.strerror}.") from error
            message = f"the video is damaged, or its end is missing: {error.strerror}."
            hint = "Copy or download the file again."
            raise ImageError("corrupt", message, hint=hint) from error

    def _decoded(self, container: Any, stream: Any) -> Iterator[Any]:
        """Frames as PyAV gives them; an error where the end of the file is missing."""
        end, cut, decoded = 0.0, False, 0
        for packet in container.demux():
            cut = cut or packet.is_corrupt
            if packet.pts is not None and packet.time_base:
                end = max(end, float((packet.pts + (packet.duration or 0)) * packet.time_base))
            if packet.stream is stream:
                for frame in packet.decode():
                    decoded += 1
                    yield frame
        length = float(container.duration or 0) / 1e6
        end -= float(container.start_time or 0) / 1e6
        short = self.kind in _LENGTH_KNOWN and length - end > max(_SHORT[0], _SHORT[1] * length)
        if cut or short:
            message = f"the end of the video is missing: {decoded:,} frames of {end:.1f} s are there"
            raise ImageError(
                "truncated", f"{message}, of {length:.1f} s.", hint="Copy or download the file again."
            )

    def frames(self, start: int = 0) -> Iterator[Frame]:
        """See `clips.Clip`."""
        with self._opened() as (container, stream):
            last, gap = None, self._average
            held: tuple[Any, int] | None = None
            for number, frame in enumerate(self._decoded(container, stream)):
                if (frame.width, frame.height) != self._stored:
                    message = f"frame {number + 1} has another size: {frame.width} x {frame.height} pixels."
                    raise ImageError("corrupt", message)
                time = frame.pts
                if time is None or (last is not None and time <= last):  # damaged: in order all the same
                    time = 0 if last is None else last + (1 if time is not None else self._average)
                gap = time - held[1] if held is not None else gap
                if held is not None and number > start:
                    yield Frame(self._pixels(held[0]), held[1], gap)
                held, last = (frame, time), time
            if held is not None and number >= start:
                yield Frame(self._pixels(held[0]), held[1], gap)  # nobody knows how long; as the one before

    def _pixels(self, frame: Any) -> np.ndarray:
        width, height = self._square
        pixels = frame.reformat(width=width, height=height, format="rgb24").to_ndarray()
        return np.ascontiguousarray(np.rot90(pixels, self._turns))

    def write(self, path: Path, frames: Iterable[Frame], first: int) -> None:
        """See `clips.Clip`."""
        with self._written(path, "nut") as container:
            stream: Any = None
            for frame in frames:
                if stream is None:
                    stream = self._encoder(container, frame.pixels)
                image = self._av.VideoFrame.from_ndarray(frame.pixels, format="rgb24")
                image = image.reformat(format=stream.pix_fmt, dst_colorspace=self._colours[0],
                                       dst_color_range=self._colours[1])  # fmt: skip
                image.pts, image.time_base = frame.time, self.time_base
                container.mux(stream.encode(image))
            if stream is not None:
                container.mux(stream.encode(None))

    def _encoder(self, container: Any, pixels: np.ndarray) -> Any:
        codec, options = ("libvpx-vp9", _VP9) if self.suffix == ".webm" else ("libx264", _H264)
        stream = container.add_stream(codec, rate=self._frame_rate, options=dict(options))
        stream.height, stream.width = pixels.shape[:2]
        even = stream.height % 2 == stream.width % 2 == 0
        stream.pix_fmt = "yuv420p" if even else "yuv444p"
        stream.time_base = stream.codec_context.time_base = self.time_base
        context = stream.codec_context
        context.colorspace, context.color_range, context.color_primaries, context.color_trc = self._colours
        return stream

    @contextmanager
    def _written(self, path: Path, format: str, **options: str) -> Iterator[Any]:
        try:
            with (
                atomic(path) as temporary,
                self._av.open(str(temporary), "w", format=format, options=options) as container,
            ):
                yield container
        except self._av.error.FFmpegError as error:
            raise DataError(f"{str(path)!r} could not be written: {error.strerror}.") from error

    def join(self, segments: Sequence[Path], target: Path, size: tuple[int, int], words: str) -> None:
        """See `clips.Clip`; the sound is copied as it is."""
        faststart = {"movflags": "+faststart"} if self.suffix in (".mp4", ".mov") else {}
        with ExitStack() as stack:
            source, _ = stack.enter_context(self._opened())
            out = stack.enter_context(self._written(target, CONTAINERS[self.suffix], **faststart))
            out.metadata.update({**self._metadata, "comment": "; ".join(filter(None, (words, self._said)))})
            with self._av.open(str(segments[0])) as first:
                video = out.add_stream_from_template(first.streams.video[0])
                video.time_base = self.time_base
                sounds = {one.index: out.add_stream_from_template(one) for one in source.streams.audio}
                packets = [self._pictures(segments, video)]
                if sounds:
                    packets.append(_sounds(source, sounds))
                for packet in heapq.merge(*packets, key=lambda one: one.dts * one.time_base):
                    out.mux(packet)

    def _pictures(self, segments: Sequence[Path], video: Any) -> Iterator[Any]:
        held: Any = None
        gap = self._average
        for path in segments:
            with self._av.open(str(path)) as container:
                for packet in container.demux(container.streams.video[0]):
                    if packet.pts is None:
                        continue
                    # They are in order, which a reader of NUT does not believe.
                    unit = Fraction(packet.time_base) / self.time_base
                    packet.pts = packet.dts = round(packet.pts * unit)
                    packet.time_base = self.time_base
                    if held is not None:
                        held.duration = gap = packet.dts - held.dts
                        yield held
                    packet.stream, held = video, packet
        if held is not None:
            held.duration = gap
            yield held


def _sounds(source: Any, sounds: dict[int, Any]) -> Iterator[Any]:
    for packet in source.demux(*source.streams.audio):
        if packet.dts is not None:
            packet.stream = sounds[packet.stream.index]
            yield packet
