"""Tests of `pictures/tiff`: pages and the directories inside them."""

import struct
import time

import numpy as np
import pictures
import pytest
import strangers
from pictures import scene

from ifrp_tf.pictures import images, tiff

RGB = {"photometric": "rgb"}


@pytest.mark.parametrize("options", [{}, {"bigtiff": True}, {"byteorder": ">"}])
def test_pages_are_what_another_writer_wrote(options):
    data = strangers.tiff(np.zeros((3, 40, 50), np.uint8), photometric="minisblack", **options)
    found, count = tiff.pages(data)
    assert count == 3
    assert [(page.width, page.height, page.aside, page.number) for page in found] == [
        (50, 40, False, number) for number in (1, 2, 3)
    ]
    for page in found:
        assert tiff.pages(tiff.starting_at(data, page.offset).getvalue())[0][0] == tiff.Page(
            page.offset, 50, 40, False, 1
        )


def test_directories_inside_a_page_are_found():
    data = strangers.pages((scene(), {**RGB, "subifds": 2}), (scene()[::2, ::2], {**RGB, "subfiletype": 1}),
                           (scene()[::4, ::4], {**RGB, "subfiletype": 1}))  # fmt: skip
    found, count = tiff.pages(data)
    assert count == 1
    assert [(page.width, page.aside, page.number) for page in found] == [
        (64, False, 1),
        (32, True, 1),
        (16, True, 1),
    ]
    assert images.read(data).notes == ()


def test_a_page_that_is_a_mask_is_not_the_picture():
    larger = np.zeros((96, 128), np.uint8)
    data = strangers.pages((larger, {"subfiletype": 2}), (scene(), RGB))
    entry = struct.pack("<HHII", 254, 4, 1, 2)
    data = data.replace(entry, struct.pack("<HHII", 254, 4, 1, 4), 1)
    np.testing.assert_array_equal(images.read(data).pixels, scene())


def test_nothing_but_reduced_copies_gives_the_largest():
    data = strangers.pages(
        (scene()[::2, ::2], {**RGB, "subfiletype": 1}), (scene(), {**RGB, "subfiletype": 1})
    )
    np.testing.assert_array_equal(images.read(data).pixels, scene())


def test_equal_pages_give_the_first_and_the_turn_of_the_chosen_page_is_applied():
    data = strangers.pages((scene(), RGB), (scene()[::-1], RGB))
    picture = images.read(data)
    np.testing.assert_array_equal(picture.pixels, scene())
    assert picture.notes == ("2 frames, first used",)
    turned = strangers.pages(
        (scene()[::2, ::2], RGB), (scene()[::-1, ::-1], {**RGB, "extratags": [(274, 3, 1, 3, True)]})
    )
    np.testing.assert_array_equal(images.read(turned).pixels, scene())


def test_circles_and_damage_end_the_walk():
    data = pictures.tiff_of_pages(5)
    for cut in range(8, len(data), 7):
        found, count = tiff.pages(data[:cut])
        assert len(found) == count <= 5
    last = len(data) - 4
    assert tiff.pages(pictures.patched(data, last, struct.pack("<I", 8)))[1] == 5
    start = time.process_time()
    assert tiff.pages(pictures.tiff_of_pages(30_000))[1] == tiff.COUNTED_PAGES
    assert time.process_time() - start < 1


@pytest.mark.parametrize("size", [(900, 720), (5000, 2000), (20_000, 16_000)])
def test_a_copy_that_is_too_small_of_another_proportion_or_too_large_is_none(size):
    whole = tiff.Page(8, 20_000, 16_000, False, 1)
    assert tiff.copy_of(whole, [whole, tiff.Page(9, *size, True, 2)], 16_384, 120_000_000) is None


@pytest.mark.parametrize("mode", ["CMYK", "extra"])
def test_planes_of_other_kinds_are_read_right_or_refused(mode):
    planes = np.arange(4 * 20 * 30, dtype=np.uint16).reshape(4, 20, 30) * 27
    options = {"photometric": "separated"} if mode == "CMYK" else {"photometric": "rgb", "extrasamples": [0]}
    data = strangers.tiff(planes, planarconfig="separate", **options)
    if mode == "CMYK":
        with pytest.raises(images.ImageError, match="not supported") as caught:
            images.read(data)
        assert caught.value.reason == "unsupported_format"
    else:
        pixels = images.read(data).pixels
        assert np.abs(pixels - planes[:3].transpose(1, 2, 0) / 257).max() <= 1


def test_signed_bytes_are_refused():
    with pytest.raises(images.ImageError, match="signed numbers of 8 bits") as caught:
        images.read(strangers.tiff((scene()[..., 0] // 2).astype(np.int8)))
    assert caught.value.reason == "unsupported_format"


@pytest.mark.parametrize("scale", [64, 16])
def test_compressed_planes_of_few_bits_are_stretched_or_refused(scale):
    data = strangers.planes(scale, compression="zlib")
    if scale == 64:
        picture = images.read(data)
        assert np.abs(picture.pixels.astype(int) - scene()).max() <= 4
        assert picture.notes[0].endswith("stretched: taken for 14 bits")
    else:
        with pytest.raises(images.ImageError, match="up to 4,095"):
            images.read(data)
