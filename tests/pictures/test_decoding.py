"""Tests of `pictures/decoding`."""

import io
import time
import zlib

import numpy as np
import pictures
import pytest
from pictures import scene
from PIL import Image, ImageCms

from ifrp_tf.core.errors import ConfigError, ImageError
from ifrp_tf.pictures import decoding, images
from ifrp_tf.pictures.decoding import decode, encode_png

# ---- What bytes say of themselves, against files that Pillow wrote ----


@pytest.mark.parametrize("format", decoding.FORMATS)
def test_every_accepted_format_is_recognised_and_whole_or_cut(format):
    data = pictures.save(scene(), format)
    assert decoding.sniff(data) == (format, True, format)
    assert not decoding.is_cut(data, format)
    assert decoding.is_cut(data[: len(data) // 2], format) or format == "TIFF"
    assert all(decoding.is_cut(data[:cut], format) for cut in (4, 8, 9))


def test_a_tiff_is_cut_where_its_directory_is_missing():
    data = pictures.save(scene(), "TIFF", compression="tiff_lzw")  # here the directory comes last
    assert decoding.is_cut(data[: len(data) // 2], "TIFF")
    big = pictures.save(scene(), "TIFF", big_tiff=True)
    assert decoding.sniff(big)[0] == "TIFF"
    assert not decoding.is_cut(big, "TIFF")


@pytest.mark.parametrize("size", [(16, 16), (333, 17), (1, 2049)])
@pytest.mark.parametrize("options", [{}, {"lossless": True}, {"icc_profile": b"x" * 200}, {"alpha": True}])
def test_a_webp_header_says_the_size(size, options):
    mode = "RGBA" if options.get("alpha") else "RGB"
    image = Image.new(mode, size, (200, 10, 10, 99)[: len(mode)])
    data = pictures.save(image, "WEBP", **{key: value for key, value in options.items() if key != "alpha"})
    assert decoding.webp_size(data) == size
    assert decoding.webp_size(data[:25]) is None


def test_the_limits_are_where_they_are_said_to_be():
    for width, height in ((16, 16), (16, 320), (320, 16), (16_384, 7_324), (10_954, 10_954), (16_384, 820)):
        decoding.check_size(width, height)
    cases = [
        (15, 16, "too_small"),
        (0, 0, "too_small"),
        (16, 321, "too_elongated"),
        (16_385, 1_000, "too_large"),
        (16_384, 7_325, "too_large"),
        (10_955, 10_955, "too_large"),
        (100_000, 1, "too_large"),
    ]
    for width, height, reason in cases:
        with pytest.raises(ImageError, match=f"received {width:,} x {height:,} pixels") as caught:
            decoding.check_size(width, height)
        assert caught.value.reason == reason


def test_every_suffix_promises_an_accepted_format():
    assert set(decoding.SUFFIXES.values()) == {*decoding.FORMATS, *decoding.EXTRAS}
    assert all(suffix == suffix.lower() and suffix.startswith(".") for suffix in decoding.SUFFIXES)


def test_arrays_are_described():
    assert decoding.describe_array(np.zeros((0, 3), np.uint8)) == "uint8 [0, 3]"
    assert decoding.describe_array(np.array([True, False])) == "bool [2] from False to True"
    assert decoding.describe_array(np.array([None])) == "object [1]"
    assert decoding.describe_array("x") == "a str"
    decoding.check_pixels(scene())
    with pytest.raises(ImageError, match=r"received uint8 \[48, 64\] from 0 to 255"):
        decoding.check_pixels(scene()[:, :, 0])


# ---- Every kind of pixel that a file can hold, against what a viewer shows ----

WHITE = (255, 255, 255)
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
    white = read(data, background=WHITE)
    assert white.pixels[0, [0, 29]].tolist() == [[255, 255, 255], [255, 0, 0]]
    assert np.abs(white.pixels[0, 15].astype(int) - (255, 127, 127)).max() <= 1
    assert white.notes == ("transparency laid on (255, 255, 255)",)
    assert read(data, background=(0, 40, 80)).pixels[0, 0].tolist() == [0, 40, 80]
    by_itself = read(data)  # on the colour of what can be seen, where nobody asks for another
    assert by_itself.pixels[0, [0, 15, 29]].tolist() == [[255, 0, 0]] * 3
    assert by_itself.notes[0] == "transparency laid on (255, 0, 0), the mean of its opaque edge"


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
    half = Image.new("L", (20, 20))
    half.paste(255, (10, 0, 20, 20))
    both = Image.merge("LA", [Image.new("L", (20, 20), 128), half])
    pixels = read(pictures.save(both, "PNG", icc_profile=profile), background=WHITE).pixels
    assert (pixels[:, :10] == 255).all()
    assert np.abs(pixels[:, 10:] - expected).max() <= 2


def test_a_profile_that_does_what_srgb_does_is_not_paid_for_whatever_its_name():
    for _ in range(2):  # judged, and known
        profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
        picture = read(pictures.save(scene(), "PNG", icc_profile=profile.replace(b"sRGB", b"Adob")))
        np.testing.assert_array_equal(picture.pixels, scene())
        assert picture.notes == ()


@pytest.mark.parametrize("name", ["sRGB linear", "sRGB IEC61966-2.1", "linear light"])
@pytest.mark.parametrize("gamma", [1.0, 1.8, 2.6])
def test_a_profile_is_judged_by_its_curves_and_not_by_its_name(name, gamma):
    expected = 255 * _encode((scene() / 255) ** gamma)
    picture = read(pictures.save(scene(), "PNG", icc_profile=pictures.icc(b"RGB ", SRGB, gamma, name)))
    assert np.abs(picture.pixels - expected).mean() < 1
    assert picture.notes == (f"colours converted from {name}",)


def test_a_grey_profile_that_says_srgb_is_judged_by_its_curve_too():
    profile = pictures.icc(b"GRAY", (), 1.0, "sRGB grey")
    picture = read(pictures.save(scene()[..., 0], "PNG", icc_profile=profile))
    expected = grey(255 * _encode(scene()[..., 0] / 255))
    assert np.abs(picture.pixels - expected).mean() < 1


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


# ---- Upright, first frame, noted; and PNGs that hold nothing but what they should ----

STORED = {  # how a camera stores an upright picture, by what row 0 and column 0 are (EXIF 2.3, tag 274)
    1: lambda p: p,
    2: lambda p: p[:, ::-1],
    3: lambda p: p[::-1, ::-1],
    4: lambda p: p[::-1],
    5: lambda p: p.swapaxes(0, 1),
    6: lambda p: p[:, ::-1].swapaxes(0, 1),
    7: lambda p: p[::-1, ::-1].swapaxes(0, 1),
    8: lambda p: p[::-1].swapaxes(0, 1),
}


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_comes_out_upright(format, orientation):
    stored = np.ascontiguousarray(STORED[orientation](scene()))
    picture = decode(pictures.with_exif(format, orientation, stored), WHITE)
    assert picture.pixels.shape == scene().shape
    assert np.abs(picture.pixels.astype(int) - scene()).max() <= (4 if format == "JPEG" else 0)
    assert picture.size_in_file == stored.shape[1::-1]
    assert picture.notes == (() if orientation == 1 else (f"exif orientation {orientation} applied",))


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("orientation", [0, 9, 77])
def test_an_impossible_orientation_is_ignored_and_noted(format, orientation):
    picture = decode(pictures.with_exif(format, orientation), WHITE)
    assert picture.pixels.shape == scene().shape
    assert picture.notes == (f"exif orientation {orientation} ignored",)


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize(
    "exif",
    [
        b"Exif\0\0" + b"garbage" * 9,
        b"Exif\0\0MM\0*\0\0\0\x08\0\0\xff\xff",
        b"Exif\0\0II*\0\xff\xff\xff\x7f",
        b"Exif\0\0MM\0*\0\0\0\x08\0\x02\x01\x1a\0\x05\0\0\0\x01\xff\xff\xff\xff",
    ],
)
def test_a_corrupt_exif_block_is_ignored_and_noted(format, exif):
    picture = decode(pictures.save(scene(), format, exif=exif), WHITE)
    assert picture.pixels.shape == scene().shape
    assert picture.notes == ("exif unreadable, ignored",)


@pytest.mark.parametrize("format", ["GIF", "WEBP", "PNG", "TIFF"])
def test_the_first_of_several_frames_is_used_and_their_number_noted(format):
    still = decode(pictures.animated(format, 1), WHITE)
    moving = decode(pictures.animated(format, 4), WHITE)
    assert still.notes == ()
    assert moving.notes == ("4 frames, first used",)
    assert np.abs(moving.pixels.astype(int) - still.pixels).mean() < 1


def test_the_number_of_frames_costs_little():
    cases = [
        (pictures.gif_of_frames(10_000), "10000 frames, first used"),
        (pictures.gif_of_frames(400_000), "several frames, first used"),
        (pictures.tiff_of_pages(900), "900 frames, first used"),
        (pictures.tiff_of_pages(30_000), "several frames, first used"),
    ]
    for data, note in cases:
        start = time.process_time()
        assert decode(data, WHITE).notes[0] == note
        assert time.process_time() - start < 2


def test_a_broken_later_frame_does_not_spoil_the_first():
    data = pictures.gif_of_frames(5)
    for cut in range(1, 30):
        picture = decode(data[:-cut], WHITE)
        assert picture.pixels.shape == (32, 32, 3)
        assert "first used" in picture.notes[0]


def test_a_jpeg_of_several_pictures_is_a_jpeg():
    first, second = Image.fromarray(scene()), Image.fromarray(scene()[::-1].copy())
    picture = decode(pictures.save(first, "MPO", save_all=True, append_images=[second], quality=95), WHITE)
    assert (picture.format, picture.notes) == ("JPEG", ("2 frames, first used",))
    assert np.abs(picture.pixels.astype(int) - scene()).max() < 24


def test_a_picture_cannot_be_changed_for_another():
    picture = decode(pictures.save(scene(), "PNG"), WHITE)
    with pytest.raises(AttributeError):
        picture.pixels = None


def test_a_png_holds_the_pixels_the_text_and_nothing_else():
    text = {"Software": "ifrp_tf", "Title": "Bildnis, דיוקן 😀", "Path": "bad\udcff name"}
    data = encode_png(scene(), text)
    kinds, at = [], 8
    while at < len(data):
        kinds.append(data[at + 4 : at + 8])
        at += 12 + int.from_bytes(data[at : at + 4], "big")
    assert set(kinds) == {b"IHDR", b"IDAT", b"IEND", b"tEXt", b"iTXt"}
    image = Image.open(io.BytesIO(data))
    np.testing.assert_array_equal(np.asarray(image), scene())
    assert image.text == {**text, "Path": "bad\\udcff name"}
    assert data == encode_png(scene().copy(), dict(reversed(text.items())))
    assert encode_png(scene()) == encode_png(scene(), {})


def test_no_metadata_of_a_photograph_reaches_a_png():
    exif = Image.Exif()
    exif[0x010F] = "Maker"
    exif.get_ifd(0x8825)[2] = (52.0, 31.0, 12.0)  # where it was taken
    data = pictures.save(scene(), "JPEG", exif=exif, comment=b"a secret")
    assert b"a secret" in data
    assert b"Maker" in data
    written = encode_png(decode(data, WHITE).pixels)
    assert not Image.open(io.BytesIO(written)).info
    assert len(Image.open(io.BytesIO(written)).getexif()) == 0


@pytest.mark.parametrize(
    "text", [{"": "x"}, {"k" * 80: "x"}, {"ключ": "x"}, {"a\nb": "x"}, {"Title": "a\0b"}]
)
def test_a_text_that_a_png_cannot_hold_is_refused(text):
    with pytest.raises(ConfigError, match="expected a key"):
        encode_png(scene(), text)


@pytest.mark.parametrize("pixels", [scene() / 255, scene()[None], scene()[:, :, 0], [[1]], None])
def test_what_is_no_picture_is_not_encoded(pixels):
    with pytest.raises(ImageError) as caught:
        encode_png(pixels)
    assert caught.value.reason == "bad_array"


def test_noise_survives_a_png_bit_for_bit():
    noise = np.random.default_rng(0).integers(0, 256, (128, 128, 3), np.uint8)
    np.testing.assert_array_equal(decode(encode_png(noise), WHITE).pixels, noise)
    np.testing.assert_array_equal(decode(encode_png(noise[:, ::-1]), WHITE).pixels, noise[:, ::-1])
    assert len(encode_png(np.zeros((128, 128, 3), np.uint8))) < len(zlib.compress(noise.tobytes())) / 50
