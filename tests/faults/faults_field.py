"""Faults 101-119: sound files of strangers that came out garbled, black or small without a word."""

import builtins
import importlib.util
import io
import json
import subprocess
import sys
import warnings
from pathlib import Path

import moving
import numpy as np
import pictures
import pytest
import strangers
from faults import Fault, Refused, little_memory
from helpers import ROOT
from pictures import scene
from PIL import Image

from ifrp_tf.core.errors import ImageError
from ifrp_tf.pictures import decoding, encoding, images
from ifrp_tf.recovery.recoverer import Options, Recoverer


def shows(pixels, expected, off):
    """Asserts that no level is farther off than that."""
    expected = np.asarray(expected)
    expected = expected if expected.ndim == 3 else np.repeat(expected[..., None], 3, axis=2)
    assert np.abs(pixels.astype(int) - expected).max() <= off


def separate_planes(_: Path) -> list[bytes]:
    variants = [{}, {"byteorder": ">"}, {"rowsperstrip": 7}, {"tile": (16, 16)}, {"compression": "zlib"}]
    return [strangers.planes(**options) for options in variants]


def shown_without_a_word(made: list[bytes]) -> None:
    for data in made:
        picture = images.read(data)
        shows(picture.pixels, scene(), 1)
        assert picture.notes == ()


def few_bits(_: Path) -> list[tuple[bytes, np.ndarray, int]]:
    """Values of 8, 10, 12 and 14 bits in 16: grey and colour, TIFF and PNG, planes."""
    made = []
    for bits in (8, 10, 12, 14):
        scale = (2**bits - 1) // 255
        values = strangers.grey().astype(np.uint16) * scale
        made += [
            (strangers.tiff(values), strangers.grey(), bits),
            (pictures.png16(values), strangers.grey(), bits),
        ]
        made += [(strangers.colour16(scale, kind), scene(), bits) for kind in ("tiff", "png")]
        made.append((strangers.planes(scale), scene(), bits))
    return made


def stretched_with_a_note(made: list[tuple[bytes, np.ndarray, int]]) -> None:
    for data, expected, bits in made:
        picture = images.read(data)
        shows(picture.pixels, expected, 5)
        assert len(picture.notes) == 1
        assert picture.notes[0].endswith(f"stretched: taken for {bits} bits")


def dark(_: Path) -> list[bytes]:
    """Really dark: nothing but the sensor's noise, or one value."""
    noise = np.random.default_rng(1).integers(0, 40, (48, 64), np.uint16)
    return [strangers.tiff(noise), pictures.png16(noise), strangers.tiff(np.zeros((48, 64), np.uint16))]


def stays_dark(made: list[bytes]) -> None:
    for data in made:
        picture = images.read(data)
        assert picture.pixels.max() == 0
        assert picture.notes == ("low_contrast",)


def signed(_: Path) -> tuple[bytes, bytes, bytes]:
    levels = strangers.grey().astype(np.int16)
    return (
        strangers.tiff(levels * np.int16(128)),
        strangers.tiff(levels * np.int16(16)),
        strangers.tiff(levels - 9),
    )


def positive_half_or_refused(made: tuple[bytes, bytes, bytes]) -> None:
    for data, bits in zip(made, (15, 12), strict=False):
        picture = images.read(data)
        shows(picture.pixels, strangers.grey(), 2)
        assert f"taken for {bits} bits" in picture.notes[0]
    Refused("unsupported_format", "received -9 to 246")(made[2])


def about_one(_: Path) -> list[bytes]:
    unit = (strangers.grey() / 255).astype(np.float32)
    return [
        strangers.tiff(unit * np.float32(top) - np.float32(low)) for top, low in ((1.02, 0), (1.08, 0.03))
    ]


def cut_off_with_a_note(made: list[bytes]) -> None:
    for data in made:
        picture = images.read(data)
        shows(picture.pixels, strangers.grey(), 22)
        assert picture.pixels.max() == 255
        assert picture.notes[0].endswith("cut off to 0 to 1")


