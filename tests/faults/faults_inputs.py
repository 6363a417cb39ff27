"""Faults 24-35: more than one frame, foreign formats, arrays, and what is not to be passed on."""

import ast
import time
from pathlib import Path

import numpy as np
import pictures
import pytest
import tensorflow as tf
from faults import NEGATIVE, Fault, Refused, bytes_of, write
from helpers import ROOT
from pictures import scene
from PIL import Image

from ifrp_tf.core.errors import ImageError
from ifrp_tf.pictures import images
from ifrp_tf.release.in_graph import decode_portrait


def first_of_several(count: int, shape: tuple[int, ...]):
    def check(made: bytes) -> None:
        start = time.process_time()
        picture = images.read(made)
        assert time.process_time() - start < 1
        assert picture.notes[0] == f"{count} frames, first used"
        assert picture.pixels.shape == shape

    return check


def not_for_the_jpeg_decoder(made: bytes) -> None:
    assert tf.io.decode_jpeg(made).shape.rank == 4  # why it must not be used
    with pytest.raises(tf.errors.InvalidArgumentError, match="expected a PNG or JPEG"):
        decode_portrait(tf.constant(made), 32)
    assert images.read(made).pixels.shape == (48, 64, 3)
    used = {}
    for path in [*(ROOT / "ifrp_tf").rglob("*.py"), *(ROOT / "tools").rglob("*.py")]:
        names = {
            node.attr for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Attribute)
        }
        for name in names & {"decode_jpeg", "decode_image", "decode_gif", "decode_bmp"}:
            used[name] = path.name
    assert used == {"decode_jpeg": "in_graph.py"}  # behind the look at the first bytes


def both_are_read(made: tuple[bytes, bytes]) -> None:
    np.testing.assert_array_equal(images.read(made[0]).pixels, scene())
    off = np.abs(images.read(made[1]).pixels.astype(int) - scene().astype(int))
    assert (off.mean() < 2, off.max() < 25) == (True, True)  # AVIF is lossy


def foreign(_: Path) -> list[bytes]:
    svg = b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg" width="99" height="99"/>'
    return [b"%!PS-Adobe-3.0 EPSF-3.0\n", svg, b"8BPS\0\1" + bytes(60)]


def refused_by_the_list(made: list[bytes]) -> None:
    Refused("unsupported_format", "expected one of JPEG")(made)


def with_tails(_: Path) -> list[tuple[bytes, bytes]]:
    sound = [pictures.save(scene(), format) for format in ("JPEG", "PNG", "GIF")]
    return [(data, data + b"PK\x03\x04<script>" + bytes(5000)) for data in sound]


def read_without_the_tail(made: list[tuple[bytes, bytes]]) -> None:
    for sound, longer in made:
        np.testing.assert_array_equal(images.read(longer).pixels, images.read(sound).pixels)


ARRAYS = {
    "float64 [48, 64, 3] from 0.0 to 255.0": scene().astype(float),
    "float32 [48, 64, 3] from 0.0 to 1.0": (scene() / 255).astype(np.float32),
    "uint8 [48, 64, 3] from 0 to 1": (scene() / 255).astype(np.uint8),
    "uint8 [3, 48, 64] from 0 to 255": scene().transpose(2, 0, 1),
    "uint8 [64, 3] from 0 to 255": scene()[0],
    "int64 [48, 64, 3] from 0 to 255": scene().astype(np.int64),
    "uint8 [1, 1, 48, 64, 3] from 0 to 255": scene()[None, None],
}


def refused_as_arrays(made: dict[str, np.ndarray]) -> None:
    for words, array in made.items():
        with pytest.raises(ImageError) as caught:
            NEGATIVE(array)
        small = array.ndim == 2  # grey of 64 x 3
        assert caught.value.reason == ("too_small" if small else "bad_array")
        assert ("3 x 64" if small else words) in str(caught.value)
    grey = np.repeat(scene()[:, :, :1], 3, axis=2)
    np.testing.assert_array_equal(images.from_array(scene()[:, :, 0]), grey)  # documented


def not_finite(_: Path) -> list[np.ndarray]:
    arrays = [np.full((20, 20, 3), 0.5, np.float32) for _ in range(2)]
    arrays[0][3, 4, 1], arrays[1][0, 0, 0] = np.nan, -np.inf
    return arrays


def refused_both_ways(made: list[np.ndarray]) -> None:
    for array in made:  # on the way in, and out of a network
        for function in (images.from_array, NEGATIVE, images.to_model_range, images.to_uint8):
            with pytest.raises(ImageError) as caught:
                function(array)
            assert caught.value.reason == "not_finite"


def black(folder: Path) -> Path:
    return write(folder / "in", {"black.png": pictures.save(Image.new("RGB", (64, 64)), "PNG")})


def refused_as_flat(source: Path) -> None:
    seen: list[dict[str, object]] = []
    report = NEGATIVE.recover_folder(source, source.parent / "out", progress=seen.append)
    assert (report.failed, seen[0]["reason"]) == (1, "flat")


def with_a_secret(folder: Path) -> Path:
    exif = Image.Exif()
    exif[0x010F] = "Maker"
    exif.get_ifd(0x8825)[2] = (52.0, 31.0, 12.0)
    data = pictures.save(scene(), "JPEG", exif=exif, comment=b"a secret")
    assert b"a secret" in data
    return write(folder / "in", {"phone.jpg": data})


def stripped(source: Path) -> None:
    output = source.parent / "out"
    NEGATIVE.recover_folder(source, output, side_by_side=True)
    written = sorted(output.glob("*.png"))
    assert len(written) == 2
    for path in written:
        with Image.open(path) as image:
            assert (set(image.info), len(image.getexif())) == ({"ifrp_tf"}, 0)
        assert b"Maker" not in path.read_bytes()


ROWS = [
    Fault(24, "animated GIF", bytes_of(pictures.animated, "GIF"), first_of_several(4, (48, 64, 3))),
    Fault(25, "animated WebP", bytes_of(pictures.animated, "WEBP"), first_of_several(4, (48, 64, 3))),
    Fault(
        26, "WebP and the JPEG decoder", bytes_of(pictures.save, scene(), "WEBP"), not_for_the_jpeg_decoder
    ),
    Fault(
        27,
        "TIFF and AVIF",
        lambda _: (pictures.save(scene(), "TIFF"), pictures.save(scene(), "AVIF")),
        both_are_read,
    ),
    Fault(28, "TIFF of many pages", bytes_of(pictures.animated, "TIFF"), first_of_several(4, (48, 64, 3))),
    Fault(
        29,
        "EPS, SVG, PSD",
        foreign,
        refused_by_the_list,
        differs="None of the three reaches a decoder. Of a PDF pages are read (row 117).",
    ),
    Fault(30, "trailing garbage", with_tails, read_without_the_tail),
    Fault(
        31,
        "animation of 10,000 frames",
        bytes_of(pictures.gif_of_frames, 10_000),
        first_of_several(10_000, (32, 32, 3)),
    ),
    Fault(
        32,
        "arrays of another type, range or rank",
        bytes_of(dict, ARRAYS),
        refused_as_arrays,
        differs="That channels are BGR cannot be seen in an array; `from_array` says that it expects RGB.",
    ),
    Fault(33, "arrays with NaN or infinity", not_finite, refused_both_ways),
    Fault(34, "black picture", black, refused_as_flat),
    Fault(35, "metadata", with_a_secret, stripped),
]
