import math

import numpy as np
import pytest
from drawn_protocol import save
from foreign_table import HEADER

from ifrp_tf.core.errors import DataError
from ifrp_tf.data import toy_faces
from ifrp_tf.evaluation import protocols

SIDE = 48


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Six photographs; of each a portrait in `ink`, of the first two one in `oil`, and one of nobody."""
    root = tmp_path_factory.mktemp("foreign")
    lines = [HEADER]
    for k, face in enumerate(toy_faces.draw(6, side=SIDE, seed=4).pixels):
        save(root / "faces" / "set" / f"{k}.jpg", face)
        for style in ("ink", "oil")[: 2 if k < 2 else 1]:
            save(root / style / f"{k}.png", face // 2 if style == "ink" else 255 - face)
            lines.append(f"{style}/{k}.png,test/set/{k}.jpg,{style},{math.radians(5 * k)},1.0,0.0,0.0")
    lines.append("ink/9.png,test/set/9.jpg,ink,0,1,0,0")
    (root / "val.csv").write_text("\n".join(lines))
    return root


def build(folder, **options):
    return protocols.build("foreign", side=SIDE, faces=str(folder / "faces"), foreign=str(folder), **options)


def test_portraits_by_style_with_photographs_and_tilts(folder):
    found = build(folder)
    assert {style: len(names) for style, names in found.styles.items()} == {"ink": 6, "oil": 2}
    assert set(found.photos) == {f"set/{k}" for k in range(6)}
    assert [problem.reason for problem in found.problems] == ["no_photo"]
    names = found.styles["oil"]
    read, photos = found.read_portraits("oil", names), found.read_photos(names)
    assert read.names == photos.names == names
    assert read.angles == tuple(5.0 * int(name[-1]) for name in names)
    assert np.abs(255 - read.pixels.astype(int) - photos.pixels).mean() < 3  # JPEG
    assert found.settings == build(folder).settings


def test_the_limit_is_of_each_style(folder):
    found = build(folder, limit=1)
    assert {style: len(names) for style, names in found.styles.items()} == {"ink": 1, "oil": 1}
    assert set(found.photos) == {name for names in found.styles.values() for name in names}


def test_photographs_that_are_not_there_are_told(folder, tmp_path):
    save(tmp_path / "other.png", np.zeros((SIDE, SIDE, 3), np.uint8))
    with pytest.raises(DataError, match=r"val\.csv"):
        protocols.build("foreign", side=SIDE, faces=str(tmp_path), foreign=str(folder))


def test_the_validation_portraits(data_dir):
    found = protocols.build(
        "foreign", side=128, faces=str(data_dir / "faces" / "test"), foreign=str(data_dir / "foreign")
    )
    assert [len(names) for names in found.styles.values()] == [250] * 4
    assert not found.problems
