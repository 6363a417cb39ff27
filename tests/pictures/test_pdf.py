"""Tests of `pictures/pdf`, and of chosen pages."""

import builtins
import importlib.util
import io
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pictures
import pytest
from PIL import Image

from ifrp_tf.core.errors import ImageError
from ifrp_tf.pictures import images
from ifrp_tf.pictures.decoding import MAX_PIXELS, MAX_SIDE, page_numbers

needs_pdfium = pytest.mark.skipif(
    importlib.util.find_spec("pypdfium2") is None, reason="the extra `pdf` is not installed"
)
SCANS = [
    np.asarray(Image.fromarray(pictures.scene(48, 64) // (k + 1)).resize((640, 480), 1)) for k in range(3)
]


def pdf(scans=SCANS, **options):
    stream = io.BytesIO()
    first, *others = (Image.fromarray(scan) for scan in scans)
    first.save(stream, "PDF", save_all=True, append_images=others, quality=95, **options)
    return stream.getvalue()


@needs_pdfium
def test_a_page_is_drawn_as_finely_as_it_was_scanned():
    for dpi in (150, 400):
        data = pdf(resolution=dpi)
        assert page_numbers(data) == [1, 2, 3]
        for page, scan in enumerate(SCANS, 1):
            picture = images.read(data, page=page)
            assert picture.pixels.shape == scan.shape
            assert np.abs(picture.pixels.astype(int) - scan).mean() < 4
            assert picture.notes[0] == f"page {page} of 3 of a PDF, drawn at {dpi} dpi"
        np.testing.assert_array_equal(images.read(data).pixels, images.read(data, page=1).pixels)


@needs_pdfium
def test_a_huge_sheet_is_drawn_smaller():
    data = pdf([SCANS[0][:400, :600]], resolution=1)  # metres wide, and drawn at 150 dpi at least
    picture = images.read(data)
    assert max(picture.pixels.shape) <= MAX_SIDE
    assert picture.pixels.size <= 3 * MAX_PIXELS


@needs_pdfium
def test_what_is_no_sound_pdf_or_page():
    data = pdf()
    for bad, reason in ((b"%PDF-1.7\n", "truncated|corrupt"), (data[: len(data) // 3], "truncated|corrupt")):
        with pytest.raises(ImageError) as caught:
            images.read(bad)
        assert caught.value.reason in reason
    for page in (4, 99):
        with pytest.raises(ImageError, match="from 1 to 3") as caught:
            images.read(data, page=page)
        assert caught.value.reason == "no_page"
    with pytest.raises(ImageError, match="20:1"):
        images.read(pdf([SCANS[0][:16]], resolution=150))


@needs_pdfium
def test_many_threads_may_draw():
    data = pdf(resolution=150)
    with ThreadPoolExecutor(4) as pool:
        drawn = list(pool.map(lambda page: images.read(data, page=page).pixels, [1, 2, 3] * 4))
    for index, pixels in enumerate(drawn):
        np.testing.assert_array_equal(pixels, drawn[index % 3])


def test_without_the_extra_it_is_named(monkeypatch):
    real = builtins.__import__
    monkeypatch.setattr(
        builtins, "__import__", lambda name, *rest: real("no_such" if name == "pypdfium2" else name, *rest)
    )
    for ask in (images.read, page_numbers):
        with pytest.raises(ImageError, match=r"ifrp_tf\[pdf\]") as caught:
            ask(b"%PDF-1.7\n")
        assert caught.value.reason == "unsupported_format"


def test_pages_of_a_tiff_are_chosen():
    data = pictures.tiff_of_pages(3)
    assert page_numbers(data) == [1, 2, 3]
    read = [images.read(data, page=page) for page in (1, 2, 3)]
    stored = Image.open(io.BytesIO(data))
    for page, picture in enumerate(read):
        stored.seek(page)
        np.testing.assert_array_equal(picture.pixels, np.asarray(stored.convert("RGB")))
        assert picture.notes[0] == f"page {page + 1} of 3"
    for other in (data, pictures.save(pictures.scene(), "TIFF"), pictures.save(pictures.scene(), "PNG")):
        with pytest.raises(ImageError, match="expected a page"):
            images.read(other, page=9)
    assert page_numbers(b"") == page_numbers(b"no picture") == [1]
    assert images.read(pictures.save(pictures.scene(), "PNG"), page=1).pixels.shape == (48, 64, 3)
