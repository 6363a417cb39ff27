"""Faults 1-15: files that are no picture, not a whole one, or none of a face's size."""

import io
import json
import warnings
import zlib
from pathlib import Path

import numpy as np
import pictures
import pytest
from faults import Fault, Refused, bytes_of, little_memory
from pictures import scene
from PIL import Image

from ifrp_tf.core.errors import ImageError
from ifrp_tf.pictures import images

ONE_MEGABYTE = 2**20


def jpeg() -> bytes:
    return pictures.save(scene(), "JPEG", quality=95)


def half(data: bytes) -> bytes:
    return data[: len(data) // 2]


def png() -> bytes:
    return pictures.save(scene(), "PNG")


def png_bomb() -> bytes:
    """A sound PNG of 20,000 x 20,000 black RGB pixels, 1.2 GB unpacked, in 1.2 MB."""
    squeeze, rows = zlib.compressobj(), 20_000
    first = squeeze.compress(b"") + squeeze.flush(zlib.Z_FULL_FLUSH)
    block = squeeze.compress(bytes(100 * (1 + 3 * 20_000))) + squeeze.flush(zlib.Z_FULL_FLUSH)
    last = zlib.compressobj(wbits=-15).flush()
    zeros = rows * (1 + 3 * 20_000)
    adler = (zeros % 65_521 << 16 | 1).to_bytes(4, "big")  # of that many zeros
    return pictures.png(20_000, 20_000, 8, 2, first + block * (rows // 100) + last + adler)


def jpeg_bomb(side: int = 20_000) -> bytes:
    """A sound grey JPEG of side x side: every block is the six bits 00 1010, "as before, and no detail"."""
    data = pictures.save(Image.new("L", (8, 8), 128), "JPEG")
    start = data.index(b"\xff\xda")
    head = data[: start + 2 + int.from_bytes(data[start + 2 : start + 4], "big")]
    head = pictures.patched(head, head.index(b"\xff\xc0") + 5, side.to_bytes(2, "big") * 2)
    return head + b"\x28\xa2\x8a" * ((side // 8) ** 2 * 6 // 24) + b"\xff\xd9"


def is_a_picture_for_pillow(make: bytes) -> bool:
    with Image.open(io.BytesIO(make)) as image:
        image.load()
    return True


def refused_in_little_time_and_memory(made: bytes) -> None:
    with little_memory(8 * ONE_MEGABYTE):
        Refused("too_large", "20,000 x 20,000", seconds=0.05)(made)


def the_jpeg_bomb_is_refused(made: bytes) -> None:
    assert is_a_picture_for_pillow(jpeg_bomb(800))  # the trick is sound; this size must not be decoded
    assert 4.6e6 < len(made) < 4.8e6
    refused_in_little_time_and_memory(made)


def warning_zone(_: Path) -> tuple[bytes, bytes]:
    """90 megapixels of which a checksum is wrong, and 178: Pillow warns of both and refuses neither."""
    damaged = pictures.png(9_500, 9_500, 1, 0, zlib.compress(bytes(99)), damage=1)
    return damaged, pictures.png(13_340, 13_340, 1, 0, zlib.compress(bytes(99)))


def judged_without_a_warning(made: tuple[bytes, bytes]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Refused("corrupt", "IDAT")(made[0])  # judged by its content
        Refused("too_large", "13,340")(made[1])


def with_giant_chunk(kind: bytes) -> bytes:
    before = pictures.chunk(kind, b"name\0\0" + zlib.compress(bytes(16 * ONE_MEGABYTE)))
    return pictures.png(64, 48, 8, 2, zlib.compress(bytes(48 * (1 + 3 * 64))), before=before)


def giant_chunks_are_refused(made: list[bytes]) -> None:
    assert max(map(len, made)) < ONE_MEGABYTE // 32
    with little_memory(8 * ONE_MEGABYTE):
        Refused("too_large", "MAX_TEXT")(made)


def note_of_the_format(folder: Path) -> Path:
    path = folder / "portrait.jpg"
    path.write_bytes(png())
    return path


def read_by_its_content(path: Path) -> None:
    picture = images.read(path)
    assert (picture.format, picture.notes) == ("PNG", ("PNG data in a .jpg file",))
    np.testing.assert_array_equal(picture.pixels, scene())


def elongated(_: Path) -> tuple[bytes, bytes]:
    sizes = (16 * 20, 16), (16 * 20 + 1, 16)
    return tuple(pictures.save(Image.new("RGB", size, "red"), "PNG") for size in sizes)


def letterboxed_up_to_a_limit(made: tuple[bytes, bytes]) -> None:
    framed = images.letterbox(images.read(made[0]).pixels, 128)
    assert framed.shape == (128, 128, 3)
    Refused("too_elongated", "321 x 16")(made[1])


def refused_with_its_beginning(made: dict[str, bytes]) -> None:
    for word, data in made.items():
        with pytest.raises(ImageError) as caught:
            images.read(data)
        assert caught.value.reason == "not_an_image"
        assert word in str(caught.value)
        assert repr(data[:8])[2:-1] in str(caught.value)


TEXTS = {
    "HTML page": b"<!DOCTYPE html><title>404</title>",
    "JSON": json.dumps({"error": "not found"}).encode(),
    "text": "Liebe Grüße\n".encode() * 9,
}
STREAM = zlib.compress(bytes(range(256)) * 12 + bytes(48 * (1 + 3 * 64) - 3072))

ROWS = [
    Fault(1, "empty file", bytes_of(bytes), Refused("empty", "0 bytes")),
    Fault(2, "text, HTML or JSON named .jpg", bytes_of(dict, TEXTS), refused_with_its_beginning),
    Fault(3, "PNG named .jpg", note_of_the_format, read_by_its_content),
    Fault(
        4,
        "JPEG cut in half",
        lambda _: [half(jpeg()), half(pictures.save(scene(), "JPEG", progressive=True))],
        Refused("truncated", "missing"),
    ),
    Fault(
        5,
        "JPEG without its last 10 bytes",
        lambda _: jpeg()[:-10],
        Refused("truncated", "Copy or download the file again"),
        differs="No --allow_truncated: what a decoder puts in place of missing pixels would be recovered as "
        "part of somebody's face. The hint is to fetch the file again.",
    ),
    Fault(
        6,
        "header only",
        lambda _: [jpeg()[:3], jpeg()[:20], png()[:8], png()[:33]],
        Refused("truncated", "missing"),
    ),
    Fault(
        7,
        "PNG with a wrong checksum or a cut stream",
        lambda _: (pictures.png(64, 48, 8, 2, STREAM, damage=1), pictures.png(64, 48, 8, 2, STREAM[:60])),
        lambda made: (Refused("corrupt", "IDAT")(made[0]), Refused("truncated", "missing")(made[1])),
        differs="A cut stream is `truncated`, not `corrupt`: another copy helps, and that is said.",
    ),
    Fault(
        8,
        "PNG that claims 100,000 x 100,000 pixels",
        lambda _: pictures.png(100_000, 100_000, 8, 2, bytes(40)),
        Refused("too_large", "100,000 x 100,000", seconds=0.05),
    ),
    Fault(9, "PNG of 20,000 x 20,000", bytes_of(png_bomb), refused_in_little_time_and_memory),
    Fault(10, "JPEG of 20,000 x 20,000", bytes_of(jpeg_bomb), the_jpeg_bomb_is_refused),
    Fault(
        11,
        "90 to 178 megapixels",
        warning_zone,
        judged_without_a_warning,
        differs="The limit is 120 megapixels, as in part C.2, for museums scan at that size: below it a "
        "picture is judged by its content, above it is refused; Pillow's warning never shows.",
    ),
    Fault(
        12,
        "PNG with giant text or colour profile",
        lambda _: [with_giant_chunk(kind) for kind in (b"zTXt", b"iCCP")],
        giant_chunks_are_refused,
    ),
    Fault(
        13,
        "width or height of zero",
        lambda _: [pictures.png(0, 48, 8, 2, STREAM), pictures.jpeg_claiming(64, 0)],
        Refused("corrupt", "damaged"),
    ),
    Fault(
        14,
        "sides below 16 pixels",
        lambda _: {
            f"{w} x {h}": pictures.save(Image.new("RGB", (w, h), "red"), "PNG")
            for w, h in ((1, 1), (3, 500), (15, 16))
        },
        lambda made: [Refused("too_small", size)(data) for size, data in made.items()],
    ),
    Fault(15, "longer than 20 to 1", elongated, letterboxed_up_to_a_limit),
]
