"""How far styles lie apart, and the k most distinct ones (journal, style distance metric)."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import logging
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from ifrp_tf.core import files, runtime
from ifrp_tf.core.config import nearest
from ifrp_tf.core.errors import ConfigError, DataError, ImageError
from ifrp_tf.pictures import images

# Figures: the matrix as a heat map, the styles as points in a plane.

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


# Measuring, and choosing the most distinct styles.

PHOTOS = "photos"
"""What the photographs of faces are called among the styles."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Request:
    """What `run` is asked for.

    Attributes:
        styles: folder of style images; a folder in it is one style, of the faces stylised so.
        photos: folder of photographs of faces.
        output: folder for `matrix.csv`, `matrix.json`, `heat_map.png` and `embedding.png`.
        k: how many styles to choose.
        weights: folder with VGG-19's weights.
        stylised: folder of a folder of stylised faces for each style: these are compared and chosen from,
            and the distance of each to every style image is reported as well.
        layers: VGG-19's layers (`features.vgg19`); distances are the root mean square over several.
        aim: `min` or `sum` of the pairwise distances is to be largest.
        with_photos: whether the chosen must be far from the photographs too, as if these were a style.
        without: styles that are measured, but not chosen.
        scale: pixels of the shorter side of a style image before it is cut into tiles.
        limit: photographs, and faces of each style, that are looked at; evenly spread.
    """

    styles: str
    photos: str
    output: str
    k: int = 3
    weights: str = "data/weights"
    stylised: str = ""
    layers: tuple[str, ...] = ("block3_conv2",)
    aim: str = "min"
    with_photos: bool = False
    without: tuple[str, ...] = ()
    scale: int = 256
    limit: int = 200

    def __post_init__(self) -> None:
        if self.limit < 2 or self.k < 1:
            raise ConfigError(f"Expected limit >= 2 and k >= 1. Received: {self.limit} and {self.k}.")


def run(request: Request, *, say: Callable[[str], object] = logging.info) -> int:
    """Writes the tables and figures, and says distances and, last, the chosen styles.

    Args:
        request: what is asked for.
        say: gets the text that a person wants to read.

    Returns:
        The exit code: 0, or 1 where pictures were passed over because they cannot be read.

    Raises:
        ConfigError: A setting is out of range, or a style unknown.
        DataError: There are no styles or photographs, or the results cannot be written.
    """
    sources = _sources(request.styles)
    stylised = _sources(request.stylised) if request.stylised else {}
    faces = images.list_pictures(request.photos)
    candidates = _candidates(stylised or sources, request)
    with runtime.start_up():  # late: wrong names must not wait for it
        from ifrp_tf.nn.features import networks
        from ifrp_tf.styles import distance

    network = networks.vgg19(request.weights, outputs=request.layers)
    failures: list[str] = []

    def style(name: str, found: Sequence[Path]) -> distance.Style:
        return distance.measure(name, _pictures(found, request, failures), network)

    photos = style(PHOTOS, faces)
    originals = [style(name, found) for name, found in sources.items()]
    compared = [style(name, found) for name, found in stylised.items()] or originals
    chosen = _choose(distance.distances([*compared, photos]), compared, candidates, request)
    result = {
        **dataclasses.asdict(request),
        **_measured(distance.distances, [*compared, photos]),
        "chosen": chosen,
        **(_own(distance.distances, compared, originals) if stylised else {}),
        "unreadable": failures,
    }
    _write(result, Path(request.output), distance.embedding)
    say("\n".join(_lines(result)))
    return 1 if failures else 0


def _sources(folder: str) -> dict[str, list[Path]]:
    """Style name -> its one picture, or the pictures of its folder."""
    found: dict[str, list[Path]] = {}
    root = Path(folder)
    for path in images.list_pictures(root):
        parts = path.relative_to(root).parts if path != root else (path.name,)
        name = parts[0] if len(parts) > 1 else path.stem
        if len(parts) == 1 and name in found:
            raise DataError(
                f"Expected one style of a name. Received several: {name!r} in {folder}.", hint="Rename one."
            )
        found.setdefault(name, []).append(path)
    if PHOTOS in found:
        raise DataError(f"Expected another name for the style {PHOTOS!r} in {folder}.", hint="Rename it.")
    return dict(sorted(found.items()))


def _candidates(sources: dict[str, list[Path]], request: Request) -> list[str]:
    unknown = [name for name in request.without if name not in sources]
    if unknown:
        raise ConfigError(f"Unknown style {unknown[0]!r}.", hint=nearest(unknown[0], list(sources)))
    names = [name for name in sources if name not in request.without]
    if request.k > len(names):
        raise ConfigError(
            f"Expected to choose 1 to {len(names)} of {len(names)} styles. Received: `k={request.k}`."
        )
    return names


