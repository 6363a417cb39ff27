"""What texture inference is worth: sharper answers of the same person, and holes filled better than simply.

Every picture that is looked at was neither trained on nor is in the database. Refined answers stand beside
answers as they are and an unsharp mask; fillings beside those that need no textures.
"""

from __future__ import annotations

import dataclasses
import json
import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFilter
from skimage.restoration import inpaint_biharmonic

from ifrp_tf.core import files
from ifrp_tf.core.rendering import markdown_table
from ifrp_tf.data import photos
from ifrp_tf.evaluation import retrieval, statistics
from ifrp_tf.evaluation.measure import Candidate, Recover
from ifrp_tf.evaluation.pairs import Gallery, Protocol
from ifrp_tf.evaluation.protocols import some_of
from ifrp_tf.evaluation.run import evaluate
from ifrp_tf.evaluation.statistics import Bootstrap, Sample
from ifrp_tf.evaluation.tables import number, with_interval
from ifrp_tf.nn.perceptual import Perceptual
from ifrp_tf.pictures import images
from ifrp_tf.pictures.sharpness import BANDS, band_powers
from ifrp_tf.recovery.texture import SIDE, Textures

ANSWERS = ("as recovered", "unsharp mask", "refined")
"""What is compared of recovered faces, the trivial ones first."""

MASKS: dict[str, Callable[[np.random.Generator], np.ndarray]] = {
    "eye band": lambda _: _band(42, 62),
    "strokes": lambda random: _strokes(random, 0.15),
}
"""Name -> what hides a part of a face: bool [128, 128] of a generator of random numbers."""

_METRICS = ("psnr", "ssim", "squeeze_distance", "frr_top1", "frr_top5")
_SHOWN = 6

Say = Callable[[str], object]


@dataclasses.dataclass(frozen=True)
class Refining:
    """What refined answers are measured with.

    Attributes:
        recover: portraits to recovered faces.
        name: of the model.
        fingerprint: of the model.
        protocol: the portraits.
        gallery: photographs to search; None: those of the protocol.
        descriptor: what compares faces; None: no FRR.
        perceptual: distances by networks.
    """

    recover: Recover
    name: str
    fingerprint: str
    protocol: Protocol
    gallery: Gallery | None
    descriptor: retrieval.Descriptor | None
    perceptual: Sequence[Perceptual]


def refined(asked: Refining, textures: Textures, folder: Path, *, say: Say = logging.info) -> dict[str, Any]:
    """Recovered faces as they are, under an unsharp mask, and refined; gone on with where it was broken off.

    Args:
        asked: what with.
        textures: what refines.
        folder: gets the rows and `refined.png`: portrait, each answer, photograph.
        say: gets progress.

    Returns:
        Answer of `ANSWERS` -> means and intervals of the metrics, `sharpness`, and `gain`: what it adds to
        the answers as they are, portrait by portrait, with its interval; `subjects`; `fits`.
    """
    done, fits = 0, []

    def refine(portraits: np.ndarray) -> np.ndarray:
        nonlocal done
        answers = []
        for answer in asked.recover(portraits):
            texture = textures.refine(answer)
            answers.append(texture.picture)
            fits.append(texture.report)
            done += 1
            say(f"{done} refined, {texture.report['seconds']:.0f} s, step {texture.report['step']:g}")
        return np.stack(answers)

    ways: dict[str, Recover] = {
        "as recovered": asked.recover,
        "unsharp mask": lambda portraits: sharpened(asked.recover(portraits)),
        "refined": refine,
    }
    found: dict[str, Any] = {"answers": {}}
    samples: dict[str, Mapping[str, Mapping[str, Sample]]] = {}
    for name, way in ways.items():
        key = name.replace(" ", "_")
        fingerprint = files.fingerprint([], start=f"{asked.fingerprint} {name} {textures.settings}")
        candidate = Candidate(
            way, name, fingerprint, descriptor=asked.descriptor, perceptual=asked.perceptual
        )
        measured = evaluate(candidate, asked.protocol, folder / f"{key}.rows.jsonl", gallery=asked.gallery)
        evidence, result = measured.evidence, measured.result
        index = {subject: k for k, subject in enumerate(evidence.subjects)}
        samples[name] = statistics.samples(evidence, "model", index, statistics.Gallery(evidence))
        draws = Bootstrap(len(index))
        gain = {}
        for metric in _METRICS:
            parts = [
                samples[name][style][metric].minus(samples[ANSWERS[0]][style][metric])
                for style in samples[name]
            ]
            gain[metric] = {"value": statistics.mean(parts), "interval": draws.interval(parts)}
        found["answers"][name] = {
            "mean": {metric: result["mean"][metric] for metric in _METRICS},
            "confidence": {metric: result["confidence"]["model"]["mean"][metric] for metric in _METRICS},
            "sharpness": result["sharpness"]["model"]["mean"],
            "gain": gain,
        }
        found["subjects"], found["portraits"] = len(index), result["counts"]["measured"]
        found["gallery"] = result["gallery"]["size"]
    if fits:
        found["seconds"] = float(np.median([fit["seconds"] for fit in fits]))
        found["taken"] = float(np.mean([fit["step"] for fit in fits]))
    if fits or not (folder / "refined.png").is_file():
        _refined_sheet(asked, textures, folder / "refined.png")
    return found


