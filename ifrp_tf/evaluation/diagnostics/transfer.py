"""Whether a changed face has the attribute that it was to get, is still the same person, and still sharp.

The judge is that of `diagnostics.attributes`, which trains no network. No photograph that is looked at here
was trained on. Beside the answers stand the photographs as they are, and photographs of others who have the
attribute: the one is the person and has it not, the other has it and is somebody else.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ifrp_tf.core.errors import ConfigError, DataError
from ifrp_tf.core.rendering import markdown_table
from ifrp_tf.data import attributes, photos
from ifrp_tf.data.attributes import NAMES
from ifrp_tf.evaluation import retrieval
from ifrp_tf.evaluation.diagnostics.attributes import encoder, fit, labelled
from ifrp_tf.evaluation.diagnostics.normalised import interval
from ifrp_tf.pictures import images
from ifrp_tf.pictures.sharpness import BANDS, band_powers
from ifrp_tf.recovery.transfer import Transfer

OUTSIDE = 0.5
"""Where a mask is below, the picture counts as outside of it."""

_PAIRS, _SHOWN = 300, 12


def check(
    models: Mapping[str, Transfer],
    *,
    faces: str | Path = "data/faces",
    labels: str | Path = "data/labels",
    weights: str | Path = "data/weights",
    limit: int = 500,
    judged: int = 0,
    say: Callable[[str], object] = logging.info,
) -> tuple[dict[str, Any], np.ndarray]:
    """Measures models that give the same attribute.

    Args:
        models: by the names that the tables give them.
        faces: folder with `train`, whose labelled photographs the judge learns from, and `test`.
        labels: folder with the labels.
        weights: folder with MobileFaceNet's and dlib's archives.
        limit: test photographs without the attribute that are changed, at most.
        judged: photographs that the judge learns from; 0 = all.
        say: gets progress.

    Returns:
        Plain values: `attribute`, `tested`, `ceiling` and `mistaken` (shares of all labelled test photographs
        with and without the attribute in which the judge sees it), `same_person` (dlib's distance of two
        photographs of one person), and `rows`, of every model and trivial answer; and a sheet uint8
        [H, W, 3]: a photograph a row, and each model's answer to it.

    Raises:
        ConfigError: the models give different attributes.
        DataError: there are no such photographs.
    """
    first = next(iter(models.values()))
    vector = attributes.parse(first.attribute)
    if any(not np.array_equal(attributes.parse(one.attribute), vector) for one in models.values()):
        given = ", ".join(one.attribute for one in models.values())
        raise ConfigError(f"Expected models that give the same attribute. Received: {given}.")
    place = int(np.flatnonzero(vector)[0])
    sign, name = int(vector[place]), NAMES[place]
    known, encode = attributes.load(labels), encoder(weights)
    train, vectors = labelled(known, faces, "train", limit=judged)
    say(f"the judge learns from {len(train):,} photographs")
    judge = fit(encode(train.pixels), vectors[:, place : place + 1], balanced=True)

    def has_it(pictures: np.ndarray) -> np.ndarray:
        return judge.logits(encode(pictures))[:, 0] * sign > 0

    root = Path(faces) / "test"
    test, truths = labelled(known, faces, "test", side=first.side)
    seen = has_it(test.pixels).astype(float)
    has = truths[:, place] == sign
    having = np.random.default_rng(0).permutation(test.pixels[has])
    names = [path.relative_to(root).as_posix() for path in images.list_pictures(root)]
    lacking = np.flatnonzero(known.of(names, "test")[:, place] == -sign)
    if not (len(lacking) and has.any() and not has.all()):
        raise DataError(f"Expected test photographs with and without {name} in {root}. Received: one kind.")
    chosen = sorted(np.random.default_rng(0).permutation(lacking)[:limit])
    without = np.stack([photos.read(root / names[k], first.side) for k in chosen])
    dlib = retrieval.load("dlib", weights)
    vectors_of = dlib.embed(without)
    truth = band_powers(without).mean(axis=0)
    others = having[np.arange(len(without)) % len(having)]
    answers = {key: model.change(without) for key, model in models.items()}
    say(f"{len(without)} photographs changed by {', '.join(models)}")
    pictures = {key: found.pictures for key, found in answers.items()}
    pictures |= {"the photograph itself": without, "another person who has it": others}
    rows: dict[str, Any] = {}
    for key, shown in pictures.items():
        distance = np.linalg.norm(dlib.embed(shown) - vectors_of, axis=1)
        rows[key] = {
            "success": interval(has_it(shown).astype(float)),
            "distance": interval(distance),
            "sharpness": [round(float(value), 3) for value in band_powers(shown).mean(axis=0) / truth],
        }
        if key in answers:
            masks, change = answers[key].masks, np.abs(shown - without.astype(float)).mean(axis=-1) / 255
            outside = masks < OUTSIDE
            rows[key]["mask"] = interval(masks.mean(axis=(1, 2)))
            rows[key]["outside"] = round(float((change * outside).sum() / max(outside.sum(), 1)), 4)
    found = {
        "attribute": f"{name}={sign}",
        "tested": len(without),
        "ceiling": interval(seen[has]),
        "mistaken": interval(seen[~has]),
        "same_person": _same_person(dlib, Path(faces) / "train", first.side),
        "rows": rows,
    }
    shown = np.stack([without[:_SHOWN], *(found.pictures[:_SHOWN] for found in answers.values())], axis=1)
    return found, images.grid(shown)


def tables(found: dict[str, Any]) -> str:
    """What `check` found, as Markdown."""
    rows = []
    for name, row in found["rows"].items():
        mask = [_percent(row["mask"]), f"{row['outside']:.4f}"] if "mask" in row else ["", ""]
        cells = [_percent(row["success"]), _range(row["distance"]), *mask]
        rows.append([name, *cells, *(f"{value:.2f}" for value in row["sharpness"])])
    header = ["answer", "has it, %", "dlib's distance", "mask, %", "change outside", *BANDS]
    return (
        f"{found['attribute']}: {found['tested']} test photographs without it. Of labelled photographs with "
        f"it the judge sees it in {_percent(found['ceiling'])} %, of those without it in "
        f"{_percent(found['mistaken'])} %; two photographs of one person are {_range(found['same_person'])} "
        "apart.\n\n" + markdown_table(header, rows)
    )


def _same_person(dlib: retrieval.NetworkDescriptor, root: Path, side: int) -> list[float]:
    """dlib's distance of two photographs of one person, of whom `test` has one only, with its interval.

    Raises:
        DataError: nobody has two.
    """
    persons: dict[str, list[str]] = {}
    for path in images.list_pictures(root):
        name = path.relative_to(root).as_posix()
        persons.setdefault(photos.person_of(name), []).append(name)
    pairs = [own[:2] for own in persons.values() if len(own) > 1]
    if not pairs:
        raise DataError(f"Expected persons with two photographs in {root}. Received: none.")
    pairs = pairs[:: max(1, len(pairs) // _PAIRS)][:_PAIRS]
    read = [np.stack([photos.read(root / pair[k], side) for pair in pairs]) for k in (0, 1)]
    return interval(np.linalg.norm(dlib.embed(read[0]) - dlib.embed(read[1]), axis=1))


def _percent(values: list[float]) -> str:
    value, low, high = (100 * each for each in values)
    return f"{value:.1f} ({low:.1f} to {high:.1f})"


def _range(values: list[float]) -> str:
    value, low, high = values
    return f"{value:.3f} ({low:.3f} to {high:.3f})"
