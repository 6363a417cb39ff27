"""The report of an evaluation: tables, sheets of examples, HTML."""

from __future__ import annotations

import base64
import csv
import dataclasses
import html
import io
import json
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ifrp_tf.evaluation import tables
from ifrp_tf.evaluation import tables as report_tables
from ifrp_tf.evaluation.pairs import Protocol
from ifrp_tf.evaluation.statistics import Evidence
from ifrp_tf.evaluation.store import PairRow
from ifrp_tf.evaluation.tables import Table, number
from ifrp_tf.pictures import images

# ---- Which portraits a report shows: the best, the middle and the worst, chosen by number ----

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


# ---- The report as one HTML file that needs nothing else: styles, chart and pictures are ----

_SHOWN_PROBLEMS = 50
_SERIES = (
    ("model", "the model", "#0b6e4f"),
    ("input", "the portrait as it is", "#c0392b"),
    ("mean_face", "the mean training face", "#7f8c8d"),
)
_STYLE = """
body{font:16px/1.5 system-ui,sans-serif;color:#1b1f23;background:#fff}
body{max-width:1240px;margin:2rem auto;padding:0 1rem}
h1{font-size:1.6rem;line-height:1.25;margin:0 0 .5rem}
h2{font-size:1.2rem;margin:2.2rem 0 .6rem;border-bottom:1px solid #d0d7de;padding-bottom:.2rem}
h3{font-size:1rem;margin:1.4rem 0 .4rem}
p.note,figcaption{color:#57606a;font-size:.86rem}
.wide{overflow-x:auto}
table{border-collapse:collapse;font-size:.9rem;font-variant-numeric:tabular-nums}
th,td{padding:.28rem .6rem;text-align:right;border-bottom:1px solid #eaeef2;vertical-align:top}
th:first-child,td:first-child{text-align:left}
th{font-weight:600;background:#f6f8fa}
tr.first td{font-weight:600}
.spread{display:block;color:#57606a;font-weight:400;font-size:.78rem;white-space:nowrap}
.examples{display:grid;grid-template-columns:repeat(auto-fill,minmax(360px,1fr));gap:.8rem}
figure{margin:0}figure img{width:100%;display:block;border-radius:3px}
.tiles{display:flex;flex-wrap:wrap;gap:.8rem;margin:1rem 0}
.tile{border:1px solid #d0d7de;border-radius:6px;padding:.5rem .9rem;min-width:150px}
.tile b{display:block;font-size:1.5rem;line-height:1.3}.tile span{color:#57606a;font-size:.84rem}
pre{background:#f6f8fa;padding:.8rem;overflow-x:auto;font-size:.8rem}
.warning{background:#fff8e1;border-left:4px solid #e0a800;padding:.5rem .9rem}
"""


def page(result: dict[str, Any], shown: Mapping[str, Sequence[Example]]) -> str:
    """The whole page.

    Args:
        result: of `evaluate`.
        shown: style -> examples.

    Returns:
        HTML without a link to anything outside.
    """
    title = f"Evaluation of {result['model']['name']}"
    description = html.escape(tables.description(result))
    while "**" in description:
        description = description.replace("**", "<b>", 1).replace("**", "</b>", 1)
    parts = [
        f"<h1>{html.escape(title)}</h1>",
        f"<p>{description}</p>",
        '<p class="warning">A recovered face is a plausible face, not evidence of what anybody looks like. '
        "Not for identification.</p>",
        _tiles(result),
        _table(tables.answers(result), strong=True),
        _table(tables.gains(result)),
        _table(tables.styles(result)),
        _angles(result),
        _examples(shown),
        _table(tables.paper(result), strong=True),
        "<ul>" + "".join(f"<li>{html.escape(text)}</li>" for text in tables.differences(result)) + "</ul>",
        _problems(result),
        f"<h2>Settings</h2><pre>{html.escape(json.dumps(result['settings'], indent=1))}</pre>",
    ]
    head = '<meta charset="utf-8"><meta name="viewport" content="width=device-width">'
    head += f"<title>{html.escape(title)}</title><style>{_STYLE}</style>"
    body = "\n".join(filter(None, parts))
    return f'<!doctype html>\n<html lang="en"><head>{head}</head>\n<body>\n{body}\n</body></html>\n'


