"""Faults 16-23: whole pictures whose pixels are not what they seem."""

import io
from pathlib import Path

import numpy as np
import pictures
import tensorflow as tf
from faults import Fault, Refused
from pictures import scene
from PIL import Image, ImageOps

from ifrp_tf.pictures import images

WHITE, HIDDEN = (255, 255, 255), (255, 0, 0)
SRGB = ((0.4361, 0.2225, 0.0139), (0.3851, 0.7169, 0.0971), (0.1431, 0.0606, 0.7139))


def upright(made: list[bytes]) -> None:
    for number, data in enumerate(made):
        with Image.open(io.BytesIO(data)) as stored:
            expected = np.asarray(ImageOps.exif_transpose(stored).convert("RGB"))
        picture = images.read(data)
        assert picture.size_in_file == (64, 48)
        np.testing.assert_array_equal(picture.pixels, expected)
        orientation = 1 + number % 8
        assert picture.notes == ((f"exif orientation {orientation} applied",) if orientation > 1 else ())
    assert len({images.read(data).pixels.tobytes() for data in made[:8]}) == 8


def broken_exif(_: Path) -> list[bytes]:
    garbage = pictures.save(scene(), "JPEG", exif=b"Exif\0\0" + b"garbage" * 9)
    return [garbage, pictures.with_exif("JPEG", 0), pictures.with_exif("JPEG", 9)]


def ignored_and_noted(made: list[bytes]) -> None:
    for data in made:
        picture = images.read(data)
        assert picture.pixels.shape == scene().shape
        assert "exif" in picture.notes[0]
        assert "ignored" in picture.notes[0]


def inks(_: Path) -> tuple[bytes, bytes]:
    """A CMYK JPEG, and a YCCK one: the same bytes under another name."""
    plain = pictures.save(Image.new("CMYK", (32, 32), (200, 0, 0, 0)), "JPEG", quality=100)
    mixed = pictures.save(Image.new("CMYK", (32, 32), (60, 90, 120, 30)), "JPEG", quality=100)
    return plain, pictures.patched(mixed, mixed.index(b"Adobe") + 11, b"\2")


def coloured_as_a_viewer_does(made: tuple[bytes, bytes]) -> None:
    assert np.abs(images.read(made[0]).pixels.astype(int) - (55, 255, 255)).max() <= 1
    for data in made:  # TensorFlow's decoder is the viewer
        shown = tf.io.decode_jpeg(data, channels=3).numpy().astype(int)
        assert np.abs(images.read(data).pixels - shown).max() <= 2


def few_colours(_: Path) -> list[bytes]:
    image = Image.fromarray(scene())
    return [pictures.save(image.convert(mode), "PNG") for mode in ("L", "1", "P")]


def shown_in_rgb(made: list[bytes]) -> None:
    for data in made:
        expected = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
        np.testing.assert_array_equal(images.read(data).pixels, expected)


def transparent(_: Path) -> list[bytes]:
    """Half of each is transparent and hides another colour; the other half is blue or grey."""
    alpha = Image.new("L", (32, 32), 255)
    alpha.paste(0, (0, 0, 16, 32))
    colours = Image.new("RGB", (32, 32), (0, 0, 255))
    colours.paste(HIDDEN, (0, 0, 16, 32))
    palette = colours.quantize(4)
    key = palette.getpixel((0, 0))
    grey = colours.convert("L")
    made = [Image.merge("RGBA", [*colours.split(), alpha]), Image.merge("LA", [grey, alpha])]
    return [*(pictures.save(image, "PNG") for image in made), pictures.save(palette, "PNG", transparency=key)]


def laid_on_the_background(made: list[bytes]) -> None:
    for data in made:
        for background in (WHITE, (1, 2, 3)):
            picture = images.read(data, background=background)
            assert (picture.pixels[:, :16] == background).all()
            assert (picture.pixels[:, 16:] != WHITE).any()
            assert picture.notes == (f"transparency laid on {background}",)
        by_itself = images.read(data)  # all that can be seen is of one colour
        assert (by_itself.pixels == by_itself.pixels[0, -1]).all()
        assert by_itself.notes[0].endswith("the mean of its opaque edge")


def deep(_: Path) -> list[bytes]:
    values = np.tile(np.array([0, 257, 30_000, 65_535]), (16, 4))
    return [pictures.png16(values), pictures.grey_tiff(values.astype("<u2"))]


def scaled_by_257(made: list[bytes]) -> None:
    for data in made:
        assert images.read(data).pixels[0, :4, 0].tolist() == [0, 1, 117, 255]


def float_tiff(highest: float) -> bytes:
    values = np.full((20, 20), 0.5, "<f4")
    values[3, 4] = highest
    return pictures.grey_tiff(values, bits=32, sample_format=3)


def judged_by_its_range(made: dict[str, bytes]) -> None:
    assert images.read(made["unit"]).pixels[[0, 3], [0, 4], 0].tolist() == [128, 255]
    assert images.read(made["levels"]).pixels[3, 4].tolist() == [200] * 3
    Refused("not_finite", "1 pixels")(made["nan"])
    Refused("unsupported_format", "Tone-map")(made["hdr"])


def profiles(_: Path) -> dict[str, bytes]:
    swapped = pictures.icc(b"RGB ", SRGB[::-1], 2.2, "red and blue swapped")
    return {
        "readable": pictures.save(Image.new("RGB", (32, 32), (200, 0, 0)), "PNG", icc_profile=swapped),
        "unreadable": pictures.save(scene(), "PNG", icc_profile=b"no profile at all" * 20),
        "lab": pictures.save(Image.new("LAB", (32, 32), (137, 128, 128)), "TIFF"),
    }


def converted_or_noted(made: dict[str, bytes]) -> None:
    picture = images.read(made["readable"])
    assert picture.notes[0] == "colours converted from red and blue swapped"
    assert picture.pixels[0, 0].argmax() == 2
    picture = images.read(made["unreadable"])
    assert picture.notes == ("colour profile unreadable, ignored",)
    np.testing.assert_array_equal(picture.pixels, scene())
    assert np.abs(images.read(made["lab"]).pixels.astype(int) - 128).max() <= 3


ROWS = [
    Fault(
        16,
        "EXIF orientation 1 to 8",
        lambda _: [pictures.with_exif(format, k) for format in ("PNG", "WEBP") for k in range(1, 9)],
        upright,
    ),
    Fault(17, "EXIF corrupt, orientation 0 or 9", broken_exif, ignored_and_noted),
    Fault(18, "CMYK and YCCK JPEG", inks, coloured_as_a_viewer_does),
    Fault(19, "grey, 1 bit, palette", few_colours, shown_in_rgb),
    Fault(
        20,
        "transparency",
        transparent,
        laid_on_the_background,
        differs="The tools lay on the mean colour of the opaque edge, without a flag, for white behind a "
        "head darkens the skin that is recovered; `images.read` takes another background.",
    ),
    Fault(21, "16 bits a channel", deep, scaled_by_257),
    Fault(
        22,
        "float TIFF, HDR, NaN",
        lambda _: dict(
            zip(("unit", "levels", "nan", "hdr"), map(float_tiff, (1, 200, np.nan, 3000)), strict=True)
        ),
        judged_by_its_range,
    ),
    Fault(23, "colour profiles and Lab", profiles, converted_or_noted),
]
