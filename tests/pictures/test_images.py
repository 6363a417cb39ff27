"""The fault table: whatever comes in, upright uint8 RGB or an `ImageError` with its reason comes out."""

import io
import json
import os
import subprocess
import sys
import threading
import time
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import keras
import numpy as np
import pictures
import pytest
import tensorflow as tf
from helpers import ROOT, both_ways
from pictures import scene
from PIL import Image, ImageFile

from ifrp_tf.core.errors import ConfigError, IfrpError, ImageError
from ifrp_tf.pictures import images

REASONS = {
    "empty", "not_an_image", "unsupported_format", "truncated", "corrupt", "too_large", "too_small",
    "too_elongated", "not_finite", "transparent",
}  # fmt: skip


def jpeg():
    return pictures.save(scene(), "JPEG", quality=95)


def png():
    return pictures.save(scene(), "PNG")


def flat(width, height, format="PNG"):
    return pictures.save(Image.new("RGB", (width, height), "red"), format)


def png_with(before):
    return pictures.png(32, 32, 8, 2, rows(32), before=before)


def giant_text():
    return png_with(pictures.chunk(b"zTXt", b"comment\0\0" + zlib.compress(bytes(64 * 2**20))))


def float_tiff(values):
    return pictures.grey_tiff(np.asarray(values, "<f4"), bits=32, sample_format=3)


def with_pixel(value):
    values = np.full((20, 20), 0.5, np.float32)
    values[3, 4] = value
    return values


def tiled_tiff(tile):
    tags = {256: (4, (64,)), 257: (4, (64,)), 258: (3, (8,)), 259: (3, (5,)), 262: (3, (1,)), 277: (3, (1,))}
    tags |= {322: (4, (tile,)), 323: (4, (tile,)), 324: (4, (8,)), 325: (4, (64,))}
    return pictures.tiff(tags, bytes(64))


def rows(count, width=32):
    """The scan lines of an RGB picture of noise, each after its filter byte."""
    noise = np.random.default_rng(3).integers(0, 256, (count, 1 + 3 * width), np.uint8)
    noise[:, 0] = 0
    return zlib.compress(noise.tobytes())


