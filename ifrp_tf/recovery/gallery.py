"""A run's report as a table, as contact sheets and as a page for a browser."""

from __future__ import annotations

import csv
import html
import io
import json
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np

from ifrp_tf.core.errors import DataError, ImageError
from ifrp_tf.core.files import write_bytes_atomic
from ifrp_tf.pictures import framing, images
from ifrp_tf.recovery.folder import PROVENANCE

TABLE, PAGE, SHEET = "report.csv", "gallery.html", "contact_sheet"

_COLUMNS = ("input", "status", "reason", "face", "x", "y", "width", "height", "tilt", "score", "found_by",
            "recovered", "pasted", "uncertainty_value")  # fmt: skip
_OF_A_FACE = ("tilt", "score", "found_by", "recovered", "uncertainty_value")
_TILES, _PAIRS_ACROSS, _TILE = 60, 6, 128
_STYLE = """
body{font:16px/1.5 system-ui,sans-serif;color:#1b1f23;background:#fff}
body{max-width:1240px;margin:2rem auto;padding:0 1rem}
h1{font-size:1.5rem;margin:0}p.note{color:#57606a;margin:.2rem 0 1.2rem}
main{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,var(--wide)),1fr));gap:1rem}
figure{margin:0;border:1px solid #d0d7de;border-radius:6px;padding:.6rem;overflow-wrap:anywhere}
figure img{max-width:100%;border-radius:3px;margin:0 .3rem .3rem 0;vertical-align:top}
figcaption{font-size:.84rem;color:#57606a}.failed{background:#fff8e1}
"""


def write_table(report: Path) -> Path:
    """Writes `report.csv` beside a `report.json`: a line a face, and one for each picture without any.

    Args:
        report: a `report.json`.

    Raises:
        DataError: a file cannot be read or written.
    """
    out = io.StringIO()
    table = csv.writer(out, lineterminator="\n")
    table.writerow(_COLUMNS)
    for picture in _pictures(report):
        for k, face in enumerate(picture["faces"] or [{}], 1):
            cells = {
                **{name: picture[name] for name in ("input", "status", "reason")},
                **dict(zip(("x", "y", "width", "height"), face.get("box", ()), strict=False)),
                **{name: face.get(name) for name in _OF_A_FACE},
                "face": k if face else None,
                "pasted": picture.get("pasted"),
            }
            if "reason" in face:
                cells["reason"] = face["reason"]
            table.writerow([_plain(cells.get(name)) for name in _COLUMNS])
    path = report.with_name(TABLE)
    write_bytes_atomic(path, out.getvalue().encode("utf-8", "backslashreplace"))
    return path


def write_pages(report: Path) -> Path:
    """Writes `gallery.html` and contact sheets (`contact_sheet_1.png` and so on) beside a `report.json`.

    Each portrait stands beside its recovered face where the run wrote `<stem>_side_by_side.png`; without it
    the face stands alone. The page links to the outputs next to it and to nothing outside the folder: no
    browser shows every input, and none a very large one.

    Args:
        report: a `report.json`.

    Returns:
        The page.

    Raises:
        DataError: a file cannot be read or written.
    """
    model, pictures = _read(report)
    figures: list[str] = []
    tiles: list[np.ndarray] = []
    sheets: list[str] = []
    for picture in pictures:
        figures.append(_figure(picture))
        for face in picture["faces"]:
            if (tile := _tile(report.parent, face)) is not None:
                tiles.append(tile)
            if len(tiles) == _TILES:
                sheets.append(_write_sheet(report, tiles, len(sheets) + 1, model))
                tiles = []
    if tiles:
        sheets.append(_write_sheet(report, tiles, len(sheets) + 1, model))
    title = html.escape(f"Recovered with {model.get('name', 'an unknown model')}")
    links = " ".join(f'<a href="{sheet}">{sheet}</a>' for sheet in sheets)
    pasted = any("pasted" in picture for picture in pictures)
    wide = 380 if pasted else 290  # pixels: three or two faces beside each other, at about their own size
    order = f"From the left: the portrait, the recovered face{', and it in its picture' * pasted}."
    page = (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>'
        f'<meta name="viewport" content="width=device-width,initial-scale=1"><style>{_STYLE}</style>'
        f"<h1>{title}</h1><p class=note>Every face here is generated: a guess, not evidence of what "
        f"anyone looked like. {order} {len(figures)} pictures. {links}</p>"
        f"<main style='--wide:{wide}px'>{''.join(figures)}</main></html>\n"
    )
    path = report.with_name(PAGE)
    write_bytes_atomic(path, page.encode("utf-8", "backslashreplace"))
    return path


