import time

import pytest

from hardening.fuzz.samples import large_pictures, whole_pictures
from ifrp_tf.core.errors import ImageError
from ifrp_tf.pictures import images
from ifrp_tf.pictures.decoding import FORMATS


def test_every_whole_picture_is_read_and_every_format_is_there():
    read = {name: images.read(data) for name, data in whole_pictures().items()}
    assert {picture.format for picture in read.values()} == set(FORMATS)
    assert {name.split()[0].upper() for name in read} == set(FORMATS)
    assert {tuple(sorted(picture.pixels.shape)) for picture in read.values()} == {(3, 24, 32)}
    assert sum(len(data) for data in whole_pictures().values()) < 200_000


def test_what_is_special_about_them_is_there():
    notes = {name: images.read(data).notes for name, data in whole_pictures().items()}
    for name, note in {
        "jpeg exif icc": "exif orientation 6 applied",
        "jpeg of several": "3 frames, first used",
        "png animated": "3 frames, first used",
        "tiff pages": "3 frames, first used",
        "webp lossless alpha": "transparency laid on (255, 128, 64), the mean of its opaque edge",
        "tiff lab": "colours converted from Lab",
    }.items():
        assert note in notes[name], name


@pytest.mark.parametrize(
    ("name", "reason"),
    [("png of 10900", "truncated"), ("png of 20000", "too_large"), ("png long text", "too_large")],
)
def test_what_claims_to_be_large_is_refused(name, reason):
    with pytest.raises(ImageError) as caught:
        images.read(large_pictures()[name])
    assert caught.value.reason == reason


def test_what_is_large_is_read():
    sizes = {name: images.read(large_pictures()[name]).size_in_file for name in ("png large", "tiff large")}
    assert sizes == {"png large": (2000, 2000), "tiff large": (1500, 1500)}
    assert images.read(large_pictures()["gif of frames"]).notes == ("2001 frames, first used", "low_contrast")


def test_they_are_the_same_at_any_time():
    """Or else a finding could not be seen again: no file may hold the time at which it was made."""
    before = dict(whole_pictures())
    year = str(time.gmtime().tm_year).encode()
    number = time.gmtime().tm_year.to_bytes(2, "big") + time.gmtime().tm_mon.to_bytes(2, "big")
    assert not [name for name, data in before.items() if year in data or number in data]
