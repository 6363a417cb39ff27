"""Files as strangers send them: sound, and read wrongly by whoever looks at them for a moment only."""

import io
import struct
import zlib

import numpy as np
import pictures
import tifffile
from pictures import scene
from PIL import Image

SRGB = ((0.4361, 0.2225, 0.0139), (0.3851, 0.7169, 0.0971), (0.1431, 0.0606, 0.7139))


def grey():
    """A picture in grey, uint8 [48, 64], from black to white."""
    ramp = np.linspace(0, 255, 48 * 64).reshape(48, 64)
    return np.round(ramp).astype(np.uint8)


def tiff(pixels, **options):
    """A TIFF that is not Pillow's."""
    stream = io.BytesIO()
    tifffile.imwrite(stream, pixels, **options)
    return stream.getvalue()


def pages(*written):
    """A TIFF of pages, each (pixels, options)."""
    stream = io.BytesIO()
    with tifffile.TiffWriter(stream) as file:
        for pixels, options in written:
            file.write(np.ascontiguousarray(pixels), **options)
    return stream.getvalue()


def planes(scale=257, *, of=None, **options):
    """16-bit colour in separate planes; like the others below of the scene, or of pixels of one's own."""
    wide = ((scene() if of is None else of).astype(np.uint16) * scale).transpose(2, 0, 1)
    return tiff(np.ascontiguousarray(wide), photometric="rgb", planarconfig="separate", **options)


def colour16(scale, kind="tiff", *, of=None):
    """16-bit colour, chunky, whose white is 255 times the scale."""
    wide = (scene() if of is None else of).astype(np.uint16) * np.uint16(scale)
    if kind == "tiff":
        return tiff(wide, photometric="rgb")
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in wide)
    return pictures.png(wide.shape[1], wide.shape[0], 16, 2, zlib.compress(rows))


def light(levels):
    """Levels 0-255 of sRGB to light 0-1."""
    values = np.asarray(levels) / 255
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def with_gamma(gamma, depth=8, *, before=b"", of=None):
    """A PNG that shows the scene and says by which power its samples are encoded."""
    samples = np.round(light(scene() if of is None else of) ** gamma * (2**depth - 1)).astype(
        ">u2" if depth == 16 else np.uint8
    )
    rows = b"".join(b"\0" + row.tobytes() for row in samples)
    before += pictures.chunk(b"gAMA", struct.pack(">I", round(gamma * 100_000)))
    return pictures.png(*samples.shape[1::-1], depth, 2, zlib.compress(rows), before=before)


def linear_named(name, *, of=None):
    """A PNG of linear light that shows the scene, with a profile of that name."""
    samples = np.round(light(scene() if of is None else of) * 255).astype(np.uint8)
    return pictures.save(samples, "PNG", icc_profile=pictures.icc(b"RGB ", SRGB, 1.0, name))


def cut_out(colour=(180, 120, 90), behind=(255, 0, 255)):
    """A disc of one colour on nothing that hides another colour; the rim is half transparent."""
    rows, columns = np.mgrid[0:64, 0:64] - 31.5
    distance = np.hypot(rows, columns)
    alpha = np.clip((24 - distance) * 64, 0, 255).astype(np.uint8)
    pixels = np.where((alpha > 0)[..., None], colour, behind).astype(np.uint8)
    return Image.fromarray(np.dstack([pixels, alpha]))


def large_jpeg(width, height):
    """A sound grey JPEG of any size: every block is the six bits 00 1010, "as before, and no detail"."""
    data = pictures.save(Image.new("L", (8, 8), 128), "JPEG")
    start = data.index(b"\xff\xda")
    head = data[: start + 2 + int.from_bytes(data[start + 2 : start + 4], "big")]
    head = pictures.patched(head, head.index(b"\xff\xc0") + 5, struct.pack(">HH", height, width))
    return head + b"\x28\xa2\x8a" * (width // 8 * (height // 8) * 6 // 24) + b"\xff\xd9"


def pyramid(*, inside):
    """A TIFF of 12,000 x 11,000 pixels, black, with a reduced copy of 1,500 x 1,375, white."""
    options = {"compression": "zlib", "tile": (1024, 1024)}
    whole, copy = np.zeros((11_000, 12_000), np.uint8), np.full((1375, 1500), 255, np.uint8)
    return pages(
        (whole, {**options, **({"subifds": 1} if inside else {})}), (copy, {**options, "subfiletype": 1})
    )
