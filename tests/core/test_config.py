"""Tests of `core/config`."""

import dataclasses
import json
from typing import Literal

import pytest

from ifrp_tf.core.config import (
    Config,
    DataConfig,
    TrainConfig,
    build,
    check_types,
    nearest,
    parse,
    parse_assignment,
    within,
)
from ifrp_tf.core.errors import ConfigError
from ifrp_tf.systems.ifrp.settings import LossConfig, ModelConfig


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


SECTIONS = {"data": DataConfig, "model": ModelConfig, "loss": LossConfig, "train": TrainConfig}
EVERY_FIELD = [
    (section, field.name) for section, kind in SECTIONS.items() for field in dataclasses.fields(kind)
]


def test_defaults_are_the_papers():
    config = Config()
    assert (config.train.optimizer, config.train.learning_rate) == ("rmsprop", 1e-3)
    assert (config.loss.pixel, config.loss.adversarial, config.loss.adversarial_kind) == ("l2", 0.01, "bce")
    assert (config.loss.adversarial_decay, config.train.learning_rate_decay) == (0.995, 0.99)
    assert (config.model.srn, config.model.stn, config.model.skips) == ("ijcv", "paper", "top2_residual")
    assert (config.loss.ssim, config.loss.alignment, config.loss.identity_cosine) == (0.0, 0.0, 0.0)


@pytest.mark.parametrize(("section", "name"), EVERY_FIELD)
def test_every_setting_is_explained(section, name):
    assert f"\n        {name}: " in SECTIONS[section].__doc__


@pytest.mark.parametrize(("section", "name"), EVERY_FIELD)
def test_every_setting_refuses_a_value_of_another_type(section, name):
    for wrong in (None, {"a": 1}, object()):
        with pytest.raises(ConfigError, match=name):
            SECTIONS[section](**{name: wrong})


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        (LossConfig, {"identity_cosine": 0.1, "identity_network": "vgg19"}, "identity_cosine"),
        (ModelConfig, {"stn": "input", "srn": "wacv"}, "srn=ijcv"),
        (ModelConfig, {"stn_bounded": True, "stn_start": "authors"}, "stn_start=identity"),
        (TrainConfig, {"epoch_pictures": 4, "batch_size": 8}, "epoch_pictures"),
        (DataConfig, {"sketch_share": 1.0}, "sketch_share between 0 and 0.9"),
    ],
)
def test_settings_that_contradict_each_other(kind, options, message):
    with pytest.raises(ConfigError, match=message):
        kind(**options)


def test_survives_json():
    config = Config(
        data=DataConfig(angles=(-30.0, 0.0, 30.0), flip=False),
        model=ModelConfig(srn="wacv"),
        loss=LossConfig(pixel="l1"),
        train=TrainConfig(learning_rate=3e-4, dtype="bfloat16"),
    )
    again = Config.from_dict(json.loads(json.dumps(config.to_dict())))
    assert again == config
    assert hash(again) == hash(config)


def test_missing_settings_take_their_defaults():
    assert Config.from_dict({}) == Config()
    assert Config.from_dict({"train": {"seed": 7}}) == Config(train=TrainConfig(seed=7))


@pytest.mark.parametrize(("section", "name"), EVERY_FIELD)
def test_every_setting_can_be_overridden_with_its_own_text(section, name):
    value = getattr(getattr(Config(), section), name)
    text = ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
    assert Config().override([f"{section}.{name}={text}"]) == Config()


def test_override_parses_by_type():
    config = Config().override(
        [
            "train.batch_size=8",
            "train.learning_rate=2e-4",
            "data.flip=FALSE",
            "data.angles=-30, 0,30",
            "data.styles=candy,mosaic",
            " model.skips = unet ",
        ]
    )
    assert config.train.batch_size == 8
    assert type(config.train.batch_size) is int
    assert config.train.learning_rate == 2e-4
    assert config.data.flip is False
    assert config.data.angles == (-30.0, 0.0, 30.0)
    assert config.data.styles == "candy,mosaic"
    assert config.model.skips == "unet"
    assert config.override(["data.angles="]).data.angles == ()


def test_override_leaves_the_original_alone():
    config = Config()
    assert config.override(["train.seed=9"]).train.seed == 9
    assert config == Config()
    with pytest.raises(dataclasses.FrozenInstanceError):
        config.train.seed = 9


