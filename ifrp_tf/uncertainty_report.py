"""What `tools/check_uncertainty.py` does: which portraits are measured, and the tables of what was found."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ifrp_tf import images, model_folder, photos, protocols, quiet, retrieval
from ifrp_tf.pairing import Protocol
from ifrp_tf.uncertainty_quality import CHOSEN, Correlation, Row, correlate, measure

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
    with quiet.start_up():
        from ifrp_tf.recover import Recoverer
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
    lines = ["| number | " + " | ".join(heads) + " |", "| --- |" + " ---: |" * len(heads)]
    for number, own in found.items():
        cells = [_cell(part) for error in errors for part in (own[error].overall, own[error].within)]
        lines.append(f"| {number} | " + " | ".join(cells) + " |")
    styles, persons = {row.style for row in rows}, {photos.person_of(row.name) for row in rows}
    pixels, usual = (float(np.mean([getattr(row, name) for row in rows])) for name in ("pixels", "usual"))
    lines += [
        "",
        f"Spearman's rank correlation with the error of {len(rows):,} recovered faces of {len(persons):,} "
        f"persons in {len(styles)} styles ({', '.join(sorted(styles))}); in brackets 95 % intervals of a "
        "bootstrap over persons.",
        "",
        f"Within a picture, spread and absolute error of the pixels correlate by {pixels:.2f} on average; "
        f"the mean spread of other pictures, which knows nothing of this one, by {usual:.2f}.",
        "",
        *_quarters(rows),
    ]
    return "\n".join(lines) + "\n"


def _quarters(rows: Sequence[Row]) -> list[str]:
    """The mean errors of the quarters of portraits by the number."""
    order = np.array_split(np.argsort([row.numbers[CHOSEN] for row in rows], kind="stable"), 4)
    errors = tuple(rows[0].errors)
    heads = " | ".join(_MEASURES[name] for name in errors)
    lines = [f"| portraits by the number | the number | {heads} |", "| --- |" + " ---: |" * (1 + len(errors))]
    for title, part in zip(("lowest quarter", "second", "third", "highest quarter"), order, strict=True):
        numbers = [rows[k].numbers[CHOSEN] for k in part]
        cells = [f"{np.mean([rows[k].errors[name] for k in part]):.3g}" for name in errors] if numbers else []
        reach = f"{min(numbers):.3f} to {max(numbers):.3f}" if numbers else ""
        lines.append(f"| {title} | {reach} | " + " | ".join(cells) + " |")
    return lines


def _cell(interval: tuple[float, float, float]) -> str:
    low, middle, high = interval
    return f"{middle:.2f} [{low:.2f}, {high:.2f}]"
