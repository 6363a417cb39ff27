"""Tests of `pictures/avif`, and of HEIC where its extra is installed."""

import importlib.util
import io

import numpy as np
import pictures
import pytest
from pictures import scene
from PIL import Image

from ifrp_tf.pictures import avif, decoding, images


@pytest.mark.parametrize("size", [(64, 48), (333, 17), (1025, 700)])
def test_the_coded_size_is_that_of_the_picture_and_of_its_transparency(size):
    image = Image.fromarray(scene()).resize(size)
    assert avif.coded_sizes(pictures.save(image, "AVIF", speed=10)) == [size]
    image.putalpha(90)
    assert avif.coded_sizes(pictures.save(image, "AVIF", speed=10)) == [size] * 2


def test_the_coded_sizes_of_an_animation_are_found_in_its_tracks():
    frames = [Image.fromarray(np.roll(scene(), shift, axis=1)) for shift in (0, 9, 30)]
    data = pictures.save(frames[0], "AVIF", save_all=True, append_images=frames[1:])
    assert set(avif.coded_sizes(data)) == {(64, 48)}
    assert images.read(data).notes == ("3 frames, first used",)


def test_a_large_picture_behind_a_small_header_is_refused(monkeypatch):
    data = pictures.save(Image.fromarray(scene(480, 640)), "AVIF", speed=10)
    small = pictures.patched(data, data.index(b"ispe") + 8, (64).to_bytes(4, "big") + (48).to_bytes(4, "big"))
    monkeypatch.setattr(decoding, "MAX_PIXELS", 640 * 480 - 1)
    with pytest.raises(images.ImageError, match="640 x 480") as caught:
        images.read(small)
    assert caught.value.reason == "too_large"


def test_damage_is_no_size_and_no_crash():
    data = pictures.save(scene(), "AVIF")
    for cut in range(0, len(data), 3):
        assert len(avif.coded_sizes(data[:cut])) <= 1
    chance = np.random.default_rng(2)
    for _ in range(300):
        damaged = bytearray(data)
        for at in chance.integers(0, 400, 6):
            damaged[at] = chance.integers(256)
        avif.coded_sizes(bytes(damaged))


def test_the_orientation_of_an_avif_is_applied():
    exif = Image.Exif()
    exif[0x0112] = 6
    data = pictures.save(scene(), "AVIF", exif=exif, quality=95, subsampling="4:4:4")
    picture = images.read(data)
    assert np.abs(picture.pixels.astype(int) - np.rot90(scene(), -1)).max() < 16
    assert picture.notes == ("exif orientation 6 applied",)


@pytest.mark.parametrize("boxed", [True, False])
def test_jpeg_2000_says_its_size_and_its_profile(boxed):
    data = pictures.save(scene(), "JPEG2000", no_jp2=not boxed)
    assert decoding.jpeg2000_size(data) == (64, 48)
    assert decoding.jpeg2000_profile(data) is None
    np.testing.assert_array_equal(images.read(data).pixels, scene())


def test_a_profile_in_a_jpeg_2000_is_obeyed():
    data = pictures.save(np.full((32, 32), 128, np.uint8), "JPEG2000")
    profile = pictures.icc(b"GRAY", (), 1.0, "linear grey")
    at = data.index(b"colr") - 4
    length = int.from_bytes(data[at : at + 4], "big")
    colr = (len(profile) + 11).to_bytes(4, "big") + b"colr\2\0\0" + profile
    header = data.index(b"jp2h") - 4
    grown = int.from_bytes(data[header : header + 4], "big") + len(colr) - length
    data = data[:header] + grown.to_bytes(4, "big") + data[header + 4 : at] + colr + data[at + length :]
    picture = images.read(data)
    assert abs(int(picture.pixels[0, 0, 0]) - 188) <= 1
    assert picture.notes[0] == "colours converted from linear grey"


def test_a_jpeg_2000_of_too_many_pixels_is_decoded_at_half_its_sides(monkeypatch):
    monkeypatch.setattr(decoding, "MAX_PIXELS", 3000)
    picture = images.read(pictures.save(scene(), "JPEG2000"))
    assert picture.pixels.shape == (24, 32, 3)
    assert picture.notes == ("64 x 48 pixels, decoded at 32 x 24",)
    assert np.abs(picture.pixels.astype(int) - scene()[::2, ::2]).mean() < 8


def test_a_progressive_jpeg_whose_coefficients_would_fill_the_memory_is_refused(monkeypatch):
    monkeypatch.setattr(decoding, "MAX_PIXELS", 3000)
    data = pictures.save(scene(), "JPEG", progressive=True)
    assert images.read(data).pixels.shape == (24, 32, 3)
    monkeypatch.setattr(decoding, "_COEFFICIENT_BYTES", 2 * 3000)
    with pytest.raises(images.ImageError, match="64 x 48 pixels"):
        images.read(data)


@pytest.mark.skipif(
    importlib.util.find_spec("pillow_heif") is None, reason="the extra `heic` is not installed"
)
def test_heic_is_read():
    import pillow_heif

    stream = io.BytesIO()
    pillow_heif.from_pillow(Image.fromarray(scene(128, 160))).save(stream, quality=95)
    picture = images.read(stream.getvalue())
    assert (picture.format, picture.size_in_file, picture.notes) == ("HEIC", (160, 128), ())
    assert np.abs(picture.pixels.astype(int) - scene(128, 160)).mean() < 3
    with pytest.raises(images.ImageError) as caught:
        images.read(stream.getvalue()[:900])
    assert caught.value.reason == "truncated"