def in_between(_: Path) -> list[bytes]:
    unit = (strangers.grey() / 255).astype(np.float32)
    return [strangers.tiff(unit * np.float32(top)) for top in (1.5, 4, 12, 300)]


def linear_light(_: Path) -> list[bytes]:
    return [strangers.linear_named(name) for name in ("sRGB linear", "linear light", "sRGB IEC61966-2.1")]


def by_the_curve(made: list[bytes]) -> None:
    for data in made:
        picture = images.read(data)
        assert np.abs(picture.pixels.astype(int) - scene()).mean() < 2
        assert picture.notes[0].startswith("colours converted from ")


def gammas(_: Path) -> dict[str, list[bytes]]:
    said = pictures.chunk(b"sRGB", b"\0")
    return {
        "applied": [strangers.with_gamma(gamma, depth) for gamma in (1.0, 0.55, 0.35) for depth in (8, 16)],
        "left": [strangers.with_gamma(0.45455), strangers.with_gamma(1.0, before=said)],
    }


def obeyed_where_it_matters(made: dict[str, list[bytes]]) -> None:
    for data in made["applied"]:
        picture = images.read(data)
        assert np.abs(picture.pixels.astype(int) - scene()).mean() < 1.5
        assert picture.notes[0].startswith("gamma of the PNG applied")
    assert [images.read(data).notes for data in made["left"]] == [(), ()]


def thumbnails_first(_: Path) -> list[bytes]:
    rgb = {"photometric": "rgb"}
    small = scene()[::2, ::2]
    return [
        strangers.pages((small, {**rgb, "subfiletype": 1}), (scene(), rgb)),
        strangers.pages((small, rgb), (scene(), rgb)),
        strangers.pages((np.tile(small, (4, 4, 1)), {**rgb, "subfiletype": 1}), (scene(), rgb)),
        pictures.save(
            Image.fromarray(small), "TIFF", save_all=True, append_images=[Image.fromarray(scene())]
        ),
        strangers.pages((small, rgb), (scene(), rgb), (small, rgb)),
    ]


def largest_page(made: list[bytes]) -> None:
    for data in made:
        picture = images.read(data)
        shows(picture.pixels, scene(), 0)
        assert picture.size_in_file == (64, 48)
        assert "frames, number 2 used, the largest of full resolution" in picture.notes[0]


def other_formats(_: Path) -> dict[str, bytes]:
    return {
        "JPEG2000": pictures.save(scene(), "JPEG2000"),
        "AVIF": pictures.save(scene(), "AVIF", quality=95, subsampling="4:4:4"),
    }


def read_and_named(made: dict[str, bytes]) -> None:
    for format, data in made.items():
        picture = images.read(data)
        assert (picture.format, picture.notes) == (format, ())
        shows(picture.pixels, scene(), 12)


def bombs(_: Path) -> list[bytes]:
    stream = pictures.save(scene(), "JPEG2000", no_jp2=True)
    boxes = pictures.save(scene(), "JPEG2000")
    avif = pictures.save(scene(), "AVIF")
    huge = (20_000).to_bytes(4, "big")
    at, start = boxes.index(b"ihdr") + 4, boxes.index(b"\xff\x4f\xff\x51")
    return [
        pictures.patched(stream, 8, huge * 2),
        pictures.patched(boxes, at, huge * 2),
        pictures.patched(boxes, start + 8, huge * 2),
        pictures.patched(avif, avif.index(b"ispe") + 8, huge * 2),
    ]


def refused_before_unpacking(made: list[bytes]) -> None:
    with little_memory(16 * 2**20):
        for data in made:
            with pytest.raises(ImageError) as caught:
                images.read(data)
            assert caught.value.reason in ("too_large", "corrupt")


def heic(_: Path) -> bytes:
    return b"\0\0\0\x18ftypheic" + bytes(4) + b"mif1heic" + bytes(60)


def names_the_extra(made: bytes) -> None:
    def without(name, *rest, **options):
        if name == "pillow_heif":
            raise ImportError(name)
        return real(name, *rest, **options)

    real = builtins.__import__
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(builtins, "__import__", without)
        Refused("unsupported_format", "ifrp_tf[heic]")(made)


