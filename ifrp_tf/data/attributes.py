"""What is known of the faces in photographs: vectors of attributes in {-1, 0 = unknown, +1}.

Three sources, none complete: labels of CelebA (all attributes), sex and age of AAF, and the landmarks of
every photograph, whose mouth says whether it is open and whether it smiles. How well the landmarks say so is
measured on the photographs that have both, and an attribute is taken from them only where they agree often
enough.
"""

from __future__ import annotations

import csv
import dataclasses
import difflib
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from ifrp_tf.core.errors import ConfigError, DataError

NAMES = (
    "Male", "Young", "Smiling", "Mouth_Slightly_Open", "Eyeglasses", "No_Beard", "Heavy_Makeup", "Pale_Skin",
    "Black_Hair", "Blond_Hair", "Gray_Hair", "Bangs", "Bushy_Eyebrows", "Narrow_Eyes",
)  # fmt: skip
"""Attributes of a vector, in its order, by CelebA's names."""

ALIASES = {
    "mouth": ("Mouth_Slightly_Open", 1),
    "smile": ("Smiling", 1),
    "glasses": ("Eyeglasses", 1),
    "beard": ("No_Beard", -1),
    "makeup": ("Heavy_Makeup", 1),
    "pale": ("Pale_Skin", 1),
    "female": ("Male", -1),
    "old": ("Young", -1),
}
"""Shorter words: the attribute that each means, and its sign."""

OLD = 40
"""Years from which a face of AAF counts as not young, as most labels of CelebA have it."""

ENOUGH = 0.85
"""Share of the labelled photographs on which a measure must agree with the labels to stand in for them."""

_MEASURES = {
    "Mouth_Slightly_Open": 2,
    "Smiling": 3,
}  # columns of `<set>_quality`: mouth opening, mouth to eye
_LANDMARKS, _LABELS = "landmarks.npz", "attributes.csv"


@dataclasses.dataclass(frozen=True)
class Calibration:
    """How well a measure of the landmarks tells an attribute.

    Attributes:
        threshold: above it the attribute is there.
        accuracy: share of the labelled photographs on which it is right, 0 to 1.
        always: what the more frequent answer alone would score.
        count: labelled photographs.
    """

    threshold: float
    accuracy: float
    always: float
    count: int

    @property
    def is_used(self) -> bool:
        """Whether the measure is good enough to stand in for labels."""
        return self.accuracy >= ENOUGH and self.accuracy > self.always


@dataclasses.dataclass(frozen=True)
class Attributes:
    """The attributes of many photographs.

    Attributes:
        vectors: photograph, relative to the folder of faces and with `/` (`train/celeba/1.jpg`) -> int8 [14].
        persons: photograph -> who it shows, where that is known.
        calibrations: attribute -> how well the landmarks tell it.
    """

    vectors: Mapping[str, np.ndarray]
    persons: Mapping[str, str]
    calibrations: Mapping[str, Calibration]

    def of(self, names: Sequence[str], part: str = "train") -> np.ndarray:
        """The vectors of photographs by their names in one part of the faces; zeros for unknown ones.

        Args:
            names: relative to the part's folder, with `/`.
            part: folder of faces that they are in.

        Returns:
            Int8 [N, 14].
        """
        nothing = np.zeros(len(NAMES), np.int8)
        found = [self.vectors.get(f"{part}/{name}", nothing) for name in names]
        return np.stack(found) if found else np.zeros((0, len(NAMES)), np.int8)

    def labels(
        self, names: Sequence[str], *, hide_all: float, hide_one: float, contradict: float = 0.0
    ) -> Labels:
        """What a training set is told of its photographs.

        Args:
            names: as of `of`.
            hide_all: see `Labels`.
            hide_one: see `Labels`.
            contradict: see `Labels`.

        Raises:
            DataError: nothing is known of any of them.
        """
        vectors = self.of(names)
        if not vectors.any():
            raise DataError(
                f"Expected attributes of the photographs, such as {', '.join(names[:2])}. Received: none.",
                hint="data.labels=data/labels holds those of data/faces; drawn faces have their own.",
            )
        return Labels(vectors, hide_all, hide_one, contradict)

    def summary(self) -> str:
        """A line for every attribute: how often it is known, how often it is there, and from where."""
        table = np.stack(list(self.vectors.values())) if self.vectors else np.zeros((0, len(NAMES)), np.int8)
        lines = []
        for k, name in enumerate(NAMES):
            known = table[:, k] != 0
            there = float((table[known, k] > 0).mean()) if known.any() else 0.0
            text = f"{name:20} known of {int(known.sum()):6,}, there in {there:.0%}"
            if name in self.calibrations:
                own = self.calibrations[name]
                text += f"; landmarks right in {own.accuracy:.1%} of {own.count:,}"
                text += f" (always the same: {own.always:.1%}), {'used' if own.is_used else 'not used'}"
            lines.append(text)
        return "\n".join(lines)


@dataclasses.dataclass(frozen=True, eq=False)
class Labels:
    """What is known of the photographs of a set, and how much of it a network is told in training.

    Attributes:
        vectors: int8 [N, 14], in the order of the photographs.
        hide_all: chance with which all that is known of a picture is hidden, 0 to 1.
        hide_one: chance with which a single attribute is.
        contradict: chance with which one of those shown is turned around.
    """

    vectors: np.ndarray
    hide_all: float
    hide_one: float
    contradict: float = 0.0


