import drawn_bank
import numpy as np
import pytest
from helpers import both_ways

from ifrp_tf.core.errors import DataError
from ifrp_tf.styles import bank

PHOTOS = np.random.default_rng(1).uniform(-1, 1, (3, 32, 48, 3)).astype("float32")


@pytest.fixture(scope="module")
def made():
    return drawn_bank.random_bank()


def test_a_style_is_its_parameters(made):
    table = made.table(("bank_candy", "bank_mosaic"))
    assert table.shape == (3, bank.PARAMETERS)
    first, second = (np.asarray(bank.stylise(made.trunk, table[k : k + 1], PHOTOS)) for k in (1, 2))
    assert first.shape == PHOTOS.shape
    assert first.dtype == np.float32
    assert np.abs(first).max() <= 1
    assert np.abs(first - second).mean() > 0.02
    both = np.asarray(bank.stylise(made.trunk, table[[1, 2, 1]], PHOTOS))
    np.testing.assert_allclose(both, np.stack([first[0], second[1], first[2]]), atol=1e-5)


def test_eager_and_in_graph_are_equal(made):
    row = made.table(("bank_candy",))[1:]
    both_ways(lambda photos: bank.stylise(made.trunk, row, photos), PHOTOS, tolerance=1e-4)


def test_instance_norm_takes_contrast_and_brightness_out(made):
    """The first convolution is linear and then normalised, so an affine change of the picture is lost."""
    row = made.table(("bank_candy",))[1:]
    a, b = (np.asarray(bank.stylise(made.trunk, row, part)) for part in (PHOTOS, 0.5 * PHOTOS + 0.2))
    np.testing.assert_allclose(a, b, atol=0.02)


def test_mixtures_lie_between(made):
    table = made.table(("bank_candy", "bank_mosaic"))
    numbers = lambda *values: np.array(values, "float32")  # noqa: E731
    rows = np.asarray(bank.mixed(table, 0, numbers(0, 1, 0.5, 1), 1, numbers(0.3, 0, 0, 0.25)))
    expected = [table[0], table[1], (table[0] + table[1]) / 2, 0.75 * table[1] + 0.25 * table[2]]
    np.testing.assert_allclose(rows, expected, atol=1e-5)


def test_a_bank_is_read_back(tmp_path, made):
    found = bank.load(drawn_bank.write(tmp_path, made))
    assert set(found.names) == {"bank_" + name for name in ("wave", "sketch", *drawn_bank.NAMES)}
    np.testing.assert_allclose(found.styles["candy"], made.styles["candy"], atol=2e-3)
    np.testing.assert_allclose(found.trunk["conv1"], made.trunk["conv1"], atol=2e-3)


def test_what_is_no_bank_is_said(tmp_path):
    with pytest.raises(DataError, match="style bank"):
        bank.load(str(tmp_path / "none"))
    folder = tmp_path / "cut"
    drawn_bank.write(folder)
    (folder / bank.TRUNK).write_bytes((folder / bank.TRUNK).read_bytes()[:500])
    with pytest.raises(DataError, match="style bank"):
        bank.load(str(folder))
    other = tmp_path / "other"
    drawn_bank.write(other)
    np.savez(other / "own.npz", mine=np.zeros(3))
    with pytest.raises(DataError, match="mine"):
        bank.load(str(other))


def test_reserved_names_are_the_papers_unseen_seven():
    assert len(bank.RESERVED) == 7
    assert not {"bank_scream", "bank_candy", "bank_mosaic"} & set(bank.RESERVED)
