"""The report as one HTML file that needs nothing else: styles, chart and pictures are inside."""

from __future__ import annotations

import base64
import html
import io
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from PIL import Image

from ifrp_tf import images, report_tables
from ifrp_tf.examples import ERROR_SCALE, Example
from ifrp_tf.report_tables import Table, number

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
    description = html.escape(report_tables.description(result))
    while "**" in description:
        description = description.replace("**", "<b>", 1).replace("**", "</b>", 1)
    parts = [
        f"<h1>{html.escape(title)}</h1>",
        f"<p>{description}</p>",
        '<p class="warning">A recovered face is a plausible face, not evidence of what anybody looks like. '
        "Not for identification.</p>",
        _tiles(result),
        _table(report_tables.answers(result), strong=True),
        _table(report_tables.gains(result)),
        _table(report_tables.styles(result)),
        _angles(result),
        _examples(shown),
        _table(report_tables.paper(result), strong=True),
        "<ul>"
        + "".join(f"<li>{html.escape(text)}</li>" for text in report_tables.differences(result))
        + "</ul>",
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
    table = report_tables.angles(result)
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
