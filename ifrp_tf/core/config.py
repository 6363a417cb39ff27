"""The configuration of an experiment: frozen dataclasses in sections, checked when they are made.

`Config` holds the sections and reads and writes itself as JSON; `Config.override` applies assignments such as
`train.batch_size=8`. The sections `data` and `train` are the same for every system and are declared here;
`model` and `loss` belong to the system (`ifrp_tf/systems/<system>/settings.py`), which is looked up by its
name, so that a new system needs no change here. Neither Keras nor TensorFlow is imported.
"""

from __future__ import annotations

import dataclasses
import difflib
import importlib
import pkgutil
import sys
import typing
from types import ModuleType
from typing import Any, Literal

from ifrp_tf.core.errors import ConfigError


def nearest(name: str, names: list[str]) -> str:
    """A hint naming the most similar of `names`, or all of them."""
    close = difflib.get_close_matches(name, names, n=1)
    return f"Did you mean {close[0]!r}?" if close else f"Known: {', '.join(names)}."


def within(config: Any, **limits: tuple[float, float]) -> None:
    """Raises unless every field has its declared type and each named one is within its limits."""
    check_types(config)
    for name, (low, high) in limits.items():
        value = getattr(config, name)
        if not low <= value <= high:
            raise ConfigError(f"Expected {name} between {low} and {high}. Received: {value!r}.")


def check_types(config: Any) -> None:
    """Raises unless each field of `config` has its declared type, each `Literal` one of its choices."""
    for name, hint in typing.get_type_hints(type(config)).items():
        value = getattr(config, name)
        if typing.get_origin(hint) is Literal:
            if value not in typing.get_args(hint):
                known = ", ".join(map(str, typing.get_args(hint)))
                raise ConfigError(f"Expected {name} to be one of {known}. Received: {value!r}.")
        elif not _fits(value, hint):
            raise ConfigError(f"Expected {name} to be of type {_kind(hint)}. Received: {value!r}.")


def _fits(value: Any, hint: Any) -> bool:
    if typing.get_origin(hint) is tuple:
        return isinstance(value, tuple) and all(_fits(part, float) for part in value)
    if isinstance(value, bool):  # Python counts them among the integers
        return hint is bool
    if hint is float:
        return isinstance(value, (int, float)) and abs(value) <= sys.float_info.max  # no NaN, no vast int
    return isinstance(value, hint)


def _kind(hint: Any) -> str:
    return "numbers" if typing.get_origin(hint) is tuple else hint.__name__


def build(kind: type, section: str, given: Any) -> Any:
    """The dataclass `kind` of `section` from plain values as JSON has them (lists for tuples)."""
    names = [field.name for field in dataclasses.fields(kind)]
    if not isinstance(given, dict):
        raise ConfigError(f"Expected section {section} to hold settings. Received: {given!r}.")
    for key in given:
        if key not in names:
            raise ConfigError(f"Unknown setting {section}.{key}.", hint=nearest(key, names))
    return kind(**{key: tuple(value) if isinstance(value, list) else value for key, value in given.items()})


def parse_assignment(assignment: str, kinds: dict[str, type]) -> tuple[str, str, Any]:
    """`(section, key, value)` of `section.key=value`, given the dataclass of each section."""
    path, equals, text = assignment.partition("=")
    section, dot, key = (part.strip() for part in path.partition("."))
    if not (equals and dot):
        raise ConfigError(f"Expected section.key=value. Received: {assignment!r}.")
    if section not in kinds:
        raise ConfigError(f"Unknown section {section!r}.", hint=nearest(section, list(kinds)))
    hints = typing.get_type_hints(kinds[section])
    if key not in hints:
        raise ConfigError(f"Unknown setting {section}.{key}.", hint=nearest(key, list(hints)))
    return section, key, parse(f"{section}.{key}", text.strip(), hints[key])


def parse(path: str, text: str, hint: Any) -> Any:
    """The value that `text` stands for, given the type `hint` of the setting `path`."""
    try:
        if hint is bool:
            return {"true": True, "false": False}[text.lower()]
        if hint in (int, float):
            return hint(text)
        if typing.get_origin(hint) is tuple:
            return tuple(float(part) for part in text.split(",") if part)
    except (KeyError, ValueError):
        raise ConfigError(f"Expected {path} to be of type {_kind(hint)}. Received: {text!r}.") from None
    return text


