"""The fuzzer's whole pictures: of every kind that is accepted, made in code."""

from __future__ import annotations

import functools
import io
import struct
import zlib
from typing import Any

import numpy as np
from PIL import Image, ImageCms

_HEIGHT, _WIDTH = 24, 32


def _scene() -> np.ndarray:
    rows, columns = np.mgrid[0:_HEIGHT, 0:_WIDTH].astype(np.float32)
    red, green = 255 * columns / (_WIDTH - 1), 255 * rows / (_HEIGHT - 1)
    return np.round(np.stack([red, green, 255 - (red + green) / 2], axis=-1)).astype(np.uint8)


def _save(image: Image.Image, format: str, **options: Any) -> bytes:
    stream = io.BytesIO()
    if "append_images" in options:  # copies: Pillow keeps a format's settings in the image that it saved
        options["append_images"] = [other.copy() for other in options["append_images"]]
    image.copy().save(stream, format, **options)
    return stream.getvalue()


@functools.cache
def whole_pictures() -> dict[str, bytes]:
    """Whole files by what is special about them: every format, kind of pixel and compression that is read."""
    rgb = Image.fromarray(_scene())
    others = [Image.fromarray(np.roll(_scene(), shift, axis=1)) for shift in (7, 19)]
    alpha = rgb.copy()
    alpha.putalpha(Image.fromarray(_scene()[:, :, 0]))
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "Maker"
    exif.get_ifd(0x8825)[2] = (52.0, 31.0, 12.0)
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    profile = profile[:24] + bytes(12) + profile[36:]  # not when it was made: cases must be repeatable
    shared = {"exif": exif, "icc_profile": profile}
    return {
        **_jpegs(rgb, others, shared),
        **_pngs(rgb, alpha, others, shared),
        "webp": _save(rgb, "WEBP"),
        "webp lossless alpha": _save(alpha, "WEBP", lossless=True),
        "webp alpha exif icc": _save(alpha, "WEBP", **shared),
        "webp animated": _save(rgb, "WEBP", save_all=True, append_images=others),
        "jpeg2000": _save(rgb, "JPEG2000"),
        "avif": _save(rgb, "AVIF"),
        "bmp": _save(rgb, "BMP"),
        "bmp palette": _save(rgb.convert("P"), "BMP"),
        "bmp one bit": _save(rgb.convert("1"), "BMP"),
        "bmp alpha": _save(alpha, "BMP"),
        "bmp rle": _bmp_rle(),
        "gif": _save(rgb.convert("P"), "GIF", interlace=0),
        "gif interlaced transparent": _save(rgb.convert("P"), "GIF", transparency=3, comment=b"x" * 300),
        "gif animated": _save(rgb, "GIF", save_all=True, append_images=others, disposal=2, loop=0),
        **_tiffs(rgb, alpha, others, shared),
    }


@functools.cache
def large_pictures() -> dict[str, bytes]:
    """Files that are small and whose pictures are large, or many, or said to be."""
    gif = _save(Image.new("P", (32, 32)), "GIF")
    frame = b"\x2c" + struct.pack("<4HB", 0, 0, 1, 1, 0) + b"\x02\x02\x44\x01\x00"
    text = _chunk(b"zTXt", b"Note\0\0" + zlib.compress(bytes(2**22)))
    vast = {f"png of {side}": _png(8, 2, b"\0" * 99, size=(side, side)) for side in (10_900, 20_000)}
    return vast | {
        "png large": _save(Image.new("1", (2000, 2000)), "PNG"),
        "tiff large": _save(Image.new("RGB", (1500, 1500)), "TIFF", compression="tiff_lzw"),
        "png long text": _png(8, 2, _rows(_scene()), before=text),
        "gif of frames": gif[:-1] + frame * 2000 + b";",
    }


def _jpegs(rgb: Image.Image, others: list[Image.Image], shared: dict[str, Any]) -> dict[str, bytes]:
    return {
        "jpeg": _save(rgb, "JPEG"),
        "jpeg progressive": _save(rgb, "JPEG", progressive=True),
        "jpeg grey": _save(rgb.convert("L"), "JPEG"),
        "jpeg cmyk": _save(rgb.convert("CMYK"), "JPEG"),
        "jpeg exif icc": _save(rgb, "JPEG", quality=95, subsampling=0, comment=b"said", **shared),
        "jpeg restarts": _save(rgb, "JPEG", restart_marker_blocks=1),
        "jpeg of several": _save(rgb, "MPO", save_all=True, append_images=others),
    }


def _pngs(
    rgb: Image.Image, alpha: Image.Image, others: list[Image.Image], shared: dict[str, Any]
) -> dict[str, bytes]:
    noted = _chunk(b"tEXt", b"Title\0one") + _chunk(b"zTXt", b"Note\0\0" + zlib.compress(b"two " * 50))
    noted += _chunk(b"iTXt", b"Other\0\1\0en\0other\0" + zlib.compress(b"three")) + _chunk(b"gAMA", bytes(4))
    rows16 = _scene().astype(">u2") * 257
    return {
        "png": _save(rgb, "PNG"),
        "png grey": _save(rgb.convert("L"), "PNG"),
        "png one bit": _save(rgb.convert("1"), "PNG"),
        "png grey alpha": _save(alpha.convert("LA"), "PNG"),
        "png alpha": _save(alpha, "PNG"),
        "png palette": _save(rgb.convert("P"), "PNG", transparency=b"\0\x80\xff"),
        "png grey 16": _png(16, 0, _rows(rows16[:, :, :1])),
        "png colour 16": _png(16, 2, _rows(rows16)),
        "png grey alpha 16": _png(16, 4, _rows(rows16[:, :, :2])),
        "png interlaced": _png(8, 2, _interlaced(_scene()), interlaced=1),
        "png texts": _png(8, 2, _rows(_scene()), before=noted),
        "png exif icc": _save(rgb, "PNG", **shared),
        "png animated": _save(rgb, "PNG", save_all=True, append_images=others),
    }


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _png(
    depth: int, colour: int, rows: bytes, *, interlaced: int = 0, before: bytes = b"",
    size: tuple[int, int] = (_WIDTH, _HEIGHT),
) -> bytes:  # fmt: skip
    header = _chunk(b"IHDR", struct.pack(">IIBBBBB", *size, depth, colour, 0, 0, interlaced))
    data = _chunk(b"IDAT", zlib.compress(rows))
    return b"\x89PNG\r\n\x1a\n" + header + before + data + _chunk(b"IEND", b"")


