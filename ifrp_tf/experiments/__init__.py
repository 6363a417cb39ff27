"""The paper's ablations, and our recipe's, one readable file each; `tools/ablate.py` runs one."""

from __future__ import annotations

from collections.abc import Sequence

from ifrp_tf.config import Config
from ifrp_tf.errors import ConfigError
from ifrp_tf.experiments.ablation import Ablation, configure
from ifrp_tf.experiments.architecture import ARCHITECTURE
from ifrp_tf.experiments.identity import IDENTITY
from ifrp_tf.experiments.loss_terms import LOSSES
from ifrp_tf.experiments.recipe import RECIPE
from ifrp_tf.experiments.training_styles import TRAINING_STYLES
from ifrp_tf.experiments.transformer import TRANSFORMER
from ifrp_tf.presets import check_data, preset
from ifrp_tf.settings import nearest
from ifrp_tf.styles import formulas, sets

TABLES: dict[str, Ablation] = {
    "losses": LOSSES,
    "architecture": ARCHITECTURE,
    "training_styles": TRAINING_STYLES,
    "transformer": TRANSFORMER,
    "identity": IDENTITY,
    "recipe": RECIPE,
}
"""Name of `--table` -> table."""


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
        raise ConfigError("Expected --pictures=N. Received: --set=train.pictures.")
    ablation = table(name)
    configs = configure(ablation, preset(base), [*settings, f"train.pictures={pictures}"])
    for config in configs.values():
        if reserved := sorted(set(sets.of(config.data)) & set(formulas.RESERVED)):
            raise ConfigError(f"Expected styles that leave some unseen. Received: {', '.join(reserved)}.")
    check_data(base, data)
    return ablation, configs
