import dataclasses
from typing import Literal

import pytest
from absl import flags

from ifrp_tf.cli import command
from ifrp_tf.cli.command import define_flags, explanations, option, request_from


@dataclasses.dataclass(frozen=True, kw_only=True)
class Kitchen:
    """A kitchen.

    Attributes:
        ovens: How many; a line
            that goes on.
        heat, cold: Degrees.
        name: What it is called.
        kind: Of food.
        spices: By commas.
        pot: Given several times.
        clean: Whether.
        seats: Without a number: any.

    Raises:
        ConfigError: never.
    """

    ovens: int = option(1, low=1, high=4)
    heat: float = 0.5
    cold: float = -1.0
    name: str
    kind: Literal["hot", "cold"] = "hot"
    spices: tuple[str, ...] = ("salt",)
    pot: tuple[str, ...] = option((), repeated=True)
    clean: bool = True
    seats: int | None = None


def parsed(*arguments):
    values = flags.FlagValues()
    define_flags(Kitchen, values)
    values(["kitchen", *arguments])
    return request_from(Kitchen, values)


def test_the_fields_are_the_flags():
    assert parsed("--name=a") == Kitchen(name="a")
    given = parsed(
        "--name=a", "--ovens=2", "--heat=1e2", "--kind=cold", "--spices=a,b", "--pot=x,y", "--pot=z",
        "--noclean", "--seats=3",
    )  # fmt: skip
    assert given == Kitchen(
        name="a", ovens=2, heat=100.0, kind="cold", spices=("a", "b"), pot=("x,y", "z"), clean=False, seats=3
    )


@pytest.mark.parametrize(
    "arguments", [(), ("--name=a", "--ovens=0"), ("--name=a", "--ovens=5"), ("--name=a", "--kind=warm")]
)
def test_what_does_not_fit_is_refused(arguments):
    with pytest.raises(flags.Error):
        parsed(*arguments)


def test_the_docstring_is_the_help():
    told = explanations(Kitchen)
    assert told["ovens"] == "How many; a line that goes on."
    assert told["heat"] == told["cold"] == "Degrees."
    assert "ConfigError" not in told


def test_what_is_inherited_is_explained_too():
    @dataclasses.dataclass(frozen=True, kw_only=True)
    class Larger(Kitchen):
        """With a default for the name."""

        name: str = "large"

    values = flags.FlagValues()
    define_flags(Larger, values)
    values(["kitchen"])
    assert request_from(Larger, values).name == "large"
    assert values["name"].help == "What it is called."


def test_a_field_without_explanation_is_an_error():
    @dataclasses.dataclass(frozen=True)
    class Silent:
        """Nothing."""

        a: int = 1

    with pytest.raises(TypeError, match="line for a"):
        define_flags(Silent, flags.FlagValues())


def test_every_command_explains_all_its_flags():
    from ifrp_tf.cli import main

    for name in main.commands():
        module = command.importlib.import_module(f"ifrp_tf.cli.{name.replace('-', '_')}")
        values = flags.FlagValues()
        define_flags(module.Request, values)
        assert all(values[flag].help for flag in values), name
        assert "Exit code" in module.__doc__, name
