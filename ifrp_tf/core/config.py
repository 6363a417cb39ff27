"""The configuration of an experiment: frozen dataclasses in sections, checked when they are made.

`Config` holds the sections and reads and writes itself as JSON;
`Config.override` applies `--set` assignments.
"""

from __future__ import annotations

import dataclasses
import difflib
import sys
import typing
from typing import Any, Literal

from ifrp_tf.core.errors import ConfigError

# ---- Checks and parsing shared by the configuration dataclasses ----


def nearest(name: str, names: list[str]) -> str:
    """A hint naming the most similar of `names`, or all of them."""
    close = difflib.get_close_matches(name, names, n=1)
    return f"Did you mean {close[0]!r}?" if close else f"Known: {', '.join(names)}."


def within(config: Any, **limits: tuple[float, float]) -> None:
    """Raises unless every field has its declared type and each named one lies within its limits."""
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


# ---- The sections of the configuration: frozen dataclasses, checked when made ----


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

    def __post_init__(self) -> None:
        within(self, side=(16, 1024), crop=(0, 16384), validation_count=(1, 10**6), max_angle=(0, 180))
        within(self, max_scale=(0, 0.9), max_shift=(0, 64), degrade=(0, 1), strength=(0, 1), group=(1, 256))
        within(self, sketch_share=(0, 0.9), sketch_tones=(0, 1))


@dataclasses.dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """The two networks (`networks.py` explains every option).

    Attributes:
        srn: `ijcv` (journal), `wacv` (conference), `fdnn` (the conference network without transformers), or
            `aligner` (only the input transformer, to train it before the rest).
        width: channels of the first stage of the `ijcv` network.
        skips: none (plain autoencoder), unet, top2, or top2_residual (the journal's).
        skip_merge: how a skip joins the decoder.
        stn: where Spatial Transformers sit: `paper` (four, inside), `input` (one, on the portrait), `none`.
        localisation: `full` (the paper's tables), `light` localisation networks, or `cascade`: two in a row
            (with `stn=input`).
        stn_start: `identity`, or `authors` (their code starts at 57.3 degrees; see method notes).
        stn_bounded: bound angle, scale and shift.
        upsampling: 4x4 transposed convolutions (paper), or nearest-neighbour resize + 3x3.
        output: `linear` (paper; clipped when used) or `tanh`.
        bottleneck: `conv` (journal) or `dense` (the conference's 2,048 units).
        normalization: of the SRN.
        discriminator_width: channels of the first stage of the DN (32 in the authors' code).
        discriminator_normalization: of the DN.
    """

    srn: Literal["ijcv", "wacv", "fdnn", "aligner"] = "ijcv"
    width: int = 32
    skips: Literal["none", "unet", "top2", "top2_residual"] = "top2_residual"
    skip_merge: Literal["concat", "add"] = "concat"
    stn: Literal["paper", "input", "none"] = "paper"
    localisation: Literal["full", "light", "cascade"] = "full"
    stn_start: Literal["identity", "authors"] = "identity"
    stn_bounded: bool = False
    upsampling: Literal["transposed", "resize"] = "transposed"
    output: Literal["linear", "tanh"] = "linear"
    bottleneck: Literal["conv", "dense"] = "conv"
    normalization: Literal["batch", "instance", "group", "none"] = "batch"
    discriminator_width: int = 32
    discriminator_normalization: Literal["batch", "instance", "group", "none"] = "batch"

    def __post_init__(self) -> None:
        within(self, width=(8, 256), discriminator_width=(8, 256))
        if self.stn_bounded and self.stn_start == "authors":
            raise ConfigError(
                "Expected stn_start=identity with stn_bounded=true. Received: stn_start=authors.",
                hint="The authors' start is a fault kept for reproduction; it has no bounded form.",
            )
        if self.stn != "input" and (self.srn == "aligner" or self.localisation == "cascade"):
            raise ConfigError(
                f"Expected stn=input for srn=aligner and localisation=cascade. Received: stn={self.stn}.",
            )
        if self.srn in ("wacv", "fdnn") and self.stn == "input":
            raise ConfigError(
                f"Expected srn=ijcv for stn=input. Received: srn={self.srn}.",
                hint="The conference networks have the paper's transformers or none.",
            )


