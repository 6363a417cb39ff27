"""Pictures to try the page on, made when it is started: no picture of a person is part of the project."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ifrp_tf.data import sample
from ifrp_tf.demo.result import Shown
from ifrp_tf.pictures import images
from ifrp_tf.pictures.geometry import Place, cut

_PAINTED = {
    "impasto": ("Impasto, tilted", 15.0), "charcoal": ("Charcoal, tilted", -18.0),
    "watercolour": ("Watercolour", 6.0),
}  # fmt: skip
_THUMBNAIL = 96  # pixels


def make(folder: Path, *, whole: bool, painted: bool) -> list[Shown]:
    """Writes the examples, each a PNG.

    Args:
        folder: where; made if missing.
        whole: whether faces are found: then one of them is a whole photograph.
        painted: whether portraits are painted by formulas, which need Keras; else the face of the
            photograph is there as it is, and tilted.
    """
    pictures = {"A whole photograph": sample.whole()} if whole else {}
    if painted:
        for style, (name, tilt) in _PAINTED.items():
            pictures[name] = sample.portrait(style, tilt=tilt)
    else:
        middle = sample.LEFT + sample.SQUARE / 2, sample.TOP + sample.SQUARE / 2
        pictures["A face"] = sample.photo()
        pictures["A tilted face"] = cut(sample.whole(), Place(*middle, sample.SQUARE, 15.0), sample.SIDE)
    folder.mkdir(parents=True, exist_ok=True)
    made = []
    for name, pixels in pictures.items():
        path = folder / f"{name.replace(',', '').replace(' ', '_').lower()}.png"
        images.write_png(path, pixels)
        made.append(Shown(path, name))
    return made


def css(examples: Sequence[Shown]) -> str:
    """Rules that draw each example on the button `#example_<k>`; the pictures are in them."""
    rules = []
    for k, example in enumerate(examples):
        pixels = images.read(example.path).pixels
        side = min(pixels.shape[:2])
        small = images.resize(np.ascontiguousarray(pixels[:side, :side]), _THUMBNAIL)
        data = base64.b64encode(images.encode_png(small)).decode()
        rules.append(f'#example_{k} {{ background-image: url("data:image/png;base64,{data}"); }}')
    return "\n".join(rules)
