"""Does the uncertainty foretell the error? Correlations, calibration, and their report."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import rankdata

from ifrp_tf.core import runtime
from ifrp_tf.core.rendering import markdown_table
from ifrp_tf.data import photos
from ifrp_tf.evaluation import protocols, retrieval, statistics
from ifrp_tf.evaluation.pairs import Protocol
from ifrp_tf.nn import metrics
from ifrp_tf.pictures import images
from ifrp_tf.recovery import uncertainty
from ifrp_tf.release import folder as model_folder

# Rank correlation of the uncertainty with the error.

BATCH = 32
CHOSEN = "the number"
"""`Uncertainty.value` in the tables."""

_FAMILIES = tuple(dict.fromkeys(family for family, _ in uncertainty.CHANGES))
_ONE_OF_EACH = [0, *([family for family, _ in uncertainty.CHANGES].index(name) + 1 for name in _FAMILIES)]
_GREY = np.array([0.299, 0.587, 0.114])


@dataclasses.dataclass(frozen=True)
class Row:
    """What was measured of one portrait.

    Attributes:
        style: of the portrait.
        name: of the photograph.
        errors: by name: `error` in grey levels, `dssim` from 0 to 2, `identity` where there is a descriptor.
        numbers: what might foretell them, by name.
        pixels: rank correlation of spread and absolute error over the pixels of the picture.
        usual: the same, of the mean spread of the portraits before it, which is no knowledge of this one.
    """

    style: str
    name: str
    errors: Mapping[str, float]
    numbers: Mapping[str, float]
    pixels: float
    usual: float


@dataclasses.dataclass(frozen=True)
class Correlation:
    """Spearman's rank correlation of a number with an error, and its 95 % interval over resampled persons.

    Attributes:
        overall: over all portraits, from low to high.
        within: mean over styles of the correlation within each.
    """

    overall: tuple[float, float, float]
    within: tuple[float, float, float]


def measure(
    recover_batch: Callable[[np.ndarray], np.ndarray],
    protocol: Protocol,
    *,
    names: Sequence[str] | None = None,
    descriptor: retrieval.Descriptor | None = None,
) -> list[Row]:
    """Errors and numbers of every portrait.

    Args:
        recover_batch: uint8 [16, S, S, 3] to the same.
        protocol: portraits and their photographs.
        names: of the photographs to take; None for all.
        descriptor: compares faces; None leaves that error out.
    """
    rows: list[Row] = []
    total = np.zeros((protocol.side, protocol.side))
    wanted = None if names is None else set(names)
    for style, subjects in protocol.styles.items():
        chosen = [name for name in subjects if wanted is None or name in wanted]
        for start in range(0, len(chosen), BATCH):
            found = protocol.read_portraits(style, chosen[start : start + BATCH])
            truth = protocol.read_photos(found.names)
            portraits = found.pixels[[found.names.index(name) for name in truth.names]]
            batches = [uncertainty.align(recover_batch(uncertainty.changed(one))) for one in portraits]
            errors = _errors(np.stack([batch[0] for batch in batches]), truth.pixels, descriptor)
            for k, (name, answers) in enumerate(zip(truth.names, batches, strict=True)):
                spread = uncertainty.spread_of(answers)
                wrong = np.abs(answers[0].astype(np.float64) - truth.pixels[k]).mean(axis=-1)
                maps = np.stack([spread.ravel(), total.ravel()], axis=1)
                pixels, usual = spearman(maps, wrong.reshape(-1, 1))[:, 0]
                total += spread
                own = {which: float(values[k]) for which, values in errors.items()}
                numbers = _numbers(portraits[k], answers)
                if descriptor is not None:
                    vectors = descriptor.embed(answers[_ONE_OF_EACH])
                    numbers["descriptor distance"] = float(
                        descriptor.distances(vectors[:1], vectors[1:]).mean()
                    )
                rows.append(Row(style, name, own, numbers, pixels, usual))
    return rows


def spearman(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Spearman's rank correlations of the columns of [n, p] and [n, q]: float64 [p, q].

    Ties get their mean rank; a column of one value correlates with nothing: 0.
    """
    ranks = [rankdata(columns, axis=0) for columns in (a, b)]
    centred = [columns - columns.mean(axis=0) for columns in ranks]
    scaled = [columns / np.maximum(np.linalg.norm(columns, axis=0), 1e-9) for columns in centred]
    return np.asarray(scaled[0].T @ scaled[1])


