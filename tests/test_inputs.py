import pytest

from ifrp_tf import inputs
from ifrp_tf.errors import DataError


def test_what_is_there_and_what_may_be_there_is_accepted(tmp_path):
    (tmp_path / "a[1]").mkdir()
    inputs.require(str(tmp_path), str(tmp_path / "a[1]"), "", str(tmp_path / "*.png"))


def test_what_is_not_there_is_refused_with_the_nearest_name(tmp_path):
    (tmp_path / "portraits").mkdir()
    with pytest.raises(DataError, match="does not exist.*nearest name is 'portraits'"):
        inputs.require(str(tmp_path), str(tmp_path / "potraits"))