def _refined_sheet(asked: Refining, textures: Textures, path: Path) -> None:
    rows = []
    for style, names in asked.protocol.styles.items():
        some = names[: max(1, _SHOWN // len(asked.protocol.styles))]
        portraits = asked.protocol.read_portraits(style, some)
        truth = asked.protocol.read_photos(portraits.names).pixels
        answers = asked.recover(portraits.pixels)
        refinements = np.stack([textures.refine(answer).picture for answer in answers])
        rows += list(np.stack([portraits.pixels, answers, sharpened(answers), refinements, truth], axis=1))
    images.write_png(path, images.grid(rows))


def sharpened(pictures: np.ndarray) -> np.ndarray:
    """An unsharp mask of radius 2 that gives back 150 % of what a blur takes: uint8 [N, S, S, 3]."""
    mask = ImageFilter.UnsharpMask(radius=2, percent=150, threshold=0)
    return np.stack([np.asarray(Image.fromarray(picture).filter(mask)) for picture in pictures])


def completed(
    textures: Textures,
    faces: str | Path,
    folder: Path,
    *,
    count: int,
    perceptual: Perceptual,
    masks: Mapping[str, Callable[[np.random.Generator], np.ndarray]] = MASKS,
    say: Say = logging.info,
) -> dict[str, Any]:
    """Photographs with a part hidden, completed; gone on with where it was broken off.

    Args:
        textures: what completes.
        faces: folder of photographs, none of them in the database.
        folder: gets `completed.jsonl` and `completed.png`: damaged, completed, the other fillings, truth.
        count: photographs, chosen by a hash of their names.
        perceptual: distance to the photograph.
        masks: of `MASKS`.
        say: gets progress.

    Returns:
        Mask -> filling -> `psnr` (inside what is hidden, dB), `distance`, `gain` (by how much the distance of
        the completed face is smaller) and `sharpness` (power inside of .125-.25, over the photograph's), each
        but the last with its interval.
    """
    root = Path(faces)
    named = {path.relative_to(root).as_posix(): path for path in images.list_pictures(root)}
    chosen, shown, sheet = some_of(named, count), [], folder / "completed.png"
    with files.JsonLines(folder / "completed.jsonl") as lines:
        known = {(row["mask"], row["name"]): row for row in lines if row["settings"] == textures.settings}
        missing = not sheet.is_file() or any((mask, name) not in known for mask in masks for name in chosen)
        for mask, draw in masks.items():
            for k, name in enumerate(chosen):
                on_sheet = missing and k < 2  # drawn again, unless nothing is left to do
                if (mask, name) in known and not on_sheet:
                    continue
                photo = photos.read(named[name], SIDE)
                hidden = draw(np.random.default_rng([k, len(mask)]))
                pictures = _fillings(textures, photo, hidden)
                scores = {
                    key: _scores(picture, photo, hidden, perceptual) for key, picture in pictures.items()
                }
                row = {"mask": mask, "name": name, "settings": textures.settings, "fillings": scores}
                if (mask, name) not in known:
                    lines.append([row])
                    known[mask, name] = row
                if on_sheet:
                    damaged = np.where(hidden[..., None], np.uint8(255), photo)
                    shown.append([damaged, *pictures.values(), photo])
                say(f"{mask}: {k + 1} of {len(chosen)} completed")
    if missing:
        images.write_png(sheet, images.grid([np.stack(row) for row in shown]))
    return {mask: _summary([known[mask, name]["fillings"] for name in chosen]) for mask in masks}


def _fillings(textures: Textures, photo: np.ndarray, hidden: np.ndarray) -> dict[str, np.ndarray]:
    damaged = np.where(hidden[..., None], np.uint8(0), photo)
    made = textures.complete(damaged, hidden)
    smooth = inpaint_biharmonic(damaged, hidden, channel_axis=-1)
    others = {"biharmonic": images.to_uint8(2 * smooth.astype(np.float32) - 1), **made.others}
    order = ("biharmonic", "principal_components", "nearest_face", "mean_face")
    return {"completed": made.picture, **{name: others[name] for name in order}}


def _scores(
    picture: np.ndarray, photo: np.ndarray, hidden: np.ndarray, perceptual: Perceptual
) -> dict[str, Any]:
    error = np.square(picture[hidden].astype(float) - photo[hidden]).mean()
    inside = np.where(hidden[..., None], picture, 0), np.where(hidden[..., None], photo, 0)
    own, truth = band_powers(np.stack(inside))
    return {
        "psnr": float(10 * np.log10(255**2 / max(error, 1e-9))),
        "distance": float(perceptual.distances(picture[None], photo[None])[0]),
        "power": [float(own[1]), float(truth[1])],
    }


def _summary(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    subjects, found = np.arange(len(rows)), {}
    draws = Bootstrap(len(rows))

    def interval(values: Sequence[float]) -> list[float]:
        part = [Sample(subjects, np.array(values))]
        low, high = draws.interval(part) or (float("nan"),) * 2
        return [float(np.mean(values)), low, high]

    for name in rows[0]:
        own = [row[name] for row in rows]
        powers = np.array([each["power"] for each in own]).mean(axis=0)
        found[name] = {
            "psnr": interval([each["psnr"] for each in own]),
            "distance": interval([each["distance"] for each in own]),
            "gain": interval([row[name]["distance"] - row["completed"]["distance"] for row in rows]),
            "sharpness": float(powers[0] / powers[1]),
        }
    return found


def explained(textures: Textures, faces: str | Path, *, count: int = 100) -> dict[str, float]:
    """How well combinations of the database explain textures of photographs: median errors of the fit.

    Args:
        textures: with the database.
        faces: folder of photographs, none of them in it.
        count: photographs, chosen by a hash of their names.

    Returns:
        `convex`, `nearest` and `uniform`: squared errors over what is to be explained.
    """
    root = Path(faces)
    named = {path.relative_to(root).as_posix(): path for path in images.list_pictures(root)}
    reports = [textures.explain(photos.read(named[name], SIDE)) for name in some_of(named, count)]
    names = {"convex": "fit_error", "nearest": "nearest_error", "uniform": "uniform_error"}
    return {name: float(np.median([report[key] for report in reports])) for name, key in names.items()}


def tables(found: Mapping[str, Any]) -> str:
    """What was measured, as Markdown.

    Args:
        found: `refined`, `completed` and `explained`, as these functions return them; what is missing is
            left out.
    """
    parts = []
    if "explained" in found:
        errors = found["explained"]
        parts.append(
            "Textures of test photographs, explained by the database (median squared error): convex "
            f"combination {errors['convex']:.3f}, nearest face {errors['nearest']:.3f}, uniform mean "
            f"{errors['uniform']:.3f}."
        )
    if "refined" in found:
        parts.append(_refined_table(found["refined"]))
    for mask, rows in found.get("completed", {}).items():
        parts += [f"Hidden: {mask}.", _completed_table(rows)]
    return "\n\n".join(parts)


def _refined_table(found: Mapping[str, Any]) -> str:
    rows = []
    for name, row in found["answers"].items():
        cells = [
            with_interval(_as(metric), row["mean"][metric], row["confidence"][metric]) for metric in _METRICS
        ]
        gains = [row["gain"]["psnr"], row["gain"]["frr_top5"]]
        changes = [
            with_interval(metric, gain["value"], gain["interval"]) if name != ANSWERS[0] else ""
            for metric, gain in zip(("psnr", "frr_top5"), gains, strict=True)
        ]
        rows.append([name, *(f"{row['sharpness'][band]:.2f}" for band in BANDS), *cells, *changes])
    header = ["answer", *(f"power {band}" for band in BANDS), "PSNR, dB", "SSIM", "SqueezeNet"]
    header += ["FRR top 1, %", "FRR top 5, %", "change of PSNR", "change of FRR top 5"]
    text = f"{found['portraits']} portraits; FRR among {found['gallery']:,} photographs."
    if "seconds" in found:
        text += f" {found['seconds']:.0f} s a face; {found['taken']:.0%} of the step taken on average."
    return f"{markdown_table(header, rows)}\n\n{text}"


def _as(metric: str) -> str:
    return "ssim" if metric == "squeeze_distance" else metric


def _completed_table(found: Mapping[str, Any]) -> str:
    rows = []
    for name, row in found.items():
        psnr, distance, gain = (
            f"{number(kind, row[key][0])} [{number(kind, row[key][1])}, {number(kind, row[key][2])}]"
            for kind, key in (("psnr", "psnr"), ("ssim", "distance"), ("ssim", "gain"))
        )
        better = gain if name != "completed" else ""
        rows.append([name.replace("_", " "), psnr, distance, better, f"{row['sharpness']:.2f}"])
    header = ["filling", "PSNR inside, dB", "SqueezeNet", "completed is nearer by", "power .125-.25 inside"]
    return markdown_table(header, rows)


def write(found: Mapping[str, Any], folder: Path) -> str:
    """Writes `table.json` and `table.md`, and returns the latter."""
    text = tables(found)
    images.write_bytes_atomic(folder / "table.json", json.dumps(found, indent=1).encode() + b"\n")
    images.write_bytes_atomic(folder / "table.md", text.encode() + b"\n")
    return text


def _band(top: int, bottom: int) -> np.ndarray:
    hidden = np.zeros((SIDE, SIDE), bool)
    hidden[top:bottom, 12:116] = True
    return hidden


def _strokes(random: np.random.Generator, share: float) -> np.ndarray:
    """Scratches of 4 to 9 pixels across the face until so much of it is hidden."""
    canvas = Image.new("L", (SIDE, SIDE))
    pen = ImageDraw.Draw(canvas)
    while np.asarray(canvas).mean() / 255 < share:
        points = random.uniform(10, SIDE - 10, (2, 2))
        pen.line([tuple(point) for point in points], fill=255, width=int(random.integers(4, 10)))
    return np.asarray(canvas) > 0