@dataclasses.dataclass(frozen=True, kw_only=True)
class LossConfig:
    """Objective of the SRN: pixel + adversarial (λ) + identity (η) and our additions (0 in the paper).

    Attributes:
        pixel: `l2` (paper), `l1` or `charbonnier`, mean over elements, weight 1.
        ssim: weight of 1 - SSIM.
        alignment: weight of the error of the input transformer against the known misalignment.
        adversarial: λ.
        adversarial_decay: factor an epoch; λ falls to no less than half.
        adversarial_kind: `bce` (non-saturating, paper) or `hinge`.
        adversarial_start: step at which the DN and the adversarial term begin.
        margin_gate: skip D when it wins and G when it loses (authors' code).
        identity_network: `mobilefacenet`, `vgg19` (conference: relu3_2), `facenet` (journal) or `none`.
        identity: η, weight of the feature term.
        identity_relative: divide by the mean square of the photograph's features.
        identity_cosine: weight of 1 - cosine of the embeddings (face networks only).
        identity_decay: factor an epoch; η falls to no less than half.
        identity_every: the identity terms, as costly as the SRN itself, look at every k-th picture only.
    """

    pixel: Literal["l2", "l1", "charbonnier"] = "l2"
    ssim: float = 0.0
    alignment: float = 0.0
    adversarial: float = 0.01
    adversarial_decay: float = 0.995
    adversarial_kind: Literal["bce", "hinge"] = "bce"
    adversarial_start: int = 0
    margin_gate: bool = True
    identity_network: Literal["mobilefacenet", "vgg19", "facenet", "none"] = "vgg19"
    identity: float = 0.1
    identity_relative: bool = True
    identity_cosine: float = 0.0
    identity_decay: float = 0.995
    identity_every: int = 1

    def __post_init__(self) -> None:
        within(self, ssim=(0, 100), alignment=(0, 100), adversarial=(0, 100), identity=(0, 1e6))
        within(self, adversarial_decay=(0.1, 1), identity_decay=(0.1, 1), identity_cosine=(0, 100))
        within(self, identity_every=(1, 64), adversarial_start=(0, 10**10))
        if self.identity_cosine and self.identity_network not in ("mobilefacenet", "facenet"):
            raise ConfigError(
                "identity_cosine expects identity_network=mobilefacenet or facenet. "
                f"Received: {self.identity_network}.",
                hint="Only they have a face embedding: choose one, or set loss.identity_cosine=0.",
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


# ---- The one home of every setting, written to `<run>/config.json`: `Config` and, from ----

__all__ = ["Config", "DataConfig", "LossConfig", "ModelConfig", "TrainConfig"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
    """Everything a run needs besides its folders.

    Example:
        >>> Config().override(["train.batch_size=8", "data.flip=false"]).train.batch_size
        8
    """

    data: DataConfig = DataConfig()
    model: ModelConfig = ModelConfig()
    loss: LossConfig = LossConfig()
    train: TrainConfig = TrainConfig()

    def __post_init__(self) -> None:
        if self.train.batch_size % self.data.group:
            raise ConfigError(
                "Expected train.batch_size to be a multiple of data.group. "
                f"Received: {self.train.batch_size} and {self.data.group}."
            )
        if self.loss.alignment and self.model.stn != "input":
            raise ConfigError(
                f"loss.alignment expects model.stn=input. Received: model.stn={self.model.stn}.",
                hint="The paper's inner transformers have no known target.",
            )

    def to_dict(self) -> dict[str, Any]:
        """Nested plain values, ready for JSON."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Config:
        """The inverse of `to_dict`; unknown names are errors with the nearest one, missing ones defaults."""
        kinds = {section.name: type(section.default) for section in dataclasses.fields(cls)}
        for name in values:
            if name not in kinds:
                raise ConfigError(f"Unknown section {name!r}.", hint=nearest(name, list(kinds)))
        return cls(**{name: build(kind, name, values.get(name, {})) for name, kind in kinds.items()})

    def override(self, assignments: list[str]) -> Config:
        """A copy with `section.key=value` assignments applied, values checked against the field's type."""
        values, kinds = self.to_dict(), {name: type(part) for name, part in vars(self).items()}
        for assignment in assignments:
            section, key, value = parse_assignment(assignment, kinds)
            values[section][key] = value
        return Config.from_dict(values)
