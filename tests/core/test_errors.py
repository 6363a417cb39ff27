import pytest

from ifrp_tf.core import errors


def test_message_and_hint_are_one_text():
    error = errors.ConfigError("Expected a. Received: b.", hint="Do c.")
    assert str(error) == "Expected a. Received: b. Do c."
    assert (error.message, error.hint) == ("Expected a. Received: b.", "Do c.")
    assert str(errors.DataError("Alone.")) == "Alone."


def test_image_errors_carry_a_reason():
    error = errors.ImageError("truncated", "Cut off.", hint="Fetch it again.")
    assert (error.reason, str(error)) == ("truncated", "Cut off. Fetch it again.")


@pytest.mark.parametrize(
    ("kind", "builtin"),
    [
        (errors.ConfigError, ValueError),
        (errors.DataError, ValueError),
        (errors.ModelError, ValueError),
        (errors.TrainingError, RuntimeError),
        (errors.ServingError, RuntimeError),
    ],
)
def test_one_family_that_is_also_the_expected_builtin(kind, builtin):
    with pytest.raises(builtin):
        raise kind("x")
    assert issubclass(kind, errors.IfrpError)
