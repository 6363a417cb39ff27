"""Makes the bytes of picture files, sound and hostile, in code: the tests carry no zoo of binaries."""

import functools
import io
import struct
import zlib

import numpy as np
from PIL import Image


@functools.cache
def scene(height=48, width=64):
    """A smooth coloured picture whose four corners differ, so that every turn and flip shows."""
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float32)
    red, green = 255 * columns / (width - 1), 255 * rows / (height - 1)
    pixels = np.stack([red, green, 255 - (red + green) / 2], axis=-1)
    return np.round(pixels).astype(np.uint8)


def save(pixels, format, **options):
    """The file that Pillow makes of an array or an image."""
    stream = io.BytesIO()
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    image.save(stream, format, **options)
    return stream.getvalue()


def chunk(kind, data, *, damage=0):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data) ^ damage)


def png(width, height, depth, colour, stream, *, before=b"", damage=0, end=True):
    """A PNG out of its parts: `stream` is what the IDAT chunk holds, compressed already."""
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    parts = [b"\x89PNG\r\n\x1a\n", chunk(b"IHDR", header), before, chunk(b"IDAT", stream, damage=damage)]
    return b"".join(parts) + (chunk(b"IEND", b"") if end else b"")


def png16(values):
    """A grey PNG of 16 bits, [H, W]."""
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    return png(values.shape[1], values.shape[0], 16, 0, zlib.compress(rows))


@functools.cache
def png_bomb(side=20_000):
    """A sound PNG of side x side black pixels in a few kilobytes."""
    squeeze = zlib.compressobj()
    row = bytes(1 + (side + 7) // 8)
    stream = b"".join(squeeze.compress(row * 100) for _ in range(side // 100))
    stream += squeeze.compress(row * (side % 100)) + squeeze.flush()
    return png(side, side, 1, 0, stream)


def patched(data, at, new):
    return data[:at] + new + data[at + len(new) :]


def jpeg_claiming(width, height):
    data = save(scene(), "JPEG")
    return patched(data, data.index(b"\xff\xc0") + 5, struct.pack(">HH", height, width))


def bmp_claiming(width, height):
    return patched(save(scene(), "BMP"), 18, struct.pack("<ii", width, height))


def gif_claiming(width, height):
    return patched(save(scene(), "GIF"), 6, struct.pack("<HH", width, height))


def webp(kind, payload):
    body = b"WEBP" + kind + struct.pack("<I", len(payload)) + payload + bytes(len(payload) % 2)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def webp_lossless_claiming(width, height):
    return webp(b"VP8L", b"\x2f" + struct.pack("<I", (width - 1) | (height - 1) << 14) + bytes(21))


def webp_canvas_claiming(width, height):
    """An animated WebP whose frames are small and whose canvas is not."""
    frames = [Image.new("RGB", (32, 32), colour) for colour in ("red", "blue")]
    data = save(frames[0], "WEBP", save_all=True, append_images=frames[1:])
    assert data[12:16] == b"VP8X"
    return patched(data, 24, (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little"))


def tiff(tags, pixels=b"", *, order="<"):
    """A TIFF of one directory: tags are {number: (type, values)}; 273, where the pixels lie, is filled in."""
    sizes = {1: ("B", 1), 3: ("H", 2), 4: ("I", 4)}
    tags = {**tags, 273: (4, (0,)), 279: (4, (len(pixels),))}
    spare_at = 8 + 2 + 12 * len(tags) + 4
    spare, entries = b"", b""
    for number, (kind, values) in sorted(tags.items()):
        letter, size = sizes[kind]
        if number == 273:
            values = (spare_at + 256,)
        packed = struct.pack(f"{order}{len(values)}{letter}", *values)
        if len(packed) > 4:
            spare, packed = spare + packed, struct.pack(order + "I", spare_at + len(spare))
        entries += struct.pack(order + "HHI", number, kind, len(values)) + packed.ljust(4, b"\0")
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", 8)
    directory = struct.pack(order + "H", len(tags)) + entries + bytes(4)
    return head + directory + spare.ljust(256, b"\0") + pixels


def grey_tiff(values, *, bits=16, photometric=1, sample_format=1, order="<"):
    """An uncompressed grey TIFF, [H, W]; `values` must have the dtype that `bits` and `order` say."""
    height, width = values.shape
    tags = {256: (4, (width,)), 257: (4, (height,)), 258: (3, (bits,)), 259: (3, (1,))}
    tags |= {262: (3, (photometric,)), 277: (3, (1,)), 278: (4, (height,)), 339: (3, (sample_format,))}
    return tiff(tags, values.tobytes(), order=order)


def gif_of_frames(count):
    """An animated GIF of many one-pixel frames, 15 bytes each."""
    frame = b"\x2c" + struct.pack("<4HB", 0, 0, 1, 1, 0) + b"\x02\x02\x44\x01\x00"
    return save(Image.new("P", (32, 32)), "GIF")[:-1] + frame * (count - 1) + b";"


def animated(format, count=4):
    levels = np.linspace(20, 240, count).astype(int)
    frames = [Image.fromarray(np.roll(scene(), int(level), axis=1)) for level in levels]
    options = {"lossless": True} if format == "WEBP" else {}
    return save(frames[0], format, save_all=True, append_images=frames[1:], **options)


def tiff_of_pages(count):
    """A TIFF of many pages that share their pixels: each but the first is a mere copy of its directory."""
    data = grey_tiff(np.zeros((16, 16), np.uint8), bits=8)
    length = 2 + 12 * struct.unpack("<H", data[8:10])[0]
    directory, links = (
        data[8 : 8 + length],
        [len(data) + page * (length + 4) for page in range(count - 1)] + [0],
    )
    pages = b"".join(directory + struct.pack("<I", link) for link in links[1:])
    return patched(data, 8 + length, struct.pack("<I", links[0])) + pages


def with_exif(format, orientation, pixels=None):
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"JPEG": {"quality": 95, "subsampling": 0}, "WEBP": {"lossless": True}}.get(format, {})
    return save(scene() if pixels is None else pixels, format, exif=exif, **options)


def icc(space, colorants, gamma, name):
    """A colour profile of version 2: a matrix, or nothing for grey, and one power for every channel."""

    def number(value):
        return struct.pack(">i", round(value * 65536))

    def xyz(values):
        return b"XYZ \0\0\0\0" + b"".join(number(value) for value in values)

    curve = b"curv\0\0\0\0" + struct.pack(">IH", 1, round(gamma * 256))
    title = name.encode() + b"\0"
    tags = {
        b"desc": b"desc\0\0\0\0" + struct.pack(">I", len(title)) + title + bytes(78),
        b"cprt": b"text\0\0\0\0none\0",
        b"wtpt": xyz((0.9642, 1.0, 0.8249)),
    }
    tags |= {
        letter + b"XYZ": xyz(values) for letter, values in zip((b"r", b"g", b"b"), colorants, strict=False)
    }
    tags |= {letter + b"TRC": curve for letter in ((b"r", b"g", b"b") if colorants else (b"k",))}
    table, body, start = struct.pack(">I", len(tags)), b"", 128 + 4 + 12 * len(tags)
    for tag, data in tags.items():
        table += tag + struct.pack(">II", start + len(body), len(data))
        body += data + bytes(-len(data) % 4)
    head = struct.pack(
        ">I4xI4s4s4s12s4s", start + len(body), 0x02100000, b"mntr", space, b"XYZ ", bytes(12), b"acsp"
    )
    head += bytes(68 - len(head)) + number(0.9642) + number(1.0) + number(0.8249)
    return head.ljust(128, b"\0") + table + body
