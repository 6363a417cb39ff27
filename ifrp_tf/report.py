"""A report for people: `report.html`, `evaluation.md` for the model card, `rows.csv` and contact sheets."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from ifrp_tf import examples, images, report_html, report_tables
from ifrp_tf.evidence import Evidence
from ifrp_tf.examples import Example
from ifrp_tf.pairing import Protocol
from ifrp_tf.report_tables import Table


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
        shown[style] = examples.choose(style, rows, protocol, recover)
        sheet = images.grid([example.strip for example in shown[style]])
        images.write_png(folder / "sheets" / f"{style}.png", sheet)
    html = report_html.page(result, shown)
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
