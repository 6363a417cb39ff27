import io
import struct
import warnings

import numpy as np
import pictures
import pytest
import tensorflow as tf
from PIL import Image, ImageOps

from ifrp_tf.pictures import images
from ifrp_tf.release.in_graph import decode_portrait, letterbox

decode = tf.function(lambda data: decode_portrait(data, 128), input_signature=[tf.TensorSpec((), tf.string)])
fit = tf.function(
    lambda pixels: letterbox(pixels, 64), input_signature=[tf.TensorSpec((None, None, 3), tf.uint8)]
)
SMOOTH = pictures.scene(300, 200)
NOISE = np.random.default_rng(0).integers(0, 256, (333, 201, 3)).astype(np.uint8)
ALPHA = np.dstack([NOISE, np.random.default_rng(1).integers(0, 256, NOISE.shape[:2]).astype(np.uint8)])
CUT_OUT = np.dstack([SMOOTH, np.zeros(SMOOTH.shape[:2], np.uint8)])
CUT_OUT[60:240, 50:150, 3] = 255


@pytest.mark.parametrize(
    ("height", "width"), [(64, 64), (128, 64), (300, 201), (16, 300), (20, 31), (61, 17), (1000, 999)]
)
def test_the_letterbox_is_that_of_images(height, width):
    pixels = np.random.default_rng(height).integers(0, 256, (height, width, 3)).astype(np.uint8)
    difference = np.abs(fit(pixels).numpy().astype(int) - images.letterbox(pixels, 64))
    assert difference.max() <= 1
    assert difference.mean() < 0.01


@pytest.mark.parametrize(
    "data",
    [
        pictures.save(SMOOTH, "PNG"),
        pictures.save(SMOOTH, "JPEG"),
        pictures.save(NOISE, "JPEG", quality=60, subsampling=2),
        pictures.save(NOISE, "JPEG", progressive=True),
        pictures.save(ALPHA, "PNG"),
        pictures.save(CUT_OUT, "PNG"),
        pictures.save(SMOOTH[..., 0], "PNG"),
        pictures.save(SMOOTH[..., 0], "JPEG"),
    ],
    ids=["png", "jpeg", "subsampled", "progressive", "transparent", "cut out", "grey png", "grey jpeg"],
)
def test_decoding_is_that_of_images_to_a_level(data):
    expected = images.letterbox(images.read(data).pixels)
    difference = np.abs(decode(data).numpy().astype(int) - expected)
    assert difference.max() <= 1
    assert difference.mean() < 0.05


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x89PNG\r\n\x1a\n",
        b"GIF89a" + bytes(100),
        pictures.save(SMOOTH, "WEBP"),
        pictures.save(SMOOTH, "PNG")[:500],
        pictures.save(SMOOTH, "JPEG")[:500],
        pictures.patched(pictures.save(SMOOTH, "PNG"), 12, b"JUNK"),
        pictures.png(0, 100, 8, 2, b""),
        pictures.jpeg_claiming(60000, 60000),
        pictures.png(2**31 - 1, 2**31 - 1, 8, 2, b""),
        pictures.save(np.zeros((16, 400, 3), np.uint8), "PNG"),
        pictures.save(np.zeros((20, 20, 4), np.uint8), "PNG"),
    ],
    ids=[
        "empty",
        "magic",
        "gif",
        "webp",
        "cut png",
        "cut jpeg",
        "junk",
        "no width",
        "bomb",
        "overflow",
        "long",
        "wholly transparent",
    ],
)
def test_what_is_no_small_png_or_jpeg_is_refused(data):
    with pytest.raises(tf.errors.InvalidArgumentError):
        decode(data)


ORIENTATION = 0x112
SHORT, LONG, ASCII, RATIONAL = 3, 4, 2, 5


def exif(order, *tags, count=None, end=None):
    """A block of EXIF: tags as (number, type, how many, value in four bytes or a number)."""
    head = struct.pack(f"{order}2sHL", b"II" if order == "<" else b"MM", 42, 8)
    body = struct.pack(f"{order}H", len(tags) if count is None else count)
    for number, kind, many, value in tags:
        held = (
            value
            if isinstance(value, bytes)
            else struct.pack(f"{order}{'H2x' if kind == SHORT else 'L'}", value)
        )
        body += struct.pack(f"{order}HHL", number, kind, many) + held
    return (b"Exif\0\0" + head + body)[:end]