def test_later_assignments_win_and_are_checked_together():
    assert Config().override(["train.seed=2", "train.seed=3"]).train.seed == 3
    # Each alone contradicts the other's default.
    together = Config().override(["loss.alignment=0.1", "model.stn=input"])
    assert (together.loss.alignment, together.model.stn) == (0.1, "input")


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("train.batch=8", r"Unknown setting train\.batch\. Did you mean 'batch_size'\?"),
        ("trian.seed=1", r"Unknown section 'trian'\. Did you mean 'train'\?"),
        ("model.zzzzqqq=1", r"Unknown setting model\.zzzzqqq\. Known: srn, width"),
        ("seed=1", r"Expected section\.key=value\. Received: 'seed=1'"),
        ("train.seed", r"Expected section\.key=value\. Received: 'train.seed'"),
        ("train.seed=1e3", r"train\.seed to be of type int\. Received: '1e3'"),
        ("train.seed=", r"train\.seed to be of type int\. Received: ''"),
        ("train.learning_rate=fast", r"train\.learning_rate to be of type float\. Received: 'fast'"),
        ("data.flip=yes", r"data\.flip to be of type bool\. Received: 'yes'"),
        ("data.angles=1,b", r"data\.angles to be of type numbers\. Received: '1,b'"),
        ("model.srn=fdn", r"srn to be one of ijcv, wacv, fdnn, aligner\. Received: 'fdn'"),
        ("train.learning_rate=nan", r"learning_rate to be of type float\. Received: nan"),
        ("train.batch_size=0", r"batch_size between 1 and 4096\. Received: 0"),
        ("data.max_angle=-1", r"max_angle between 0 and 180\. Received: -1"),
        ("train.ema=1.0", r"ema between 0 and 0.99999"),
        ("train.seed=-1", r"seed between 0 and"),
        ("train.patience=-1", r"patience between 0 and"),
        ("loss.adversarial_start=-1", r"adversarial_start between 0 and"),
    ],
)
def test_bad_assignments_say_what_was_expected(assignment, message):
    with pytest.raises(ConfigError, match=message):
        Config().override([assignment])


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"trian": {}}, r"Unknown section 'trian'\. Did you mean 'train'\?"),
        ({"train": {"bach_size": 4}}, r"Unknown setting train\.bach_size\. Did you mean 'batch_size'\?"),
        ({"train": {"batch_size": 4.5}}, r"batch_size to be of type int\. Received: 4\.5"),
        ({"train": {"batch_size": True}}, r"batch_size to be of type int\. Received: True"),
        ({"train": {"jit_compile": 1}}, r"jit_compile to be of type bool\. Received: 1"),
        ({"data": {"angles": ["a"]}}, r"angles to be of type numbers"),
        ({"data": {"styles": 3}}, r"styles to be of type str\. Received: 3"),
        ({"data": None}, r"section data to hold settings\. Received: None"),
    ],
)
def test_damaged_files_say_what_was_expected(values, message):
    with pytest.raises(ConfigError, match=message):
        Config.from_dict(values)


@pytest.mark.parametrize(
    ("assignments", "message"),
    [
        (["train.batch_size=6"], r"batch_size to be a multiple of data\.group\. Received: 6 and 4"),
        (["loss.alignment=1"], r"loss\.alignment expects model\.stn=input\. Received: model\.stn=paper"),
        (["model.stn_bounded=true", "model.stn_start=authors"], r"stn_start=identity with stn_bounded=true"),
        (["model.srn=wacv", "model.stn=input"], r"srn=ijcv for stn=input\. Received: srn=wacv"),
        (["loss.identity_cosine=0.1"], r"identity_network=mobilefacenet or facenet\. Received: vgg19"),
        (["train.epoch_pictures=8"], r"epoch_pictures >= train\.batch_size\. Received: 8 < 16"),
    ],
)
def test_contradictions_are_refused(assignments, message):
    with pytest.raises(ConfigError, match=message):
        Config().override(assignments)


@pytest.mark.parametrize("network", ["mobilefacenet", "facenet"])
def test_face_networks_have_an_embedding_to_compare(network):
    config = Config().override([f"loss.identity_network={network}", "loss.identity_cosine=0.1"])
    assert config.loss.identity_cosine == 0.1


@pytest.mark.parametrize(
    ("pictures", "batch_size", "epoch_pictures", "steps", "epoch_steps"),
    [(100, 16, 32, 7, 2), (96, 16, 47, 6, 2), (1, 16, 16, 1, 1), (160, 1, 160, 160, 160)],
)
def test_steps_follow_from_pictures(pictures, batch_size, epoch_pictures, steps, epoch_steps):
    train = TrainConfig(pictures=pictures, batch_size=batch_size, epoch_pictures=epoch_pictures)
    assert (train.steps, train.epoch_steps) == (steps, epoch_steps)
