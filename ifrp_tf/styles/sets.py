"""Sets of styles by name, and the rule that reserved styles are never trained on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ifrp_tf.core.config import DataConfig, nearest
from ifrp_tf.core.errors import ConfigError, DataError
from ifrp_tf.styles import bank, formulas

RESERVED: tuple[str, ...] = (*formulas.RESERVED, *bank.RESERVED)
"""Every style kept for testing: three formulas, and the seven of the paper's ten that it did not train on."""

PAPER_TRAIN = ("bank_scream", "bank_candy", "bank_mosaic")
PAPER_TEST = (
    "bank_scream", "bank_wave", "bank_candy", "bank_feathers", "bank_sketch", "bank_composition_vii",
    "bank_starry_night", "bank_udnie", "bank_mosaic", "bank_la_muse",
)  # fmt: skip


def named(folder: str = "") -> Mapping[str, tuple[str, ...]]:
    """Every set by name.

    `train` or `procedural`: the formulas that may be trained on; `reserved`: those that may not; `all`: both.
    `paper_train`, `paper_test`: the paper's three and ten styles. `bank`: the learned styles that may be
    trained on; `all_train`: those and `train`. The last four need a style bank in `folder`.

    Args:
        folder: of the style bank, empty = the shipped one; without it the sets that need it are left out.
    """
    found = {
        "train": formulas.TRAIN,
        "procedural": formulas.TRAIN,
        "reserved": formulas.RESERVED,
        "all": formulas.NAMES,
    }
    learned = _learned(folder)
    if learned:
        free = tuple(name for name in learned if name not in RESERVED)
        found |= {"bank": free, "all_train": (*formulas.TRAIN, *free)}
        found |= {"paper_train": PAPER_TRAIN, "paper_test": PAPER_TEST}
    return found


def resolve(names: str, *, allow_reserved: bool = False, folder: str = "") -> tuple[str, ...]:
    """The styles that a set name, or a comma-separated list of styles and sets, stands for.

    Args:
        names: sets of `named`, or style names.
        allow_reserved: whether reserved styles may be among them: False when training.
        folder: of the style bank, empty = the shipped one.

    Raises:
        ConfigError: if a name is unknown, or reserved and not allowed.

    Example:
        >>> len(resolve("reserved", allow_reserved=True))
        3
    """
    known = named(folder)
    styles = (*formulas.NAMES, *_learned(folder))
    found: list[str] = []
    for name in filter(None, (part.strip() for part in names.split(","))):
        for style in known.get(name, (name,)):
            if style not in styles:
                raise ConfigError(
                    f"Unknown style or style set {style!r}.", hint=_advice(style, known, styles)
                )
            if style not in found:
                found.append(style)
    forbidden = [name for name in found if name in RESERVED]
    if forbidden and not allow_reserved:
        raise ConfigError(
            f"Expected styles to train on. Received styles reserved for testing: {', '.join(forbidden)}.",
            hint="A model trained on them has no unseen style left to be tested on.",
        )
    if not found:
        raise ConfigError(f"Expected at least one style. Received: {names!r}.")
    return tuple(found)


def of(config: DataConfig) -> tuple[str, ...]:
    """The styles that a configuration trains on.

    Args:
        config: `styles`, `bank` and `allow_reserved` are used.

    Raises:
        ConfigError: as `resolve`.
    """
    return resolve(config.styles, allow_reserved=config.allow_reserved, folder=config.bank)


def paper_groups(styles: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """How the paper averages over its ten styles: those trained on, the others, and Sketch once more alone.

    Args:
        styles: names out of `PAPER_TEST`; groups without one of them are left out.

    Example:
        >>> paper_groups(["bank_candy", "bank_sketch"])
        {'seen': ('bank_candy',), 'unseen': ('bank_sketch',), 'sketches': ('bank_sketch',)}
    """
    names = tuple(styles)
    groups = {
        "seen": tuple(name for name in names if name in PAPER_TRAIN),
        "unseen": tuple(name for name in names if name not in PAPER_TRAIN),
        "sketches": tuple(name for name in names if name == "bank_sketch"),
    }
    return {group: found for group, found in groups.items() if found}


def _learned(folder: str) -> tuple[str, ...]:
    try:
        return bank.load(folder).names
    except DataError:
        return ()


def _advice(name: str, known: Mapping[str, tuple[str, ...]], styles: tuple[str, ...]) -> str:
    if name.startswith((bank.PREFIX, "paper_")) or name in ("bank", "all_train"):
        return "It belongs to a style bank: see data.bank and tools/train_style_bank.py."
    return nearest(name, [*known, *styles])
