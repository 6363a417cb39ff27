import dataclasses
from typing import Literal

import pytest

from ifrp_tf.errors import ConfigError
from ifrp_tf.settings import build, check_types, nearest, parse, parse_assignment, within


@dataclasses.dataclass(frozen=True, kw_only=True)
class Kitchen:
    ovens: int = 1
    heat: float = 0.5
    clean: bool = True
    name: str = "kitchen"
    fuel: Literal["gas", "wood"] = "gas"
    hours: tuple[float, ...] = ()


def test_nearest_prefers_the_similar_name_and_else_lists_all():
    assert nearest("oven", ["ovens", "heat"]) == "Did you mean 'ovens'?"
    assert nearest("xyz", ["ovens", "heat"]) == "Known: ovens, heat."


def test_limits_are_inclusive():
    for heat in (0, 0.0, 0.25, 1):
        within(Kitchen(heat=heat), heat=(0, 1))
    for heat in (-1e-9, 1.0001):
        with pytest.raises(ConfigError, match="Expected heat between 0 and 1"):
            within(Kitchen(heat=heat), heat=(0, 1))


@pytest.mark.parametrize(
    ("name", "value", "kind"),
    [
        ("ovens", 1.0, "int"),
        ("ovens", True, "int"),
        ("ovens", "1", "int"),
        ("heat", "hot", "float"),
        ("heat", float("nan"), "float"),
        ("heat", float("inf"), "float"),
        ("heat", False, "float"),
        ("clean", 1, "bool"),
        ("name", None, "str"),
        ("hours", [1.0], "numbers"),
        ("hours", (1.0, "two"), "numbers"),
        ("fuel", "coal", None),
        ("fuel", None, None),
    ],
)
def test_values_of_another_type_are_refused_by_name(name, value, kind):
    expected = f"Expected {name} to be of type {kind}" if kind else f"Expected {name} to be one of gas, wood"
    with pytest.raises(ConfigError, match=expected):
        check_types(Kitchen(**{name: value}))


def test_good_values_pass():
    check_types(Kitchen())
    check_types(Kitchen(ovens=-3, heat=2, clean=False, name="", fuel="wood", hours=(1, 2.5)))


@pytest.mark.parametrize(
    ("text", "hint", "value"),
    [
        ("3", int, 3),
        ("-3", int, -3),
        ("1e-3", float, 1e-3),
        ("True", bool, True),
        ("false", bool, False),
        ("1,-2.5", tuple[float, ...], (1.0, -2.5)),
        ("", tuple[float, ...], ()),
        ("a=b,c", str, "a=b,c"),
        ("gas", Literal["gas", "wood"], "gas"),
    ],
)
def test_parse_gives_the_declared_type(text, hint, value):
    parsed = parse("kitchen.x", text, hint)
    assert parsed == value
    assert type(parsed) is type(value)


@pytest.mark.parametrize(
    ("text", "hint"), [("x", int), ("1.5", int), ("", float), ("on", bool), ("1;2", tuple[float])]
)
def test_parse_names_the_setting_it_cannot_read(text, hint):
    with pytest.raises(ConfigError, match=r"Expected kitchen\.x to be of type .*Received: '"):
        parse("kitchen.x", text, hint)


def test_assignment_splits_at_the_first_equals_sign():
    assert parse_assignment("kitchen.name=a=b", {"kitchen": Kitchen}) == ("kitchen", "name", "a=b")
    assert parse_assignment(" kitchen . ovens = 2 ", {"kitchen": Kitchen}) == ("kitchen", "ovens", 2)
    with pytest.raises(ConfigError, match="Did you mean 'heat'"):
        parse_assignment("kitchen.heet=1", {"kitchen": Kitchen})


def test_build_turns_lists_into_tuples():
    assert build(Kitchen, "kitchen", {"hours": [1.0, 2.0], "ovens": 2}) == Kitchen(hours=(1.0, 2.0), ovens=2)
    with pytest.raises(ConfigError, match="Unknown setting kitchen.oven"):
        build(Kitchen, "kitchen", {"oven": 1})
    with pytest.raises(ConfigError, match="section kitchen to hold settings"):
        build(Kitchen, "kitchen", [1])