@dataclasses.dataclass(frozen=True, kw_only=True)
class DataConfig:
    """Photographs, misalignment and styles.

    Attributes:
        side: side of the square pictures, pixels.
        crop: centre square cut from each photograph before resizing, pixels (178 for CelebA); 0 = whole.
        styles: name of a style set, or style names separated by commas.
        validation_count: photographs held out of training, chosen by a hash of the person.
        max_angle: largest tilt, degrees.
        max_scale: scale factors lie within 1 ± this.
        max_shift: largest shift, pixels of a side of 128.
        angles: if not empty, tilts are drawn from these degrees only.
        degrade: probability with which a portrait is passed through random scan degradations.
        strength: least strength of a style; each portrait mixes style and photograph by U(strength, 1).
        group: pictures that share one style within a batch; divides the batch size.
        flip: whether photographs are mirrored at random.
        bank: folder of the style bank, for sets of learned styles; empty = the one that is shipped.
        allow_reserved: train on styles that are kept for testing all the same.
        sketches: folder of hand-drawn sketches to train on as well, `sketch/` and `photo/` with equal names.
        sketch_share: part of the groups that are such sketches, misaligned and degraded like the rest.
        sketch_tones: part of these whose photograph takes on brightness and colours of another photograph.
        foreign: folder of portraits that other people's networks painted, with `train.csv`, to train on too.
        foreign_share: part of the groups that are such portraits, mirrored, moved and degraded again.
        augment: factor of the chances of random changes of every portrait (`styles/augmentations.py`).
        backdrop: part of the groups whose portraits get another background behind the head.
        restyle: part of the groups whose portraits are painted once more, in a second style.
        weak: part of the portraits whose style is of any strength, from 0, the plain photograph, on.
        labels: folder of attributes of the photographs (`data/attributes.py`), for systems told them.
    """

    side: int = 128
    crop: int = 0
    styles: str = "train"
    validation_count: int = 500
    max_angle: float = 30.0
    max_scale: float = 0.15
    max_shift: float = 8.0
    angles: tuple[float, ...] = ()
    degrade: float = 0.5
    strength: float = 0.75
    group: int = 4
    flip: bool = True
    bank: str = ""
    allow_reserved: bool = False
    sketches: str = ""
    sketch_share: float = 0.1
    sketch_tones: float = 0.0
    foreign: str = ""
    foreign_share: float = 0.5
    augment: float = 0.0
    backdrop: float = 0.0
    restyle: float = 0.0
    weak: float = 0.0
    labels: str = ""

    def __post_init__(self) -> None:
        within(self, side=(16, 1024), crop=(0, 16384), validation_count=(1, 10**6), max_angle=(0, 180))
        within(self, max_scale=(0, 0.9), max_shift=(0, 64), degrade=(0, 1), strength=(0, 1), group=(1, 256))
        within(self, sketch_share=(0, 0.9), sketch_tones=(0, 1), foreign_share=(0, 0.95), augment=(0, 1))
        within(self, backdrop=(0, 1), restyle=(0, 1), weak=(0, 1))
        if self.sketches and self.foreign and self.sketch_share + self.foreign_share > 1:
            raise ConfigError(
                "Expected data.sketch_share + data.foreign_share of at most 1. "
                f"Received: {self.sketch_share} + {self.foreign_share}."
            )


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """Optimisation and everything periodic.

    Attributes:
        pictures: training pictures to pass; the budget of the run.
        batch_size: pictures a step.
        optimizer: `rmsprop` (paper: rho 0.9, epsilon 1e-8 outside the root) or `adam`.
        learning_rate: of both networks.
        learning_rate_decay: factor an epoch (paper 0.99), floor 1e-6.
        schedule: `paper` (decay an epoch, warm-up lr/50 then lr/5 for 50 steps each) or `cosine` (to 1 %).
        epoch_pictures: pictures after which an epoch ends.
        ema: decay of the exponential moving average of the SRN a step; 0 = none.
        checkpoint_minutes: time between checkpoints (0 = at every epoch's end only).
        checkpoint_steps: steps between checkpoints (0 = by time only).
        patience: epochs without a gain of validation PSNR after which the run stops; 0 = never.
        seed: of everything random.
        deterministic: bit-for-bit repeatable on one machine (slower).
        dtype: `float32` or `bfloat16` (mixed).
        jit_compile: XLA.
    """

    pictures: int = 100_000
    batch_size: int = 16
    optimizer: Literal["rmsprop", "adam"] = "rmsprop"
    learning_rate: float = 1e-3
    learning_rate_decay: float = 0.99
    schedule: Literal["paper", "cosine"] = "paper"
    epoch_pictures: int = 8_000
    ema: float = 0.0
    checkpoint_minutes: float = 5.0
    checkpoint_steps: int = 0
    patience: int = 0
    seed: int = 1
    deterministic: bool = False
    dtype: Literal["float32", "bfloat16"] = "float32"
    jit_compile: bool = False

    def __post_init__(self) -> None:
        within(self, pictures=(1, 10**10), batch_size=(1, 4096), learning_rate=(1e-8, 1), ema=(0, 0.99999))
        within(self, learning_rate_decay=(0.1, 1), epoch_pictures=(1, 10**9), checkpoint_minutes=(0, 1e5))
        within(self, checkpoint_steps=(0, 10**9), patience=(0, 10**6), seed=(0, 2**31 - 1))
        if self.epoch_pictures < self.batch_size:
            raise ConfigError(
                "Expected train.epoch_pictures >= train.batch_size. "
                f"Received: {self.epoch_pictures} < {self.batch_size}."
            )

    @property
    def steps(self) -> int:
        """Steps of the whole run, rounded up."""
        return -(-self.pictures // self.batch_size)

    @property
    def epoch_steps(self) -> int:
        """Steps of an epoch."""
        return max(1, self.epoch_pictures // self.batch_size)


SYSTEMS = "ifrp_tf.systems"


def system_names() -> list[str]:
    """The names of all systems: the folders below `ifrp_tf/systems` that have settings."""
    package = importlib.import_module(SYSTEMS)
    return [found.name for found in pkgutil.iter_modules(package.__path__) if found.ispkg]


def system_settings(name: str) -> ModuleType:
    """The module `settings` of a system: its `ModelConfig`, its `LossConfig` and its `PRESETS`.

    Args:
        name: of the system, such as `ifrp`.

    Raises:
        ConfigError: there is no such system; the hint names the nearest.
    """
    known = system_names()
    if name not in known:
        raise ConfigError(f"Expected the name of a system. Received: {name!r}.", hint=nearest(name, known))
    return importlib.import_module(f"{SYSTEMS}.{name}.settings")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
    """Everything a run needs besides its folders; written to `<run>/config.json`.

    Attributes:
        system: whose networks are trained, a folder below `ifrp_tf/systems`.
        data: photographs, misalignment and styles.
        model: architecture, the `ModelConfig` of the system; its defaults where None is given.
        loss: objective, the `LossConfig` of the system; its defaults where None is given.
        train: optimisation and everything periodic.

    Raises:
        ConfigError: a value is out of range, of another type, or does not go with another.

    Example:
        >>> Config().override(["train.batch_size=8", "data.flip=false"]).train.batch_size
        8
    """

    system: str = "ifrp"
    data: DataConfig = DataConfig()
    model: Any = None
    loss: Any = None
    train: TrainConfig = TrainConfig()

    def __post_init__(self) -> None:
        settings = system_settings(self.system)
        for name, kind in (("model", settings.ModelConfig), ("loss", settings.LossConfig)):
            given = getattr(self, name)
            if given is None:
                object.__setattr__(self, name, kind())
            elif not isinstance(given, kind):
                raise ConfigError(
                    f"Expected {name} to be the {kind.__name__} of the system {self.system}. "
                    f"Received: {type(given).__module__}.{type(given).__name__}."
                )
        if self.train.batch_size % self.data.group:
            raise ConfigError(
                "Expected train.batch_size to be a multiple of data.group. "
                f"Received: {self.train.batch_size} and {self.data.group}."
            )
        if hasattr(settings, "check"):
            settings.check(self)

    def to_dict(self) -> dict[str, Any]:
        """Nested plain values, ready for JSON."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Config:
        """The inverse of `to_dict`: missing names take their defaults (a missing system is `ifrp`).

        Raises:
            ConfigError: an unknown name, with the nearest one as a hint, or a value that does not fit.
        """
        system = values.get("system", "ifrp")
        if not isinstance(system, str):
            raise ConfigError(f"Expected the name of a system. Received: {system!r}.")
        kinds = _kinds(system)
        for name in values:
            if name != "system" and name not in kinds:
                raise ConfigError(f"Unknown section {name!r}.", hint=nearest(name, list(kinds)))
        sections = {name: build(kind, name, values.get(name, {})) for name, kind in kinds.items()}
        return cls(system=system, **sections)

    def override(self, assignments: list[str]) -> Config:
        """A copy with `section.key=value` assignments applied, values checked against the field's type."""
        values, kinds = self.to_dict(), _kinds(self.system)
        for assignment in assignments:
            section, key, value = parse_assignment(assignment, kinds)
            values[section][key] = value
        return Config.from_dict(values)

    def difference(self, other: Config) -> dict[str, tuple[Any, Any]]:
        """The settings in which two configurations differ.

        Args:
            other: to compare with.

        Returns:
            `(value here, value there)` by `section.key`; a setting that one of them lacks is None there.
        """
        ours, theirs = _flat(self.to_dict()), _flat(other.to_dict())
        keys = sorted(set(ours) | set(theirs))
        return {key: (ours.get(key), theirs.get(key)) for key in keys if ours.get(key) != theirs.get(key)}


def _kinds(system: str) -> dict[str, type]:
    settings = system_settings(system)
    return {
        "data": DataConfig,
        "model": settings.ModelConfig,
        "loss": settings.LossConfig,
        "train": TrainConfig,
    }


def _flat(values: dict[str, Any]) -> dict[str, Any]:
    flat: dict[str, Any] = {"system": values["system"]}
    for section, part in values.items():
        if isinstance(part, dict):
            flat.update({f"{section}.{key}": value for key, value in part.items()})
    return flat
