"""Every kind of pixel that a file can hold, against what a viewer shows."""

import zlib

import numpy as np
import pictures
import pytest
from pictures import scene
from PIL import Image

from ifrp_tf import images

COUNTS = np.arange(65536).reshape(256, 256)
P3 = ((0.5151, 0.2412, -0.0011), (0.2919, 0.6922, 0.0419), (0.1572, 0.0666, 0.7841))
SRGB = ((0.4361, 0.2225, 0.0139), (0.3851, 0.7169, 0.0971), (0.1431, 0.0606, 0.7139))


def read(data, **options):
    return images.read(data, **options)


def grey(values):
    return np.repeat(np.asarray(values)[:, :, None], 3, axis=2)


def test_16_bit_grey_is_divided_by_257_whatever_the_byte_order():
    expected = grey(np.round(COUNTS / 257))
    for data in (
        pictures.png16(COUNTS),
        pictures.grey_tiff(COUNTS.astype("<u2")),
        pictures.grey_tiff(COUNTS.astype(">u2"), order=">"),
        pictures.grey_tiff((65535 - COUNTS).astype("<u2"), photometric=0),
    ):
        np.testing.assert_array_equal(read(data).pixels, expected)
    assert expected[0, 0, 0] == 0
    assert expected[255, 255, 0] == 255


def test_12_bit_grey_fills_the_range():
    values = np.arange(4096).reshape(64, 64)
    first, second = values.reshape(-1, 2).T
    packed = np.stack([first >> 4, (first & 15) << 4 | second >> 8, second & 255], axis=-1).astype(np.uint8)
    tags = {256: (4, (64,)), 257: (4, (64,)), 258: (3, (12,)), 259: (3, (1,)), 262: (3, (1,)), 277: (3, (1,))}
    data = pictures.tiff(tags, packed.tobytes())
    np.testing.assert_array_equal(read(data).pixels, grey(np.round(values * 255 / 4095)))


def test_16_bit_colour_is_at_most_one_level_off():
    noise = np.random.default_rng(1).integers(0, 65536, (32, 32, 3))
    noise[0, 0] = 65535
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in noise)
    pixels = read(pictures.png(32, 32, 16, 2, zlib.compress(rows))).pixels
    assert np.abs(pixels - noise / 257).max() <= 1
    assert pixels[0, 0].tolist() == [255, 255, 255]


def test_16_bit_grey_with_a_transparent_value():
    values = np.full((16, 16), 30_000)
    values[:8] = 257 * 40
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    transparent = pictures.chunk(b"tRNS", (30_000).to_bytes(2, "big"))
    data = pictures.png(16, 16, 16, 0, zlib.compress(rows), before=transparent)
    picture = read(data, background=(1, 2, 3))
    assert (picture.pixels[:8] == 40).all()
    assert (picture.pixels[8:] == (1, 2, 3)).all()


def test_signed_16_bit_grey_that_is_negative_is_refused():
    values = np.full((16, 16), -5, "<i2")
    with pytest.raises(images.ImageError, match="received -5 to -5"):
        read(pictures.grey_tiff(values, sample_format=2))


@pytest.mark.parametrize(("highest", "scale"), [(1.0, 255), (200.0, 1), (255.0, 1)])
def test_finite_floats_follow_the_documented_rule(highest, scale):
    values = np.linspace(0, highest, 400, dtype="<f4").reshape(20, 20)
    picture = read(pictures.grey_tiff(values, bits=32, sample_format=3))
    assert np.abs(picture.pixels - grey(values * scale)).max() <= 0.5 + 1e-4
    assert picture.pixels.max() == round(highest * scale)


def test_grey_one_bit_and_palettes_become_rgb():
    image = Image.fromarray(scene())
    np.testing.assert_array_equal(
        read(pictures.save(image.convert("L"), "PNG")).pixels, grey(np.asarray(image.convert("L")))
    )
    for mode in ("1", "P"):
        converted = image.convert(mode)
        for format in ("PNG", "BMP", "TIFF"):
            picture = read(pictures.save(converted, format))
            np.testing.assert_array_equal(picture.pixels, np.asarray(converted.convert("RGB")))
            assert picture.notes == ()


@pytest.mark.parametrize("format", ["PNG", "WEBP", "TIFF"])
def test_transparency_is_laid_on_the_background_and_hides_what_is_under_it(format):
    pixels = np.zeros((20, 30, 4), np.uint8)
    pixels[:, :, 0] = 255
    pixels[:, 10:20, 3] = 128
    pixels[:, 20:, 3] = 255
    data = pictures.save(pixels, format, **({"lossless": True, "exact": True} if format == "WEBP" else {}))
    white = read(data)
    assert white.pixels[0, [0, 29]].tolist() == [[255, 255, 255], [255, 0, 0]]
    assert np.abs(white.pixels[0, 15].astype(int) - (255, 127, 127)).max() <= 1
    assert white.notes == ("transparency laid on (255, 255, 255)",)
    assert read(data, background=(0, 40, 80)).pixels[0, 0].tolist() == [0, 40, 80]


