"""The paper's tables of ablations and our recipe's: the rows, and how each differs from its base."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence
from typing import Any

from ifrp_tf.core.config import Config, nearest
from ifrp_tf.core.errors import ConfigError
from ifrp_tf.core.presets import check_data, preset
from ifrp_tf.styles import formulas, sets

# What a table of ablations is.


@dataclasses.dataclass(frozen=True, kw_only=True)
class Row:
    """One experiment of a table.

    Attributes:
        changes: `section.key` -> value: what the row sets in the base, all of it what the table is about.
        paper: the paper's figures for it: `seen_ssim`, `seen_fsim`, `unseen_ssim`, `unseen_fsim` (0 to 1), or
            `unlabelled` where the paper does not name the metric. Empty: it has no such row.
        seen: styles to test it on as seen ones; by default the table's.
    """

    changes: Mapping[str, Any]
    paper: Mapping[str, float] = dataclasses.field(default_factory=dict)
    seen: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True, kw_only=True)
class Ablation:
    """A table.

    Attributes:
        title: of the table.
        rows: name -> row, in the order in which they are trained and shown.
        notes: sentences that a reader of the table needs.
        groups: of portraits that rows are tested on: of `row.GROUPS`.
        seen: training styles to test on, where they are among those trained on.
        defaults: `section.key` -> value for all rows alike, where nobody sets anything else.
    """

    title: str
    rows: Mapping[str, Row]
    notes: tuple[str, ...] = ()
    groups: tuple[str, ...] = ("unseen", "seen")
    seen: tuple[str, ...] = ("pencil", "oil", "mosaic")  # of lines, of the brush, of pieces: as the reserved
    defaults: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def varied(self) -> tuple[str, ...]:
        """Every setting that some row changes: nobody else may."""
        return tuple(dict.fromkeys(key for row in self.rows.values() for key in row.changes))


def assignments(changes: Mapping[str, Any]) -> list[str]:
    """Changes as `Config.override` and `--set` take them.

    Example:
        >>> assignments({"data.flip": False, "data.angles": (0.0, -15.0)})
        ['data.flip=false', 'data.angles=0,-15']
    """
    return [f"{key}={_text(value)}" for key, value in changes.items()]


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return ",".join(f"{part:g}" for part in value)
    return str(value)


def folder_name(row: str) -> str:
    """The name of a row as that of a folder.

    Example:
        >>> folder_name("top-2 skips + residual blocks")
        'top_2_skips_residual_blocks'
    """
    return re.sub(r"[^a-z0-9]+", "_", row.lower()).strip("_")


def configure(ablation: Ablation, base: Config, settings: list[str]) -> dict[str, Config]:
    """The configuration of every row, checked before the first hour of training.

    Args:
        ablation: the table.
        base: what its rows change.
        settings: `section.key=value`, for all rows alike; they outdo the table's defaults.

    Returns:
        Row name -> configuration.

    Raises:
        ConfigError: if a setting is wrong, contradicts a row, or is what the table varies; if two rows come
            out the same.
    """
    for setting in settings:
        key = setting.partition("=")[0].strip()
        if key in ablation.varied:
            raise ConfigError(
                f"Expected settings that hold for every row. Received: {setting!r}, which the rows vary.",
                hint=f"The table varies {', '.join(ablation.varied)}.",
            )
    configs = {}
    for name in ablation.rows:
        try:
            configs[name] = base.override(all_settings(ablation, name, settings))
        except ConfigError as error:
            raise ConfigError(f"Row {name!r}: {error.message}", hint=error.hint) from error
        for other in ablation.rows:
            if other == name:
                break
            if configs[other] == configs[name]:
                raise ConfigError(
                    f"Expected a base under which rows differ. Received one under which {other!r} and "
                    f"{name!r} are the same.",
                    hint="A base without an identity network has no identity term to switch off.",
                )
    return configs


def all_settings(ablation: Ablation, row: str, settings: list[str]) -> list[str]:
    """`section.key=value` of a row: the table's defaults, those for all rows, the row's own.

    Args:
        ablation: the table.
        row: name of the row.
        settings: for all rows alike.
    """
    return [*assignments(ablation.defaults), *settings, *assignments(ablation.rows[row].changes)]


# Architecture of the SRN: how much of the portrait may pass around the bottleneck.

ARCHITECTURE = Ablation(
    title="Architecture of the style removal network",
    rows={
        "autoencoder": Row(
            changes={"model.skips": "none"},
            paper={"seen_ssim": 0.65, "seen_fsim": 0.84, "unseen_ssim": 0.62, "unseen_fsim": 0.80},
        ),
        "U-Net": Row(
            changes={"model.skips": "unet"},
            paper={"seen_ssim": 0.65, "seen_fsim": 0.87, "unseen_ssim": 0.61, "unseen_fsim": 0.78},
        ),
        "top-2 skips": Row(
            changes={"model.skips": "top2"},
            paper={"seen_ssim": 0.66, "seen_fsim": 0.86, "unseen_ssim": 0.63, "unseen_fsim": 0.82},
        ),
        "top-2 skips + residual blocks": Row(
            changes={"model.skips": "top2_residual"},
            paper={"seen_ssim": 0.72, "seen_fsim": 0.88, "unseen_ssim": 0.68, "unseen_fsim": 0.84},
        ),
    },
)


# Identity network: whose features the recovered face must share with the photograph.

_FEATURES = {"loss.identity": 0.1, "loss.identity_cosine": 0.0}

IDENTITY = Ablation(
    title="Identity network",
    rows={
        "none": Row(
            changes={"loss.identity_network": "none", "loss.identity": 0.0, "loss.identity_cosine": 0.0}
        ),
        "VGG-19 features": Row(changes={"loss.identity_network": "vgg19", **_FEATURES}),
        "MobileFaceNet features": Row(changes={"loss.identity_network": "mobilefacenet", **_FEATURES}),
        "MobileFaceNet embedding": Row(
            changes={
                "loss.identity_network": "mobilefacenet",
                "loss.identity": 0.0,
                "loss.identity_cosine": 0.1,
            }
        ),
        "FaceNet features": Row(changes={"loss.identity_network": "facenet", **_FEATURES}),
    },
    notes=("The paper shows pictures for this comparison and no figures: FaceNet's are the truer faces.",),
)


# Losses: what the adversarial and the identity term add to the squared (or absolute) error.

_NO_IDENTITY = {"loss.identity": 0.0, "loss.identity_cosine": 0.0}

LOSSES = Ablation(
    title="Losses",
    rows={
        "pixel": Row(
            changes={"loss.ssim": 0.0, "loss.adversarial": 0.0, **_NO_IDENTITY},
            paper={"seen_ssim": 0.60, "seen_fsim": 0.72, "unseen_ssim": 0.54, "unseen_fsim": 0.65},
        ),
        "pixel + adversarial": Row(
            changes={"loss.ssim": 0.0, "loss.adversarial": 0.01, **_NO_IDENTITY},
            paper={"seen_ssim": 0.62, "seen_fsim": 0.75, "unseen_ssim": 0.58, "unseen_fsim": 0.72},
        ),
        "pixel + identity": Row(changes={"loss.ssim": 0.0, "loss.adversarial": 0.0}),
        "pixel + adversarial + identity": Row(
            changes={"loss.ssim": 0.0, "loss.adversarial": 0.01},
            paper={"seen_ssim": 0.72, "seen_fsim": 0.88, "unseen_ssim": 0.68, "unseen_fsim": 0.84},
        ),
    },
    notes=(
        "Which single term the paper adds in its second row is not legible in the text at hand: that it is "
        "the adversarial one is an assumption.",
    ),
)


# The recipe: the preset `modern` with one choice at a time made otherwise.

_MODERN: dict[str, Any] = {
    "train.seed": 1,
    "train.learning_rate": 8e-4,
    "data.styles": "all_train",
    "data.strength": 0.75,
    "loss.pixel": "l1",
    "loss.adversarial": 0.0,
    "loss.adversarial_kind": "bce",
    "loss.identity_network": "mobilefacenet",
    "loss.identity": 0.0,
    "loss.identity_cosine": 0.1,
    "model.localisation": "cascade",
    "model.normalization": "batch",
}


def _row(changes: dict[str, Any]) -> Row:
    return Row(changes=_MODERN | changes)


RECIPE = Ablation(
    title="Recipe, one choice at a time",
    rows={
        "modern": _row({}),
        "another seed": _row({"train.seed": 2}),
        "squared error": _row({"loss.pixel": "l2"}),
        "identity 0.3": _row({"loss.identity_cosine": 0.3}),
        "strength from 0.5": _row({"data.strength": 0.5}),
        "formulas only": _row({"data.styles": "train"}),
        "adversarial 0.003": _row({"loss.adversarial": 0.003}),
        "adversarial 0.001": _row({"loss.adversarial": 0.001}),
        "adversarial 0.003, hinge": _row({"loss.adversarial": 0.003, "loss.adversarial_kind": "hinge"}),
        "VGG-19 features": _row(
            {"loss.identity_network": "vgg19", "loss.identity": 0.1, "loss.identity_cosine": 0.0}
        ),
        "one localisation network": _row({"model.localisation": "light"}),
        "group normalisation": _row({"model.normalization": "group"}),
        "learning rate 4e-4": _row({"train.learning_rate": 4e-4}),
        "learning rate 1.6e-3": _row({"train.learning_rate": 1.6e-3}),
    },
    defaults={"model.stn": "input"},
    notes=("The paper has no such table.",),
)


# The network: what training seconds buy, judged by portraits that other people's networks painted.

_NETWORK: dict[str, Any] = {
    "model.skips": "top2_residual",
    "model.skip_merge": "concat",
    "model.skip_blocks": 3,
    "model.deep_blocks": 0,
    "model.align_side": 0,
    "model.width": 32,
    "train.learning_rate": 8e-4,
    "train.batch_size": 16,
}


def _network(**changes: Any) -> Row:
    sections = {name.partition(".")[2]: name for name in _NETWORK}
    return Row(changes=_NETWORK | {sections[name]: value for name, value in changes.items()})


NETWORK = Ablation(
    title="Network, one choice at a time",
    rows={
        "modern": _network(),
        "skips of 1 block": _network(skip_blocks=1),
        "skips without blocks": _network(skip_blocks=0),
        "1 block, 2 deep ones": _network(skip_blocks=1, deep_blocks=2),
        "no block, 3 deep ones": _network(skip_blocks=0, deep_blocks=3),
        "3 blocks, 2 deep ones": _network(deep_blocks=2),
        "skips added": _network(skip_merge="add"),
        "aligned at 64 pixels": _network(align_side=64),
        "width 24, 3 deep blocks": _network(width=24, skip_blocks=1, deep_blocks=3),
        "learning rate 1.6e-3": _network(learning_rate=1.6e-3),
        "batches of 8": _network(batch_size=8),
        "batches of 32": _network(batch_size=32, learning_rate=1.2e-3),
    },
    groups=("foreign", "unseen"),
    defaults={"model.stn": "input", "model.localisation": "cascade"},
    notes=("The paper has no such table.", "Compare quality at equal seconds, not at equal pictures."),
)


# Number of training styles: from one to five, each row adding one to the row above.

_STYLES = ("oil", "pencil", "mosaic", "halftone", "watercolour")
# SSIM and FSIM on seen styles, then on unseen ones.
_PAPER = (
    (0.69, 0.72, 0.54, 0.66),
    (0.70, 0.77, 0.60, 0.78),
    (0.72, 0.88, 0.68, 0.84),
    (0.72, 0.88, 0.68, 0.85),
    (0.73, 0.88, 0.69, 0.85),
)
_NAMES = ("seen_ssim", "seen_fsim", "unseen_ssim", "unseen_fsim")


def _training_styles_row(count: int) -> Row:
    chosen = _STYLES[:count]
    return Row(
        changes={"data.styles": ",".join(chosen)},
        paper=dict(zip(_NAMES, _PAPER[count - 1], strict=True)),
        seen=chosen,
    )


TRAINING_STYLES = Ablation(
    title="Number of training styles",
    rows={
        "1 style": _training_styles_row(1),
        "2 styles": _training_styles_row(2),
        "3 styles": _training_styles_row(3),
        "4 styles": _training_styles_row(4),
        "5 styles": _training_styles_row(5),
    },
    notes=(
        "Every row passes the same number of pictures, so more styles mean fewer pictures of each; the paper "
        "trains on all faces in every style.",
        "Seen styles are those that the row was trained on: the rows are not tested on the same portraits "
        "there, but on the same unseen ones.",
    ),
)


# Spatial Transformers: none, the paper's four inside the network, or ours on the portrait.

_ELEVEN = (0.0, 5.0, -5.0, 10.0, -10.0, 15.0, -15.0, 20.0, -20.0, 30.0, -30.0)
_FIVE = (0.0, 15.0, -15.0, 30.0, -30.0)
_NONE = {"model.stn": "none", "loss.alignment": 0.0}
_INSIDE = {"model.stn": "paper", "loss.alignment": 0.0}
_PORTRAIT = {"model.stn": "input", "loss.alignment": 0.02}

TRANSFORMER = Ablation(
    title="Spatial Transformers by set of angles",
    rows={
        "11 angles, none": Row(changes={"data.angles": _ELEVEN, **_NONE}, paper={"unlabelled": 0.64}),
        "11 angles, inside": Row(changes={"data.angles": _ELEVEN, **_INSIDE}, paper={"unlabelled": 0.66}),
        "11 angles, on the portrait": Row(changes={"data.angles": _ELEVEN, **_PORTRAIT}),
        "5 angles, none": Row(changes={"data.angles": _FIVE, **_NONE}, paper={"unlabelled": 0.64}),
        "5 angles, inside": Row(changes={"data.angles": _FIVE, **_INSIDE}, paper={"unlabelled": 0.65}),
        "5 angles, on the portrait": Row(changes={"data.angles": _FIVE, **_PORTRAIT}),
    },
    # The paper's localisation networks need a side of 128: --set=model.localisation=full has them there.
    defaults={"model.localisation": "light"},
    notes=(
        "The paper does not label the metric of this table; its size is that of SSIM.",
        "The transformer on the portrait is ours, and learns the true misalignment in training.",
        "All rows are tested on the same portraits, turned by any angle up to 30 degrees.",
    ),
)


# All tables by name.

TABLES: dict[str, Ablation] = {
    "losses": LOSSES,
    "architecture": ARCHITECTURE,
    "training_styles": TRAINING_STYLES,
    "transformer": TRANSFORMER,
    "identity": IDENTITY,
    "recipe": RECIPE,
    "network": NETWORK,
}
"""Name of the flag `--table` -> table."""


def table(name: str) -> Ablation:
    """The table called `name`.

    Raises:
        ConfigError: if there is none, naming the nearest.
    """
    if name not in TABLES:
        raise ConfigError(f"Unknown table {name!r}.", hint=nearest(name, list(TABLES)))
    return TABLES[name]


def configurations(
    name: str, *, base: str, settings: Sequence[str], pictures: int, data: str
) -> tuple[Ablation, dict[str, Config]]:
    """A table and the configuration of its every row, all that was asked for checked; needs no TensorFlow.

    Args:
        name: of `TABLES`.
        base: the preset that the rows change.
        settings: `section.key=value` for all rows alike.
        pictures: training pictures of every row.
        data: folder of training photographs, empty for drawn faces.

    Raises:
        ConfigError: wrong usage.
        DataError: there are no photographs for training.
    """
    if any(setting.partition("=")[0].strip() == "train.pictures" for setting in settings):
        raise ConfigError("Expected `pictures=N`. Received: train.pictures among the settings.")
    ablation = table(name)
    configs = configure(ablation, preset(base), [*settings, f"train.pictures={pictures}"])
    for config in configs.values():
        if reserved := sorted(set(sets.of(config.data)) & set(formulas.RESERVED)):
            raise ConfigError(f"Expected styles that leave some unseen. Received: {', '.join(reserved)}.")
    check_data(base, data)
    return ablation, configs
