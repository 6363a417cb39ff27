"""Tests of `pictures/colours`; most of what it does is seen through `images.read` in the fault table."""

import time

import numpy as np
import pictures
import pytest
import strangers
from pictures import scene
from PIL import Image, ImageDraw, ImageFilter

from ifrp_tf.core.errors import ImageError
from ifrp_tf.pictures import colours, images

NOISE = np.random.default_rng(4)


@pytest.mark.parametrize(
    ("low", "high", "bits", "used"),
    [
        (0, 255, 16, 8),
        (0, 256, 16, 10),
        (0, 4095, 16, 12),
        (0, 4096, 16, 14),
        (0, 16_384, 16, 16),
        (0, 65_535, 16, 16),
        (0, 63, 16, 16),  # black, not 6 bits
        (900, 900, 16, 16),  # one value says nothing
        (0, 4095, 12, 12),
    ],
)
def test_the_bits_that_a_device_filled(low, high, bits, used):
    assert colours.used_bits(low, high, bits) == used


def test_whole_numbers_are_rounded_and_not_cut():
    for peak in (255, 1023, 4095, 65535):
        values = np.arange(peak + 1)
        assert np.abs(colours.stretched(values, peak) - values * 255 / peak).max() <= 0.5


def test_16_bits_of_full_range_are_not_stretched():
    for data in (strangers.tiff(scene()[..., 0].astype(np.uint16) * 257), strangers.colour16(257)):
        assert images.read(data).notes == ()


def test_the_largest_sample_that_a_tiff_names_is_obeyed():
    values = np.linspace(0, 8191, 48 * 64).reshape(48, 64).astype(np.uint16)
    picture = images.read(strangers.tiff(values, extratags=[(281, 3, 1, 8191, True)]))
    assert np.abs(picture.pixels[..., 0] - values.astype(int) * 255 / 8191).max() <= 0.5
    assert picture.notes[0].endswith("taken for 13 bits")


def test_the_mean_of_the_edge_is_of_the_opaque_rim_alone():
    pixels = np.zeros((40, 40, 4), np.uint8)
    pixels[5:35, 5:35] = (200, 100, 50, 255)
    pixels[8:32, 8:32, :3] = (0, 0, 255)  # within, it does not count
    pixels[:5, :, :3] = (9, 255, 9)  # nor what is hidden
    rim = images.from_array(pixels)
    assert rim[0, 0].tolist() == [200, 100, 50]
    assert rim[20, 20].tolist() == [0, 0, 255]
    assert images.from_array(pixels, background=(1, 2, 3))[0, 0].tolist() == [1, 2, 3]


def test_a_feathered_edge_and_one_that_is_nowhere_opaque():
    for alpha in (np.tile(np.linspace(0, 255, 40), (40, 1)), np.tile(np.linspace(0, 120, 40), (40, 1))):
        pixels = np.dstack([np.full((40, 40, 3), (90, 60, 30)), alpha]).astype(np.uint8)
        assert np.abs(images.from_array(pixels).astype(int) - (90, 60, 30)).max() <= 1


@pytest.mark.parametrize("background", [None, (255, 255, 255)])
def test_what_is_wholly_transparent_is_refused(background):
    pixels = np.dstack([scene(), np.zeros((48, 64), np.uint8)])
    with pytest.raises(ImageError, match="wholly transparent") as caught:
        images.from_array(pixels, background=background)
    assert caught.value.reason == "transparent"


def paper(side=600, level=235, grain=4.0):
    """A blank sheet, with grain and a little shade."""
    shade = np.linspace(-3, 3, side)[:, None, None]
    sheet = level + shade + NOISE.normal(0, grain, (side, side, 1)) + np.zeros(3)
    return sheet.clip(0, 255).astype(np.uint8)


def drawing(width, box, colour, side=600):
    image = Image.fromarray(paper(side))
    ImageDraw.Draw(image).ellipse(box, outline=colour, width=width)
    return np.array(image)


def speck(pixels):
    pixels[300:306, 100:106] = 0
    return pixels


def framed(pixels):
    pixels[:12] = pixels[:, -12:] = 0
    return pixels


@pytest.mark.parametrize(
    "make",
    [
        lambda: np.zeros((64, 64, 3), np.uint8),
        lambda: np.full((16, 320, 3), (200, 30, 40), np.uint8),
        paper,
        lambda: paper(level=8),
        lambda: speck(paper()),
        lambda: framed(paper()),
        lambda: paper(side=96, grain=2.0),
        lambda: images.read(pictures.save(paper(), "JPEG", quality=60)).pixels,
    ],
)
def test_what_is_blank_is_flat(make):
    assert images.is_flat(make())


@pytest.mark.parametrize(
    "make",
    [
        scene,
        lambda: drawing(3, (200, 150, 400, 450), (60, 60, 60)),
        lambda: drawing(2, (260, 250, 340, 350), (120, 110, 100)),  # small on a large sheet
        lambda: (128 + (scene().astype(int) - 128) // 8).astype(np.uint8),  # of little contrast
        lambda: np.array(Image.fromarray(scene(200, 200)).filter(ImageFilter.GaussianBlur(20))),
        lambda: NOISE.integers(0, 256, (100, 100, 3), np.uint8),
        lambda: np.where(scene()[..., :1] > 127, np.uint8((255, 0, 0)), np.uint8((255, 40, 0))),
    ],
)
def test_what_shows_anything_is_not_flat(make):
    assert not images.is_flat(make())


def test_to_look_for_flatness_costs_little():
    large = np.zeros((4000, 4000, 3), np.uint8)
    start = time.process_time()
    assert images.is_flat(large)
    assert time.process_time() - start < 0.5