def load(folder: str | Path = "data/labels") -> Attributes:
    """Reads labels and landmarks.

    Args:
        folder: with `attributes.csv` and `landmarks.npz`.

    Raises:
        DataError: a file is missing or damaged.

    Example:
        >>> load().of(["celeba/000001.jpg"])[0, 0]  # doctest: +SKIP
        -1
    """
    folder = Path(folder)
    vectors, persons = _labelled(folder / _LABELS)
    measures = _measured(folder / _LANDMARKS)
    calibrations = {}
    for name, column in _MEASURES.items():
        place = NAMES.index(name)
        both = [(measures[p][column], v[place]) for p, v in vectors.items() if v[place] and p in measures]
        if both:
            values, labels = np.array(both).T
            calibrations[name] = calibrate(values, labels)
    for photo, row in measures.items():
        vector = vectors.setdefault(photo, np.zeros(len(NAMES), np.int8))
        for name, own in calibrations.items():
            place = NAMES.index(name)
            if own.is_used and not vector[place]:
                vector[place] = 1 if row[_MEASURES[name]] > own.threshold else -1
    return Attributes(vectors, persons, calibrations)


def calibrate(values: np.ndarray, labels: np.ndarray) -> Calibration:
    """The threshold of a measure that agrees with most labels.

    Args:
        values: float [N].
        labels: [N], -1 or 1.
    """
    thresholds = np.unique(np.quantile(values, np.linspace(0.01, 0.99, 197)))
    accuracies = [float(((values > t) == (labels > 0)).mean()) for t in thresholds]
    best, share = int(np.argmax(accuracies)), float((labels > 0).mean())
    return Calibration(float(thresholds[best]), accuracies[best], max(share, 1 - share), len(values))


def parse(text: str) -> np.ndarray:
    """A vector as users write it: `male=1,smiling=1,beard=-1`.

    Args:
        text: names (of `NAMES` or `ALIASES`, in any case) with values from -1 to 1, separated by commas; what
            is not named is 0, unknown.

    Returns:
        Float32 [14].

    Raises:
        ConfigError: a name is unknown, naming the nearest, or a value is no number from -1 to 1.

    Example:
        >>> parse("male=1, beard=-1")[[0, 5]].tolist()
        [1.0, 1.0]
    """
    vector = np.zeros(len(NAMES), np.float32)
    if not isinstance(text, str):
        raise ConfigError(f"Expected `attributes` as text. Received: {text!r}.")
    known = {name.lower(): (name, 1) for name in NAMES} | ALIASES
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, _, value = (side.strip() for side in part.partition("="))
        key = name.lower().replace(" ", "_").replace("-", "_")
        if key not in known:
            close = difflib.get_close_matches(key, known, n=1, cutoff=0.4)
            hint = f"Did you mean {close[0]!r}?" if close else f"Known: {', '.join(known)}."
            raise ConfigError(f"Unknown attribute {name!r}.", hint=hint)
        try:
            number = float(value)
        except ValueError:
            number = float("nan")
        if not -1 <= number <= 1:
            raise ConfigError(
                f"Expected `attributes` as name=value, from -1 (absent) to 1 (there). Received: {part!r}.",
                hint="Such as male=1,smiling=1,beard=-1.",
            )
        attribute, sign = known[key]
        vector[NAMES.index(attribute)] = sign * number
    return vector


def words(vector: np.ndarray) -> str:
    """The shortest text that `parse` reads as a vector; empty for zeros.

    Args:
        vector: [14], -1 to 1.

    Example:
        >>> words(parse("smile=1,male=-0.5"))
        'Male=-0.5,Smiling=1'
    """
    return ",".join(f"{name}={value:g}" for name, value in zip(NAMES, vector, strict=True) if value)


def balanced(labels: np.ndarray, count: int, generator: np.random.Generator) -> np.ndarray:
    """Indices of a draw in which an attribute is there in half of the cases.

    Args:
        labels: [N], -1, 0 or 1; what is 0 is not drawn.
        count: how many, with replacement.
        generator: of the draw.

    Returns:
        Int64 [count].

    Raises:
        DataError: one of the two kinds is not there.
    """
    kinds = [np.flatnonzero(labels == sign) for sign in (-1, 1)]
    if not all(len(kind) for kind in kinds):
        raise DataError(
            "Expected photographs with and without the attribute. "
            f"Received: {len(kinds[1])} and {len(kinds[0])}."
        )
    halves = [generator.choice(kinds[k], count // 2 + (k if count % 2 else 0)) for k in (0, 1)]
    drawn = np.concatenate(halves)
    generator.shuffle(drawn)
    return drawn


def _labelled(path: Path) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    try:
        with open(path, newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        vectors, persons = {}, {}
        for row in rows:
            vector = np.array([int(row[name] or 0) for name in NAMES], np.int8)
            if row["source"] == "aaf":
                vector[0] = int(row["gender"] or 0)
                vector[1] = (1 if int(row["age"]) < OLD else -1) if row["age"] else 0
            vectors[row["photo"]] = vector
            if row["person"]:
                persons[row["photo"]] = row["person"]
    except (OSError, KeyError, ValueError, TypeError) as error:
        raise DataError(f"Expected labels in {path}. Received: {error}.") from error
    return vectors, persons


def _measured(path: Path) -> dict[str, np.ndarray]:
    """Photograph -> presence, yaw, mouth opening, mouth to eye."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {
                f"{part}/{name}": row
                for part in ("train", "test")
                for name, row in zip(
                    archive[f"{part}_names"], archive[f"{part}_quality"].astype(np.float64), strict=True
                )
            }
    except (OSError, KeyError, ValueError) as error:
        raise DataError(f"Expected landmarks in {path}. Received: {error}.") from error
