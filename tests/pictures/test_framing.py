"""Squares of pictures: nothing stretched, nothing invented at the edges, the same in a TensorFlow graph."""

import numpy as np
import pytest
import tensorflow as tf
from pictures import scene

from ifrp_tf.core.errors import ConfigError, ImageError
from ifrp_tf.pictures import framing


def noise(height, width):
    return np.random.default_rng(height * 1000 + width).integers(0, 256, (height, width, 3), np.uint8)


@pytest.mark.parametrize(
    ("height", "width", "inner"),
    [
        (300, 200, (128, 85)),
        (200, 300, (85, 128)),
        (64, 64, (128, 128)),
        (16, 320, (6, 128)),
        (1000, 37, (128, 5)),
        (129, 128, (128, 127)),
    ],
)
def test_a_letterboxed_picture_keeps_its_proportion_and_repeats_its_edge(height, width, inner):
    pixels = framing.letterbox(noise(height, width))
    assert pixels.shape == (128, 128, 3)
    assert pixels.dtype == np.uint8
    top, left = (128 - inner[0]) // 2, (128 - inner[1]) // 2
    core = pixels[top : top + inner[0], left : left + inner[1]]
    ends = (top, 128 - inner[0] - top), (left, 128 - inner[1] - left), (0, 0)
    np.testing.assert_array_equal(pixels, np.pad(core, ends, mode="edge"))
    painted = framing.letterbox(noise(height, width), fill=(1, 2, 3))
    np.testing.assert_array_equal(painted[top : top + inner[0], left : left + inner[1]], core)
    outside = np.ones((128, 128), bool)
    outside[top : top + inner[0], left : left + inner[1]] = False
    assert (painted[outside] == (1, 2, 3)).all()


def test_a_circle_stays_a_circle():
    rows, columns = np.mgrid[0:300, 0:200]
    disc = ((rows - 149.5) ** 2 + (columns - 99.5) ** 2 < 80**2)[:, :, None] * np.uint8(255)
    inside = framing.letterbox(np.repeat(disc, 3, axis=2), 128)[:, :, 0] > 127
    tall, wide = inside.any(axis=1).sum(), inside.any(axis=0).sum()
    assert abs(tall - 160 * 128 / 300) <= 1
    assert abs(tall - wide) <= 1


def test_a_square_of_the_right_size_is_untouched_and_copied():
    square = noise(128, 128)
    for result in (framing.letterbox(square), framing.resize(square, 128), framing.fit(square, 128, "crop")):
        np.testing.assert_array_equal(result, square)
        assert not np.shares_memory(result, square)


def test_fine_patterns_are_averaged_not_aliased():
    rows, columns = np.mgrid[0:512, 0:512]
    board = np.repeat((((rows + columns) % 2) * 255).astype(np.uint8)[:, :, None], 3, axis=2)
    assert np.abs(framing.resize(board, 128).astype(int) - 127).max() <= 4


@pytest.mark.parametrize(("height", "width"), [(300, 200), (178, 178), (64, 64), (500, 333)])
def test_the_same_rule_in_a_tensorflow_graph_agrees_to_a_level(height, width):
    pixels = noise(height, width)
    scaled = framing.letterbox(pixels, 128)
    longer = max(height, width)
    inner = [max(1, (2 * length * 128 + longer) // (2 * longer)) for length in (height, width)]
    resized = tf.constant(pixels)
    for size in ((height, inner[1]), inner):  # as Pillow: columns first, and whole levels in between
        resized = tf.image.resize(resized, size, method="bicubic", antialias=True)
        resized = tf.cast(tf.floor(tf.clip_by_value(resized, 0, 255) + 0.5), tf.uint8)
    for axis, length in enumerate(inner):
        index = tf.clip_by_value(tf.range(128) - (128 - length) // 2, 0, length - 1)
        resized = tf.gather(resized, index, axis=axis)
    difference = np.abs(resized.numpy().astype(int) - scaled)
    assert difference.max() <= 1
    assert difference.mean() < 0.02


def test_the_middle_is_cut_out():
    celeba = noise(218, 178)
    np.testing.assert_array_equal(framing.centre_crop(celeba, 178), celeba[20:198])
    np.testing.assert_array_equal(framing.centre_crop(noise(21, 30), 16), noise(21, 30)[2:18, 7:23])
    np.testing.assert_array_equal(
        framing.fit(celeba, 128, rule="crop"), framing.resize(celeba[20:198].copy(), 128)
    )
    np.testing.assert_array_equal(framing.fit(celeba, 64), framing.letterbox(celeba, 64))


def test_mistakes_are_refused():
    for side in (0, -3, 65):
        with pytest.raises(ImageError, match=f"at least {side} x {side} pixels, received 80 x 64"):
            framing.centre_crop(noise(64, 80), side)
    with pytest.raises(ImageError, match="expected a square picture, received 64 x 48"):
        framing.resize(scene(), 128)
    with pytest.raises(ConfigError, match="letterbox, crop, received 'stretch'"):
        framing.fit(scene(), 128, rule="stretch")
    for function in (framing.letterbox, framing.fit, lambda p: framing.centre_crop(p, 8)):
        with pytest.raises(ImageError, match="expected a uint8 array"):
            function(scene().astype(np.float32))
    for side in (0, -1, 1.5, None):
        with pytest.raises(ConfigError, match="expected a side"):
            framing.letterbox(scene(), side)
        with pytest.raises(ConfigError, match="expected a side"):
            framing.resize(noise(20, 20), side)


def test_a_contact_sheet_holds_every_picture_in_its_place():
    rows = [np.stack([noise(8, 12)] * 3), np.stack([noise(8, 12)[::-1]])]
    sheet = framing.grid(rows, pad=3)
    assert sheet.shape == (2 * 11 + 3, 3 * 15 + 3, 3)
    np.testing.assert_array_equal(sheet[3:11, 33:45], noise(8, 12))
    np.testing.assert_array_equal(sheet[14:22, 3:15], noise(8, 12)[::-1])
    untouched = sheet.copy()
    for top, left in ((3, 3), (3, 18), (3, 33), (14, 3)):
        untouched[top : top + 8, left : left + 12] = 255
    assert (untouched == 255).all()
    np.testing.assert_array_equal(framing.grid(np.stack([rows[0]]), pad=0), np.hstack([noise(8, 12)] * 3))


@pytest.mark.parametrize(
    "rows", [[], [np.zeros((0, 8, 8, 3), np.uint8)], [[noise(8, 8), noise(9, 8)]], [[noise(8, 8) / 255]]]
)
def test_a_contact_sheet_of_nothing_or_of_unlike_pictures_is_refused(rows):
    with pytest.raises(ImageError) as caught:
        framing.grid(rows)
    assert caught.value.reason == "bad_array"


def test_side_by_side():
    portrait, recovered = noise(300, 200), noise(128, 128)
    both = framing.side_by_side(portrait, recovered)
    np.testing.assert_array_equal(both[2:130, 2:130], framing.letterbox(portrait))
    np.testing.assert_array_equal(both[2:130, 132:260], recovered)
    with pytest.raises(ImageError):
        framing.side_by_side(portrait.astype(float), recovered)
