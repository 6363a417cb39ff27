import numpy as np
import pictures
import pytest
import tensorflow as tf

from ifrp_tf.pictures import images
from ifrp_tf.release.in_graph import decode_portrait, letterbox

decode = tf.function(lambda data: decode_portrait(data, 128))
fit = tf.function(
    lambda pixels: letterbox(pixels, 64), input_signature=[tf.TensorSpec((None, None, 3), tf.uint8)]
)
SMOOTH = pictures.scene(300, 200)
NOISE = np.random.default_rng(0).integers(0, 256, (333, 201, 3)).astype(np.uint8)
ALPHA = np.dstack([NOISE, np.random.default_rng(1).integers(0, 256, NOISE.shape[:2]).astype(np.uint8)])


@pytest.mark.parametrize(
    ("height", "width"), [(64, 64), (128, 64), (300, 201), (16, 300), (20, 31), (61, 17), (1000, 999)]
)
def test_the_letterbox_is_that_of_images(height, width):
    pixels = np.random.default_rng(height).integers(0, 256, (height, width, 3)).astype(np.uint8)
    difference = np.abs(fit(pixels).numpy().astype(int) - images.letterbox(pixels, 64))
    assert difference.max() <= 1
    assert difference.mean() < 0.01


@pytest.mark.parametrize(
    "data",
    [
        pictures.save(SMOOTH, "PNG"),
        pictures.save(SMOOTH, "JPEG"),
        pictures.save(NOISE, "JPEG", quality=60, subsampling=2),
        pictures.save(NOISE, "JPEG", progressive=True),
        pictures.save(ALPHA, "PNG"),
        pictures.save(SMOOTH[..., 0], "PNG"),
        pictures.save(SMOOTH[..., 0], "JPEG"),
    ],
    ids=["png", "jpeg", "subsampled", "progressive", "transparent", "grey png", "grey jpeg"],
)
def test_decoding_is_that_of_images_to_a_level(data):
    """In the graph what is transparent is on white; `images` takes the mean of the opaque edge by itself."""
    expected = images.letterbox(images.read(data, background=(255, 255, 255)).pixels)
    difference = np.abs(decode(data).numpy().astype(int) - expected)
    assert difference.max() <= 1
    assert difference.mean() < 0.05


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x89PNG\r\n\x1a\n",
        b"GIF89a" + bytes(100),
        pictures.save(SMOOTH, "WEBP"),
        pictures.save(SMOOTH, "PNG")[:500],
        pictures.save(SMOOTH, "JPEG")[:500],
        pictures.patched(pictures.save(SMOOTH, "PNG"), 12, b"JUNK"),
        pictures.png(0, 100, 8, 2, b""),
        pictures.jpeg_claiming(60000, 60000),
        pictures.png(2**31 - 1, 2**31 - 1, 8, 2, b""),
        pictures.save(np.zeros((16, 400, 3), np.uint8), "PNG"),
    ],
    ids=[
        "empty",
        "magic",
        "gif",
        "webp",
        "cut png",
        "cut jpeg",
        "junk",
        "no width",
        "bomb",
        "overflow",
        "long",
    ],
)
def test_what_is_no_small_png_or_jpeg_is_refused(data):
    with pytest.raises(tf.errors.InvalidArgumentError):
        decode(data)
