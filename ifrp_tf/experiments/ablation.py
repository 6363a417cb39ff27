"""What a table of ablations is: rows that differ from one base in nothing but what the table is about."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from typing import Any

from ifrp_tf.config import Config
from ifrp_tf.errors import ConfigError


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
        seen: training styles to test on, where they are among those trained on.
        defaults: `section.key` -> value for all rows alike, where nobody sets anything else.
    """

    title: str
    rows: Mapping[str, Row]
    notes: tuple[str, ...] = ()
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
