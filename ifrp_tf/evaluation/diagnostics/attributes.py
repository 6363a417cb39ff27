"""Whether recovered faces have the attributes that a model was told, by a judge that trains no network.

The judge is a logistic regression for each attribute on features of MobileFaceNet, of photographs with all
labels. Its accuracy on photographs of test persons is the ceiling for what is recovered.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from ifrp_tf.core.config import DataConfig
from ifrp_tf.core.errors import DataError
from ifrp_tf.core.rendering import markdown_table
from ifrp_tf.data import attributes, photos, pipeline_tf
from ifrp_tf.data.attributes import NAMES
from ifrp_tf.data.photos import PhotoSet
from ifrp_tf.nn.logistic import Logistic, fit
from ifrp_tf.pictures import images
from ifrp_tf.recovery.recoverer import Recoverer
from ifrp_tf.release.load import in_batches
from ifrp_tf.styles import sets
from ifrp_tf.systems.normalised_face.networks import build_encoder
from ifrp_tf.training import validation

ASKED = ("Male", "Young", "Smiling", "Mouth_Slightly_Open", "Eyeglasses")
"""What is turned around: what a portrait may leave open, and the judge tells well."""

_SIDE, _BATCH, _SHOWN = 128, 32, 6

Say = Callable[[str], object]


def encoder(weights: str | Path) -> Callable[[np.ndarray], np.ndarray]:
    """MobileFaceNet's 512 numbers of uint8 [N, S, S, 3], the mean of a face and of its mirror image."""
    network = build_encoder(weights)

    def part(pixels: np.ndarray) -> np.ndarray:
        large = np.stack([images.resize(one, _SIDE) for one in pixels])
        both = np.concatenate([large, large[:, :, ::-1]])
        found = keras.ops.convert_to_numpy(network(images.to_model_range(both), training=False))
        return (found[: len(large)] + found[len(large) :]) / 2

    return lambda pixels: in_batches(part, pixels, size=_BATCH)


def labelled(
    known: attributes.Attributes, faces: str | Path, part: str, *, side: int = _SIDE, limit: int = 0
) -> tuple[PhotoSet, np.ndarray]:
    """The photographs of a part of the faces of which all attributes are known, and these.

    Args:
        known: labels.
        faces: folder with the parts.
        part: `train` or `test`.
        side: of the pictures.
        limit: the first so many; 0 = all.

    Raises:
        DataError: there is none.
    """
    root = Path(faces) / part
    names = sorted(
        name.removeprefix(f"{part}/")
        for name, vector in known.vectors.items()
        if vector.all() and name.startswith(f"{part}/") and (Path(faces) / name).is_file()
    )
    names = names[: limit or None]
    if not names:
        raise DataError(f"Expected photographs with all labels in {root}. Received: none.")
    pixels = np.stack([photos.read(root / name, side) for name in names])
    return PhotoSet(pixels, tuple(names)), known.of(names, part)


def check(
    model: str,
    *,
    faces: str | Path = "data/faces",
    labels: str | Path = "data/labels",
    weights: str | Path = "data/weights",
    styles: str = "reserved",
    limit: int = 0,
    judged: int = 0,
    asked: Sequence[str] = ASKED,
    say: Say = lambda text: None,
) -> tuple[dict[str, Any], np.ndarray | None]:
    """Trains the judge, and measures what a model makes of attributes on labelled test faces.

    Args:
        model: as in `Recoverer.load`, told attributes; empty: only the ceiling.
        faces: folder with `train` and `test`.
        labels: folder with the labels.
        weights: folder with MobileFaceNet's archive.
        styles: of the portraits, taken in turn.
        limit: test faces; 0 = all.
        judged: photographs that the judge is fitted on; 0 = all.
        asked: attributes that are turned around.
        say: takes lines on how far it is.

    Returns:
        Plain values: `judge` (`fitted`, `tested`, and `ceiling` and `always`, an attribute each), `styles`,
        `model` (see `measure`); and a sheet uint8 [H, W, 3], or None.

    Raises:
        ConfigError: the model cannot be told attributes.
        DataError: labels or photographs are missing.
    """
    known, encode = attributes.load(labels), encoder(weights)
    train, vectors = labelled(known, faces, "train", limit=judged)
    say(f"the judge learns from {len(train):,} photographs")
    judge = fit(encode(train.pixels), vectors)
    test, truth = labelled(known, faces, "test", limit=limit)
    share = (truth > 0).mean(axis=0)
    found: dict[str, Any] = {
        "judge": {
            "fitted": len(train),
            "tested": len(test),
            "ceiling": _named(judge.accuracy(encode(test.pixels), truth)),
            "always": _named(np.maximum(share, 1 - share)),
        }
    }
    if not model:
        return found, None
    recoverer = Recoverer.load(model)
    recoverer.with_attributes(np.zeros(len(NAMES)))  # says where it cannot be told any
    some = PhotoSet(np.stack([images.resize(one, recoverer.side) for one in test.pixels]), test.names)
    wanted = DataConfig(side=recoverer.side, degrade=0.0, strength=1.0, flip=False)
    chosen = sets.resolve(styles, allow_reserved=True)
    made = pipeline_tf.fixed_portraits(some, wanted, styles=chosen)
    portraits = images.to_uint8(np.stack([row[0] for row in made.as_numpy_iterator()]))
    say(f"{len(some)} portraits in {', '.join(chosen)}")
    found["styles"] = list(chosen)
    found["model"], sheet = measure(recoverer, judge, encode, portraits, some.pixels, truth, asked)
    return found, sheet


