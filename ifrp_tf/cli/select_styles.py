"""Measures how far styles lie apart (log-Euclidean distance of Gram matrices) and chooses the most distinct.

python tools/select_styles.py --styles=data/styles/paper --photos=data/faces/train --k=3 --output=distances
python tools/select_styles.py --styles=S --photos=P --stylised=STYLISED --output=distances

A picture in --styles is a style, a folder in it is one of faces stylised alike. Writes matrix.csv,
matrix.json, heat_map.png and embedding.png, and prints the chosen styles last. Exit code: 0 all good, 1 some
pictures could not be read or there are none, 2 wrong usage, 130 interrupted.
"""

from __future__ import annotations

import dataclasses
from typing import Literal

from ifrp_tf.cli.command import option


@dataclasses.dataclass(frozen=True, kw_only=True)
class Request:
    """What `select_styles` is asked for.

    Attributes:
        styles: Folder of style images.
        photos: Folder of photographs of faces.
        output: Folder for tables and figures.
        k: How many styles to choose.
        weights: Folder with VGG-19's weights.
        stylised: Folder of <style>/<faces>: compare these, not the images.
        layers: Of VGG-19, block1_conv1 to block3_conv4.
        aim: Which of the pairwise distances is to be largest.
        with_photos: The chosen must be far from photographs as well.
        without: Styles to measure, but not to choose.
        scale: Shorter side of a style image, pixels.
        limit: Photographs, and faces a style, to look at.
    """

    styles: str
    photos: str
    output: str
    k: int = option(3, low=1)
    weights: str = "data/weights"
    stylised: str = ""
    layers: tuple[str, ...] = ("block3_conv2",)
    aim: Literal["min", "sum"] = "min"
    with_photos: bool = False
    without: tuple[str, ...] = ()
    scale: int = option(256, low=128)
    limit: int = option(200, low=2)


def run(request: Request) -> int:
    """Returns the exit code."""
    from ifrp_tf.evaluation.diagnostics import style_distance

    return style_distance.run(style_distance.Request(**dataclasses.asdict(request)), say=print)
