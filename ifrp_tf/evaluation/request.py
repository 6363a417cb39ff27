"""What an evaluation is asked for; without TensorFlow and Keras, so that wrong usage is reported at once."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Literal

from ifrp_tf.core.config import nearest
from ifrp_tf.core.errors import ConfigError


@dataclasses.dataclass(frozen=True, kw_only=True)
class Request:
    """What `tools/evaluate.py` is asked for.

    Attributes:
        model: as in `Recoverer.load`.
        json: file for the result; the rows stand beside it in `<stem>.rows.jsonl`.
        portraits: folder of `<style>/<name>.<ext>`; with `photos`, in place of a protocol.
        photos: folder of `<name>.<ext>`.
        protocol: name of a built-in protocol; empty for folders.
        faces: test photographs of `procedural`, `paper` and `foreign`.
        sketches: folder of `sketches`.
        foreign: folder of `foreign`.
        styles: of `procedural`: a set or names.
        limit: photographs of a built-in protocol; 0 = all.
        seed: of a built-in protocol.
        gallery: folder of photographs to search; empty: those of the protocol.
        descriptor: `dlib`, `mobilefacenet`, `facenet` or `none`.
        perceptual: distances by networks to measure, `squeeze`, `vgg` or both with a comma; `none`; `auto` is
            `squeeze` where its weights are.
        weights: folder of the descriptor's weights; for `facenet` also its weights file.
        detect: pictures of each style in which a detector looks for a face.
        report: folder for the report; empty for none.
        insist: take `photos` and `gallery` as they are, even if they are no crops of faces.
        trust: load a model whose checksums do not match.
    """

    model: str
    json: str
    portraits: str = ""
    photos: str = ""
    protocol: Literal["", "procedural", "sketches", "paper", "foreign"] = ""
    faces: str = "data/faces/test"
    sketches: str = "data/sketches"
    foreign: str = "data/foreign"
    styles: str = "reserved"
    limit: int = 0
    seed: int = 0
    gallery: str = ""
    descriptor: Literal["dlib", "mobilefacenet", "facenet", "none"] = "dlib"
    perceptual: str = "auto"
    weights: str = "data/weights"
    detect: int = 0
    report: str = ""
    insist: bool = False
    trust: bool = False

    def __post_init__(self) -> None:
        if bool(self.portraits) != bool(self.photos) or bool(self.portraits) == bool(self.protocol):
            raise ConfigError(
                "Expected `portraits=DIR` and `photos=DIR`, or `protocol=NAME`. "
                f"Received: {self.portraits!r}, {self.photos!r}, {self.protocol!r}."
            )
        for name in ("limit", "seed", "detect"):
            if getattr(self, name) < 0:
                raise ConfigError(f"Expected `{name}` to be at least 0. Received: {getattr(self, name)}.")
        if Path(self.json).is_dir():
            raise ConfigError(f"Expected `json` to be a file. Received: the folder {self.json!r}.")


COMPARED = ("gatys", "johnson", "mgan", "pix2pix", "cyclegan", "fdnn", "paper", "modern", "release")
"""The systems of the main table, the compared ones first."""

FURTHER = ("gatys_random", "gatys_oracle")
"""Measured only where they are named: an answer costs seconds, and the second one cheats."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class ComparisonRequest:
    """What `tools/compare.py` is asked for.

    Attributes:
        table: Which systems: main.
        run_dir: Gets a run's folder for every system, the table (table.md, table.json) and sheet.png.
        pictures: Training pictures of every system.
        systems: Only these, separated by commas; gatys_random and gatys_oracle (whose style is the true
            photograph: cheating) are in the table only where they are named.
        limit: Test photographs; 0 = all.
        data: Folder of training photographs.
        faces: Test photographs.
        sketches: Folder with the set ar of sketches drawn by hand.
        model: The released model.
        weights: Folder with the frozen networks' weights.
        descriptor: What compares faces; none: no FRR.
        output: Markdown file; default RUN_DIR/table.md.
        insist: Take the photographs as they are, even if they are no crops of faces.
    """

    table: Literal["main"] = "main"
    run_dir: str
    pictures: int = 40_000
    systems: str = ""
    limit: int = 300
    data: str = "data/faces/train"
    faces: str = "data/faces/test"
    sketches: str = "data/sketches"
    model: str
    weights: str = "data/weights"
    descriptor: Literal["dlib", "none"] = "dlib"
    output: str = ""
    insist: bool = False

    def __post_init__(self) -> None:
        if self.pictures < 1 or self.limit < 0:
            raise ConfigError(
                f"Expected pictures >= 1 and limit >= 0. Received: {self.pictures} and {self.limit}."
            )
        for name in self.chosen:
            if name not in COMPARED + FURTHER:
                raise ConfigError(f"Unknown system {name!r}.", hint=nearest(name, [*COMPARED, *FURTHER]))

    @property
    def chosen(self) -> list[str]:
        """Names of the systems asked for."""
        named = [name.strip() for name in self.systems.split(",") if name.strip()]
        return named or list(COMPARED)
