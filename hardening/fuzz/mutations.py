"""Damage for the fuzzer: bytes flipped, cut, spliced and edited where formats keep what a decoder trusts."""

from __future__ import annotations

import random
import zlib
from collections.abc import Callable, Sequence
from typing import Literal

NUMBERS = (
    0, 1, 2, 3, 4, 7, 8, 9, 15, 16, 17, 24, 32, 64, 127, 128, 255, 256, 257, 1000, 4096, 11_000, 16_383,
    16_384, 16_385, 30_000, 32_767, 32_768, 65_535, 65_536, 10**6, 2**24, 2**31 - 1, 2**31,
    2**32 - 1, 2**63 - 1,
)  # fmt: skip
"""Numbers at which parsers break: the limits of integers and of ours, and just beyond."""

_HEADER = 128
_ORDERS: tuple[Literal["little", "big"], ...] = ("little", "big")
_PNG, _LONGEST = b"\x89PNG\r\n\x1a\n", 1 << 20


def mutate(data: bytes, others: Sequence[bytes], chance: random.Random) -> bytes:
    """A damaged copy: one to five operations, and then, mostly, checksums and lengths that fit again.

    Args:
        data: what is whole; may be empty.
        others: whole files to splice with; may be of other formats.
        chance: the source of randomness: equal states give equal copies.

    Returns:
        At most a mebibyte, or twice the data where that is longer.
    """
    longest = max(_LONGEST, 2 * len(data))
    for _ in range(min(5, 1 + int(chance.expovariate(1.0)))):
        operation = chance.choices(_OPERATIONS, _WEIGHTS)[0]
        data = operation(data or b"\0", others, chance)[:longest]
    return mend(data) if chance.random() < 0.7 else data


def mend(data: bytes) -> bytes:
    """Makes the checksums of a PNG and the length of a RIFF fit: damage behind them is seen only so.

    Args:
        data: any bytes.
    """
    if data.startswith(_PNG):
        pieces = pieces_of(data)
        return b"".join([pieces[0], *(_checked(piece) for piece in pieces[1:])])
    if data[:4] == b"RIFF":
        return data[:4] + (max(0, len(data) - 8) % 2**32).to_bytes(4, "little") + data[8:]
    return data


def _checked(chunk: bytes) -> bytes:
    whole = len(chunk) == 12 + int.from_bytes(chunk[:4], "big")
    return chunk[:-4] + zlib.crc32(chunk[4:-4]).to_bytes(4, "big") if whole else chunk


def pieces_of(data: bytes) -> list[bytes]:
    """The parts that a PNG, JPEG or RIFF is a list of; one part where it is something else.

    Args:
        data: any bytes; the parts joined give them back.
    """
    length: Callable[[int], int]
    if data.startswith(_PNG):
        at, length = 8, lambda at: 12 + int.from_bytes(data[at : at + 4], "big")
    elif data[:4] == b"RIFF":
        at, length = 12, lambda at: 8 + (int.from_bytes(data[at + 4 : at + 8], "little") + 1) // 2 * 2
    elif data[:2] == b"\xff\xd8":  # from the scan on, a JPEG is no list any more
        at = 2

        def length(at: int) -> int:
            scan = data[at : at + 1] != b"\xff" or data[at + 1 : at + 2] in (b"\xda", b"\xd9", b"")
            return len(data) if scan else 2 + int.from_bytes(data[at + 2 : at + 4], "big")

    else:
        return [data]
    pieces = [data[:at]]
    while at < len(data):
        pieces.append(data[at : at + length(at)])
        at += length(at)
    return pieces


