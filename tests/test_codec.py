"""Upright, first frame, noted; and PNGs that hold nothing but what they should."""

import io
import time
import zlib

import numpy as np
import pictures
import pytest
from pictures import scene
from PIL import Image

from ifrp_tf.codec import decode, encode_png
from ifrp_tf.errors import ConfigError, ImageError

WHITE = (255, 255, 255)
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
