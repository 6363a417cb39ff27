"""The report of an evaluation: tables, sheets of examples, HTML."""

from __future__ import annotations

import base64
import csv
import dataclasses
import io
import json
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ifrp_tf.core.files import csv_cell
from ifrp_tf.core.rendering import markdown_table, render
from ifrp_tf.evaluation import tables
from ifrp_tf.evaluation.pairs import Protocol
from ifrp_tf.evaluation.statistics import Evidence
from ifrp_tf.evaluation.store import PairRow
from ifrp_tf.evaluation.tables import Table, number
from ifrp_tf.pictures import images

# The examples: which portraits are shown.

EXAMPLES = 3
"""Examples of each kind."""

ERROR_SCALE = 96
"""Mean absolute error of the channels, levels of 0-255, that is drawn white; black is none."""


@dataclasses.dataclass(frozen=True)
class Example:
    """A portrait to show.

    Attributes:
        kind: `best`, `median` or `worst` of its style by PSNR.
        row: what was measured.
        strip: uint8 [4, side, side, 3]: portrait, recovered, photograph, error map.
    """

    kind: str
    row: PairRow
    strip: np.ndarray


def choose(
    style: str, rows: Sequence[PairRow], protocol: Protocol, recover: Callable[[np.ndarray], np.ndarray]
) -> list[Example]:
    """The best, the middle and the worst portraits of a style by PSNR, made once more.

    Args:
        style: of the rows.
        rows: at least one.
        protocol: makes the portraits.
        recover: recovers them.
    """
    order = sorted(rows, key=lambda row: (-row.model.psnr, row.name))
    count = min(EXAMPLES, max(1, len(order) // 3))
    middle = (len(order) - count) // 2
    places = {
        "best": range(count),
        "median": range(middle, middle + count),
        "worst": range(len(order) - count, len(order)),
    }
    kinds: dict[int, str] = {}
    for kind, chosen in places.items():
        for k in chosen:
            kinds.setdefault(k, kind)
    names = [order[k].name for k in sorted(kinds)]
    portraits = protocol.read_portraits(style, names).pixels
    photos = protocol.read_photos(names).pixels
    recovered = recover(portraits)
    strips = np.stack([portraits, recovered, photos, error_map(recovered, photos)], axis=1)
    return [Example(kinds[k], order[k], strip) for k, strip in zip(sorted(kinds), strips, strict=True)]


def error_map(recovered: np.ndarray, photos: np.ndarray) -> np.ndarray:
    """Where recovered faces differ from the photographs: black where not, over red to white.

    Args:
        recovered: uint8 [N, S, S, 3].
        photos: uint8 [N, S, S, 3].

    Returns:
        uint8 [N, S, S, 3].

    Example:
        >>> int(error_map(np.zeros((1, 8, 8, 3), np.uint8), np.zeros((1, 8, 8, 3), np.uint8)).max())
        4
    """
    from matplotlib import colormaps  # late: it takes half a second

    error = np.abs(recovered.astype(np.float32) - photos.astype(np.float32)).mean(axis=-1)
    colours = colormaps["inferno"](np.minimum(error / ERROR_SCALE, 1.0), bytes=True)
    return colours[..., :3]


# The page: tables, chart and pictures in one file of HTML.

_SHOWN_PROBLEMS = 50
_SERIES = (
    ("model", "the model", "#0b6e4f"),
    ("input", "the portrait as it is", "#c0392b"),
    ("mean_face", "the mean training face", "#7f8c8d"),
)


def page(result: dict[str, Any], shown: Mapping[str, Sequence[Example]]) -> str:
    """The whole page.

    Args:
        result: of `evaluate`.
        shown: style -> examples.

    Returns:
        HTML without a link to anything outside.
    """
    return render(
        "ifrp_tf.evaluation",
        "report.html",
        title=f"Evaluation of {result['model']['name']}",
        description=tables.description(result),
        tiles=_tiles(result),
        answers=tables.answers(result),
        gains=tables.gains(result),
        detail=tables.detail(result),
        styles=tables.styles(result),
        angles=tables.angles(result),
        chart=chart(result["by_angle"]) if result["by_angle"] else "",
        examples={
            style: [(_caption(example), _embedded(example.strip)) for example in examples]
            for style, examples in shown.items()
        },
        error_scale=ERROR_SCALE,
        paper=tables.paper(result),
        differences=tables.differences(result),
        problems=_problems(result),
        settings=json.dumps(result["settings"], indent=1),
    )


def _tiles(result: dict[str, Any]) -> list[tuple[str, str, str]]:
    """The headline: each number beside what the better trivial answer reaches."""
    names = {"psnr": "PSNR, dB", "ssim": "SSIM", "fsim": "FSIM", "frr_top5": "FRR top 5, %"}
    tiles = []
    for name, label in names.items():
        trivial = [(result[key]["mean"][name], words) for key, words, _ in _SERIES[1:]]
        known = [(value, words) for value, words in trivial if value is not None]
        beside = f"{max(known)[1]}: {number(name, max(known)[0])}" if known else ""
        tiles.append((label, number(name, result["mean"][name]), beside))
    return tiles


def chart(bins: Sequence[dict[str, Any]]) -> str:
    """PSNR by rotation angle as an SVG element, the three answers as lines.

    Args:
        bins: `by_angle` of a result.
    """
    import matplotlib  # late: it takes half a second
    from matplotlib.figure import Figure

    centres = [(part["from"] + part["to"]) / 2 for part in bins]
    with matplotlib.rc_context({"svg.hashsalt": "ifrp", "font.size": 10, "svg.fonttype": "none"}):
        figure = Figure(figsize=(7.5, 3.2), layout="constrained")
        axes = figure.subplots()
        for answer, words, colour in _SERIES:
            values = [np.nan if part[answer]["psnr"] is None else part[answer]["psnr"] for part in bins]
            axes.plot(centres, values, marker="o", color=colour, label=words, linewidth=2, markersize=5)
        axes.set_xlabel("tilt of the portrait, degrees (counter-clockwise)")
        axes.set_ylabel("PSNR, dB")
        axes.set_xticks(sorted({part[end] for part in bins for end in ("from", "to")}))
        axes.grid(axis="y", color="#eaeef2")
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
        out = io.StringIO()
        figure.savefig(out, format="svg", metadata={"Date": None})
    text = out.getvalue()
    return text[text.index("<svg") :]


def _caption(example: Example) -> str:
    row = example.row
    tilt = "" if row.angle is None else f", {round(row.angle):+d}°"
    psnr = "∞" if not np.isfinite(row.model.psnr) else number("psnr", row.model.psnr)
    return f"{example.kind}: {psnr} dB, SSIM {number('ssim', row.model.ssim)}{tilt}, {row.name}"


def _embedded(strip: np.ndarray) -> str:
    """Pictures in a row as a data address; JPEG, for the lossless ones lie in `sheets/`."""
    out = io.BytesIO()
    Image.fromarray(images.grid([strip])).save(out, "JPEG", quality=92, subsampling=0)
    return "data:image/jpeg;base64," + base64.b64encode(out.getvalue()).decode()


def _problems(result: dict[str, Any]) -> Table | None:
    problems = result["problems"]
    if not problems:
        return None
    rows = tuple((part["file"], part["reason"], part["message"]) for part in problems[:_SHOWN_PROBLEMS])
    more = len(problems) - len(rows)
    note = f"{more:,} more are listed in the JSON." if more else ""
    return Table(f"Files with problems: {len(problems):,}", note, ("file", "reason", "message"), rows)


# The folder: page, Markdown for the model card, rows as CSV, sheets of examples.


def write(
    result: dict[str, Any],
    evidence: Evidence,
    protocol: Protocol,
    recover: Callable[[np.ndarray], np.ndarray],
    folder: Path,
) -> None:
    """Writes the report; files there are replaced.

    Args:
        result: of `evaluate`.
        evidence: the rows behind it.
        protocol: makes the pictures to show once more.
        recover: uint8 [N, side, side, 3] portraits to recovered faces.
        folder: gets `report.html evaluation.md rows.csv sheets/<style>.png`.

    Raises:
        DataError: a file could not be written.
    """
    shown: dict[str, list[Example]] = {}
    for style, rows in evidence.styles.items():
        shown[style] = choose(style, rows, protocol, recover)
        sheet = images.grid([example.strip for example in shown[style]])
        images.write_png(folder / "sheets" / f"{style}.png", sheet)
    html = page(result, shown)
    images.write_bytes_atomic(folder / "report.html", html.encode(errors="backslashreplace"))
    images.write_bytes_atomic(folder / "evaluation.md", (markdown(result) + "\n").encode())
    images.write_bytes_atomic(folder / "rows.csv", table_of_rows(evidence).encode(errors="backslashreplace"))


def markdown(result: dict[str, Any]) -> str:
    """The tables as Markdown, for a model card and for the terminal.

    Args:
        result: of `evaluate`.
    """
    parts = [tables.description(result)]
    for part in (tables.answers, tables.styles, tables.gains, tables.detail, tables.angles, tables.paper):
        table = part(result)
        if table:
            parts += [f"**{table.title}**", markdown_table(table.header, table.rows), table.note]
    parts = [part for part in parts if part]
    parts.append("\n".join(f"* {sentence}" for sentence in tables.differences(result)))
    return "\n\n".join(parts)


def table_of_rows(evidence: Evidence) -> str:
    """Every portrait's numbers as CSV; infinite ones are written `inf`.

    Args:
        evidence: what was measured.
    """
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    metrics = ("psnr", "ssim", "fsim")
    answers = ("", "input_", "mean_face_")
    writer.writerow(["style", "name", "angle", *(answer + name for answer in answers for name in metrics)])
    for style, rows in evidence.styles.items():
        for row in rows:
            scores = (row.model, row.input, evidence.photos[row.name].mean_face)
            values = [getattr(score, name) for score in scores for name in metrics]
            cells = [f"{value:.6f}" if math.isfinite(value) else "inf" for value in values]
            angle = "" if row.angle is None else row.angle
            writer.writerow([csv_cell(style), csv_cell(row.name), angle, *cells])
    return out.getvalue()