def number(chance: random.Random, size: int, old: int = 0) -> int:
    """A number that parsers may trip over.

    Args:
        chance: the source of randomness.
        size: of its field, bytes.
        old: what stood there: its neighbours and multiples are tried as well.
    """
    near = (old - 1, old + 1, old * 2, old // 2, ~old, chance.getrandbits(8 * size))
    return (chance.choice(NUMBERS) if chance.random() < 0.7 else chance.choice(near)) % 256**size


def _place(data: bytes, chance: random.Random) -> int:
    # The first bytes decide most.
    return chance.randrange(min(len(data), _HEADER) if chance.random() < 0.5 else len(data))


def _bits(data: bytes, others: Sequence[bytes], chance: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(chance.randint(1, 8)):
        changed[_place(data, chance)] ^= 1 << chance.randrange(8)
    return bytes(changed)


def _bytes(data: bytes, others: Sequence[bytes], chance: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(chance.randint(1, 6)):
        changed[_place(data, chance)] = chance.choice((0, 1, 127, 128, 255, chance.randrange(256)))
    return bytes(changed)


def _field(data: bytes, _: Sequence[bytes], chance: random.Random) -> bytes:
    """A number of 1 to 8 bytes, of either order, somewhere."""
    size = chance.choice((1, 2, 2, 4, 4, 8))
    order = chance.choice(_ORDERS)
    at = _place(data, chance)
    old = int.from_bytes(data[at : at + size], order)
    return data[:at] + number(chance, size, old).to_bytes(size, order) + data[at + size :]


def _cut(data: bytes, _: Sequence[bytes], chance: random.Random) -> bytes:
    return data[: chance.randrange(len(data))]


def _tail(data: bytes, _: Sequence[bytes], chance: random.Random) -> bytes:
    return data + chance.randbytes(chance.randint(1, 64))


def _slice(data: bytes, chance: random.Random) -> tuple[int, int]:
    at = _place(data, chance)
    return at, min(len(data), at + chance.choice((1, 2, 4, 8, 16, 64, 1 + len(data) // 4)))


def _remove(data: bytes, _: Sequence[bytes], chance: random.Random) -> bytes:
    start, end = _slice(data, chance)
    return data[:start] + data[end:]


def _repeat(data: bytes, _: Sequence[bytes], chance: random.Random) -> bytes:
    start, end = _slice(data, chance)
    return data[:start] + data[start:end] * chance.choice((2, 3, 10, 100)) + data[end:]


def _fill(data: bytes, _: Sequence[bytes], chance: random.Random) -> bytes:
    start, end = _slice(data, chance)
    return data[:start] + bytes([chance.choice((0, 255, 170, 32))]) * (end - start) + data[end:]


def _insert(data: bytes, _: Sequence[bytes], chance: random.Random) -> bytes:
    at = _place(data, chance)
    return data[:at] + chance.randbytes(chance.randint(1, 16)) + data[at:]


def _splice(data: bytes, others: Sequence[bytes], chance: random.Random) -> bytes:
    """The beginning of one file, the end of another."""
    other = chance.choice(others) if others else data
    return data[: chance.randrange(len(data))] + other[chance.randrange(len(other) + 1) :]


def _graft(data: bytes, others: Sequence[bytes], chance: random.Random) -> bytes:
    """A part of another file in place of this one's."""
    other = (chance.choice(others) if others else data) or b"\0"
    start, end = _slice(other, chance)
    at = _place(data, chance)
    return data[:at] + other[start:end] + data[at + end - start :]


def _parts(data: bytes, others: Sequence[bytes], chance: random.Random) -> bytes:
    """Chunks and segments dropped, doubled, exchanged, emptied, or taken from another file of the format."""
    pieces = pieces_of(data)
    if len(pieces) < 3:
        return _structure(data, others, chance)
    at, to = chance.randrange(1, len(pieces)), chance.randrange(1, len(pieces))
    match chance.randrange(6):
        case 0:
            del pieces[at]
        case 1:
            pieces.insert(to, pieces[at])
        case 2:
            pieces[at], pieces[to] = pieces[to], pieces[at]
        case 3:
            donors = [other for other in others if other[:4] == data[:4]] or [data]
            pieces.insert(to, chance.choice(pieces_of(chance.choice(donors))[1:] or [b""]))
        case 4:
            pieces[at] = pieces[at] * chance.choice((2, 20, 300))
        case _:
            pieces[at] = _field(pieces[at] or b"\0", others, chance)
    return b"".join(pieces)


def _structure(data: bytes, others: Sequence[bytes], chance: random.Random) -> bytes:
    """A field of a TIFF's first directory; of anything else any field."""
    if data[:2] not in (b"II", b"MM") or len(data) < 16:
        return _field(data, others, chance)
    order = _ORDERS[data[:2] == b"MM"]
    start = int.from_bytes(data[4:8], order)
    count = int.from_bytes(data[start : start + 2], order)
    if not count or start + 2 + 12 * count > len(data):
        return _field(data, others, chance)
    entry = start + 2 + 12 * chance.randrange(count)
    offset, size = chance.choice(((0, 2), (2, 2), (4, 4), (8, 2), (8, 4), (8, 4)))
    at = entry + offset
    if offset == 0:
        value = chance.choice(
            (254, 256, 257, 258, 259, 262, 273, 277, 278, 279, 284, 317, 320, 322, 323, 339)
        )
    elif offset == 2:
        value = chance.randrange(20)
    else:
        value = number(chance, size, int.from_bytes(data[at : at + size], order))
    return data[:at] + value.to_bytes(size, order) + data[at + size :]


_Operation = Callable[[bytes, Sequence[bytes], random.Random], bytes]
_SHARES: dict[_Operation, int] = {
    _bits: 4, _bytes: 3, _field: 5, _cut: 1, _tail: 1, _remove: 2, _repeat: 2, _fill: 2, _insert: 2,
    _splice: 2, _graft: 2, _parts: 5,
}  # fmt: skip
_OPERATIONS, _WEIGHTS = list(_SHARES), list(_SHARES.values())
