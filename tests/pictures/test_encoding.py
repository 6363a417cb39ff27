"""A file keeps what another says beside its pixels."""

import io

import numpy as np
import pictures
import pytest
import strangers
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from ifrp_tf.core.errors import ImageError
from ifrp_tf.pictures import images
from ifrp_tf.pictures.encoding import KEPT, encode_like

TEXT = {"ifrp_tf": "generated face"}
XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="6" dc:title="Ada"/>'
PROFILE = pictures.icc(b"RGB ", strangers.SRGB, 1.0, "linear light")
SMOOTH = np.array(Image.fromarray(pictures.scene(12, 16)).resize((64, 48), Image.Resampling.BICUBIC))


def source(format):
    made, exif = Image.Exif(), Image.Exif()
    made[0x0112], made[0x013B] = 6, "Ada"
    made[0x8769] = {0xA434: "a lens", 0xA002: 64}
    exif.load(made.tobytes())
    options = {"icc_profile": PROFILE, "dpi": (300, 300), "xmp": XMP, "exif": exif}
    if format == "PNG":
        options["pnginfo"] = info = PngInfo()
        info.add_itxt("XML:com.adobe.xmp", XMP.decode())
        del options["xmp"]
    if format == "TIFF":
        exif[700] = options.pop("xmp")
    return pictures.save(pictures.scene(), format, **options)


@pytest.mark.parametrize("format", KEPT)
def test_what_is_beside_the_pixels_is_kept(format):
    data, suffix = encode_like(SMOOTH, source(format), TEXT)
    assert suffix == KEPT[format]
    assert b"generated face" in data
    picture = images.read(data)
    assert picture.format == format
    assert picture.pixels.shape == SMOOTH.shape  # not turned once more
    assert np.abs(picture.pixels.astype(int) - SMOOTH).mean() < 4
    if format == "JPEG2000":  # Pillow writes pixels alone
        return
    found = Image.open(io.BytesIO(data))
    exif = found.getexif()
    assert exif[0x013B] == "Ada"
    assert exif.get(0x0112, 1) == 1
    assert exif.get_ifd(0x8769) == {0xA434: "a lens"}
    assert found.info["icc_profile"] == PROFILE
    if format not in ("WEBP", "AVIF"):
        assert found.info["dpi"] == pytest.approx((300, 300), abs=0.1)
    xmp = found.info.get("xmp") or found.info["XML:com.adobe.xmp"].encode()
    assert b'tiff:Orientation="1"' in xmp
    assert b'dc:title="Ada"' in xmp


def test_what_is_kept_is_of_the_page():
    rgb = {"photometric": "rgb"}
    pages = [
        (
            pictures.scene(),
            {**rgb, "description": word, "resolution": (dpi, dpi), "resolutionunit": 2, "metadata": None},
        )
        for word, dpi in (("recto", 300), ("verso", 600))
    ]
    source = strangers.pages(*pages)
    for page, word, dpi in ((0, "recto", 300), (1, "recto", 300), (2, "verso", 600)):
        data, suffix = encode_like(pictures.scene(), source, page=page)
        image = Image.open(io.BytesIO(data))
        assert (suffix, image.getexif()[0x010E], image.info["dpi"]) == (".tif", word, (dpi, dpi))


def test_a_jpeg_keeps_its_quality():
    for quality in (30, 95):
        given = pictures.save(pictures.scene(), "JPEG", quality=quality, subsampling=2)
        data, _ = encode_like(SMOOTH, given)
        tables = [Image.open(io.BytesIO(one)).quantization for one in (given, data)]
        assert tables[0] == tables[1]


def test_what_cannot_be_kept_becomes_a_png():
    colour = pictures.save(pictures.scene(), "BMP")
    for given in (colour, pictures.save(pictures.scene(), "GIF"), colour[:20], b"", b"\xff\xd8\xffnothing"):
        data, suffix = encode_like(SMOOTH, given, TEXT)
        assert suffix == ".png"
        assert b"generated face" in data
        np.testing.assert_array_equal(images.read(data).pixels, SMOOTH)


def test_a_damaged_profile_is_left_out():
    data, _ = encode_like(SMOOTH, pictures.save(pictures.scene(), "PNG", icc_profile=b"nothing"), TEXT)
    assert "icc_profile" not in Image.open(io.BytesIO(data)).info
    np.testing.assert_array_equal(images.read(data).pixels, SMOOTH)


def test_only_pictures_are_encoded():
    with pytest.raises(ImageError, match="uint8"):
        encode_like(SMOOTH.astype(float), b"")
