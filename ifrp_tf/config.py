"""The one home of every setting, written to `<run>/config.json`: `Config` and, from `sections`, its parts."""

from __future__ import annotations

import dataclasses
from typing import Any

from ifrp_tf.errors import ConfigError
from ifrp_tf.sections import DataConfig, LossConfig, ModelConfig, TrainConfig
from ifrp_tf.settings import build, nearest, parse_assignment

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
