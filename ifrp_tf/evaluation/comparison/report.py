"""What the comparison shows: tables with intervals, margins beside the journal's, costs, a sheet."""

from __future__ import annotations

import dataclasses
import json
import math
import shlex
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ifrp_tf.core.rendering import markdown_table
from ifrp_tf.evaluation.comparison.systems import OURS, SYSTEMS
from ifrp_tf.evaluation.paper_figures import COLUMNS, DIFFERENCES, PAPER, STYLE_DIFFERENCES, Figures
from ifrp_tf.evaluation.protocols import MISALIGNED
from ifrp_tf.evaluation.request import ComparisonRequest
from ifrp_tf.evaluation.statistics import METRICS, Bootstrap, Sample, mean
from ifrp_tf.evaluation.tables import HEADER, number, with_interval
from ifrp_tf.pictures import images
from ifrp_tf.styles import sets


class Group(NamedTuple):
    """Portraits that one table is of.

    Attributes:
        file: of `run.Bench.protocols`.
        takes: whether it holds a style.
    """

    file: str
    takes: Callable[[str], bool]


def _is_seen(style: str) -> bool:
    return style in sets.resolve("paper_train")


def _is_tilted(style: str) -> bool:
    return style.endswith(MISALIGNED)


GROUPS: dict[str, Group] = {
    "seen": Group("paper_as_is", _is_seen),
    "unseen": Group("paper_as_is", lambda style: not _is_seen(style)),
    "seen_aligned": Group("paper_aligned", _is_seen),
    "unseen_aligned": Group("paper_aligned", lambda style: not _is_seen(style)),
    "sketches": Group("sketches", _is_tilted),
    "sketches_aligned": Group("sketches", lambda style: not _is_tilted(style)),
}
_TITLES = {
    "seen": "Styles trained on",
    "unseen": "Unseen styles",
    "seen_aligned": "Styles trained on, aligned by the true transform",
    "unseen_aligned": "Unseen styles, aligned by the true transform",
    "sketches": "Sketches drawn by hand, tilted",
    "sketches_aligned": "Sketches drawn by hand, aligned",
}
_BAND = ".125-.25"
_TRIVIAL = {"input": "*the portrait as it is*", "mean_face": "*the mean training face*"}
_NOTHING = "–"
_LABEL_SIDE = 128


def write(request: ComparisonRequest, failures: Mapping[str, str]) -> str:
    """Writes what there is by now: the table as JSON and Markdown, and the sheet.

    Args:
        request: of the comparison.
        failures: system -> why it could not be had.

    Returns:
        The Markdown.
    """
    folder = Path(request.run_dir)
    content = collect(request, failures)
    output = Path(request.output or folder / "table.md")
    text = markdown(content)
    images.write_bytes_atomic(output.with_suffix(".json"), json.dumps(content, indent=1).encode() + b"\n")
    images.write_bytes_atomic(output, text.encode() + b"\n")
    strips = {"": folder / "strips" / "styles.png", "the portrait": folder / "strips" / "portraits.png"}
    strips |= {entry.title: folder / name / "strip.png" for name, entry in SYSTEMS.items()}
    strips["the photograph"] = folder / "strips" / "photographs.png"
    found = {title: path for title, path in strips.items() if path.is_file()}
    if found:
        images.write_png(folder / "sheet.png", _sheet(found))
    return text


def _sheet(strips: Mapping[str, Path]) -> np.ndarray:
    """Rows of pictures, the system's name before each; over the columns those of the styles."""
    rows = []
    for title, path in strips.items():
        row = images.read(path).pixels
        label = images.label(title, _LABEL_SIDE)
        above = np.full((row.shape[0], _LABEL_SIDE, 3), 255, np.uint8)
        above[: len(label)] = label
        rows.append(np.concatenate([above, row], axis=1))
    return np.concatenate(rows)


