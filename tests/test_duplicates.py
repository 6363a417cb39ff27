import io

import numpy as np
import pytest
from PIL import Image

from ifrp_tf import duplicates, toy_faces
from ifrp_tf.errors import ConfigError


def saved_again(pixels, side, quality):
    out = io.BytesIO()
    image = Image.fromarray(pixels)
    image.resize((side, side), Image.Resampling.BICUBIC).save(out, "JPEG", quality=quality)
    return np.asarray(Image.open(out))


def test_copies_are_found_and_nothing_else():
    faces = toy_faces.draw(12, side=128).pixels
    hashes = np.stack([duplicates.perceptual_hash(face) for face in faces])
    assert hashes.shape == (12, duplicates.BITS)
    assert hashes.dtype == bool
    brighter = np.clip(faces[3] * 1.1 + 10, 0, 255).astype(np.uint8)
    copies = [saved_again(faces[5], 96, 70), saved_again(faces[5], 200, 60), brighter]
    again = np.stack([duplicates.perceptual_hash(copy) for copy in copies])
    found = list(duplicates.alike(again, hashes))
    assert [(k, j) for k, j, _ in found] == [(0, 5), (1, 5), (2, 3)]
    for k, j, bits in found:
        assert bits == (again[k] != hashes[j]).sum() <= duplicates.THRESHOLD
    assert list(duplicates.alike(hashes)) == []


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
        monkeypatch.setattr(duplicates, "_BLOCK", block)
        assert list(duplicates.alike(hashes, threshold=3)) == expected
    assert [pair[:2] for pair in duplicates.alike(hashes[:1], hashes[:1], threshold=0)] == [(0, 0)]
    assert list(duplicates.alike(hashes[:0], hashes)) == []
    with pytest.raises(ConfigError, match="0 to 31"):
        list(duplicates.alike(hashes, threshold=32))
