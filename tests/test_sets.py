import pytest

from ifrp_tf.errors import ConfigError
from ifrp_tf.styles import procedural, sets


def test_sets_partition_the_styles():
    train, reserved = sets.resolve("train"), sets.resolve("reserved", allow_reserved=True)
    assert not set(train) & set(reserved)
    assert (
        set(train) | set(reserved) == set(sets.resolve("all", allow_reserved=True)) == set(procedural.STYLES)
    )
    assert len(reserved) == 3
    assert len(train) >= 10


def test_names_are_joined_without_repeats():
    a, b = procedural.TRAIN[:2]
    assert sets.resolve(f"{a}, {b},{a}") == (a, b)


@pytest.mark.parametrize("names", ["reserved", "all", procedural.RESERVED[0]])
def test_reserved_styles_are_never_trained_on(names):
    with pytest.raises(ConfigError, match="reserved for testing"):
        sets.resolve(names)


@pytest.mark.parametrize("names", ["", " , ", "traim", "no_such_style"])
def test_unknown_or_no_style_is_an_error(names):
    with pytest.raises(ConfigError):
        sets.resolve(names)
