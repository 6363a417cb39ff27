"""Where a model's error is: what its answers would score if it knew one thing about the truth.

A style takes away how bright and of which colour a face was, and a tilt is estimated with an error. So some
of the distance to the photograph is no fault of the network that removes the style. Here the true transform,
or the true mean colour, takes the place of the model's own; what is gained is what was lost there.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from ifrp_tf.core.config import Config, DataConfig
from ifrp_tf.core.errors import ModelError
from ifrp_tf.core.rendering import markdown_table
from ifrp_tf.data import photos, pipeline_tf
from ifrp_tf.evaluation import protocols
from ifrp_tf.evaluation.diagnostics import registration
from ifrp_tf.evaluation.statistics import Bootstrap, Sample
from ifrp_tf.nn import metrics
from ifrp_tf.nn.layers import affine_grid, bilinear_sample
from ifrp_tf.pictures import images
from ifrp_tf.release import folder as model_folder
from ifrp_tf.release import graph_weights, weights
from ifrp_tf.release.load import in_batches
from ifrp_tf.styles import sets
from ifrp_tf.systems.ifrp import networks
from ifrp_tf.systems.ifrp.localisation import ALIGNMENT_LAYER

CENTRE = 5 / 8
"""Side of the square in the middle that counts as the face, as a part of the whole."""

_BATCH = 32
_ANSWERS = {
    "mean_face": "*the mean face*",
    "mean_face_colour": "*the mean face, true mean colour*",
    "model": "the model",
    "transform": "the true transform in place of its own",
    "colour": "the true mean colour in place of its own",
    "both": "both",
}


@dataclasses.dataclass(frozen=True)
class _Network:
    """A model in two parts, so that another transform can stand between them.

    Attributes:
        transform: portraits [N, S, S, 3] in [-1, 1] to transforms [N, 4].
        rest: aligned portraits to recovered faces.
        mean_face: uint8 [S, S, 3].
    """

    transform: keras.Model
    rest: keras.Model
    mean_face: np.ndarray

    def recover(self, portraits: np.ndarray, transforms: np.ndarray) -> np.ndarray:
        """Recovered faces, float32 levels 0-255, through the given transforms."""

        def answers(part: np.ndarray, own: np.ndarray) -> np.ndarray:
            grid = affine_grid(own, *portraits.shape[1:3])
            recovered = self.rest(bilinear_sample(part, grid, "edge"), training=False)
            return images.to_uint8(keras.ops.convert_to_numpy(recovered))

        return in_batches(answers, portraits, transforms, size=_BATCH).astype(np.float32)


def measure(
    model: str | Path, faces: str | Path, *, styles: str = "reserved", limit: int = 300, seed: int = 0,
    trust: bool = False,
) -> dict[str, Any]:  # fmt: skip
    """Scores a model's answers with and without its own transform and mean colour.

    Every photograph is misaligned and stylised as in training, at full strength and without degradation, in
    one of the styles, taken in turn.

    Args:
        model: a version folder, a folder of versions or a run, with a supervised input transformer.
        faces: folder of photographs that were not trained on.
        styles: set or names of styles.
        limit: photographs, chosen by a hash of their names; 0 = all.
        seed: of misalignment and noise.
        trust: as in `Recoverer.load`.

    Returns:
        Plain values: `count styles corners` (mean distance of the corners in pixels), `answers`: answer ->
        `psnr ssim` (whole), `centre` (PSNR of the square in the middle), `gain` with `interval` (dB over the
        model, 95 %), `border`: the part of the model's squared error that is outside that square, and
        `registration`: `portraits` and `photographs` (the same faces, clean and upright) -> `transform` (by
        what the model's transformer did) and `answers` (by registering answers to the truth) ->
        `registration.summarise`; and `backgrounds`: `white`, `grey`, `black` -> by how many levels the skin
        of the answer gets lighter (`mean` and `spread`) where that colour is laid behind the head of a clean
        photograph.

    Raises:
        ModelError: the model is unusable, or has no input transformer.
        ConfigError, DataError: as for `sets.resolve` and `photos.load`.

    Example:
        >>> measure("saved_models/ifrp", "data/faces/test")["answers"]["colour"]["gain"]  # doctest: +SKIP
        1.7
    """
    chosen = sets.resolve(styles, allow_reserved=True)
    network, config = _load(model, trust)
    wanted = DataConfig(side=config.data.side, degrade=0.0, strength=1.0, flip=False)
    everything = photos.load(faces, wanted)
    places = {name: k for k, name in enumerate(everything.names)}
    some = everything.select(places[name] for name in protocols.some_of(places, limit))
    made = pipeline_tf.fixed_portraits(some, wanted, styles=chosen, seed=seed)
    portraits, truth, transforms = map(np.stack, zip(*made.as_numpy_iterator(), strict=True))
    portraits = images.to_model_range(images.to_uint8(portraits))  # as a file would hold them
    truth = images.to_uint8(truth).astype(np.float32)
    own = np.asarray(network.transform.predict(portraits, batch_size=_BATCH, verbose=0))
    own_answers, aligned = (network.recover(portraits, one) for one in (own, transforms))
    mean_face = np.broadcast_to(network.mean_face.astype(np.float32), truth.shape)
    answers = {
        "mean_face": mean_face,
        "mean_face_colour": _recoloured(mean_face, truth),
        "model": own_answers,
        "transform": aligned,
        "colour": _recoloured(own_answers, truth),
        "both": _recoloured(aligned, truth),
    }
    error = np.square(own_answers - truth)
    side = truth.shape[1]
    corners = np.asarray(affine_grid(own, 2, 2)) - np.asarray(affine_grid(transforms, 2, 2))
    return {
        "count": len(some),
        "styles": list(chosen),
        "corners": float(np.linalg.norm(corners * (side - 1), axis=-1).mean()),
        "answers": _scores(answers, truth, some.names),
        "border": float(1 - _middle(error).sum() / error.sum()),
        "registration": {
            "portraits": _registered(own, transforms, own_answers, truth),
            "photographs": _of_photographs(network, truth),
        },
        "backgrounds": _backgrounds(network, truth),
    }


def run(
    model: str | Path, faces: str | Path, *, styles: str = "reserved", limit: int = 300, seed: int = 0,
    trust: bool = False, json_file: str = "",
) -> str:  # fmt: skip
    """What `tools/error_budget.py` prints.

    Args:
        model, faces, styles, limit, seed, trust: as in `measure`.
        json_file: also write the numbers here; empty = do not.

    Returns:
        Markdown.
    """
    found = measure(model, faces, styles=styles, limit=limit, seed=seed, trust=trust)
    if json_file:
        images.write_bytes_atomic(json_file, json.dumps(found, indent=1).encode() + b"\n")
    return table(found)


def table(found: dict[str, Any]) -> str:
    """Markdown of what was measured.

    Args:
        found: of `measure`.
    """
    header = ("answer", "PSNR, dB", "over the model", "SSIM", "PSNR in the middle")
    rows = []
    for name, words in _ANSWERS.items():
        row = found["answers"][name]
        low, high = row["interval"]
        gain = "" if name == "model" else f"{row['gain']:+.2f} [{low:+.2f}, {high:+.2f}]"
        rows.append((words, f"{row['psnr']:.2f}", gain, f"{row['ssim']:.3f}", f"{row['centre']:.2f}"))
    text = (
        f"{found['count']:,} portraits in {', '.join(found['styles'])}. The model's transform puts the "
        f"corners {found['corners']:.2f} pixels from where they belong. {found['border']:.0%} of its squared "
        f"error is outside the middle square of {CENTRE:.1%} of the side ({1 - CENTRE**2:.0%} of the "
        "area). In brackets 95 % intervals over subjects."
    )
    behind = ", ".join(
        f"on {name} {row['mean']:+.1f} (spread {row['spread']:.1f})"
        for name, row in found["backgrounds"].items()
    )
    light = f"What is behind the head of a clean photograph changes the skin of the answer, levels: {behind}."
    parts = [markdown_table(header, rows), text, _registration_table(found["registration"]), light]
    return "\n\n".join(parts)


def _registration_table(found: dict[str, Any]) -> str:
    """Markdown: median and 90th percentile of every error of position."""
    words = {"transform": "by its transformer", "answers": "by registering the answers"}
    kinds = {"portraits": "portraits", "photographs": "clean, upright photographs"}
    header = (
        "moved from where they belong, median (90th percentile)",
        "corners, px",
        "turn, degrees",
        "scale, %",
        "shift, px",
    )
    rows = []
    for kind, named in kinds.items():
        for way, how in words.items():
            row = found[kind][way]
            cells = [f"{row[name]['median']:.2f} ({row[name]['p90']:.2f})" for name in row]
            rows.append((f"{named}, {how}", *cells))
    return markdown_table(header, rows)


def _of_photographs(network: _Network, truth: np.ndarray) -> dict[str, Any]:
    """How far clean, upright photographs come back from where they were."""
    given = images.to_model_range(truth.astype(np.uint8))
    own = np.asarray(network.transform.predict(given, batch_size=_BATCH, verbose=0))
    known = np.tile(np.array([[0, 1, 0, 0]], np.float32), (len(truth), 1))
    return _registered(own, known, network.recover(given, own), truth)


def _backgrounds(network: _Network, truth: np.ndarray) -> dict[str, dict[str, float]]:
    """How the luminance of cheeks and nose changes with what is laid behind an oval about the head."""
    side = truth.shape[1]
    place = (np.arange(side) + 0.5) / side
    down, across = (place - 0.492) / 0.477, (place - 0.5) / 0.39
    distance = np.hypot(down[:, None], across[None])
    mask = np.clip(0.5 + (1 - distance) * 0.43 * side / 4, 0, 1)[..., None]  # an edge of 4 pixels
    skin = slice(round(0.47 * side), round(0.75 * side)), slice(round(0.31 * side), round(0.69 * side))

    def light(pictures: np.ndarray) -> np.ndarray:
        inside = images.to_model_range(np.round(pictures).astype(np.uint8))
        own = np.asarray(network.transform.predict(inside, batch_size=_BATCH, verbose=0))
        answers = network.recover(inside, own)
        return np.asarray(metrics.luminance(answers[:, skin[0], skin[1]])).mean(axis=(1, 2))

    plain, found = light(truth), {}
    for name, level in {"white": 255.0, "grey": 128.0, "black": 0.0}.items():
        change = light(truth * mask + level * (1 - mask)) - plain
        found[name] = {"mean": float(change.mean()), "spread": float(change.std())}
    return found


def _registered(
    own: np.ndarray, known: np.ndarray, answers: np.ndarray, truth: np.ndarray
) -> dict[str, dict[str, dict[str, float]]]:
    side = truth.shape[1]
    return {
        "transform": registration.summarise(registration.of_transforms(own, known), side),
        "answers": registration.summarise(registration.estimate(answers, truth), side),
    }


def _load(model: str | Path, trust: bool) -> tuple[_Network, Config]:
    found = model_folder.locate(model)
    config = model_folder.read_config(found)
    if config.model.stn != "input":
        raise ModelError(
            f"Expected a model with model.stn=input. Received: {found.name} with {config.model.stn}.",
            hint="Only a transformer on the portrait has a known true answer.",
        )
    if found.kind == "version":
        model_folder.verify(found.path, trust=trust)
        srn, folder = graph_weights.load_srn(found.path), found.path
    else:
        srn, folder = networks.build_srn(config.model, side=config.data.side), found.path.parent
        weights.load(srn, found.path)
    aligned = srn.get_layer("stn0").output
    network = _Network(
        keras.Model(srn.input, srn.get_layer(ALIGNMENT_LAYER).output),
        keras.Model(aligned, srn.output),
        images.read(folder / model_folder.MEAN_FACE).pixels,
    )
    return network, config


def _recoloured(answers: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Every answer moved, as a whole and within 0 to 255, to the mean colour of its photograph."""
    shift = truth.mean(axis=(1, 2), keepdims=True) - answers.mean(axis=(1, 2), keepdims=True)
    return np.clip(np.round(answers + shift), 0, 255)


def _middle(pictures: np.ndarray) -> np.ndarray:
    side = pictures.shape[1]
    margin = round(side * (1 - CENTRE) / 2)
    return pictures[:, margin : side - margin, margin : side - margin]


def _scores(
    answers: dict[str, np.ndarray], truth: np.ndarray, names: Sequence[str]
) -> dict[str, dict[str, Any]]:
    persons = [photos.person_of(name) for name in names]
    numbers = {person: k for k, person in enumerate(dict.fromkeys(persons))}
    subjects, bootstrap = np.array([numbers[person] for person in persons]), Bootstrap(len(numbers))
    psnr = {name: np.asarray(metrics.psnr(answer, truth)) for name, answer in answers.items()}
    return {
        name: {
            "psnr": float(psnr[name].mean()),
            "ssim": float(np.mean(np.asarray(metrics.ssim(answer, truth)))),
            "centre": float(np.mean(np.asarray(metrics.psnr(_middle(answer), _middle(truth))))),
            "gain": float((psnr[name] - psnr["model"]).mean()),
            "interval": bootstrap.interval([Sample(subjects, (psnr[name] - psnr["model"]).astype(float))]),
        }
        for name, answer in answers.items()
    }
