import numpy as np
import pytest
from foreign_table import HEADER, write

from ifrp_tf.core.config import DataConfig
from ifrp_tf.core.errors import DataError
from ifrp_tf.data import foreign
from ifrp_tf.data.photos import PhotoSet


def photos(*names, side=32):
    return PhotoSet(np.zeros((len(names), side, side, 3), np.uint8), names)


def test_portraits_of_the_photographs_of_a_set_and_no_others(tmp_path):
    write(
        tmp_path,
        [("a", "train/x/1.jpg", 10, 0.1), ("b", "train/x/2.jpg", 20, 0.2), ("c", "x/3.jpg", 30, -0.3)],
    )
    found = foreign.load(DataConfig(side=32, foreign=str(tmp_path)), photos("x/3.jpg", "x/1.jpg"))
    assert len(found) == 2  # 2.jpg, held out perhaps, is not trained on
    assert found.portraits.shape == (2, 32, 32, 3)
    assert [int(p[0, 0, 0]) for p in found.portraits] == [10, 30]
    assert found.places.tolist() == [1, 0]
    np.testing.assert_allclose(found.undoing[:, 0], [0.1, -0.3])
    np.testing.assert_allclose(found.undoing[:, 1:], [[1.1, 0.05, -0.1]] * 2)


def test_none_without_a_folder(tmp_path):
    assert foreign.load(DataConfig(), photos("x/1.jpg")) is None


@pytest.mark.parametrize(
    ("header", "theta", "message"),
    [
        (HEADER, 0.1, "Received: none"),
        (HEADER.replace("undo_t2", "t2"), 0.1, "Missing: ..undo_t2"),
        (HEADER, "x", "line 2"),
        (HEADER, "nan", "line 2"),
    ],
)
def test_what_cannot_be_used_is_told(tmp_path, header, theta, message):
    write(tmp_path, [("a", "y/9.jpg", 10, theta)], header)
    with pytest.raises(DataError, match=message):
        foreign.load(DataConfig(foreign=str(tmp_path)), photos("x/1.jpg"))


def test_a_folder_without_a_table_is_told(tmp_path):
    with pytest.raises(DataError, match=r"train\.csv"):
        foreign.load(DataConfig(foreign=str(tmp_path)), photos("x/1.jpg"))


def test_names_are_ends_of_paths():
    assert foreign.ending("train/celeba/1.jpg", {"celeba/1.jpg", "1.jpg"}) == "celeba/1.jpg"
    assert foreign.ending("train/celeba/1.jpg", {"a/1.jpg"}) is None
