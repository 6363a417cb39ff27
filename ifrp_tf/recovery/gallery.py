"""A run's report as contact sheets and as a page for a browser."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from ifrp_tf.core.errors import ImageError
from ifrp_tf.core.files import write_bytes_atomic
from ifrp_tf.core.rendering import render
from ifrp_tf.pictures import framing, images
from ifrp_tf.recovery.manifest import provenance, read_report

PAGE, SHEET = "gallery.html", "contact_sheet"

_TILES, _PAIRS_ACROSS, _TILE = 60, 6, 128


def write_pages(report: Path) -> Path:
    """Writes `gallery.html` and contact sheets (`contact_sheet_1.png` and so on) beside a `report.json`.

    Each portrait is beside its recovered face where the run wrote `<stem>_side_by_side.png`; without it
    the face is alone. The page links to the outputs next to it and to nothing outside the folder: no
    browser shows every input, and none a very large one.

    Args:
        report: a `report.json`.

    Returns:
        The page.

    Raises:
        DataError: a file cannot be read or written.
    """
    model, pictures = read_report(report)
    tiles: list[np.ndarray] = []
    sheets: list[str] = []
    for picture in pictures:
        for face in picture["faces"]:
            if (tile := _tile(report.parent, face)) is not None:
                tiles.append(tile)
            if len(tiles) == _TILES:
                sheets.append(_write_sheet(report, tiles, len(sheets) + 1, model))
                tiles = []
    if tiles:
        sheets.append(_write_sheet(report, tiles, len(sheets) + 1, model))
    page = render(
        "ifrp_tf.recovery",
        "gallery.html",
        title=f"Recovered with {model.get('name', 'an unknown model')}",
        pictures=pictures,
        pasted=any("pasted" in picture for picture in pictures),
        sheets=sheets,
    )
    path = report.with_name(PAGE)
    write_bytes_atomic(path, page.encode("utf-8", "backslashreplace"))
    return path


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
    text = provenance(str(model.get("name")), str(model.get("sha256")))
    images.write_png(report.with_name(name), framing.grid(rows), text=text)
    return name
