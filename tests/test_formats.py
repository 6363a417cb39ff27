"""What bytes say of themselves, against files that Pillow wrote."""

import numpy as np
import pictures
import pytest
from pictures import scene
from PIL import Image

from ifrp_tf import formats
from ifrp_tf.errors import ImageError


@pytest.mark.parametrize("format", formats.FORMATS)
def test_every_accepted_format_is_recognised_and_whole_or_cut(format):
    data = pictures.save(scene(), format)
    assert formats.sniff(data) == (format, True, format)
    assert not formats.is_cut(data, format)
    assert formats.is_cut(data[: len(data) // 2], format) or format == "TIFF"
    assert all(formats.is_cut(data[:cut], format) for cut in (4, 8, 9))


def test_a_tiff_is_cut_where_its_directory_is_missing():
    data = pictures.save(scene(), "TIFF", compression="tiff_lzw")  # here the directory comes last
    assert formats.is_cut(data[: len(data) // 2], "TIFF")
    big = pictures.save(scene(), "TIFF", big_tiff=True)
    assert formats.sniff(big)[0] == "TIFF"
    assert not formats.is_cut(big, "TIFF")


@pytest.mark.parametrize("size", [(16, 16), (333, 17), (1, 2049)])
@pytest.mark.parametrize("options", [{}, {"lossless": True}, {"icc_profile": b"x" * 200}, {"alpha": True}])
def test_a_webp_header_says_the_size(size, options):
    mode = "RGBA" if options.get("alpha") else "RGB"
    image = Image.new(mode, size, (200, 10, 10, 99)[: len(mode)])
    data = pictures.save(image, "WEBP", **{key: value for key, value in options.items() if key != "alpha"})
    assert formats.webp_size(data) == size
    assert formats.webp_size(data[:25]) is None


def test_the_limits_are_where_they_are_said_to_be():
    for width, height in ((16, 16), (16, 320), (320, 16), (16_384, 7_324), (10_954, 10_954), (16_384, 820)):
        formats.check_size(width, height)
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
            formats.check_size(width, height)
        assert caught.value.reason == reason


def test_every_suffix_promises_an_accepted_format():
    assert set(formats.SUFFIXES.values()) == set(formats.FORMATS)
    assert all(suffix == suffix.lower() and suffix.startswith(".") for suffix in formats.SUFFIXES)


def test_arrays_are_described():
    assert formats.describe_array(np.zeros((0, 3), np.uint8)) == "uint8 [0, 3]"
    assert formats.describe_array(np.array([True, False])) == "bool [2] from False to True"
    assert formats.describe_array(np.array([None])) == "object [1]"
    assert formats.describe_array("x") == "a str"
    formats.check_pixels(scene())
    with pytest.raises(ImageError, match=r"received uint8 \[48, 64\] from 0 to 255"):
        formats.check_pixels(scene()[:, :, 0])