def correlate(
    rows: Sequence[Row], *, resamples: int = statistics.RESAMPLES
) -> dict[str, dict[str, Correlation]]:
    """Number -> error -> how well the one foretells the order of the other.

    Args:
        rows: of `measure`.
        resamples: of the bootstrap, which draws whole persons with all their portraits.
    """
    numbers, errors = tuple(rows[0].numbers), tuple(rows[0].errors)
    a = np.array([[row.numbers[name] for name in numbers] for row in rows])
    b = np.array([[row.errors[name] for name in errors] for row in rows])
    styles = np.array([row.style for row in rows])
    _, subjects = np.unique([photos.person_of(row.name) for row in rows], return_inverse=True)
    members = [np.flatnonzero(subjects == subject) for subject in range(subjects.max() + 1)]

    def both(chosen: np.ndarray) -> np.ndarray:
        parts = [chosen[styles[chosen] == style] for style in np.unique(styles[chosen])]
        within = np.mean([spearman(a[part], b[part]) for part in parts], axis=0)
        return np.stack([spearman(a[chosen], b[chosen]), within])

    middle = both(np.arange(len(rows)))
    generator = np.random.default_rng(statistics.SEED)
    drawn = [generator.integers(0, len(members), len(members)) for _ in range(resamples)]
    found = np.stack([both(np.concatenate([members[k] for k in draw])) for draw in drawn])
    tail = 50 * (1 - statistics.LEVEL)
    low, high = np.percentile(found, [tail, 100 - tail], axis=0)
    intervals = np.stack([low, middle, high], axis=-1)
    return {
        number: {
            error: Correlation(_interval(intervals[0, i, j]), _interval(intervals[1, i, j]))
            for j, error in enumerate(errors)
        }
        for i, number in enumerate(numbers)
    }


def _interval(values: np.ndarray) -> tuple[float, float, float]:
    low, middle, high = map(float, values)
    return low, middle, high


def _errors(
    recovered: np.ndarray, truth: np.ndarray, descriptor: retrieval.Descriptor | None
) -> dict[str, np.ndarray]:
    errors = {
        "error": np.abs(recovered.astype(np.float64) - truth).mean(axis=(1, 2, 3)),
        "dssim": 1.0 - np.asarray(metrics.ssim(recovered, truth), np.float64),
    }
    if descriptor is not None:
        errors["identity"] = np.diagonal(
            descriptor.distances(descriptor.embed(recovered), descriptor.embed(truth))
        )
    return errors