def large(_: Path) -> dict[str, bytes]:
    return {
        "jpeg": strangers.large_jpeg(13_000, 10_000),
        "inside": strangers.pyramid(inside=True),
        "after": strangers.pyramid(inside=False),
    }


def read_reduced(made: dict[str, bytes]) -> None:
    with little_memory(480 * 2**20):
        picture = images.read(made["jpeg"])
    assert picture.pixels.shape == (5000, 6500, 3)
    assert picture.size_in_file == (13_000, 10_000)
    assert "13,000 x 10,000 pixels, decoded at 6,500 x 5,000" in picture.notes
    for where in ("inside", "after"):
        with little_memory(64 * 2**20):
            picture = images.read(made[where])
        assert picture.pixels.shape == (1375, 1500, 3)
        assert picture.pixels.min() == 255  # the copy
        assert "12,000 x 11,000 pixels, its reduced copy of 1,500 x 1,375 used" in picture.notes


def cut_outs(_: Path) -> list[bytes]:
    made = strangers.cut_out()
    return [pictures.save(made, "PNG"), pictures.save(made, "WEBP", lossless=True, exact=True)]


def on_its_own_edge(made: list[bytes]) -> None:
    for data in made:
        picture = images.read(data)
        shows(picture.pixels, np.full((64, 64, 3), (180, 120, 90)), 1)
        assert picture.notes[0] == "transparency laid on (180, 120, 90), the mean of its opaque edge"
        assert images.read(data, background=(255, 255, 255)).pixels[0, 0].tolist() == [255] * 3


def invisible(_: Path) -> list[bytes]:
    nothing = np.zeros((48, 64), np.uint8)
    hidden = np.dstack([scene(), nothing])
    made = [pictures.save(hidden, format) for format in ("PNG", "TIFF")]
    return [*made, pictures.save(hidden, "WEBP", lossless=True, exact=True)]


def chatterers(folder: Path) -> Path:
    bad_exif = b"Exif\0\0MM\0*\0\0\0\x08\0\x02\x01\x1a\0\x05\0\0\0\x01\xff\xff\xff\xff"
    lzw = pictures.save(scene(), "TIFF", compression="tiff_lzw")
    files = {
        "exif.jpg": pictures.save(scene(), "JPEG", exif=bad_exif),
        "lzw.tif": pictures.patched(lzw, 12, b"\xff\x13" * 40),
        "samples.tif": pictures.tiff(
            {256: (4, (32,)), 257: (4, (32,)), 262: (3, (1,)), 277: (3, (99,))}, bytes(9)
        ),
        "zone.png": pictures.png(9_500, 9_500, 1, 0, b"", damage=1),
    }
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return folder