def _rows(pixels: np.ndarray) -> bytes:
    return b"".join(b"\0" + row.tobytes() for row in pixels)


def _interlaced(pixels: np.ndarray) -> bytes:
    starts = (
        (0, 0, 8, 8),
        (0, 4, 8, 8),
        (4, 0, 8, 4),
        (0, 2, 4, 4),
        (2, 0, 4, 2),
        (0, 1, 2, 2),
        (1, 0, 2, 1),
    )
    return b"".join(_rows(pixels[top::down, left::right]) for top, left, down, right in starts)


def _bmp_rle() -> bytes:
    """Eight bits, run-length encoded, which Pillow reads but does not write."""
    palette = b"".join(bytes((level, 255 - level, level, 0)) for level in range(256))
    rows = b"".join(bytes((_WIDTH, 10 * row, 0, 0)) for row in range(_HEIGHT)) + b"\0\1"
    start = 14 + 40 + len(palette)
    head = struct.pack("<2sIHHI", b"BM", start + len(rows), 0, 0, start)
    info = struct.pack("<IiiHHIIiiII", 40, _WIDTH, _HEIGHT, 1, 8, 1, len(rows), 2835, 2835, 256, 0)
    return head + info + palette + rows


def _tiffs(
    rgb: Image.Image, alpha: Image.Image, others: list[Image.Image], shared: dict[str, Any]
) -> dict[str, bytes]:
    kinds = ("tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg", "zstd", "lzma")
    made = {f"tiff {kind}": _save(rgb, "TIFF", compression=kind) for kind in kinds}
    two = {
        f"tiff {kind}": _save(rgb.convert("1"), "TIFF", compression=kind)
        for kind in ("group3", "group4", "tiff_ccitt")
    }
    lab = ImageCms.applyTransform(
        rgb,
        ImageCms.buildTransform(ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), "RGB", "LAB"),
    )
    assert lab is not None
    lab.info.clear()  # of a profile with the time at which it was made
    scene = _scene()
    integers, floats = scene[:, :, 0].astype("<u2") * 257, scene[:, :, 0].astype("<f4") / 255
    return made | two | {
        "tiff": _save(rgb, "TIFF"),
        "tiff large": _save(rgb, "TIFF", big_tiff=True),
        "tiff alpha": _save(alpha, "TIFF", compression="tiff_lzw"),
        "tiff palette": _save(rgb.convert("P"), "TIFF"),
        "tiff cmyk jpeg": _save(rgb.convert("CMYK"), "TIFF", compression="jpeg"),
        "tiff lab": _save(lab, "TIFF"),
        "tiff pages": _save(rgb, "TIFF", save_all=True, append_images=others),
        "tiff exif icc": _save(rgb, "TIFF", **shared),
        "tiff grey 16": _save(Image.fromarray(integers), "TIFF"),
        "tiff grey 16 lzw": _save(Image.fromarray(integers), "TIFF", compression="tiff_lzw"),
        "tiff float": _save(Image.fromarray(floats), "TIFF"),
        "tiff tiles": _tiff_of_tiles(scene),
        "tiff colour 16": _tiff(scene.astype(">u2") * 257, bits=16),
        "tiff signed 32": _save(Image.fromarray(integers.astype(np.int32)), "TIFF"),
    }  # fmt: skip


def _tiff(values: np.ndarray, *, bits: int, tiles: dict[int, int] | None = None) -> bytes:
    """RGB, big-endian and uncompressed; the three bit depths stand between the directory and the pixels."""
    height, width, _ = values.shape
    pixels = values.tobytes()
    tags = {256: width, 257: height, 258: 0, 259: 1, 262: 2, 277: 3, 284: 1}
    tags |= tiles or {273: 0, 278: height, 279: len(pixels)}
    start = 8 + 2 + 12 * len(tags) + 4
    entries = b""
    for tag in sorted(tags):
        value = start + 8 if tag in (273, 324) else tags[tag]
        kind, count, value = (3, 3, start) if tag == 258 else (4, 1, value)
        entries += struct.pack(">HHII", tag, kind, count, value)
    spare = struct.pack(">HHHH", bits, bits, bits, 0)
    return (
        b"MM\0*" + struct.pack(">I", 8) + struct.pack(">H", len(tags)) + entries + bytes(4) + spare + pixels
    )


def _tiff_of_tiles(scene: np.ndarray) -> bytes:
    """One tile of 32 x 32, larger than the picture, as tiles at the edge are."""
    tile = np.zeros((32, 32, 3), np.uint8)
    tile[:_HEIGHT, :_WIDTH] = scene
    data = _tiff(tile, bits=8, tiles={322: 32, 323: 32, 324: 0, 325: tile.size})
    return data.replace(struct.pack(">HHII", 257, 4, 1, 32), struct.pack(">HHII", 257, 4, 1, _HEIGHT))