def _pictures(found: Sequence[Path], request: Request, failures: list[str]) -> np.ndarray:
    """Tiles of the one style image, or faces of one size; what cannot be read is passed over and reported."""
    from ifrp_tf.styles import distance

    made: list[np.ndarray] = []
    places = np.linspace(0, len(found) - 1, min(len(found), request.limit)).round().astype(int)
    for path in (found[place] for place in places):
        try:
            pixels = images.read(path).pixels
        except ImageError as error:
            failures.append(f"{path}: {error.reason}")
            logging.warning("passed over: %s", error)
            continue
        if len(found) == 1:
            return distance.tiles(pixels, request.scale)
        made.append(images.fit(pixels, distance.SIDE, "crop"))
    if not made:
        raise DataError(f"Expected pictures. Received {len(found)} files such as {found[0]}, none readable.")
    # Alternating halves: neighbours in a folder are often alike, and the noise floor compares halves.
    return np.stack(made[::2] + made[1::2])


def _choose(
    matrix: np.ndarray, compared: Sequence[Any], candidates: list[str], request: Request
) -> list[str]:
    from ifrp_tf.styles import distance

    kept = [k for k, style in enumerate(compared) if style.name in candidates]
    chosen_of = matrix[np.ix_(kept, kept)]
    extra = matrix[kept, -1] if request.with_photos else None
    names = [compared[k].name for k in kept]
    return distance.select(chosen_of, names, request.k, aim=request.aim, anchor=extra)


def _measured(distances: Callable[..., np.ndarray], everything: Sequence[Any]) -> dict[str, Any]:
    matrix = distances(everything)
    return {
        "names": [style.name for style in everything],
        "matrix": matrix.tolist(),
        "to_photos": {style.name: row[-1] for style, row in zip(everything[:-1], matrix, strict=False)},
        "noise_floor": {
            style.name: None if math.isnan(style.noise_floor) else style.noise_floor for style in everything
        },
        "pictures": {style.name: style.pictures for style in everything},
    }


def _own(
    distances: Callable[..., np.ndarray], stylised: Sequence[Any], originals: Sequence[Any]
) -> dict[str, Any]:
    """Distances of stylised faces to style images, and how many are nearest to their own."""
    matrix = distances(stylised, originals)
    names = [style.name for style in originals]
    near = {style.name: names[int(row.argmin())] for style, row in zip(stylised, matrix, strict=True)}
    known = [name for name in near if name in names]
    return {
        "style_images": names,
        "to_style_images": matrix.tolist(),
        "nearest_style_image": near,
        "nearest_is_own": sum(near[name] == name for name in known) / len(known) if known else None,
    }


def _lines(result: dict[str, Any]) -> list[str]:
    names, matrix = result["names"], np.array(result["matrix"])
    width = max(map(len, names)) + 2
    lines = [
        f"{'':{width}}{'nearest style':>{width + 8}}{'to photos':>11}{'noise floor':>13}{'pictures':>10}"
    ]
    for k, name in enumerate(names):
        others = [j for j in range(len(names) - 1) if j != k]
        near = min(others, key=lambda j: matrix[k, j]) if others else k
        floor = result["noise_floor"][name]
        lines.append(
            f"{name:{width}}{f'{names[near]} {matrix[k, near]:.1f}':>{width + 8}}{matrix[k, -1]:>11.1f}"
            f"{'-' if floor is None else f'{floor:.1f}':>13}{result['pictures'][name]:>10}"
        )
    if "nearest_is_own" in result and result["nearest_is_own"] is not None:
        lines.append(f"stylised faces nearest to their own style image: {result['nearest_is_own']:.0%}")
    lines.append(f"the {len(result['chosen'])} most distinct styles ({result['aim']} of the distances):")
    return [*lines, ",".join(result["chosen"])]


def _write(result: dict[str, Any], output: Path, embedding: Callable[..., Any]) -> None:
    names, matrix = result["names"], np.array(result["matrix"])
    points, share = embedding(matrix)
    result["embedding"], result["embedding_share"] = points.tolist(), share
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(["", *names])
    rows.writerows(
        [name, *(f"{value:.6f}" for value in row)] for name, row in zip(names, matrix, strict=True)
    )
    files.write_bytes_atomic(output / "matrix.csv", text.getvalue().encode())
    files.write_bytes_atomic(output / "matrix.json", json.dumps(result, indent=2).encode())

    files.write_bytes_atomic(output / "heat_map.png", heat_map(names, matrix))
    files.write_bytes_atomic(output / "embedding.png", scatter(names, points, share, result["chosen"]))
