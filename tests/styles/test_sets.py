import drawn_bank
import pytest

from ifrp_tf.core.config import DataConfig
from ifrp_tf.core.errors import ConfigError
from ifrp_tf.styles import formulas, sets


def test_sets_partition_the_styles():
    train, reserved = sets.resolve("train"), sets.resolve("reserved", allow_reserved=True)
    assert not set(train) & set(reserved)
    assert set(train) | set(reserved) == set(sets.resolve("all", allow_reserved=True)) == set(formulas.NAMES)
    assert len(reserved) == 3
    assert len(train) >= 10


def test_names_are_joined_without_repeats():
    a, b = formulas.TRAIN[:2]
    assert sets.resolve(f"{a}, {b},{a}") == (a, b)


@pytest.mark.parametrize("names", ["reserved", "all", formulas.RESERVED[0]])
def test_reserved_styles_are_never_trained_on(names):
    with pytest.raises(ConfigError, match="reserved for testing"):
        sets.resolve(names)


@pytest.mark.parametrize("names", ["", " , ", "traim", "no_such_style"])
def test_unknown_or_no_style_is_an_error(names):
    with pytest.raises(ConfigError):
        sets.resolve(names)


def test_learned_styles_come_from_the_bank(tmp_path):
    folder = drawn_bank.write(tmp_path)
    everything = sets.resolve("all_train", folder=folder)
    assert everything == (*formulas.TRAIN, *sets.resolve("bank", folder=folder))
    assert set(sets.resolve("paper_train", folder=folder)) == {"bank_scream", "bank_candy", "bank_mosaic"}
    assert "bank_wave" not in everything
    with pytest.raises(ConfigError, match="reserved for testing: bank_wave"):
        sets.resolve("bank_candy,bank_wave", folder=folder)
    assert sets.of(DataConfig(bank=folder, styles="bank_wave", allow_reserved=True)) == ("bank_wave",)
    with pytest.raises(ConfigError, match="bank_(feathers|udnie)"):  # the test's bank lacks five of the ten
        sets.resolve("paper_test", folder=folder, allow_reserved=True)


def test_without_a_bank_its_sets_are_unknown(tmp_path):
    with pytest.raises(ConfigError, match="style bank"):
        sets.resolve("all_train", folder=str(tmp_path / "none"))