def test_the_other_kinds_of_transparency_are_laid_on_the_background_too():
    half = np.zeros((20, 20), np.uint8)
    half[:, 10:] = 255
    grey_alpha = Image.merge("LA", [Image.new("L", (20, 20), 40), Image.fromarray(half)])
    palette = Image.new("P", (20, 20), 1)
    palette.putpalette([255, 0, 0, 0, 0, 255])
    palette.paste(0, (0, 0, 10, 20))
    keyed = Image.new("RGB", (20, 20), (9, 9, 9))
    keyed.paste((0, 0, 255), (10, 0, 20, 20))
    cases = [
        (pictures.save(grey_alpha, "PNG"), (40, 40, 40)),
        (pictures.save(palette, "PNG", transparency=0), (0, 0, 255)),
        (pictures.save(palette, "PNG", transparency=b"\0\xff"), (0, 0, 255)),
        (pictures.save(palette, "GIF", transparency=0), (0, 0, 255)),
        (pictures.save(keyed, "PNG", transparency=(9, 9, 9)), (0, 0, 255)),
    ]
    for data, colour in cases:
        pixels = read(data, background=(7, 8, 9)).pixels
        assert (pixels[:, :10] == (7, 8, 9)).all()
        assert (pixels[:, 10:] == colour).all()


def test_an_opaque_alpha_channel_changes_nothing():
    opaque = np.dstack([scene(), np.full((48, 64), 255, np.uint8)])
    picture = read(pictures.save(opaque, "PNG"))
    np.testing.assert_array_equal(picture.pixels, scene())
    assert picture.notes == ()


@pytest.mark.parametrize("format", ["JPEG", "TIFF"])
def test_cmyk_without_a_profile_is_converted_plainly(format):
    for inks, colour in (
        ((200, 0, 0, 0), (55, 255, 255)),
        ((0, 0, 0, 255), (0, 0, 0)),
        ((0,) * 4, (255,) * 3),
    ):
        options = {"quality": 100} if format == "JPEG" else {}
        pixels = read(pictures.save(Image.new("CMYK", (32, 32), inks), format, **options)).pixels
        assert np.abs(pixels.astype(int) - colour).max() <= 1


def test_a_ycck_jpeg_has_the_colours_of_the_same_cmyk_jpeg():
    inks = Image.new("CMYK", (32, 32), (90, 90, 90, 30))
    data = pictures.save(inks, "JPEG", quality=100)
    plain = read(data).pixels
    adobe = data.index(b"Adobe") + 11
    assert data[adobe] == 0
    # As YCCK the equal inks 255 - 90 are luminance 165 and two colour channels of 165, not neutral any more.
    pixels = read(pictures.patched(data, adobe, b"\2")).pixels.astype(int)
    assert pixels.shape == plain.shape
    assert np.abs(pixels - plain).max() > 20


def _encode(linear):
    return np.where(
        linear <= 0.0031308, 12.92 * linear, 1.055 * np.maximum(linear, 1e-9) ** (1 / 2.4) - 0.055
    )


def test_a_wide_gamut_is_converted_to_srgb():
    profile = pictures.icc(b"RGB ", P3, 2.2, "Display P3, roughly")
    colours = np.array([[200, 120, 110], [90, 160, 100], [110, 120, 190], [128, 128, 128]], np.uint8)
    linear = (colours / 255) ** 2.2 @ np.array(P3) @ np.linalg.inv(np.array(SRGB))
    expected = 255 * _encode(np.clip(linear, 0, 1))
    assert np.abs(expected - colours).max() > 8  # the profile matters
    stripes = np.repeat(np.repeat(colours[:, None], 32, axis=1), 8, axis=0)
    for format in ("PNG", "TIFF"):
        picture = read(pictures.save(stripes, format, icc_profile=profile))
        assert np.abs(picture.pixels[::8, 0] - expected).max() <= 2
        assert picture.notes == ("colours converted from Display P3, roughly",)


def test_a_grey_profile_is_obeyed_and_alpha_survives_it():
    profile = pictures.icc(b"GRAY", (), 1.0, "linear grey")
    expected = 255 * _encode(np.array(128 / 255))
    picture = read(pictures.save(Image.new("L", (20, 20), 128), "PNG", icc_profile=profile))
    assert np.abs(picture.pixels - expected).max() <= 2
    both = Image.merge("LA", [Image.new("L", (20, 20), 128), Image.new("L", (20, 20), 0)])
    assert (read(pictures.save(both, "PNG", icc_profile=profile)).pixels == 255).all()


def test_a_profile_that_says_srgb_is_not_paid_for():
    profile = pictures.icc(b"RGB ", SRGB, 2.2, "sRGB, it says")
    picture = read(pictures.save(scene(), "PNG", icc_profile=profile))
    np.testing.assert_array_equal(picture.pixels, scene())
    assert picture.notes == ()


def test_an_unusable_profile_is_ignored_and_noted():
    picture = read(pictures.save(scene(), "PNG", icc_profile=b"no profile at all" * 20))
    np.testing.assert_array_equal(picture.pixels, scene())
    assert picture.notes == ("colour profile unreadable, ignored",)
    profile = pictures.icc(b"GRAY", (), 1.0, "linear grey")
    picture = read(pictures.save(scene(), "PNG", icc_profile=profile))
    np.testing.assert_array_equal(picture.pixels, scene())
    assert picture.notes == ("colour profile ignored: it is for GRAY, the picture is RGB",)


def test_lab_is_converted_to_srgb():
    for (lightness, a, b), colour in (((255, 0, 0), (255, 255, 255)), ((137, 0, 0), (128, 128, 128))):
        picture = read(pictures.save(Image.new("LAB", (32, 32), (lightness, a + 128, b + 128)), "TIFF"))
        assert np.abs(picture.pixels.astype(int) - colour).max() <= 3
        assert picture.notes[0] == "colours converted from Lab"
