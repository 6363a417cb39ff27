"""The built-in protocols: test photographs in styles made on the spot, and sketches drawn by hand.

Every portrait is a function of (seed, style, name) alone: not of the number of pictures, the order in which
they are asked for, or what was made before.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from ifrp_tf.core.config import DataConfig
from ifrp_tf.core.errors import ConfigError, DataError
from ifrp_tf.data import misalign, pipeline_tf
from ifrp_tf.evaluation.pairs import Pictures, Protocol, by_name, digest, read
from ifrp_tf.nn import layers
from ifrp_tf.pictures import images
from ifrp_tf.styles import bank, sets

NAMES = ("procedural", "sketches", "paper", "foreign")
MISALIGNED = "_misaligned"  # ends the names of the styles of misaligned sketches


def build(
    name: str,
    *,
    side: int,
    faces: str = "data/faces/test",
    sketches: str = "data/sketches",
    foreign: str = "data/foreign",
    styles: str = "reserved",
    limit: int = 0,
    seed: int = 0,
) -> Protocol:
    """A protocol by name.

    Args:
        name: `procedural`, `paper` (the paper's ten styles, of the style bank), `sketches` or `foreign`.
        side: of the pictures, pixels.
        faces: folder of test photographs, for `procedural`, `paper` and `foreign`.
        sketches: folder of `<set>/sketch/` and `<set>/photo/`, for `sketches`.
        foreign: folder of portraits by other people's networks, with `val.csv`, for `foreign`.
        styles: set or names of styles, for `procedural` (`styles.sets.resolve`).
        limit: photographs to take (of each set of sketches, of each foreign style), chosen by a hash of their
            names; 0 = all.
        seed: of everything random, at least 0.

    Raises:
        ConfigError: if the name or a style is unknown, or there is no style bank with the paper's ten.
        DataError: if there are no pictures.
    """
    if name == "sketches":
        return Sketches(sketches, side=side, limit=limit, seed=seed)
    if name == "foreign":
        from ifrp_tf.evaluation.foreign import Foreign

        return Foreign(foreign, faces, side=side, limit=limit)
    if kind := {"procedural": Procedural, "paper": Paper}.get(name):
        chosen = sets.resolve("paper_test" if name == "paper" else styles, allow_reserved=True)
        return kind(faces, styles=chosen, side=side, limit=limit, seed=seed)
    raise ConfigError(f"Unknown protocol {name!r}.", hint=f"Known: {', '.join(NAMES)}.")


class Procedural(Protocol):
    """Test photographs, misaligned and stylised as in training, each in every style at full strength.

    Args:
        faces: folder of photographs, searched recursively; none of them trained on.
        styles: names of formulas or of styles of the bank.
        side: of the pictures, pixels.
        limit: photographs to take, chosen by a hash of their names; 0 = all.
        seed: of misalignment, style parameters and noise.
        config: misalignment; strength 1 and no degradation by default.
        aligned: whether the misalignment is undone again by the true transform, which no system knows.

    Raises:
        DataError: if there are no photographs.

    Example:
        >>> protocol = Procedural("data/faces/test", styles=("facets",), side=128, limit=20)  # doctest: +SKIP
        >>> protocol.read_portraits("facets", protocol.photos[:4]).angles  # doctest: +SKIP
    """

    name = "procedural"

    def __init__(
        self,
        faces: str | Path,
        *,
        styles: Sequence[str],
        side: int,
        limit: int = 0,
        seed: int = 0,
        config: DataConfig | None = None,
        aligned: bool = False,
    ) -> None:
        self.side, self._seed, self._aligned = side, seed, aligned
        self._config = config or DataConfig(side=side, degrade=0.0, strength=1.0, flip=False)
        problems: list[Any] = []
        root = Path(faces)
        files = {path.relative_to(root).as_posix(): path for path in images.list_pictures(root)}
        named = by_name(files, problems, "duplicate_photo")
        self._files = {name: named[name] for name in some_of(named, limit)}
        self.photos, self.problems = tuple(self._files), tuple(problems)
        self.styles = dict.fromkeys(styles, self.photos)
        self._makers: dict[str, Callable[..., Any]] = {}
        self.settings = {
            "photos": digest(self._files.values()),
            "styles": list(styles),
            "side": side,
            "limit": limit,
            "seed": seed,
            **_misalignment(self._config),
            "strength": self._config.strength,
            "degrade": self._config.degrade,
        }
        if aligned:
            self.settings["aligned"] = True
        if any(name.startswith(bank.PREFIX) for name in styles):
            self.settings["bank"] = digest(sorted(Path(bank.FOLDER).glob("*.npz")))

    def read_photos(self, names: Sequence[str]) -> Pictures:
        """The photographs of those names."""
        return read({name: self._files[name] for name in names}, self.side, rule="crop")

    def read_portraits(self, style: str, names: Sequence[str]) -> Pictures:
        """The portraits of those photographs in a style."""
        photos = self.read_photos(names)
        maker = self._maker(style)
        portraits, angles = np.empty_like(photos.pixels), []
        for k, name in enumerate(photos.names):
            number = tf.constant(_number(f"{style}/{name}"), tf.int64)
            portrait, angle = maker(tf.constant(photos.pixels[k : k + 1]), number)
            portraits[k] = portrait.numpy()[0]
            angles.append(round(float(angle), 4))
        return Pictures(photos.names, portraits, photos.problems, tuple(angles))

    def _maker(self, style: str) -> Callable[..., Any]:
        if style not in self._makers:

            def make(pixels: tf.Tensor, number: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
                portrait, _, transform = pipeline_tf.make_group(
                    pixels, number, self._config, (style,), self._seed, flip=False
                )
                if self._aligned:
                    grid = layers.affine_grid(transform, self.side, self.side)
                    portrait = layers.bilinear_sample(portrait, grid, "edge")
                return images.to_uint8(portrait), transform[0, 0] * (180.0 / np.pi)

            picture = tf.TensorSpec((1, self.side, self.side, 3), tf.uint8)
            self._makers[style] = tf.function(make, input_signature=[picture, tf.TensorSpec((), tf.int64)])
        return self._makers[style]


class Paper(Procedural):
    """The paper's protocol: every test photograph in each of its ten styles, painted by the style bank."""

    name = "paper"


class Sketches(Protocol):
    """Sketches drawn by hand from photographs, as they are and misaligned as in training.

    The styles are the sets and, misaligned, the sets with `_misaligned` behind: `cuhk`, `cuhk_misaligned`.
    The gallery holds the photographs of all sets.

    Args:
        folder: holds `<set>/sketch/<name>.<ext>` and `<set>/photo/<name>.<ext>`.
        side: of the pictures, pixels.
        limit: pairs to take of each set, chosen by a hash of their names; 0 = all.
        seed: of the misalignment.
        config: misalignment.

    Raises:
        DataError: if there is no pair.
    """

    name = "sketches"

    def __init__(
        self,
        folder: str | Path,
        *,
        side: int,
        limit: int = 0,
        seed: int = 0,
        config: DataConfig | None = None,
    ) -> None:
        self.side, self._seed, self._config = side, seed, config or DataConfig(side=side)
        problems: list[Any] = []
        self._photos: dict[str, Path] = {}
        self._sketches: dict[str, Path] = {}
        styles: dict[str, tuple[str, ...]] = {}
        for part in sorted(path for path in Path(folder).glob("*") if (path / "sketch").is_dir()):
            photos, sketches = (
                by_name(
                    {f"{part.name}/{path.name}": path for path in images.list_pictures(part / kind)}, problems
                )
                for kind in ("photo", "sketch")
            )
            pairs = {name: sketches[name] for name in some_of(sketches.keys() & photos.keys(), limit)}
            self._sketches.update(pairs)
            self._photos.update({name: photos[name] for name in pairs})
            styles[part.name] = styles[part.name + MISALIGNED] = tuple(pairs)
        if not self._photos:
            raise DataError(
                f"Expected <set>/sketch/<name>.jpg with <set>/photo/<name>.jpg in {str(folder)!r}. "
                "Received: no pair."
            )
        self.photos, self.styles, self.problems = tuple(self._photos), styles, tuple(problems)
        self.settings = {
            "photos": digest([*self._photos.values(), *self._sketches.values()]),
            "side": side,
            "limit": limit,
            "seed": seed,
            **_misalignment(self._config),
        }

    def read_photos(self, names: Sequence[str]) -> Pictures:
        """The photographs of those names."""
        return read({name: self._photos[name] for name in names}, self.side, rule="crop")

    def read_portraits(self, style: str, names: Sequence[str]) -> Pictures:
        """The sketches of those names, misaligned if the style says so."""
        found = read({name: self._sketches[name] for name in names}, self.side)
        if not style.endswith(MISALIGNED) or not found.names:
            return Pictures(found.names, found.pixels, found.problems, (0.0,) * len(found.names))
        noise = [
            np.random.default_rng([self._seed, _number(f"{style}/{name}")]).random(4) for name in found.names
        ]
        config = self._config
        parameters = misalign.similarity_parameters(
            np.stack(noise),
            max_angle=config.max_angle,
            max_scale=config.max_scale,
            max_shift=config.max_shift,
            angles=config.angles or None,
        )
        moved = misalign.misalign(images.to_model_range(found.pixels), parameters)
        degrees = np.degrees(np.asarray(parameters)[:, 0])
        angles = tuple(round(float(angle), 4) for angle in degrees)
        return Pictures(found.names, images.to_uint8(np.asarray(moved)), found.problems, angles)


def some_of(names: Iterable[str], limit: int) -> list[str]:
    """The first `limit` names by their hashes (0 = all), so that a part is a fair sample of the whole."""
    return sorted(names, key=_number)[: limit or None]


def _number(name: str) -> int:
    """A number below 2**40 that belongs to a name: the position in the streams of random numbers."""
    return int.from_bytes(hashlib.sha256(name.encode("utf-8", "surrogateescape")).digest()[:5], "big")


def _misalignment(config: DataConfig) -> dict[str, Any]:
    return {
        "max_angle": config.max_angle,
        "max_scale": config.max_scale,
        "max_shift": config.max_shift,
        "angles": list(config.angles),
    }
