"""Whether normalised faces show the person, the same from every picture, and what their colours are good for.

Beside each number stands what a trivial answer reaches: the mean face, the mean shape, the photograph itself,
grey-world. No photograph that is looked at here, and none of its person, was trained on.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ifrp_tf.core.errors import DataError
from ifrp_tf.core.rendering import markdown_table
from ifrp_tf.data import landmarks, photos
from ifrp_tf.data.prepare_normalised import FEWEST, held_out, inner_face
from ifrp_tf.evaluation import retrieval
from ifrp_tf.pictures import images, light
from ifrp_tf.recovery.normalised import Normalised, Normaliser, gains

TEMPERATURES = (2500, 3500, 5000, 8000, 10000)
"""Kelvin of the light that photographs are cast in."""

TINT = 0.2
"""Standard deviation of the tint of a second set of casts, stops: fluorescent lamps, old film."""

SIDE = 128
_RESAMPLES = 1000


def check(
    models: Mapping[str, Normaliser],
    *,
    faces: str | Path = "data/faces",
    labels: str | Path = "data/labels",
    weights: str | Path = "data/weights",
    persons: str = "lfw",
    casts: int = 100,
    say: Callable[[str], object] = logging.info,
) -> dict[str, Any]:
    """Measures models of normalised faces.

    Args:
        models: by the names that the tables give them.
        faces: folder with `train`, whose persons held out are looked at, and `test`.
        labels: folder with `landmarks.npz`.
        weights: folder with dlib's archive.
        persons: folder below `test` and `train` in which a folder is a person.
        casts: test photographs that are cast in coloured light.
        say: gets progress.

    Returns:
        Plain values: `identity`, `variance`, `shape`, `light`, `tinted_light`, each by model and trivial
        answer, with intervals of 95 % over persons or photographs.

    Raises:
        DataError: there are no such photographs or landmarks.
    """
    root = Path(faces)
    known = {part: landmarks.load(part, labels) for part in ("train", "test")}
    names = [path.relative_to(root / "test").as_posix() for path in images.list_pictures(root / "test")]
    names = [name for name in names if name in known["test"].points]
    gallery = _read(root / "test", names)
    own = [k for k, name in enumerate(names) if name.startswith(f"{persons}/")]
    if not own:
        raise DataError(f"Expected photographs in {root / 'test' / persons}. Received: none.")
    found: dict[str, Any] = {"identity": _identity(models, retrieval.load("dlib", weights), gallery, own)}
    say(f"identity measured among {len(gallery)} photographs")
    frontal = set(known["test"].frontal())
    rows = [k for k, name in enumerate(names) if name in frontal]
    found["shape"] = _shape(models, gallery[rows], np.stack([known["test"].points[names[k]] for k in rows]))
    say("shape measured")
    found["variance"] = _variance(models, root / "train", known["train"], persons)
    say("variance measured")
    chosen = np.random.default_rng(0).permutation(len(names))[:casts]
    points = np.stack([known["test"].points[names[k]] for k in chosen])
    found["light"] = _light(models, gallery[chosen], points, tint=0.0)
    found["tinted_light"] = _light(models, gallery[chosen], points, tint=TINT)
    return found


def interval(
    values: np.ndarray, statistic: Callable[[np.ndarray], float] = lambda v: float(np.mean(v))
) -> list[float]:
    """A statistic of one number a subject, and its 95 % interval over resampled subjects: three numbers."""
    random = np.random.default_rng(0)
    drawn = [statistic(values[random.integers(0, len(values), len(values))]) for _ in range(_RESAMPLES)]
    low, high = np.percentile(drawn, [2.5, 97.5])
    return [round(statistic(values), 4), round(float(low), 4), round(float(high), 4)]


def _identity(
    models: Mapping[str, Normaliser],
    dlib: retrieval.NetworkDescriptor,
    gallery: np.ndarray,
    own: Sequence[int],
) -> dict[str, Any]:
    """FRR of normalised faces among all test photographs, and dlib's distance to the own photograph."""
    vectors = dlib.embed(gallery)
    mean = np.round(gallery.mean(axis=0, dtype=np.float64)).astype(np.uint8)
    shown = gallery[list(own)]
    answers = {name: _normalised(model, shown).faces for name, model in models.items()}
    answers |= {"mean face": mean[None], "mirrored photograph": shown[:, :, ::-1]}
    found = {}
    for name, pictures in answers.items():
        queries = np.broadcast_to(dlib.embed(pictures), (len(own), vectors.shape[1]))
        placed = retrieval.place(dlib, queries, vectors, own)
        found[name] = {f"frr_top{k}": interval(placed.success(k)) for k in (1, 5)}
        found[name]["distance"] = interval(placed.distance)
        found[name]["below_0.6"] = interval((placed.distance < 0.6).astype(float))
    return found