def nothing_on_the_terminal(folder: Path) -> None:
    code = (
        "import sys, warnings; warnings.simplefilter('always')\n"
        "from ifrp_tf.pictures import decoding, encoding, images\n"
        "for name in sys.argv[1:]:\n"
        "    try: images.read(name)\n"
        "    except images.ImageError: pass\n"
    )
    names = sorted(map(str, folder.iterdir()))
    child = subprocess.run(
        [sys.executable, "-c", code, *names], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert (child.returncode, child.stdout, child.stderr) == (0, "", "")
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        images.read(folder / "exif.jpg")
    assert not seen


def documents(_: Path) -> list[bytes]:
    first, second = Image.fromarray(scene()), Image.fromarray(255 - scene())
    made = []
    for format in ("TIFF", "PDF") if importlib.util.find_spec("pypdfium2") else ("TIFF",):
        stream = io.BytesIO()
        first.save(stream, format, save_all=True, append_images=[second], resolution=300, quality=100)
        made.append(stream.getvalue())
    return made


def by_their_number(made: list[bytes]) -> None:
    for data in made:
        assert decoding.page_numbers(data) == [1, 2]
        for page, expected in ((1, scene()), (2, 255 - scene())):
            assert np.abs(images.read(data, page=page).pixels.astype(int) - expected).mean() < 8
        with pytest.raises(ImageError, match="from 1 to 2"):
            images.read(data, page=3)


def beside_pixels(_: Path) -> bytes:
    exif = Image.Exif()
    exif[0x0112], exif[0x013B] = 6, "Ada"
    return pictures.save(
        scene(),
        "JPEG",
        exif=exif,
        dpi=(300, 300),
        icc_profile=pictures.icc(b"RGB ", strangers.SRGB, 1.8, "g"),
    )


def kept_with_the_pixels(made: bytes) -> None:
    pixels = images.read(made).pixels
    data, suffix = encoding.encode_like(pixels, made, {"ifrp_tf": "generated face"})
    before, after = Image.open(io.BytesIO(made)), Image.open(io.BytesIO(data))
    assert (suffix, after.info["dpi"], after.getexif()[0x013B]) == (".jpg", (300, 300), "Ada")
    assert after.info["icc_profile"] == before.info["icc_profile"]
    assert np.abs(images.read(data).pixels.astype(int) - pixels).mean() < 5


def broken_videos(folder: Path) -> Path:
    pytest.importorskip("av")
    frames = [moving.scene(48, 64, 3 * number) for number in range(30)]
    for suffix in (".mp4", ".mkv"):
        whole = moving.write(folder / f"whole{suffix}", frames).read_bytes()
        (folder / f"cut{suffix}").write_bytes(whole[: len(whole) // 2])
        (folder / f"whole{suffix}").unlink()
    (folder / "empty.mov").write_bytes(b"")
    (folder / "head.avi").write_bytes(b"RIFF\x00\x10\x00\x00AVI LIST" + bytes(600))
    (folder / "page.mp4").write_bytes(b"<!DOCTYPE html><title>404</title>")
    (folder / "cut.gif").write_bytes(moving.animation(frames)[:-900])
    return folder


def rows_with_reasons(folder: Path) -> None:
    recoverer = Recoverer(lambda portraits: 255 - portraits, side=32, name="m", fingerprint="m")
    report = recoverer.recover_folder(folder, folder.parent / "out", options=Options(faces="whole"))
    rows = json.loads(report.path.read_text())["pictures"]
    assert {Path(row["input"]).name: row["reason"] for row in rows} == {
        "cut.gif": "truncated", "cut.mkv": "truncated", "cut.mp4": "corrupt", "empty.mov": "empty",
        "head.avi": "corrupt", "page.mp4": "not_an_image",
    }  # fmt: skip
    assert all(row["message"] for row in rows)


ROWS = [
    Fault(101, "16-bit colour in separate planes", separate_planes, shown_without_a_word),
    Fault(102, "8 to 14 bits in 16", few_bits, stretched_with_a_note),
    Fault(103, "16 bits that are black", dark, stays_dark),
    Fault(104, "signed 16 bits", signed, positive_half_or_refused),
    Fault(105, "floats a hair above 1", about_one, cut_off_with_a_note),
    Fault(106, "floats in no range", in_between, Refused("unsupported_format", "Tone-map")),
    Fault(107, "linear light under a profile named sRGB", linear_light, by_the_curve),
    Fault(108, "PNG with a gamma", gammas, obeyed_where_it_matters),
    Fault(109, "TIFF whose first page is a reduced copy", thumbnails_first, largest_page),
    Fault(110, "JPEG 2000 and AVIF", other_formats, read_and_named),
    Fault(111, "JPEG 2000 and AVIF of 20,000 x 20,000", bombs, refused_before_unpacking),
    Fault(112, "HEIC without its extra", heic, names_the_extra),
    Fault(113, "more than 120 megapixels", large, read_reduced),
    Fault(114, "a cut-out head", cut_outs, on_its_own_edge),
    Fault(115, "wholly transparent", invisible, Refused("transparent", "wholly transparent")),
    Fault(116, "what makes Pillow and libtiff talk", chatterers, nothing_on_the_terminal),
    Fault(117, "pages of PDF and TIFF", documents, by_their_number),
    Fault(118, "a pasted picture", beside_pixels, kept_with_the_pixels),
    Fault(119, "videos that are broken, cut, empty or sound alone", broken_videos, rows_with_reasons),
]