def _figure(picture: dict[str, Any]) -> str:
    shown = []
    for face in picture["faces"]:
        name = face.get("side_by_side") or face.get("recovered")
        if name:
            what = "portrait and recovered face" if name == face.get("side_by_side") else "recovered face"
            words = html.escape(f"{what}, found by {face.get('found_by', 'whole')}")
            shown.append(f'<img loading="lazy" src="{quote(name)}" alt="{words}">')
        if name := face.get("uncertainty"):
            words = f"uncertainty {face.get('uncertainty_value')}"
            shown.append(f'<img loading="lazy" src="{quote(name)}" alt="{words}" title="{words}">')
    small = sum("reason" in face for face in picture["faces"])
    caption = [html.escape(os.path.basename(picture["input"]))]
    if picture["status"] == "failed":
        caption.append(html.escape(f"{picture['reason']}: {picture['message']}"))
    if any(face.get("found_by") == "whole" for face in picture["faces"]):
        caption.append("no face was found: the picture as a whole is taken for one")
    if small:
        caption.append(f"{small} face{'s' * (small > 1)} too small to recover")
    if pasted := picture.get("pasted"):
        caption.append(f'<a href="{quote(pasted)}">the picture with its faces</a>')
    kind = ' class="failed"' if picture["status"] == "failed" else ""
    return f"<figure{kind}>{''.join(shown)}<figcaption>{'<br>'.join(caption)}</figcaption></figure>"


def _tile(folder: Path, face: dict[str, Any]) -> np.ndarray | None:
    """The portrait and the recovered face; white in place of a portrait that is not there."""
    if not face.get("recovered"):
        return None
    portrait = np.full((_TILE, _TILE, 3), 255, np.uint8)
    with suppress(ImageError):
        if name := face.get("side_by_side"):
            portrait = framing.letterbox(_first(images.read(folder / name).pixels), _TILE)
    try:
        recovered = framing.letterbox(images.read(folder / face["recovered"]).pixels, _TILE)
    except ImageError:  # moved or damaged since: the page shows that it is missing
        return None
    return np.concatenate([portrait, recovered], axis=1)


def _first(grid: np.ndarray, pad: int = 2) -> np.ndarray:
    """The first picture in a row of squares that `framing.grid` drew."""
    side = max(1, len(grid) - 2 * pad)
    return grid[pad : pad + side, pad : pad + side]


def _write_sheet(report: Path, tiles: list[np.ndarray], number: int, model: dict[str, Any]) -> str:
    starts = range(0, len(tiles), _PAIRS_ACROSS)
    rows = [np.stack(tiles[start : start + _PAIRS_ACROSS]) for start in starts]
    name = f"{SHEET}_{number}.png"
    text = {
        PROVENANCE: f"generated faces, not evidence; model {model.get('name')}; sha256 {model.get('sha256')}"
    }
    images.write_png(report.with_name(name), framing.grid(rows), text=text)
    return name


def _read(report: Path) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    try:
        content = json.loads(report.read_text(encoding="utf-8"))
        return content["model"], content["pictures"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"Expected a report in {str(report)!r}. Received: {error}.") from error


def _pictures(report: Path) -> Iterator[dict[str, Any]]:
    yield from _read(report)[1]


def _plain(value: object) -> object:
    # A spreadsheet would run a name that begins like this as a formula.
    return "'" + value if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r") else value
