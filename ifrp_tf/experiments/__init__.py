"""The paper's ablations, and our recipe's, one readable file each; `tools/ablate.py` runs one."""

from __future__ import annotations

from ifrp_tf.errors import ConfigError
from ifrp_tf.experiments.ablation import Ablation
from ifrp_tf.experiments.architecture import ARCHITECTURE
from ifrp_tf.experiments.identity import IDENTITY
from ifrp_tf.experiments.loss_terms import LOSSES
from ifrp_tf.experiments.recipe import RECIPE
from ifrp_tf.experiments.training_styles import TRAINING_STYLES
from ifrp_tf.experiments.transformer import TRANSFORMER
from ifrp_tf.settings import nearest

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
