"""Which page of a TIFF is the picture: a file may hold reduced copies, masks and further pages as well.

Directories are read here from the bytes, a few tags of each: to visit a page must not cost what opening it
costs.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

COUNTED_PAGES = 1000
"""The most pages that are looked at: a hostile file holds one in every few bytes."""

_SUB_PAGES = 32
_REDUCED, _MASK = 1, 4  # bits of NewSubfileType
_SMALLEST_COPY = 1000
_KINDS = {1: "B", 3: "H", 4: "I", 13: "I", 16: "Q", 18: "Q"}
_TAGS = (254, 255, 256, 257, 330)  # both kinds of page, width, height, directories inside


@dataclass(frozen=True)
class Page:
    """What one directory of a TIFF says of its picture.

    Args:
        offset: Of the directory, in bytes from the beginning of the file.
        width: In pixels.
        height: In pixels.
        aside: Whether it is a reduced copy or a mask of another page.
        number: 1 for the first page; a directory inside a page has that page's number.

    Example:

    >>> Page(8, 64, 48, False, 1).width
    64
    """

    offset: int
    width: int
    height: int
    aside: bool
    number: int


def pages(data: bytes) -> tuple[list[Page], int]:
    """Looks at the pages of a TIFF, and at the directories inside them.

    Args:
        data: The file's bytes, beginning with a TIFF header.

    Returns:
        The pages as far as they can be read, of `COUNTED_PAGES` at most; and how many pages follow one
        another, without those inside others. Nothing and 0 where the file is damaged at its beginning.

    Example:

    >>> pages(b"II*" + bytes(5))
    ([], 0)
    """
    order = "<" if data[:2] == b"II" else ">"
    big = 43 in data[2:4]
    found: list[Page] = []
    count, seen = 0, set[int]()
    try:
        at = struct.unpack_from(order + ("Q" if big else "I"), data, 8 if big else 4)[0]
        while at and at not in seen and count < COUNTED_PAGES:
            seen.add(at)
            tags, following = _directory(data, at, order, big)
            count += 1
            found.append(_page(tags, at, count))
            for inside in tags.get(330, ())[:_SUB_PAGES]:
                if inside not in seen and len(seen) < 2 * COUNTED_PAGES:
                    seen.add(inside)
                    found.append(_page(_directory(data, inside, order, big)[0], inside, count))
            at = following
    except (struct.error, ValueError, OverflowError):  # the rest is damaged: what was found is sound
        pass
    return found, count


def _directory(data: bytes, at: int, order: str, big: bool) -> tuple[dict[int, tuple[int, ...]], int]:
    head, entry, link = ("Q", 20, "Q") if big else ("H", 12, "I")
    count = struct.unpack_from(order + head, data, at)[0]
    start = at + struct.calcsize(order + head)
    if not 0 < count <= 65_535 or start + count * entry > len(data):
        raise ValueError("a directory beyond the end of the file")
    layout = np.dtype(
        [("tag", order + "u2"), ("kind", order + "u2"), ("rest", "V16" if big else "V8")], align=False
    )
    tags: dict[int, tuple[int, ...]] = {}
    numbers = np.frombuffer(data, layout, count, start)["tag"]
    for index in np.flatnonzero(np.isin(numbers, _TAGS)):
        place = start + int(index) * entry
        tags[int(numbers[index])] = _values(data, place, order, big)
    end = start + count * entry
    following = struct.unpack_from(order + link, data, end)[0] if end + entry // 3 <= len(data) else 0
    return tags, following


def _values(data: bytes, place: int, order: str, big: bool) -> tuple[int, ...]:
    kind, count = struct.unpack_from(order + ("HQ" if big else "HI"), data, place + 2)
    place, room = (place + 12, 8) if big else (place + 8, 4)
    letter = _KINDS.get(kind)
    if letter is None or not 0 < count <= 4096:
        return ()
    if struct.calcsize(letter) * count > room:
        place = struct.unpack_from(order + ("Q" if big else "I"), data, place)[0]
    return struct.unpack_from(f"{order}{count}{letter}", data, place)


def _page(tags: dict[int, tuple[int, ...]], offset: int, number: int) -> Page:
    def value(tag: int) -> int:
        return (tags.get(tag) or (0,))[0]

    aside = bool(value(254) & (_REDUCED | _MASK)) if tags.get(254) else value(255) == 2
    return Page(offset, value(256), value(257), aside, number)


def picture_of(found: Sequence[Page]) -> Page | None:
    """The page that is the picture: the largest of full resolution, the first of equals.

    Args:
        found: The pages of a file.

    Returns:
        A page; None where there is none. A file of nothing but reduced copies gives its largest.

    Example:

    >>> picture_of([Page(8, 32, 32, True, 1), Page(99, 512, 512, False, 2)]).number
    2
    """
    sized = [page for page in found if page.width and page.height]
    full = [page for page in sized if not page.aside] or sized
    return max(full, key=lambda page: page.width * page.height, default=None)


def copy_of(picture: Page, found: Sequence[Page], side: int, area: int) -> Page | None:
    """The largest reduced copy of a picture that is too large itself.

    Args:
        picture: The picture.
        found: The pages of the file.
        side: The longest side that a copy may have, in pixels.
        area: The most pixels that a copy may have.

    Returns:
        A page of the same proportion, at least 1000 pixels long; None where there is none.

    Example:

    >>> whole, half = Page(8, 20_000, 16_000, False, 1), Page(99, 10_000, 8_000, True, 2)
    >>> copy_of(whole, [whole, half], 16_384, 120_000_000) == half
    True
    """
    fitting = [
        page for page in found
        if _SMALLEST_COPY <= max(page.width, page.height) <= side
        and 0 < page.width * page.height <= min(area, picture.width * picture.height - 1)
        and abs(page.width * picture.height / (page.height * picture.width) - 1) < 0.02
    ]  # fmt: skip
    return max(fitting, key=lambda page: page.width * page.height, default=None)


def starting_at(data: bytes, offset: int) -> io.BytesIO:
    """The file with another page as its first.

    Args:
        data: The file's bytes.
        offset: Of the page's directory.

    Returns:
        A stream; the bytes are copied only where the page is not the first already.

    Example:

    >>> starting_at(b"II*" + bytes(5), 513).getvalue()
    b'II*\\x00\\x01\\x02\\x00\\x00'
    """
    stream = io.BytesIO(data)
    place, letter = (8, "Q") if 43 in data[2:4] else (4, "I")
    link = struct.pack(("<" if data[:2] == b"II" else ">") + letter, offset)
    if data[place : place + len(link)] != link:
        stream.seek(place)
        stream.write(link)
        stream.seek(0)
    return stream


def refuse_signed_bytes(image: Any) -> None:
    """Refuses signed numbers of 8 bits, which Pillow takes for unsigned ones.

    Args:
        image: A `PIL.TiffImagePlugin.TiffImageFile` that is opened.

    Raises:
        ValueError: The samples are such numbers.

    Example:

    >>> from PIL import Image
    >>> refuse_signed_bytes(Image.new("L", (16, 16)))
    """
    tags: Any = getattr(image, "tag_v2", {})
    if tags.get(339, (1,))[0] == 2 and max(tags.get(258, (1,))) <= 8:
        raise ValueError("signed numbers of 8 bits are not supported")


def mend_planes(image: Any) -> None:
    """Makes Pillow read uncompressed planes of 16 bits as such; it takes them for planes of 8 bits.

    Args:
        image: A `PIL.TiffImagePlugin.TiffImageFile` that is opened and not loaded; changed in place.

    Raises:
        ValueError: The planes are of a kind that Pillow has no unpacker for.

    Example:

    >>> from PIL import Image
    >>> mend_planes(Image.new("RGB", (16, 16)))
    """
    tags: Any = getattr(image, "tag_v2", {})
    if tags.get(284) != 2 or getattr(image, "use_load_libtiff", True) or max(tags.get(258, (8,))) != 16:
        return
    if len(tags.get(258, ())) == 1 and tags.get(277, 1) == 1:  # one plane is no planes
        return
    if image.mode not in ("RGB", "RGBA"):
        raise ValueError("separate planes of 16 bits in this kind of colour are not supported")
    letter = "L" if tags.prefix == b"II" else "B"
    image.tile = [  # planes beyond the colours are of no use
        tile._replace(args=(f"{tile.args[0]};16{letter}", *tile.args[1:]))
        for tile in image.tile
        if tile.args[0] in image.mode
    ]
