import numpy as np
import pytest

from ifrp_tf.core.config import DataConfig
from ifrp_tf.core.errors import DataError
from ifrp_tf.data import sketches
from ifrp_tf.pictures import images


def write(folder, kind, names, level):
    for name in names:
        images.write_png(folder / kind / f"{name}.png", np.full((40, 40, 3), level + int(name), np.uint8))


def test_pairs_by_name_in_order(tmp_path):
    for kind, names, level in (("sketch", "3127", 0), ("photo", "1235", 100)):
        (tmp_path / kind).mkdir()
        write(tmp_path, kind, names, level)
    found = sketches.load(DataConfig(side=32, sketches=str(tmp_path)))
    assert len(found) == 3
    assert found.sketches.shape == found.photos.shape == (3, 32, 32, 3)
    assert [int(part[0, 0, 0]) for part in found.sketches] == [1, 2, 3]
    assert [int(part[0, 0, 0]) for part in found.photos] == [101, 102, 103]


def test_none_without_a_folder_and_an_error_without_pairs(tmp_path):
    assert sketches.load(DataConfig()) is None
    with pytest.raises(DataError, match="no pair"):
        sketches.load(DataConfig(sketches=str(tmp_path)))
