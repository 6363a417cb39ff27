"""Sets of styles by name, and the rule that reserved styles are never trained on."""

from __future__ import annotations

from ifrp_tf.errors import ConfigError
from ifrp_tf.settings import nearest
from ifrp_tf.styles import procedural


def resolve(names: str, *, allow_reserved: bool = False) -> tuple[str, ...]:
    """The styles that a set name, or a comma-separated list of styles and sets, stands for.

    Args:
        names: `train` (all that may be trained on), `reserved` (kept for testing), `all`, or style names.
        allow_reserved: whether reserved styles may be among them: False when training.

    Raises:
        ConfigError: if a name is unknown, or reserved and not allowed.

    Example:
        >>> len(resolve("reserved", allow_reserved=True))
        3
    """
    known = {"train": procedural.TRAIN, "reserved": procedural.RESERVED, "all": tuple(procedural.STYLES)}
    found: list[str] = []
    for name in filter(None, (part.strip() for part in names.split(","))):
        if name not in known and name not in procedural.STYLES:
            raise ConfigError(
                f"Unknown style or style set {name!r}.", hint=nearest(name, [*known, *procedural.STYLES])
            )
        found.extend(style for style in known.get(name, (name,)) if style not in found)
    forbidden = [name for name in found if name in procedural.RESERVED]
    if forbidden and not allow_reserved:
        raise ConfigError(
            f"Expected styles to train on. Received styles reserved for testing: {', '.join(forbidden)}.",
            hint="A model trained on them has no unseen style left to be tested on.",
        )
    if not found:
        raise ConfigError(f"Expected at least one style. Received: {names!r}.")
    return tuple(found)
