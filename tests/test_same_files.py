import numpy as np
import pytest

from ifrp_tf import images
from ifrp_tf.same_files import ROUNDING, compare


def fill(folder, *, level=100, value=1.0, row="a", extra=False):
    pixels = np.full((8, 8, 3), 100, np.uint8)
    pixels[0, 0, 0] = level
    images.write_png(folder / "a.png", pixels)
    np.savez(folder / "a.npz", a=np.array([1.0, value]), names=np.array(["x"]))
    (folder / "report.csv").write_text(row)
    (folder / "log.txt").write_text(str(folder))
    (folder / "environment.json").write_text(f'"{folder}"')
    if extra:
        (folder / "extra.json").write_text("1")
    return folder


@pytest.fixture
def whole(tmp_path):
    return fill(tmp_path / "whole")


def test_equal_folders(whole, tmp_path):
    assert compare(whole, fill(tmp_path / "b")) == ([], True)


def test_last_bits_of_arrays_are_let_pass_but_counted(whole, tmp_path):
    assert compare(whole, fill(tmp_path / "b", value=1 + ROUNDING / 10)) == ([], False)
    (fault,), exact = compare(whole, fill(tmp_path / "c", value=1 + 10 * ROUNDING))
    assert fault.startswith("a.npz differs by 0.0001")
    assert not exact
    assert compare(whole, fill(tmp_path / "d", value=np.nan))[0]


def test_pictures_and_everything_else_are_equal_to_the_bit_unless_levels_are_given(whole, tmp_path):
    other = fill(tmp_path / "b", level=102, row="b", extra=True)
    assert compare(whole, other)[0] == [
        "expected no extra.json", "a.png differs by inf", "report.csv differs by inf",
    ]  # fmt: skip
    assert compare(other, whole)[0][0] == "expected extra.json, received none"
    assert compare(whole, other, only=".png", levels=1) == (["a.png differs by 2"], False)
    assert compare(whole, other, only=".png", levels=2) == ([], False)