def collect(request: ComparisonRequest, failures: Mapping[str, str]) -> dict[str, Any]:
    """The content of the JSON file: what was measured of every system, by group.

    Args:
        request: of the comparison.
        failures: system -> why it could not be had.
    """
    folder, rows = Path(request.run_dir), {}
    for name, entry in SYSTEMS.items():
        groups: dict[str, Any] = {}
        for file in dict.fromkeys(group.file for group in GROUPS.values()):
            groups |= (_read(folder / name / f"{file}.json") or {"groups": {}})["groups"]
        if not groups and name not in failures:
            continue
        rows[name] = {
            "title": entry.title,
            "journal": entry.journal,
            "in_turn": entry.in_turn,
            "failed": failures.get(name),
            "training_seconds": (_read(folder / name / "seconds.json") or {}).get("seconds"),
            "recovering": _read(folder / name / "recovering.json"),
            "groups": {group: groups[group] for group in GROUPS if group in groups},
        }
    command = ["python", "tools/compare.py", f"--table={request.table}"]
    for field in dataclasses.fields(request):
        value = getattr(request, field.name)
        if field.name != "table" and value != field.default:
            command.append(f"--{field.name}={value}")
    return {"command": shlex.join(command), "pictures": request.pictures, "rows": rows}


def _read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None


def markdown(content: Mapping[str, Any]) -> str:
    """The comparison for people: our tables, and the journal's figures beside them.

    Args:
        content: of `collect`.
    """
    parts = ["# Comparison of systems", f"Made by `{content['command']}`."]
    for group, title in _TITLES.items():
        if table := _table(content, group):
            parts += [f"## {title}", table]
    in_turn = [row for row in content["rows"].values() if row["in_turn"]]
    if in_turn:
        parts.append(
            f"Of {' and '.join(row['title'] for row in in_turn)} an answer costs many "
            f"seconds: one photograph of {in_turn[0]['in_turn']}, in one style only, the styles in turn."
        )
    for group in ("seen", "unseen"):
        if table := _margins(content, group):
            parts += [f"## Margins of ours, {_TITLES[group][0].lower()}{_TITLES[group][1:]}", table]
    if orders := _orders(content):
        parts += ["## Order by PSNR", orders]
    parts += ["## Cost", _costs(content), "## How to read it"]
    parts.append("\n".join(f"* {line}" for line in (STYLE_DIFFERENCES["paper"], *DIFFERENCES)))
    return "\n\n".join(parts)


def _measured(content: Mapping[str, Any], group: str) -> dict[str, Any]:
    """System -> what was measured of it on a group."""
    return {name: row["groups"][group] for name, row in content["rows"].items() if group in row["groups"]}


def _table(content: Mapping[str, Any], group: str) -> str:
    """Means over the group's styles with intervals; the trivial answers of one system below."""
    measured, rows = _measured(content, group), []
    if not measured:
        return ""
    for name, row in content["rows"].items():
        if name in measured:
            summary = measured[name]["summary"]
            rows.append([row["title"], *_cells(summary, "model"), _journal(row, group)])
        elif row["failed"]:
            rows.append([row["title"], *["failed"] * (len(HEADER) + 1), ""])
    whole = [name for name in measured if not content["rows"][name]["in_turn"]] or list(measured)
    for answer, words in _TRIVIAL.items():
        rows.append([words, *_cells(measured[whole[0]]["summary"], answer), ""])
    return markdown_table(
        ["system", *HEADER, f"power {_BAND}", "journal: PSNR / SSIM / FSIM / FRR, %"],
        rows,
    )


def _cells(summary: Mapping[str, Any], answer: str) -> list[str]:
    values = summary if answer == "model" else summary[answer]
    spread = summary["confidence"][answer]
    cells = [with_interval(name, values["mean"][name], spread["mean"][name]) for name in METRICS]
    cells.append(with_interval("fcr", values["fcr"], spread["fcr"]))
    return [*cells, number("ssim", summary["sharpness"][answer]["mean"][_BAND])]


def _figures(row: Mapping[str, Any], group: str) -> Figures | None:
    known = PAPER.get(row["journal"])
    return known[COLUMNS.index(group)] if known and group in COLUMNS[:2] else None


def _journal(row: Mapping[str, Any], group: str) -> str:
    figures = _figures(row, group)
    if figures is None:
        return ""
    return f"{figures.psnr:.2f} / {figures.ssim:.2f} / {figures.fsim:.2f} / {number('frr', figures.frr)}"


