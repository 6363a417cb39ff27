"""Which systems the table compares, and the terms that are equal for all."""

from __future__ import annotations

import dataclasses

from ifrp_tf.core.config import Config
from ifrp_tf.core.presets import preset

OURS = ("paper", "modern", "release")
"""What is held against the compared systems, the journal's method first."""


@dataclasses.dataclass(frozen=True)
class Entry:
    """One system of the comparison.

    Attributes:
        title: for people.
        preset: that it is trained by; empty for a model that is there already.
        settings: `section.key=value` beside the common ones.
        journal: its name in `paper_figures.PAPER`, where it is there.
        in_turn: where an answer costs many seconds: one photograph of this many is asked for, in one style
            only; 0 = as the others.
    """

    title: str
    preset: str = ""
    settings: tuple[str, ...] = ()
    journal: str = ""
    in_turn: int = 0


def _gatys(style: str, words: str, journal: str = "") -> Entry:
    return Entry(f"Gatys et al. ({words})", "gatys", (f"model.style={style}",), journal, in_turn=3)


SYSTEMS: dict[str, Entry] = {
    "gatys": _gatys("mean", "mean of photographs", "Gatys"),
    "gatys_random": _gatys("random", "one photograph"),
    "gatys_oracle": _gatys("oracle", "the true photograph as style: cheating"),
    "johnson": Entry("Johnson et al.", "johnson", journal="Johnson"),
    "mgan": Entry("MGAN", "mgan", journal="MGAN"),
    "pix2pix": Entry("pix2pix", "pix2pix", journal="pix2pix"),
    "cyclegan": Entry("CycleGAN (64 px inside)", "cyclegan", journal="CycleGAN"),
    "fdnn": Entry("FDNN (Shiri et al. 2017)", "fdnn", journal="Shiri et al. 2017"),
    "paper": Entry("IFRP, `paper` preset", "paper", ("train.batch_size=16",), journal="IFRP"),
    "modern": Entry("IFRP, `modern` preset", "modern"),
    "release": Entry("IFRP, the release"),
}


def settings(entry: Entry, pictures: int) -> list[str]:
    """What a system changes in its preset: what is the same for all, then its own."""
    return [
        "data.styles=paper_train", "data.degrade=0.0", "data.strength=1.0", f"train.pictures={pictures}",
        "train.ema=0.999", "train.dtype=bfloat16", *entry.settings,
    ]  # fmt: skip


def configuration(entry: Entry, pictures: int) -> Config:
    """What a system is trained with."""
    return preset(entry.preset).override(settings(entry, pictures))
