"""Tests of `data/screening`."""

import io

import numpy as np
import pytest
from PIL import Image

from ifrp_tf.core.config import DataConfig
from ifrp_tf.core.errors import ConfigError, ImageError
from ifrp_tf.data import screening, toy_faces
from ifrp_tf.pictures import images


def saved_again(pixels, side, quality):
    out = io.BytesIO()
    image = Image.fromarray(pixels)
    image.resize((side, side), Image.Resampling.BICUBIC).save(out, "JPEG", quality=quality)
    return np.asarray(Image.open(out))


def test_copies_are_found_and_nothing_else():
    faces = toy_faces.draw(12, side=128).pixels
    hashes = np.stack([screening.perceptual_hash(face) for face in faces])
    assert hashes.shape == (12, screening.BITS)
    assert hashes.dtype == bool
    brighter = np.clip(faces[3] * 1.1 + 10, 0, 255).astype(np.uint8)
    copies = [saved_again(faces[5], 96, 70), saved_again(faces[5], 200, 60), brighter]
    again = np.stack([screening.perceptual_hash(copy) for copy in copies])
    found = list(screening.alike(again, hashes))
    assert [(k, j) for k, j, _ in found] == [(0, 5), (1, 5), (2, 3)]
    for k, j, bits in found:
        assert bits == (again[k] != hashes[j]).sum() <= screening.THRESHOLD
    assert list(screening.alike(hashes)) == []


def test_pairs_are_those_of_the_definition(monkeypatch):
    """Whatever the blocks in which they are compared."""
    generator = np.random.default_rng(0)
    hashes = np.repeat(generator.random((10, 31)) < 0.5, 4, axis=0) ^ (generator.random((40, 31)) < 0.05)
    expected = [
        (k, j, int((hashes[k] != hashes[j]).sum()))
        for k in range(40)
        for j in range(k)
        if (hashes[k] != hashes[j]).sum() <= 3
    ]
    assert len(expected) > 20
    for block in (7, 2048):
        monkeypatch.setattr(screening, "_BLOCK", block)
        assert list(screening.alike(hashes, threshold=3)) == expected
    assert [pair[:2] for pair in screening.alike(hashes[:1], hashes[:1], threshold=0)] == [(0, 0)]
    assert list(screening.alike(hashes[:0], hashes)) == []
    with pytest.raises(ConfigError, match="0 to 31"):
        list(screening.alike(hashes, threshold=32))


CONFIG = DataConfig(side=64)


def test_every_reason_to_drop_a_photograph(tmp_path):
    faces = toy_faces.draw(8, side=96).pixels
    source, test = tmp_path / "train", tmp_path / "test"
    for name, pixels in {
        "celeba/1.png": faces[0], "celeba/2.png": faces[1], "celeba/3.png": faces[0],
        "celeba/4.png": faces[6], "celeba/5.png": faces[2][:30, :30], "lfw/Ann/1.png": faces[3],
        "lfw/Bo/1.png": faces[4],
    }.items():  # fmt: skip
        images.write_png(source / name, pixels)
    (source / "notes.txt").write_text("no picture")
    for name, pixels in {"celeba/9.png": faces[6], "lfw/Bo/2.png": faces[5]}.items():
        images.write_png(test / name, pixels)
    found, tested = images.list_pictures(source), images.list_pictures(test)
    kept, dropped = screening.choose(source, found, test, tested, CONFIG)
    assert kept == ["celeba/1.png", "celeba/2.png", "lfw/Ann/1.png"]
    reasons = {name: reason.split(":")[0] for name, reason in dropped}
    assert reasons == {
        "celeba/3.png": "duplicate", "celeba/4.png": "in_test", "celeba/5.png": "too_small",
        "lfw/Bo/1.png": "person_in_test", "notes.txt": "unreadable",
    }  # fmt: skip
    assert "celeba/1.png" in dict(dropped)["celeba/3.png"]
    # A person is told by the folder's name, wherever the source begins.
    kept, dropped = screening.choose(
        source / "lfw", images.list_pictures(source / "lfw"), test, tested, CONFIG
    )
    assert (kept, dropped) == (["Ann/1.png"], [("Bo/1.png", "person_in_test")])
    kept, dropped = screening.choose(source, found, "", [], CONFIG)
    assert [name for name, _ in dropped] == ["celeba/3.png", "celeba/5.png", "notes.txt"]


def test_the_centre_is_cut_before_the_size_is_judged(tmp_path):
    pixels = np.zeros((64, 64, 3), np.uint8)
    pixels[16:48, 16:48] = 200
    images.write_png(tmp_path / "a.png", pixels)
    assert screening.decoded(tmp_path / "a.png", DataConfig(side=64, crop=32)).min() == 200
    assert screening.decoded(tmp_path / "a.png", DataConfig(side=64)).shape == (64, 64, 3)
    with pytest.raises(ImageError, match="at least 33 pixels"):
        screening.decoded(tmp_path / "a.png", DataConfig(side=66, crop=32))