def half(format, **options):
    data = pictures.save(scene(), format, **options)
    return data[: len(data) // 2]


def five_samples():
    tags = {256: (4, (32,)), 257: (4, (32,)), 258: (3, (8,) * 5), 262: (3, (9,)), 277: (3, (5,))}
    return pictures.tiff(tags, bytes(5120))


def tiff_bomb():
    return pictures.tiff({256: (4, (20_000,)), 257: (4, (20_000,)), 258: (3, (1,)), 262: (3, (1,))}, bytes(9))


def wide_integers():
    return pictures.grey_tiff(np.full((20, 20), 70_000, "<i4"), bits=32, sample_format=2)


FAULTS = [  # (id, a factory of the bytes, the reason, a word of the message)
    ("nothing", lambda: b"", "empty", "0 bytes"),
    ("html", lambda: b"<!DOCTYPE html><title>404</title>", "not_an_image", "HTML page"),
    ("text", lambda: "Liebe Grüße\n".encode() * 9, "not_an_image", "received text"),
    ("BM in a text", lambda: b"BM: Brief an den Magistrat\n", "not_an_image", "received text"),
    ("json", lambda: b'{"error": "not found"}', "not_an_image", "JSON"),
    ("zip", lambda: b"PK\x03\x04" + bytes(60), "not_an_image", "ZIP"),
    ("zeros", lambda: bytes(500), "not_an_image", "unknown data"),
    ("one byte", lambda: b"\xff", "not_an_image", "unknown data"),
    ("svg", lambda: b'<?xml version="1.0"?><svg width="9"/>', "unsupported_format", "SVG"),
    ("eps", lambda: b"%!PS-Adobe-3.0 EPSF-3.0\n", "unsupported_format", "PostScript"),
    ("psd", lambda: b"8BPS\0\1" + bytes(60), "unsupported_format", "Photoshop"),
    ("avif, no more than a beginning", lambda: b"\0\0\0\x1cftypavif" + bytes(60), "corrupt", "AVIF"),
    ("avif, half", lambda: half("AVIF"), "truncated", "missing"),
    ("icon", lambda: pictures.save(scene(), "ICO"), "unsupported_format", "icon"),
    ("netpbm", lambda: pictures.save(scene(), "PPM"), "unsupported_format", "Netpbm"),
    ("jpeg 2000, header", lambda: b"\0\0\0\x0cjP  \r\n", "truncated", "missing"),
    ("jpeg 2000, half", lambda: half("JPEG2000"), "truncated", "missing"),
    ("jpeg xl", lambda: b"\0\0\0\x0cJXL \r\n", "unsupported_format", "JPEG XL"),
    ("half a jpeg", lambda: half("JPEG"), "truncated", "missing"),
    ("jpeg less ten bytes", lambda: jpeg()[:-10], "truncated", "missing"),
    ("jpeg header", lambda: jpeg()[:20], "truncated", "missing"),
    ("jpeg magic", lambda: jpeg()[:3], "truncated", "missing"),
    ("half a png", lambda: half("PNG"), "truncated", "missing"),
    ("png header", lambda: png()[:33], "truncated", "missing"),
    ("png, no end", lambda: pictures.png(32, 32, 8, 2, rows(32), end=False), "truncated", "missing"),
    ("png, part of a stream", lambda: pictures.png(32, 32, 8, 2, rows(32)[:900]), "truncated", "missing"),
    ("half a gif", lambda: half("GIF"), "truncated", "missing"),
    ("half a webp", lambda: half("WEBP"), "truncated", "missing"),
    ("half a bmp", lambda: half("BMP"), "truncated", "missing"),
    ("half a tiff", lambda: half("TIFF"), "truncated", "missing"),
    ("half a packed tiff", lambda: half("TIFF", compression="tiff_lzw"), "truncated", "missing"),
    ("png, pixel checksum", lambda: pictures.png(32, 32, 8, 2, rows(32), damage=1), "corrupt", "IDAT"),
    ("png, header checksum", lambda: pictures.patched(png(), 29, b"\0\0\0\0"), "corrupt", "IHDR"),
    ("png, no stream", lambda: pictures.png(32, 32, 8, 2, b"\xff" * 99), "corrupt", "damaged"),
    ("png, no width", lambda: pictures.png(0, 32, 8, 2, rows(32)), "corrupt", "damaged"),
    ("jpeg, no height", lambda: pictures.jpeg_claiming(64, 0), "corrupt", "damaged"),
    ("png of 10 gigapixels", lambda: pictures.png(100_000, 100_000, 8, 2, bytes(40)), "too_large", "100,000"),
    ("png bomb", pictures.png_bomb, "too_large", "20,000"),
    ("jpeg bomb", lambda: pictures.jpeg_claiming(20_000, 20_000), "too_large", "20,000"),
    ("bmp bomb", lambda: pictures.bmp_claiming(20_000, 20_000), "too_large", "20,000"),
    ("gif bomb", lambda: pictures.gif_claiming(20_000, 20_000), "too_large", "20,000"),
    ("webp bomb", lambda: pictures.webp_lossless_claiming(16_384, 16_384), "too_large", "16,384"),
    ("webp canvas bomb", lambda: pictures.webp_canvas_claiming(16_000, 16_000), "too_large", "16,000"),
    ("tiff bomb", tiff_bomb, "too_large", "20,000"),
    ("tiff tile bomb", lambda: tiled_tiff(60_000), "too_large", "60,000"),
    ("121 megapixels", lambda: pictures.png_bomb(11_000), "too_large", "11,000"),
    ("a side of 16,385", lambda: pictures.png(16_385, 900, 8, 2, bytes(40)), "too_large", "16,385"),
    ("png, giant text", giant_text, "too_large", "text"),
    ("1 x 1", lambda: flat(1, 1), "too_small", "1 x 1"),
    ("3 x 500", lambda: flat(3, 500), "too_small", "3 x 500"),
    ("15 x 15", lambda: flat(15, 15, "JPEG"), "too_small", "at least 16"),
    ("21 : 1", lambda: flat(16 * 21, 16), "too_elongated", "336 x 16"),
    ("1 : 21", lambda: flat(16, 16 * 21), "too_elongated", "16 x 336"),
    ("tiff, NaN", lambda: float_tiff(with_pixel(np.nan)), "not_finite", "1 pixels"),
    ("tiff, infinity", lambda: float_tiff(with_pixel(-np.inf)), "not_finite", "1 pixels"),
    ("tiff, hdr", lambda: float_tiff(with_pixel(3000)), "unsupported_format", "0.5 to 3000"),
    ("tiff, negative", lambda: float_tiff(with_pixel(-1)), "unsupported_format", "-1 to 0.5"),
    ("tiff, 32-bit integers", wide_integers, "unsupported_format", "70000"),
    ("tiff, five samples", five_samples, "unsupported_format", "not supported"),
]


@pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow's, on damaged tags
@pytest.mark.parametrize(("make", "reason", "word"), [row[1:] for row in FAULTS], ids=[r[0] for r in FAULTS])
def test_a_faulty_file_is_refused_with_its_reason(make, reason, word):
    data = make()
    start = time.process_time()
    with pytest.raises(ImageError) as caught:
        images.read(data)
    assert time.process_time() - start < 0.5
    assert caught.value.reason == reason
    assert word in str(caught.value)
    assert str(caught.value).startswith("the given bytes: ")


def test_a_refused_size_never_warns():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for side in (11_000, 20_000):
            with pytest.raises(ImageError, match="expected sides up to"):
                images.read(pictures.png_bomb(side))


_CHILD = """
import json, resource, sys, time
from pathlib import Path
from ifrp_tf.pictures import images
def status(key):
    return next(int(l.split()[1]) for l in open("/proc/self/status") if l.startswith(key)) * 1024
files = [Path(name) for name in sys.argv[1:]]
limit = status("VmSize") + 96 * 2**20
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
results = {}
for file in files:
    before, start = status("VmHWM"), time.process_time()
    try:
        images.read(file)
        reason = "read"
    except images.ImageError as error:
        reason = error.reason
    results[file.name] = [reason, time.process_time() - start, status("VmHWM") - before]
print(json.dumps(results))
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="limits the address space as Linux does")
def test_bombs_are_refused_by_their_header_in_little_memory(tmp_path):
    bombs = {
        "bomb.png": pictures.png_bomb(),
        "bomb.jpg": pictures.jpeg_claiming(20_000, 20_000),
        "bomb.bmp": pictures.bmp_claiming(20_000, 20_000),
        "bomb.gif": pictures.gif_claiming(65_535, 65_535),
        "bomb.webp": pictures.webp_lossless_claiming(16_384, 16_384),
        "canvas.webp": pictures.webp_canvas_claiming(16_000, 16_000),
        "tiles.tif": tiled_tiff(40_000),
        "zone.png": pictures.png_bomb(11_000),
        "text.png": giant_text(),
    }
    for name, data in bombs.items():
        (tmp_path / name).write_bytes(data)
        assert len(data) < 2**21
    command = [sys.executable, "-c", _CHILD, *(str(tmp_path / name) for name in bombs)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    child = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert child.returncode == 0, child.stderr
    results = json.loads(child.stdout)
    assert {name: result[0] for name, result in results.items()} == dict.fromkeys(bombs, "too_large")
    assert max(seconds for _, seconds, _ in results.values()) < 0.5
    assert max(grown for _, _, grown in results.values()) < 16 * 2**20


def test_a_large_scan_is_judged_by_its_content_where_pillow_would_warn_of_its_size():
    side = 9_500  # 90 megapixels: not decoded here, for the checksum is looked at first
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ImageError) as caught:
            images.read(pictures.png(side, side, 1, 0, zlib.compress(bytes(99)), damage=1))
    assert caught.value.reason == "corrupt"


def _mutations(seeds, rounds, generator):
    for number in range(rounds):
        data = bytearray(seeds[number % len(seeds)])
        kind = number // len(seeds) % 4
        if kind == 0:
            for at in generator.integers(0, len(data), 1 + number % 7):
                data[at] ^= 1 << int(generator.integers(8))
        elif kind == 1:
            del data[int(generator.integers(1, len(data))) :]
        elif kind == 2:
            other = seeds[int(generator.integers(len(seeds)))]
            cut = int(generator.integers(1, min(len(data), len(other))))
            data[cut:] = other[cut:]
        else:  # the first bytes decide most
            for at in generator.integers(0, min(96, len(data)), 4):
                data[at] = int(generator.integers(256))
        yield bytes(data)


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_mutated_files_give_a_picture_or_an_image_error_and_nothing_else():
    tiny = scene(24, 32)
    seeds = [
        pictures.save(tiny, "JPEG"),
        pictures.with_exif("JPEG", 6, tiny),
        pictures.save(tiny, "JPEG", progressive=True),
        pictures.save(tiny, "PNG"),
        pictures.save(Image.fromarray(tiny).convert("P"), "PNG", transparency=3),
        pictures.png16(np.arange(768).reshape(24, 32) * 80),
        pictures.save(tiny, "WEBP"),
        pictures.animated("WEBP", 2),
        pictures.save(tiny, "BMP"),
        pictures.save(tiny, "TIFF"),
        pictures.save(tiny, "TIFF", compression="tiff_lzw"),
        pictures.save(Image.fromarray(tiny).convert("CMYK"), "TIFF", compression="jpeg"),
        float_tiff(np.linspace(0, 1, 768).reshape(24, 32)),
        pictures.save(tiny, "JPEG2000"),
        pictures.save(tiny, "AVIF"),
        pictures.animated("GIF", 3),
    ]
    generator = np.random.default_rng(7)
    outcomes, slowest = {}, 0.0
    for data in _mutations(seeds, 120 * len(seeds), generator):
        start = time.process_time()
        try:
            picture = images.read(data)
            assert picture.pixels.dtype == np.uint8
            assert picture.pixels.shape[2] == 3
            outcome = "read"
        except ImageError as error:
            outcome = error.reason
        outcomes[outcome] = outcomes.get(outcome, 0) + 1
        slowest = max(slowest, time.process_time() - start)
    assert set(outcomes) <= REASONS | {"read"}
    assert min(outcomes.get(name, 0) for name in ("read", "truncated", "corrupt")) > 20, outcomes
    assert slowest < 5


# What is read all the same.


@pytest.mark.parametrize(
    ("format", "options", "tolerance"),
    [
        ("PNG", {}, 0),
        ("BMP", {}, 0),
        ("TIFF", {}, 0),
        ("TIFF", {"compression": "tiff_lzw"}, 0),
        ("TIFF", {"compression": "tiff_adobe_deflate"}, 0),
        ("WEBP", {"lossless": True}, 0),
        ("WEBP", {"quality": 95}, 24),
        ("JPEG", {"quality": 97, "subsampling": 0}, 4),
        ("JPEG", {"quality": 97, "subsampling": 0, "progressive": True}, 4),
    ],
)
def test_the_pixels_of_every_format_come_back(format, options, tolerance):
    picture = images.read(pictures.save(scene(), format, **options))
    assert picture.format == format
    assert picture.notes == ()
    assert picture.size_in_file == (64, 48)
    assert picture.pixels.flags.writeable
    assert np.abs(picture.pixels.astype(int) - scene()).max() <= tolerance


def test_the_content_decides_not_the_suffix(tmp_path):
    for name, note in (("x.jpg", "PNG data in a .jpg file"), ("x.TXT", "PNG data in a .txt file")):
        (tmp_path / name).write_bytes(png())
        assert images.read(tmp_path / name).notes == (note,)
    for name in ("x.png", "x.PNG", "x"):
        (tmp_path / name).write_bytes(png())
        assert images.read(str(tmp_path / name)).notes == ()


@pytest.mark.parametrize("make", [jpeg, png])
def test_what_follows_the_end_of_the_picture_is_dropped(make):
    sound = images.read(make()).pixels
    np.testing.assert_array_equal(images.read(make() + b"PK\x03\x04" + bytes(5000)).pixels, sound)


def test_a_flat_picture_is_read_and_noted():
    for colour, noted in (("black", True), ("red", True), ("#050505", True)):
        picture = images.read(pictures.save(Image.new("RGB", (40, 30), colour), "PNG"))
        assert ("low_contrast" in picture.notes) is noted
    assert images.read(png()).notes == ()
    speck = np.zeros((30, 40, 3), np.uint8)
    speck[17, 21, 2] = 200  # one pixel is enough, wherever it is
    assert images.read(images.encode_png(speck)).notes == ()


def test_pixels_in_the_middle_are_judged_too_when_another_user_lets_truncated_files_pass(monkeypatch):
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    for data in (jpeg()[: len(jpeg()) // 2], png()[: len(png()) // 2]):
        with pytest.raises(ImageError) as caught:
            images.read(data)
        assert caught.value.reason == "truncated"
    assert images.read(jpeg()).pixels.shape == (48, 64, 3)


def test_reading_leaves_pillow_as_it_was():
    before = Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES
    for data in (png(), jpeg()[:100], pictures.png_bomb()):
        try:
            images.read(data)
        except ImageError:
            continue
    assert (Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES) == before == (89_478_485, False)


def test_threads_get_what_one_thread_gets():
    files = [pictures.with_exif("JPEG", 1 + k % 8, np.roll(scene(), k, axis=1)) for k in range(24)]
    alone = [images.read(data).pixels for data in files]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda data: images.read(data).pixels, files))
    for one, other in zip(alone, together, strict=True):
        np.testing.assert_array_equal(one, other)


# Paths.


def test_paths_that_are_no_readable_file_are_refused(tmp_path):
    (tmp_path / "portrait.png").write_bytes(png())
    (tmp_path / "folder").mkdir()
    (tmp_path / "empty.jpg").touch()
    cases = [
        (tmp_path / "potrait.png", "missing", "'portrait.png'"),
        (tmp_path / "portrait.png" / "inside", "missing", "Nothing is named"),
        (tmp_path / "folder", "not_a_file", "a folder"),
        (tmp_path / "empty.jpg", "empty", "0 bytes"),
        (tmp_path / ("x" * 300), "unreadable", "too long"),
        ("nul\0byte.png", "unreadable", "null"),
    ]
    for path, reason, word in cases:
        with pytest.raises(ImageError) as caught:
            images.read(path)
        assert (caught.value.reason, word in str(caught.value)) == (reason, True), str(caught.value)
        assert repr(str(path)) in str(caught.value)


def test_a_missing_file_is_reported_with_the_working_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ImageError, match="working directory"):
        images.read("nowhere/at/all.png")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_pipe_or_device_never_blocks(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    outcome = []

    def attempt():
        for path in (tmp_path / "pipe.png", Path("/dev/zero"), Path("/dev/tty")):
            with pytest.raises(ImageError) as caught:
                images.read(path)
            outcome.append(caught.value.reason)

    thread = threading.Thread(target=attempt, daemon=True)
    thread.start()
    thread.join(60)
    assert outcome == ["not_a_file"] * 3


@pytest.mark.skipif(getattr(os, "geteuid", lambda: 0)() == 0, reason="root may read every file")
def test_an_unreadable_file_is_refused(tmp_path):
    (tmp_path / "x.png").write_bytes(png())
    (tmp_path / "x.png").chmod(0)
    with pytest.raises(ImageError) as caught:
        images.read(tmp_path / "x.png")
    assert caught.value.reason == "unreadable"


def test_a_file_over_the_limit_is_refused_unread(tmp_path):
    with open(tmp_path / "huge.png", "wb") as file:
        file.truncate(images.MAX_FILE_BYTES + 1)  # sparse: takes no room
    start = time.process_time()
    with pytest.raises(ImageError) as caught:
        images.read(tmp_path / "huge.png")
    assert caught.value.reason == "too_large"
    assert time.process_time() - start < 0.5


@pytest.mark.parametrize(
    "name", ["a[1]*.png", "two words.png", "line\nbreak.png", "😀.png", "דיוקן.png", "~.png"]
)
def test_any_name_is_literal(tmp_path, name):
    (tmp_path / name).write_bytes(png())
    np.testing.assert_array_equal(images.read(str(tmp_path / name)).pixels, scene())


def test_what_is_neither_a_path_nor_bytes_is_refused():
    for thing in (scene(), None, 7, io.BytesIO(png())):
        with pytest.raises(ImageError, match="expected a path or the bytes"):
            images.read(thing)


@pytest.mark.parametrize("colour", [(0, 0), (0, 0, 256), (0, -1, 0), (0.5, 0, 0), "white"])
def test_a_background_must_be_a_colour(colour):
    with pytest.raises(ConfigError, match="from 0 to 255"):
        images.read(png(), background=colour)
    with pytest.raises(ConfigError, match="from 0 to 255"):
        images.from_array(scene(), background=colour)


# Arrays.


@pytest.mark.parametrize(
    ("array", "reason", "word"),
    [
        (scene().astype(np.float32), "bad_array", "float32 [48, 64, 3] from 0.0 to 255.0"),
        (scene() / 255.0, "bad_array", "float64 [48, 64, 3] from 0.0 to 1.0"),
        (scene().astype(np.int64), "bad_array", "int64"),
        (scene() > 128, "bad_array", "bool"),
        ((scene() / 255).astype(np.uint8), "bad_array", "scale it to 0-255 first"),
        (scene().transpose(2, 0, 1), "bad_array", "transpose it"),
        (scene()[None], "bad_array", "[1, 48, 64, 3]"),
        (scene()[:, :, :2], "bad_array", "[48, 64, 2]"),
        (scene()[0, 0], "bad_array", "[3]"),
        (np.zeros((0, 0, 3), np.uint8), "too_small", "0 x 0"),
        (np.zeros((8, 64, 3), np.uint8), "too_small", "64 x 8"),
        (np.zeros((16, 400, 3), np.uint8), "too_elongated", "400 x 16"),
        (np.broadcast_to(np.uint8(9), (20_000, 20_000, 3)), "too_large", "20,000"),
        (np.full((20, 20, 3), np.nan), "not_finite", "NaN"),
        (np.array(["x"]), "bad_array", "[1]"),
        ([[1, 2], [3, 4]], "bad_array", "a list"),
        (None, "bad_array", "a NoneType"),
    ],
)
def test_an_array_of_another_kind_is_refused(array, reason, word):
    with pytest.raises(ImageError) as caught:
        images.from_array(array)
    assert caught.value.reason == reason
    assert word in str(caught.value)


def test_the_documented_arrays_are_accepted():
    assert images.from_array(scene()) is scene()
    grey = scene()[:, :, 0]
    np.testing.assert_array_equal(images.from_array(grey), np.stack([grey] * 3, axis=-1))
    alpha = np.zeros((48, 64), np.uint8)
    alpha[:, 32:] = 255
    laid = images.from_array(np.dstack([scene(), alpha]), background=(1, 2, 3))
    np.testing.assert_array_equal(laid[:, 32:], scene()[:, 32:])
    assert (laid[:, :32] == (1, 2, 3)).all()
    mirrored = images.from_array(scene()[:, ::-1])
    assert mirrored.flags.c_contiguous
    np.testing.assert_array_equal(mirrored, scene()[:, ::-1])
    assert not images.from_array(np.zeros((16, 16, 3), np.uint8)).any()


# Ranges.


def test_every_level_survives_the_way_there_and_back():
    levels = np.arange(256, dtype=np.uint8)
    inside = images.to_model_range(levels)
    assert inside.dtype == np.float32
    assert (inside[0], inside[255]) == (-1, 1)
    np.testing.assert_array_equal(images.to_uint8(inside), levels)
    np.testing.assert_allclose(images.to_levels(inside), levels, atol=2e-5)
    np.testing.assert_array_equal(images.to_uint8(inside.astype(np.float64)), levels)


def test_tensors_get_what_arrays_get_eagerly_and_in_tf_data():
    values = np.linspace(-1.3, 1.3, 2001, dtype=np.float32)
    np.testing.assert_array_equal(both_ways(images.to_uint8, tf.constant(values)), images.to_uint8(values))
    levels = np.arange(256, dtype=np.uint8)
    inside = both_ways(images.to_model_range, tf.constant(levels))
    np.testing.assert_allclose(inside, images.to_model_range(levels), atol=1e-7)
    np.testing.assert_allclose(both_ways(images.to_levels, tf.constant(inside)), levels, atol=2e-5)
    compiled = tf.function(lambda x: images.to_uint8(images.to_model_range(x)))
    np.testing.assert_array_equal(compiled(tf.constant(levels)), levels)


def test_the_ranges_work_on_symbolic_tensors_and_let_gradients_through():
    symbolic = keras.Input((128, 128, 3), dtype="uint8")
    assert images.to_uint8(images.to_model_range(symbolic)).dtype == "uint8"
    x = tf.Variable([0.25, -2.0])
    with tf.GradientTape() as tape:
        y = tf.reduce_sum(images.to_levels(x))
    np.testing.assert_allclose(tape.gradient(y, x), [127.5, 127.5])


def test_halves_are_rounded_away_from_zero_and_the_rest_is_clipped():
    halves = (np.array([0.5, 1.5, 2.5, 253.5], np.float32) / 127.5) - 1
    np.testing.assert_array_equal(images.to_uint8(np.array([0.0, -7, 7], np.float32)), [128, 0, 255])
    assert (np.abs(images.to_uint8(halves).astype(float) - [0.5, 1.5, 2.5, 253.5]) <= 0.5).all()


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_never_becomes_a_picture(bad):
    output = np.zeros((2, 8, 8, 3), np.float32)
    output[1, 2, 3, 0] = bad
    with pytest.raises(ImageError, match="1 of 384 values") as caught:
        images.to_uint8(output)
    assert caught.value.reason == "not_finite"
    with pytest.raises(ImageError):
        images.to_model_range(output)


def test_mixed_up_ranges_are_refused():
    with pytest.raises(ImageError, match="expected levels 0-255, received float32"):
        images.to_model_range(np.array([-0.5, 0.5], np.float32))
    with pytest.raises(ImageError, match=r"expected floats in \[-1, 1\], received uint8"):
        images.to_uint8(scene())
    np.testing.assert_allclose(images.to_model_range(np.array([0.0, 127.5])), [-1, 0])


# The room itself.


def test_the_room_is_quick_to_import_and_brings_no_framework():
    code = (
        "import sys, time; start = time.process_time(); import ifrp_tf.pictures.images; "
        "assert time.process_time() - start < 2; "
        "loaded = {name.split('.')[0] for name in sys.modules}; "
        "assert not loaded & {'tensorflow', 'keras', 'jax'}, loaded"
    )
    child = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert child.returncode == 0, child.stderr


def test_every_name_that_is_offered_exists_and_errors_are_of_the_one_family():
    assert all(hasattr(images, name) for name in images.__all__)
    assert images.FORMATS == ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF", "JPEG2000", "AVIF")
    assert issubclass(ImageError, IfrpError)