def _numbers(portrait: np.ndarray, answers: np.ndarray) -> dict[str, float]:
    """What might foretell the errors: `Uncertainty.value`, what could take its place, and trivial numbers."""
    spread = uncertainty.spread_of(answers)
    contrast = float((answers[0] @ _GREY).std())
    grey = portrait @ _GREY
    edges = np.abs(np.diff(grey, axis=0)).mean() + np.abs(np.diff(grey, axis=1)).mean()
    inner = slice(len(spread) // 5, -(len(spread) // 5))
    numbers = {CHOSEN: uncertainty.value_of(answers)}
    for family in _FAMILIES:
        kept = [0, *(k for k, (other, _) in enumerate(uncertainty.CHANGES, 1) if other == family)]
        numbers[f"the number, `{family}` alone"] = uncertainty.value_of(answers[kept])
    numbers |= {
        "mean spread": spread.mean(),
        "mean spread of the middle": spread[inner, inner].mean(),
        "mean spread / contrast": spread.mean() / max(contrast, 1.0),
        "90th percentile of the spread": np.percentile(spread, 90),
        "maximum of the spread": spread.max(),
    }
    numbers |= {"trivial: contrast of the face": contrast, "trivial: contrast of the portrait": grey.std()}
    numbers["trivial: edges of the portrait"] = edges
    return {name: float(value) for name, value in numbers.items()}


# The command: which portraits are measured, and the tables.

_MEASURES = {"error": "mean absolute error", "dssim": "1 - SSIM", "identity": "descriptor distance"}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Request:
    """What `tools/check_uncertainty.py` is asked for.

    Attributes:
        model: as in `Recoverer.load`.
        protocol: a name of `protocols.NAMES`.
        faces: test photographs.
        sketches: folder of the protocol `sketches`.
        styles: of the protocol `procedural`.
        limit: photographs; 0 = all.
        held_out: take those photographs of `faces` that training with this `data.validation_count` holds out.
        seed: of the protocol.
        descriptor: a name of `retrieval.load`, or `none`.
        weights: folder of the descriptor's weights.
        json: file for the rows and correlations; empty for none.
        trust: load a model whose checksums do not match.
    """

    model: str
    protocol: str = "procedural"
    faces: str = "data/faces/test"
    sketches: str = "data/sketches"
    styles: str = "reserved"
    limit: int = 300
    held_out: int = 0
    seed: int = 0
    descriptor: str = "dlib"
    weights: str = "data/weights"
    json: str = ""
    trust: bool = False


def run(request: Request) -> str:
    """Measures how well the uncertainty foretells the error.

    Returns:
        Markdown.

    Raises:
        ConfigError: wrong usage.
        DataError: pictures or weights cannot be used.
        ModelError: the model is unusable.
    """
    side = model_folder.read_config(model_folder.locate(request.model)).data.side
    protocol = protocols.build(
        request.protocol,
        side=side,
        faces=request.faces,
        sketches=request.sketches,
        styles=request.styles,
        limit=0 if request.held_out else request.limit,
        seed=request.seed,
    )
    names = chosen(protocol, request)
    with runtime.start_up():
        from ifrp_tf.recovery.recoverer import Recoverer
    recoverer = Recoverer.load(request.model, trust=request.trust)
    descriptor = None if request.descriptor == "none" else retrieval.load(request.descriptor, request.weights)
    rows = measure(recoverer.recover_batch, protocol, names=names, descriptor=descriptor)
    found = correlate(rows)
    if request.json:
        result: dict[str, Any] = {
            "model": {"name": recoverer.name, "sha256": recoverer.fingerprint},
            "correlations": {
                number: {error: dataclasses.asdict(one) for error, one in own.items()}
                for number, own in found.items()
            },
            "rows": [dataclasses.asdict(row) for row in rows],
        }
        images.write_bytes_atomic(request.json, json.dumps(result, indent=1).encode() + b"\n")
    return table(rows, found)


def chosen(protocol: Protocol, request: Request) -> list[str] | None:
    """The names of the photographs to measure; None for all of the protocol.

    Args:
        protocol: with every photograph, where some are held out.
        request: `held_out` and `limit` are used.
    """
    if not request.held_out:
        return None
    free = set(held_out(request.faces, request.held_out))
    return [name for name in protocol.photos if name in free][: request.limit or None]


def held_out(folder: str | Path, count: int) -> list[str]:
    """The photographs of a training folder that `data.validation_count=count` holds out, without suffix.

    Args:
        folder: of training photographs.
        count: how many.
    """
    root = Path(folder)
    files = tuple(path.relative_to(root).as_posix() for path in images.list_pictures(root))
    everything = photos.PhotoSet(np.empty((len(files), 0), np.uint8), files)
    return [str(Path(name).with_suffix("")) for name in photos.split(everything, count)[1].names]


def table(rows: Sequence[Row], found: Mapping[str, Mapping[str, Correlation]]) -> str:
    """Markdown of what was measured.

    Args:
        rows: of `measure`.
        found: of `correlate`.
    """
    errors = tuple(rows[0].errors)
    heads = [f"{_MEASURES[error]}, {part}" for error in errors for part in ("overall", "within a style")]
    cells = [
        (number, *(_cell(part) for error in errors for part in (own[error].overall, own[error].within)))
        for number, own in found.items()
    ]
    styles, persons = {row.style for row in rows}, {photos.person_of(row.name) for row in rows}
    pixels, usual = (float(np.mean([getattr(row, name) for row in rows])) for name in ("pixels", "usual"))
    parts = [
        markdown_table(("number", *heads), cells),
        f"Spearman's rank correlation with the error of {len(rows):,} recovered faces of {len(persons):,} "
        f"persons in {len(styles)} styles ({', '.join(sorted(styles))}); in brackets 95 % intervals of a "
        "bootstrap over persons.",
        f"Within a picture, spread and absolute error of the pixels correlate by {pixels:.2f} on average; "
        f"the mean spread of other pictures, which knows nothing of this one, by {usual:.2f}.",
        _quarters(rows),
    ]
    return "\n\n".join(parts) + "\n"


def _quarters(rows: Sequence[Row]) -> str:
    """The mean errors of the quarters of portraits by the number."""
    order = np.array_split(np.argsort([row.numbers[CHOSEN] for row in rows], kind="stable"), 4)
    errors = tuple(rows[0].errors)
    table = []
    for title, part in zip(("lowest quarter", "second", "third", "highest quarter"), order, strict=True):
        numbers = [rows[k].numbers[CHOSEN] for k in part]
        reach = f"{min(numbers):.3f} to {max(numbers):.3f}" if numbers else ""
        means = [f"{np.mean([rows[k].errors[name] for k in part]):.3g}" if numbers else "" for name in errors]
        table.append((title, reach, *means))
    heads = [_MEASURES[name] for name in errors]
    return markdown_table(("portraits by the number", "the number", *heads), table)


def _cell(interval: tuple[float, float, float]) -> str:
    low, middle, high = interval
    return f"{middle:.2f} [{low:.2f}, {high:.2f}]"