def _shape(models: Mapping[str, Normaliser], pictures: np.ndarray, truth: np.ndarray) -> dict[str, Any]:
    """Root of the mean squared error of landmarks on frontal faces, pixels of 128."""
    answers = {name: _normalised(model, pictures).landmarks for name, model in models.items()}
    answers["mean shape"] = landmarks.mean_shape()[None]
    squares = {
        name: SIDE**2 * np.square(points - truth).sum(axis=-1).mean(axis=-1)
        for name, points in answers.items()
    }
    return {name: interval(values, lambda v: float(np.sqrt(v.mean()))) for name, values in squares.items()}


def _variance(
    models: Mapping[str, Normaliser], root: Path, known: landmarks.Landmarks, persons: str
) -> dict[str, Any]:
    """Variance within a person over that between persons, of textures and landmarks."""
    every = [path.relative_to(root).as_posix() for path in images.list_pictures(root)]
    held: dict[str, list[str]] = {}
    for name in sorted(held_out(every, min(500, len(every) // 2))):
        if name.startswith(f"{persons}/") and name in known.points:
            held.setdefault(photos.person_of(name), []).append(name)
    groups = [own for own in held.values() if len(own) >= FEWEST]
    if len(groups) < 2:
        raise DataError(f"Expected persons with {FEWEST} pictures who are held out. Received: {len(groups)}.")
    names = [name for own in groups for name in own]
    owners = np.repeat(np.arange(len(groups)), [len(own) for own in groups])
    pictures = _read(root, names)
    inner = inner_face()
    answers: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    for name, model in models.items():
        done = _normalised(model, pictures)
        answers[name] = (done.textures[:, inner], done.landmarks)
    points = np.stack([known.points[name] for name in names])
    first = next(iter(models.values()))
    own = np.stack([first.texture(picture, place) for picture, place in zip(pictures, points, strict=True)])
    answers["photographs"] = (own[:, inner], points)
    found = {
        name: {
            "texture": _ratio(textures.reshape(len(names), -1).astype(np.float32), owners),
            "landmarks": _ratio(shapes.reshape(len(names), -1), owners),
        }
        for name, (textures, shapes) in answers.items()
    }
    return {"persons": len(groups), "pictures": len(names), **found}


def _ratio(rows: np.ndarray, owners: np.ndarray) -> list[float]:
    """Within over between, the latter without what the former adds to means of few: with its interval."""
    means = np.stack([rows[owners == k].mean(axis=0) for k in range(owners.max() + 1)])
    counts = np.bincount(owners)
    within = np.bincount(owners, np.square(rows - means[owners]).sum(axis=1)) / (counts - 1)
    between = (
        np.square(means - means.mean(axis=0)).sum(axis=1) * len(means) / (len(means) - 1) - within / counts
    )
    pairs = np.stack([within, between], axis=1)
    return interval(pairs, lambda v: float(v[:, 0].mean() / v[:, 1].mean()))


def _light(
    models: Mapping[str, Normaliser], pictures: np.ndarray, points: np.ndarray, tint: float
) -> dict[str, Any]:
    """Angle between the light that photographs are cast in and what is taken for it; stops of exposure.

    Args:
        models: by name.
        pictures: of faces.
        points: their landmarks.
        tint: standard deviation of a tint of green or magenta, stops: off the line of daylight.
    """
    random = np.random.default_rng(1)
    temperatures = random.choice(TEMPERATURES, len(pictures))
    stops = random.uniform(-1, 1, len(pictures))
    casts = np.stack([light.daylight(t) * 2**s for t, s in zip(temperatures, stops, strict=True)])
    casts[:, 1] *= 2 ** random.normal(0, tint, len(pictures))
    shown = np.stack([light.balanced(picture, cast) for picture, cast in zip(pictures, casts, strict=True)])
    guesses = {"no correction": np.ones_like(casts)}
    guesses["grey-world"] = light.to_linear(shown).mean(axis=(1, 2))
    usual = light.to_linear(pictures).mean(axis=(0, 1, 2))  # what is taken for grey is mostly skin here
    guesses["grey-world, of the mean photograph's colour"] = guesses["grey-world"] / usual
    near = light.near_daylight(guesses["grey-world"] / usual)
    guesses["the same, near daylight"] = near
    for name, model in models.items():
        done = _normalised(model, shown)
        own = [model.texture(picture, place) for picture, place in zip(shown, points, strict=True)]
        for words, across in ((name, light.ACROSS), (f"{name}, anywhere", 1.0)):
            guesses[words] = np.stack(
                [1 / gains(*pair, across=across) for pair in zip(own, done.textures, strict=True)]
            )
    found = {}
    for name, guess in guesses.items():
        cosine = (guess * casts).sum(axis=1) / np.linalg.norm(guess, axis=1) / np.linalg.norm(casts, axis=1)
        found[name] = {"degrees": interval(np.degrees(np.arccos(np.clip(cosine, -1, 1))), _median)}
        if name in models:
            error = np.abs(np.log2(np.exp(np.log(guess).mean(axis=1) - np.log(casts).mean(axis=1))))
            found[name]["stops"] = interval(error, _median)
    found["no correction"]["stops"] = interval(np.abs(np.log2(np.exp(np.log(casts).mean(axis=1)))), _median)
    return found


def _median(values: np.ndarray) -> float:
    return float(np.median(values))


def _normalised(model: Normaliser, pictures: np.ndarray) -> Normalised:
    done = [model.decode(part) for part in np.array_split(model.features(pictures), -(-len(pictures) // 64))]
    return Normalised(
        *(np.concatenate([getattr(one, name) for one in done]) for name in ("faces", "textures", "landmarks"))
    )


def _read(root: Path, names: Sequence[str]) -> np.ndarray:
    return np.stack([photos.read(root / name, SIDE) for name in names])


def tables(found: Mapping[str, Any]) -> str:
    """The tables of `check`, Markdown."""

    def cell(values: Sequence[float], percent: bool = False) -> str:
        value, low, high = (100 * number if percent else number for number in values)
        digits = 1 if percent else 2
        return f"{value:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"

    identity = [
        (
            name,
            cell(row["frr_top1"], True),
            cell(row["frr_top5"], True),
            cell(row["distance"]),
            cell(row["below_0.6"], True),
        )
        for name, row in found["identity"].items()
    ]
    variance = [
        (name, cell(row["texture"]), cell(row["landmarks"]))
        for name, row in found["variance"].items()
        if isinstance(row, dict)
    ]
    shape = [(name, cell(values)) for name, values in found["shape"].items()]
    lights = [
        (
            name,
            cell(row["degrees"]),
            cell(found["tinted_light"][name]["degrees"]),
            cell(row["stops"]) if "stops" in row else "",
        )
        for name, row in found["light"].items()
    ]
    parts = [
        markdown_table(("answer", "FRR top 1, %", "FRR top 5, %", "dlib distance", "below 0.6, %"), identity),
        markdown_table(("answer", "within / between, texture", "landmarks"), variance),
        markdown_table(("answer", "landmarks, RMSE in pixels"), shape),
        markdown_table(("answer", "median angle, degrees", "of tinted light", "median stops"), lights),
    ]
    return "\n\n".join(parts)