def measure(
    recoverer: Recoverer,
    judge: Logistic,
    encode: Callable[[np.ndarray], np.ndarray],
    portraits: np.ndarray,
    truth: np.ndarray,
    vectors: np.ndarray,
    asked: Sequence[str] = ASKED,
) -> tuple[dict[str, Any], np.ndarray]:
    """What a model makes of attributes: true ones, none, and one turned around.

    Args:
        recoverer: told attributes.
        judge: of photographs.
        encode: features of photographs.
        portraits: uint8 [N, S, S, 3].
        truth: their photographs, uint8 [N, S, S, 3].
        vectors: int8 [N, 14] in {-1, 1}.
        asked: attributes that are turned around.

    Returns:
        `nothing` and `true`: `psnr`, `ssim` and `accuracy` (an attribute each); `turned`, an attribute of
        `asked` each: `followed`, the share of answers in which the judge sees what was asked for, and
        `effects`, by how many points its confidence in each attribute rises from asking for absence to asking
        for presence; and a sheet, whose rows are portrait, told nothing, each asked attribute absent and
        there, photograph.
    """

    def told(rows: np.ndarray) -> np.ndarray:
        return in_batches(recoverer.network, portraits, rows.astype(np.float32))

    found: dict[str, Any] = {}
    pictures = {"nothing": told(0 * vectors), "true": told(vectors)}
    for name, answers in pictures.items():
        accuracy = judge.accuracy(encode(answers), vectors)
        found[name] = {**validation.score(answers, truth), "accuracy": _named(accuracy)}
    before, columns = judge.logits(encode(pictures["true"])), [portraits, pictures["nothing"]]
    found["turned"] = {}
    for name in asked:
        place = NAMES.index(name)
        turned = vectors.copy()
        turned[:, place] *= -1
        answers, wanted = told(turned), turned[:, place]
        after = judge.logits(encode(answers))
        moved = (_confidence(after) - _confidence(before)) * wanted[:, None]
        found["turned"][name] = {
            "followed": float(((after[:, place] > 0) == (wanted > 0)).mean()),
            "effects": _named(100 * moved.mean(axis=0)),
        }
        there = wanted[:, None, None, None] > 0
        columns += [
            np.where(there, *pair) for pair in ((pictures["true"], answers), (answers, pictures["true"]))
        ]
    rows = np.stack([*columns, truth], axis=1)[:_SHOWN]
    return found, images.grid(rows)


def tables(found: dict[str, Any]) -> str:
    """What `check` found, as Markdown."""
    judge, model = found["judge"], found.get("model")
    header = ["judged right, %", "the more frequent answer", "photographs"]
    parts = [judge["always"], judge["ceiling"]]
    if model:
        header += ["told nothing", "told the truth"]
        parts += [model[name]["accuracy"] for name in ("nothing", "true")]
    rows = [[name, *(f"{100 * part[name]:.1f}" for part in parts)] for name in NAMES]
    text = f"{judge['fitted']:,} photographs to learn from, {judge['tested']} test faces.\n\n"
    text += markdown_table(header, rows)
    if not model:
        return text
    scores = [
        [words, f"{model[name]['psnr']:.2f}", f"{model[name]['ssim']:.3f}"]
        for name, words in (("nothing", "told nothing"), ("true", "told the truth"))
    ]
    text += "\n\n" + markdown_table(["answer", "PSNR, dB", "SSIM"], scores)
    turned = [
        [name, f"{100 * row['followed']:.0f}", *(f"{row['effects'][other]:+.0f}" for other in NAMES)]
        for name, row in model["turned"].items()
    ]
    return text + "\n\n" + markdown_table(["turned around", "followed, %", *NAMES], turned)


def _confidence(logits: np.ndarray) -> np.ndarray:
    return 1.0 / (1.0 + np.exp(-np.clip(logits, -60, 60)))


def _named(values: np.ndarray) -> dict[str, float]:
    return {name: round(float(value), 4) for name, value in zip(NAMES, values, strict=True)}
