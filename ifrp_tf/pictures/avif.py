"""The sizes that an AVIF's AV1 data says: its decoder takes memory by them, whatever the header says."""

from __future__ import annotations

from collections.abc import Iterator

_CONTAINERS = (b"moov", b"trak", b"mdia", b"minf", b"stbl")
_HEAD_BYTES = 96
_MOST = 1024  # items or tracks that are looked at


def boxes(data: bytes, start: int = 0, end: int | None = None) -> Iterator[tuple[bytes, int, int]]:
    """The boxes of a JPEG 2000, AVIF or HEIC file, in turn.

    Args:
        data: The file's bytes.
        start: Where the first one begins.
        end: Where the last one ends; None for the end of the file.

    Returns:
        Of each its kind, where its body begins and where it is said to end, which may be after the file.

    Example:

    >>> list(boxes(b"\\0\\0\\0\\x0cfree1234"))
    [(b'free', 8, 12)]
    """
    end = len(data) if end is None else end
    while start + 8 <= end:
        length, head = int.from_bytes(data[start : start + 4], "big"), 8
        if length == 1:
            length, head = int.from_bytes(data[start + 8 : start + 16], "big"), 16
        stop = end if length == 0 else start + max(length, head)
        yield data[start + 4 : start + 8], start + head, stop
        start = stop


def coded_sizes(data: bytes) -> list[tuple[int, int]]:
    """The largest frames that the AV1 data of a file announces.

    Args:
        data: The file's bytes.

    Returns:
        (width, height) in pixels of every picture, of its transparency and of every track, as far as they
        can be found.

    Example:

    >>> coded_sizes(b"no boxes")
    []
    """
    sizes = []
    for number, head in enumerate(_heads(data)):
        if number == _MOST:
            break
        if size := _sequence_size(head):
            sizes.append(size)
    return sizes


def _heads(data: bytes) -> Iterator[bytes]:
    """The first bytes of whatever the file holds."""
    for kind, start, stop in boxes(data):
        stop = min(stop, len(data))
        if kind == b"meta":
            inner = {name: (begin, min(end, stop)) for name, begin, end in boxes(data, start + 4, stop)}
            idat = inner.get(b"idat", (0, 0))[0]
            if b"iloc" in inner:
                begin, end = inner[b"iloc"]
                yield from _items(data, data[begin:end], idat)
        elif kind == b"moov":
            yield from _tracks(data, start, stop)


def _items(data: bytes, table: bytes, idat: int) -> Iterator[bytes]:
    """ISO/IEC 14496-12, 8.11.3."""
    version, at = table[:1] or b"\0", 6

    def take(size: int) -> int:
        nonlocal at
        at += size
        return int.from_bytes(table[at - size : at], "big")

    wide = 4 if version == b"\2" else 2
    sizes = int.from_bytes(table[4:6], "big")
    offset_size, length_size, base_size, index_size = ((sizes >> shift) & 15 for shift in (12, 8, 4, 0))
    for _ in range(min(take(wide), _MOST)):
        take(wide)
        method = take(2) & 15 if version in (b"\1", b"\2") else 0
        take(2)
        base, head = take(base_size) + (idat if method == 1 else 0), b""
        for _ in range(take(2)):
            if version in (b"\1", b"\2"):
                take(index_size)
            start, length = base + take(offset_size), take(length_size)
            if len(head) < _HEAD_BYTES:
                head += data[start : start + min(length or _HEAD_BYTES, _HEAD_BYTES)]
            if at > len(table):
                return
        yield head


def _tracks(data: bytes, start: int, stop: int) -> Iterator[bytes]:
    for kind, begin, end in boxes(data, start, stop):
        end = min(end, stop)
        if kind in _CONTAINERS:
            yield from _tracks(data, begin, end)
        elif kind in (b"stco", b"co64"):
            first = int.from_bytes(data[begin + 8 : begin + (12 if kind == b"stco" else 16)], "big")
            yield data[first : first + _HEAD_BYTES]


class _Bits:
    def __init__(self, data: bytes) -> None:
        self.value, self.left = int.from_bytes(data, "big"), 8 * len(data)

    def take(self, count: int) -> int:
        self.left -= count
        if self.left < 0:
            raise ValueError("no more bits")
        return self.value >> self.left & ((1 << count) - 1)


def _sequence_size(head: bytes) -> tuple[int, int] | None:
    """What the sequence header says, if AV1 data begins here (AV1 specification, 5.3 to 5.5)."""
    at = 0
    while at < len(head):
        kind, extended, sized = head[at] >> 3 & 15, head[at] & 4, head[at] & 2
        if head[at] & 0x81:
            return None
        at += 2 if extended else 1
        length = 0
        for shift in range(0, 56, 7):
            if not sized or at >= len(head):
                break
            length |= (head[at] & 127) << shift
            at += 1
            if not head[at - 1] & 128:
                break
        if kind == 1:
            try:
                return _sequence(_Bits(head[at:]))
            except ValueError:
                return None
        if kind not in (2, 5, 15):  # what may stand before it
            return None
        at += length
    return None


def _sequence(bits: _Bits) -> tuple[int, int]:
    bits.take(4)
    if bits.take(1):  # the short header of a still picture
        bits.take(5)
    else:
        model = False
        delay = 0
        if bits.take(1):
            bits.take(64)
            if bits.take(1):
                _skip_uvlc(bits)
            model = bool(bits.take(1))
            if model:
                delay = bits.take(5) + 1
                bits.take(42)
        shown = bits.take(1)
        for _ in range(bits.take(5) + 1):
            bits.take(12)
            if bits.take(5) > 7:
                bits.take(1)
            if model and bits.take(1):
                bits.take(2 * delay + 1)
            if shown and bits.take(1):
                bits.take(4)
    across, down = bits.take(4) + 1, bits.take(4) + 1
    return bits.take(across) + 1, bits.take(down) + 1


def _skip_uvlc(bits: _Bits) -> None:
    zeros = 0
    while not bits.take(1):
        zeros += 1
    if zeros < 32:
        bits.take(zeros)
