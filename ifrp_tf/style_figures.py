"""Figures of style distances: the matrix as a heat map, and the styles as points in the plane."""

from __future__ import annotations

import io
from collections.abc import Sequence

import matplotlib
import numpy as np
from matplotlib.figure import Figure

_CHOSEN, _OTHERS = "#cf222e", "#57606a"
_MAX_NUMBERS = 24


def heat_map(names: Sequence[str], matrix: np.ndarray) -> bytes:
    """The distances as colours, with their numbers while they are few enough to be read.

    Args:
        names: of rows and columns.
        matrix: distances, [n, n], at least 0.

    Returns:
        A PNG, the same for the same numbers.
    """
    count = len(names)
    side = max(4.0, 0.42 * count + 2.0)
    with matplotlib.rc_context({"font.size": 8}):
        figure = Figure(figsize=(side + 0.8, side), layout="constrained", dpi=120)
        axes = figure.subplots()
        picture = axes.imshow(matrix, cmap="viridis", vmin=0)
        figure.colorbar(picture, ax=axes, shrink=0.8, label="log-Euclidean distance of Gram matrices")
        words = [name.replace("_", " ") for name in names]
        axes.set_xticks(range(count), words, rotation=90)
        axes.set_yticks(range(count), words)
        if count <= _MAX_NUMBERS:
            middle = float(np.max(matrix)) * 0.6
            for (row, column), value in np.ndenumerate(matrix):
                colour = "black" if value > middle else "white"
                axes.text(column, row, f"{value:.0f}", ha="center", va="center", color=colour, fontsize=7)
        return _png(figure)


def scatter(names: Sequence[str], points: np.ndarray, share: float, chosen: Sequence[str]) -> bytes:
    """The styles in the plane, the chosen ones marked.

    Args:
        names: of the points.
        points: [n, 2].
        share: of the spread that the plane holds, 0 to 1.
        chosen: names to mark.

    Returns:
        A PNG, the same for the same numbers.
    """
    with matplotlib.rc_context({"font.size": 9}):
        figure = Figure(figsize=(7.5, 6.5), layout="constrained", dpi=120)
        axes = figure.subplots()
        for name, (x, y) in zip(names, points, strict=True):
            colour = _CHOSEN if name in chosen else _OTHERS
            axes.plot(x, y, "o", color=colour, markersize=8 if name in chosen else 5)
            words = name.replace("_", " ")
            axes.annotate(words, (x, y), xytext=(5, 4), textcoords="offset points", color=colour)
        axes.set_aspect("equal", adjustable="datalim")
        axes.margins(0.2)
        axes.grid(color="#eaeef2")
        axes.set_title(f"classical scaling: the plane holds {share:.0%} of the spread; red: chosen")
        return _png(figure)


def _png(figure: Figure) -> bytes:
    out = io.BytesIO()
    figure.savefig(out, format="png", metadata={"Software": None})
    return out.getvalue()