def _tiles(result: dict[str, Any]) -> str:
    """The headline: each number beside what the better trivial answer reaches."""
    names = {"psnr": "PSNR, dB", "ssim": "SSIM", "fsim": "FSIM", "frr_top5": "FRR top 5, %"}
    tiles = []
    for name, label in names.items():
        trivial = [(result[key]["mean"][name], words) for key, words, _ in _SERIES[1:]]
        known = [(value, words) for value, words in trivial if value is not None]
        beside = f"{max(known)[1]}: {number(name, max(known)[0])}" if known else ""
        value = number(name, result["mean"][name])
        tiles.append(f'<div class="tile">{label}<b>{value}</b><span>{html.escape(beside)}</span></div>')
    return f'<div class="tiles">{"".join(tiles)}</div>'


def _table(table: Table, *, strong: bool = False) -> str:
    head = "".join(f"<th>{html.escape(cell)}</th>" for cell in table.header)
    rows = []
    for k, row in enumerate(table.rows):
        mark = ' class="first"' if strong and k == 0 else ""
        rows.append(f"<tr{mark}>{''.join(f'<td>{_cell(cell)}</td>' for cell in row)}</tr>")
    note = f'<p class="note">{html.escape(table.note)}</p>' if table.note else ""
    return (
        f"<h2>{html.escape(table.title)}</h2>"
        f'<div class="wide"><table><tr>{head}</tr>{"".join(rows)}</table></div>{note}'
    )


def _cell(text: str) -> str:
    value, bracket, interval = text.partition(" [")
    spread = f'<span class="spread">[{html.escape(interval)}</span>' if bracket else ""
    return html.escape(value) + spread


def _angles(result: dict[str, Any]) -> str:
    table = tables.angles(result)
    return _table(table) + f"<figure>{chart(result['by_angle'])}</figure>" if table else ""


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


def _examples(shown: Mapping[str, Sequence[Example]]) -> str:
    parts = [
        "<h2>Best, median and worst of each style</h2>",
        '<p class="note">By PSNR. From left: portrait, recovered face, photograph, error (mean of the '
        f"channels: black none, white {ERROR_SCALE} levels of 255 or more).</p>",
    ]
    for style, examples in shown.items():
        parts.append(f'<h3>{html.escape(style)}</h3><div class="examples">')
        for example in examples:
            row = example.row
            tilt = "" if row.angle is None else f", {round(row.angle):+d}°"
            psnr = "∞" if not np.isfinite(row.model.psnr) else number("psnr", row.model.psnr)
            caption = f"{example.kind}: {psnr} dB, SSIM {number('ssim', row.model.ssim)}{tilt}, {row.name}"
            parts.append(
                f'<figure><img alt="{html.escape(caption)}" src="{_embedded(example.strip)}">'
                f"<figcaption>{html.escape(caption)}</figcaption></figure>"
            )
        parts.append("</div>")
    return "".join(parts)


def _embedded(strip: np.ndarray) -> str:
    """Pictures in a row as a data address; JPEG, for the lossless ones lie in `sheets/`."""
    out = io.BytesIO()
    Image.fromarray(images.grid([strip])).save(out, "JPEG", quality=92, subsampling=0)
    return "data:image/jpeg;base64," + base64.b64encode(out.getvalue()).decode()


def _problems(result: dict[str, Any]) -> str:
    problems = result["problems"]
    if not problems:
        return ""
    rows = tuple((part["file"], part["reason"], part["message"]) for part in problems[:_SHOWN_PROBLEMS])
    more = len(problems) - len(rows)
    note = f"{more:,} more are listed in the JSON." if more else ""
    return _table(Table(f"Files with problems: {len(problems):,}", note, ("file", "reason", "message"), rows))


# ---- A report for people: `report.html`, `evaluation.md` for the model card, `rows.csv` and ----


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
    parts = [report_tables.description(result)]
    tables: list[Table | None] = [
        report_tables.answers(result),
        report_tables.styles(result),
        report_tables.gains(result),
        report_tables.angles(result),
        report_tables.paper(result),
    ]
    for table in filter(None, tables):
        parts += [f"**{table.title}**", _grid(table)]
        if table.note:
            parts.append(table.note)
    parts.append("\n".join(f"* {sentence}" for sentence in report_tables.differences(result)))
    return "\n\n".join(parts)


def _grid(table: Table) -> str:
    lines = [table.header, ("---",) + ("---:",) * (len(table.header) - 1), *table.rows]
    escaped = ([cell.replace("|", "\\|") for cell in line] for line in lines)
    return "\n".join(f"| {' | '.join(cells)} |" for cells in escaped)


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
            writer.writerow([_plain(style), _plain(row.name), "" if row.angle is None else row.angle, *cells])
    return out.getvalue()


def _plain(text: str) -> str:
    # A spreadsheet would run a name that begins like this as a formula.
    return "'" + text if text[:1] in "=+-@\t\r" else text