def app1(data, *payloads):
    """A JPEG with APP1 segments after its first one."""
    at = 4 + int.from_bytes(data[4:6], "big")
    return (
        data[:at]
        + b"".join(b"\xff\xe1" + struct.pack(">H", len(each) + 2) + each for each in payloads)
        + data[at:]
    )


JPEG = pictures.save(pictures.scene(40, 28), "JPEG")
TEXT = (0x010E, ASCII, 9, 500)  # whose value lies beyond the end
XMP = b"http://ns.adobe.com/xap/1.0/\0<x:xmpmeta><rdf:Description tiff:Orientation%s/></x:xmpmeta>"
TURNED = {
    **{f"{order}{n}": exif(order, (ORIENTATION, SHORT, 1, n)) for order in "<>" for n in range(1, 9)},
    "long": exif(">", (ORIENTATION, LONG, 1, 6)),
    "nine": exif("<", (ORIENTATION, SHORT, 1, 9)),
    "nothing": exif("<", (ORIENTATION, SHORT, 1, 0)),
    "two": exif("<", (ORIENTATION, SHORT, 2, b"\6\0\6\0")),
    "ascii": exif("<", (ORIENTATION, ASCII, 2, b"6\0\0\0")),
    "unknown type": exif("<", (0x0100, 99, 77, 500), (ORIENTATION, SHORT, 1, 6)),
    "the last counts": exif("<", (ORIENTATION, SHORT, 1, 6), (ORIENTATION, SHORT, 1, 3)),
    "before a text that is cut": exif("<", (ORIENTATION, SHORT, 1, 6), TEXT),
    "after a text that is cut": exif("<", TEXT, (ORIENTATION, SHORT, 1, 6)),
    "more tags than there are": exif(">", (ORIENTATION, SHORT, 1, 6), count=900),
    "no directory": exif("<", (ORIENTATION, SHORT, 1, 6), end=14),
    "cut in the count": exif("<", (ORIENTATION, SHORT, 1, 6), end=15),
    "cut in the tag": exif("<", (ORIENTATION, SHORT, 1, 6), end=25),
    "empty": b"Exif\0\0",
    "no tiff": b"Exif\0\0" + bytes(40),
    "directory far off": b"Exif\0\0" + struct.pack("<2sHL", b"II", 42, 2**32 - 1) + bytes(20),
    "xmp": XMP % b'="8"',
    "xmp element": XMP % b">5<",
    "xmp zero": XMP % b'="0"',
}  # fmt: skip


def test_exif_orientation_is_that_of_pillow():
    for name, payload in TURNED.items():
        data = app1(JPEG, b"other\0", payload)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of Pillow, for what is cut off
            try:
                upright = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
            except Exception:  # Pillow's `exif_transpose` falls over what its decoder does not need
                upright = Image.open(io.BytesIO(data))
        expected = images.letterbox(np.array(upright))
        assert np.abs(decode(data).numpy().astype(int) - expected).max() <= 1, name
        np.testing.assert_array_equal(images.read(data).pixels, np.array(upright), err_msg=name)


def test_exif_decides_before_xmp_and_is_found_behind_padding():
    both = app1(JPEG, XMP % b'="8"', exif("<", (ORIENTATION, SHORT, 1, 3)))
    padded = both[:2] + b"\xff\xff" + both[2:]
    for data in (both, padded):
        expected = images.letterbox(np.array(Image.open(io.BytesIO(JPEG)))[::-1, ::-1])
        assert np.abs(decode(data).numpy().astype(int) - expected).max() <= 1


def test_the_exif_of_a_png_counts_before_and_after_its_pixels():
    plain = pictures.save(pictures.scene(40, 28), "PNG")
    block = exif(">", (ORIENTATION, SHORT, 1, 6))[6:]
    at = plain.index(b"IEND") - 4
    for place in (33, at):
        data = plain[:place] + pictures.chunk(b"eXIf", block) + plain[place:]
        expected = images.letterbox(np.rot90(pictures.scene(40, 28), -1))
        assert np.abs(decode(data).numpy().astype(int) - expected).max() <= 1
    named = plain[:33] + pictures.chunk(b"tEXt", b"Comment\0eXIf of a friend") + plain[33:]
    np.testing.assert_array_equal(decode(named), decode(plain))


def test_compressed_exif_of_a_png_is_refused_in_words():
    plain = pictures.save(SMOOTH, "PNG")
    data = plain[:33] + pictures.chunk(b"zTXt", b"Raw profile type exif\0\0x") + plain[33:]
    with pytest.raises(tf.errors.InvalidArgumentError, match="eXIf chunk"):
        decode(data)