def _margins(content: Mapping[str, Any], group: str) -> str:
    """By how much ours are better than each compared system, on the portraits that both answered."""
    measured, rows = _measured(content, group), []
    ours = [name for name in OURS if name in measured]
    best = PAPER["IFRP"][COLUMNS.index(group)]
    for name, found in measured.items():
        if name in OURS:
            continue
        cells = [_margin(measured[own]["values"], found["values"]) for own in ours]
        figures = _figures(content["rows"][name], group)
        journal = ""
        if figures:
            gains = [ours - theirs for ours, theirs in zip(best[:3], figures[:3], strict=True)]
            journal = f"{gains[0]:+.2f} / " + " / ".join(f"{gain:+.2f}" for gain in gains[1:])
        rows.append([content["rows"][name]["title"], *cells, journal])
    if not ours or not rows:
        return ""
    header = ["over", *(f"{name}: PSNR / SSIM / FSIM" for name in ours), "the journal's IFRP"]
    return (
        markdown_table(header, rows)
        + "\n\nOn the portraits that both answered, portrait by portrait; in brackets 95 % intervals of a "
        "bootstrap over subjects."
    )


def _margin(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> str:
    subjects = sorted({name for metrics in theirs.values() for name in metrics["psnr"]})
    index, draws = {name: k for k, name in enumerate(subjects)}, Bootstrap(len(subjects))
    cells = []
    for metric in ("psnr", "ssim", "fsim"):
        differences = []
        for style in theirs:
            names = [name for name in theirs[style][metric] if name in ours.get(style, {}).get(metric, {})]
            rows = [(ours[style][metric][name], theirs[style][metric][name]) for name in names]
            values = [math.nan if None in row else row[0] - row[1] for row in rows]
            differences.append(Sample(np.array([index[name] for name in names], int), np.array(values)))
        gain, interval = mean(differences), draws.interval(differences)
        if gain is None:
            return _NOTHING
        digits = 2 if metric == "psnr" else 3
        text = f"{gain:+.{digits}f}"
        if interval and metric == "psnr":
            text += f" [{interval[0]:+.2f}, {interval[1]:+.2f}]"
        cells.append(text)
    return " / ".join(cells)


def _orders(content: Mapping[str, Any]) -> str:
    """The systems that the journal has, best first, by its figures and by ours."""
    lines = []
    for group in ("seen", "unseen"):
        measured = {
            name: found["summary"]["mean"]["psnr"]
            for name, found in _measured(content, group).items()
            if content["rows"][name]["journal"]
        }
        if len(measured) < 2:
            continue
        theirs = {name: _figures(content["rows"][name], group).psnr for name in measured}  # type: ignore[union-attr]
        named = {name: content["rows"][name]["journal"] for name in measured}
        lines.append(f"* {_TITLES[group]}, here: {_ordered(measured, named)}.")
        lines.append(f"* {_TITLES[group]}, in the journal: {_ordered(theirs, named)}.")
    return "\n".join(lines)


def _ordered(values: Mapping[str, float], named: Mapping[str, str]) -> str:
    order: Sequence[str] = sorted(values, key=lambda name: -values[name])
    return " > ".join(f"{named[name]} {values[name]:.2f}" for name in order)


def _costs(content: Mapping[str, Any]) -> str:
    rows = []
    for row in content["rows"].values():
        training, recovering = row["training_seconds"], row["recovering"]
        cells = [f"{training / 3600:.2f}" if training else _NOTHING, _NOTHING, _NOTHING]
        if recovering:
            seconds = recovering["cpu_seconds"] / recovering["pictures"]
            cells[1:] = [f"{1e3 * seconds:.0f}", f"{recovering['gmac']:.2f}"]
        rows.append([row["title"], *cells])
    text = (
        f"{content['pictures']:,} training pictures each, on two CPU cores; CPU milliseconds of one answer, "
        "batches of 32; GMAC: thousand millions of multiplications with addition, as TensorFlow's profiler "
        "counts them (of Gatys the objective and its slope, every iteration)."
    )
    header = ["system", "hours of training", "ms a picture", "GMAC a picture"]
    return f"{markdown_table(header, rows)}\n\n{text}"
