import json
import subprocess
import tarfile

import numpy as np
import pytest

from ifrp_tf.core.config import DataConfig
from ifrp_tf.core.errors import ConfigError, DataError
from ifrp_tf.data import bundle, photos, prepare, toy_faces
from ifrp_tf.data.shards import Prepared
from ifrp_tf.pictures import images

CONFIG = DataConfig(side=32, validation_count=3)


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    root = tmp_path_factory.mktemp("bundle")
    for k, pixels in enumerate(toy_faces.draw(12, side=32).pixels):
        images.write_png(root / "photos" / "lfw" / f"person{k // 2}" / f"{k}.png", pixels)
    asked = prepare.Request(source=str(root / "photos"), output=str(root / "shards"), data=CONFIG, shards=2)
    assert prepare.run(asked) == 0
    return root / "shards"


def test_what_is_unpacked_trains_on_the_same_faces_and_split(shards, tmp_path):
    weights = tmp_path / "network.npz"
    np.savez(weights, a=np.arange(9))
    asked = bundle.Request(
        shards=str(shards), output=str(tmp_path / "parts"), side=32, weights=[str(weights)]
    )
    made = bundle.make(asked)
    assert [path.name for path in made] == ["faces-00.tar", "weights-00.tar"]
    assert (
        json.loads((tmp_path / "parts" / "bundle.json").read_text())["faces-00.tar"] == made[0].stat().st_size
    )
    there = tmp_path / "there"
    there.mkdir()
    for _ in range(2):  # parts may come one after the other
        subprocess.run(
            ["sh", str(tmp_path / "parts" / "unpack.sh"), str(tmp_path / "parts")], cwd=there, check=True
        )
    assert (there / "data/weights/network.npz").read_bytes() == weights.read_bytes()
    unpacked = photos.load(there / "data/faces/train", CONFIG)
    training, held_out = photos.split(unpacked, CONFIG.validation_count)
    prepared = Prepared.open(shards, CONFIG)
    for mine, theirs in ((training, prepared.load("train")), (held_out, prepared.load("validation"))):
        mine, theirs = (
            {name.rsplit(".")[0]: face for name, face in zip(part.names, part.pixels, strict=True)}
            for part in (mine, theirs)
        )
        assert mine.keys() == theirs.keys()
        assert max(np.abs(mine[k].astype(int) - theirs[k]).mean() for k in mine) < 6  # JPEG


def test_parts_are_bounded_and_old_ones_go(tmp_path):
    contents = [(f"{k}.bin", bytes(9_000)) for k in range(7)]
    first = bundle._pack(tmp_path / "faces", contents, 40_000)
    assert len(first) == 3
    assert max(path.stat().st_size for path in first) <= 40_000
    names = []
    for path in first:
        with tarfile.open(path) as archive:
            names += archive.getnames()
    assert names == [name for name, _ in contents]
    assert bundle._pack(tmp_path / "faces", contents[:1], 40_000) == first[:1]
    assert sorted(tmp_path.iterdir()) == first[:1]


def test_what_cannot_be_packed_is_named(shards, tmp_path):
    with pytest.raises(DataError, match="missing.npz"):
        bundle.make(
            bundle.Request(shards=str(shards), output=str(tmp_path), side=32, weights=["missing.npz"])
        )
    with pytest.raises(DataError, match=r"large\.bin, 50,000 bytes"):
        bundle._pack(tmp_path / "start", [("large.bin", bytes(50_000))], 40_000)
    with pytest.raises(ConfigError, match="quality 1 to 95"):
        bundle.Request(shards="a", output="b", quality=0)
    with pytest.raises(DataError, match="no-such-package"):
        bundle.make(
            bundle.Request(shards=str(shards), output=str(tmp_path), side=32, wheels=["no-such-package-1"])
        )
