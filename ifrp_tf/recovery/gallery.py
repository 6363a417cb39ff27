"""A run's report as contact sheets and as a page for a browser."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from ifrp_tf.core.errors import ImageError
from ifrp_tf.core.files import write_bytes_atomic
from ifrp_tf.core.rendering import render
from ifrp_tf.pictures import framing, images, video
from ifrp_tf.recovery.manifest import provenance, read_report
from ifrp_tf.recovery.recoverer import ENLARGED

PAGE, SHEET, FOLDER = "gallery.html", "contact_sheet", "gallery"

_TILES, _PAIRS_ACROSS, _TILE = 60, 6, 128
_THUMBNAIL = 480  # longest side, pixels
_TAKEN, _LEFT = (255, 208, 0), (170, 170, 170)  # frames of faces that are recovered, and of the others


def write_pages(report: Path) -> Path:
    """Writes `gallery.html` and contact sheets (`contact_sheet_1.png` and so on) beside a `report.json`.

    Each portrait is beside its recovered face where the run wrote `<stem>_side_by_side.png`; without it
    the face is alone. Small copies of pictures in which faces were looked for, with numbers on the faces, and
    of pasted pictures are made in the folder `gallery`. The page links to the inputs, where they were.

    Args:
        report: a `report.json`.

    Returns:
        The page.

    Raises:
        DataError: a file cannot be read or written.
    """
    model, pictures = read_report(report)
    text = provenance(str(model.get("name")), str(model.get("sha256")), str(model.get("attributes", "")))
    tiles: list[np.ndarray] = []
    sheets: list[str] = []
    for picture in pictures:
        for face in picture["faces"]:
            if (tile := _tile(report.parent, face)) is not None:
                tiles.append(tile)
            if len(tiles) == _TILES:
                sheets.append(_write_sheet(report, tiles, len(sheets) + 1, text))
                tiles = []
    if tiles:
        sheets.append(_write_sheet(report, tiles, len(sheets) + 1, text))
    above = os.path.commonpath([os.path.dirname(os.path.abspath(one["input"])) for one in pictures] or ["/"])
    shown = [_shown(report.parent, picture, above, text) for picture in pictures]
    page = render(
        "ifrp_tf.recovery",
        "gallery.html",
        title=f"Recovered with {model.get('name', 'an unknown model')}",
        pictures=shown,
        pasted=any("pasted" in picture for picture in pictures),
        look=sum(picture["look"] for picture in shown),
        sheets=sheets,
    )
    path = report.with_name(PAGE)
    write_bytes_atomic(path, page.encode("utf-8", "backslashreplace"))
    return path


def numbered(pixels: np.ndarray, frames: Sequence[tuple[np.ndarray, bool]]) -> np.ndarray:
    """A picture with a frame and a number for every face.

    Args:
        pixels: uint8 [H, W, 3], RGB, 0-255.
        frames: of each face the corners, float [4, 2], x and y in pixels from the top left one on clockwise,
            and whether it is recovered.

    Returns:
        uint8 [H, W, 3].
    """
    canvas = Image.fromarray(pixels)
    pen = ImageDraw.Draw(canvas)
    for number, (corners, taken) in enumerate(frames, 1):
        colour, side = _TAKEN if taken else _LEFT, float(np.hypot(*(corners[1] - corners[0])))
        line = [(float(x), float(y)) for x, y in (*corners, *corners[:2])]
        width = max(2, round(side / 60))
        pen.line(line, fill=(0, 0, 0), width=2 * width, joint="curve")
        pen.line(line, fill=colour, width=width, joint="curve")
        font = ImageFont.load_default(max(12.0, min(36.0, side / 5)))
        left, top, right, bottom = pen.textbbox((0, 0), str(number), font=font)
        pad = (bottom - top) / 3
        wide, high = right - left + 2 * pad, bottom - top + 2 * pad
        x, y = max(0.0, line[0][0]), max(0.0, line[0][1] - high - width)  # above it: faces may be small
        pen.rectangle((x, y, x + wide, y + high), fill=colour)
        pen.text((x + pad - left, y + pad - top), str(number), fill=(0, 0, 0), font=font)
    return np.array(canvas)


def _shown(folder: Path, picture: dict[str, Any], above: str, text: dict[str, str]) -> dict[str, Any]:
    """What the page says of one picture."""
    given = os.path.abspath(picture["input"])
    lines = [f"{picture['reason']}: {picture['message']}"] if picture["status"] == "failed" else []
    lines += picture.get("notes", [])
    faces = []
    for face in picture["faces"]:
        if name := face.get("side_by_side") or face.get("recovered"):
            what = "portrait and recovered face" if "side_by_side" in face else "recovered face"
            faces.append((_link(name), f"{what}, found by {face.get('found_by', 'whole')}"))
        if name := face.get("answers"):
            faces.append((_link(name), "several plausible answers: the face is a guess"))
        if name := face.get("uncertainty"):
            faces.append((_link(name), f"uncertainty {face.get('uncertainty_value')}"))
    return {
        "name": os.path.relpath(given, above) + (f", page {page}" if (page := picture.get("page")) else ""),
        "link": _link(os.path.relpath(given, os.path.abspath(folder))),
        "failed": picture["status"] == "failed",
        "look": any(not line.endswith(ENLARGED) for line in lines),  # that one was asked for
        "lines": lines,
        "faces": faces,
        "thumbnails": _thumbnails(folder, picture, text),
        "pasted": _link(picture["pasted"]) if "pasted" in picture else "",
        "film": _link(picture["film"]["recovered"]) if "film" in picture else "",
        "is_video": "film" in picture and Path(picture["film"]["recovered"]).suffix in video.CONTAINERS,
    }


def _link(path: str) -> str:
    return quote(os.fsencode(path))  # a name may be no UTF-8


def _thumbnails(folder: Path, picture: dict[str, Any], text: dict[str, str]) -> list[tuple[str, str, str]]:
    """Small copies of the picture with its faces numbered, and of the pasted one: file, link, words."""
    boxes = [(face["box"], "reason" not in face) for face in picture["faces"] if face.get("side")]
    if not boxes and picture["reason"] != "no_face":
        return []
    page = picture.get("page", 0)
    digest = hashlib.sha256(os.fsencode(picture["input"]) + b"#%d" % page * (page > 0)).hexdigest()[:12]
    sources = [("faces", picture["input"], boxes, "the picture, its faces numbered")]
    if "pasted" in picture:
        sources.append(
            ("pasted", str(folder / picture["pasted"]), [], "the picture with its recovered faces")
        )
    found = []
    for kind, source, marks, words in sources:
        name = f"{FOLDER}/{digest}_{kind}.png"
        with suppress(ImageError):  # moved or damaged since
            pixels = images.read(source, page=page if kind == "faces" else 0).pixels
            scale = min(1.0, _THUMBNAIL / max(pixels.shape[:2]))
            size = (max(1, round(pixels.shape[1] * scale)), max(1, round(pixels.shape[0] * scale)))
            small = Image.fromarray(pixels).resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0)
            frames = [(_corners(box) * scale, taken) for box, taken in marks]
            images.write_png(folder / name, numbered(np.array(small), frames), text=text)
            link = _link(os.path.relpath(os.path.abspath(source), os.path.abspath(folder)))
            found.append((name, link, words))
    return found


def _corners(box: Sequence[float]) -> np.ndarray:
    x, y, width, height = box
    return np.array([(x, y), (x + width, y), (x + width, y + height), (x, y + height)], np.float64)


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


def _write_sheet(report: Path, tiles: list[np.ndarray], number: int, text: dict[str, str]) -> str:
    starts = range(0, len(tiles), _PAIRS_ACROSS)
    rows = [np.stack(tiles[start : start + _PAIRS_ACROSS]) for start in starts]
    name = f"{SHEET}_{number}.png"
    images.write_png(report.with_name(name), framing.grid(rows), text=text)
    return name
