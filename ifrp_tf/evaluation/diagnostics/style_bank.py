"""How good a style bank is: does a style look like its image, and is the face still the same person?"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from keras import ops

from ifrp_tf.core.config import DataConfig
from ifrp_tf.core.rendering import markdown_table
from ifrp_tf.core.types import Tensor
from ifrp_tf.data import photos
from ifrp_tf.evaluation import retrieval
from ifrp_tf.nn.features import networks
from ifrp_tf.pictures import images
from ifrp_tf.release.load import in_batches
from ifrp_tf.styles import bank, distance
from ifrp_tf.systems.style_bank.files import read_styles

LAYER = "block3_conv2"
_BATCH, _LOOKED_AT = 20, 200


@dataclasses.dataclass(frozen=True)
class StyleQuality:
    """What was measured of one style.

    Attributes:
        name: of the style.
        own: distance of its faces (the first 200) to its own style image.
        nearest: the style image, among those of all styles, that its faces are nearest to.
        retrieved: share of its faces that retrieve their photograph within the top 5.
        reserved: whether the style is kept for testing.
    """

    name: str
    own: float
    nearest: str
    retrieved: float
    reserved: bool


def run(
    folder: str | Path,
    styles: list[str],
    faces: str,
    *,
    weights: str = "data/weights",
    count: int = 500,
    json_file: str = "",
) -> str:
    """Measures every style of a bank and writes what was found as a table.

    Args:
        folder: of the bank; empty = the shipped one.
        styles: style images, as for `style_training.read_styles`; styles without one are left out.
        faces: folder of test photographs.
        weights: folder with the archives of VGG-19 and MobileFaceNet.
        count: photographs, which are also the gallery.
        json_file: also write the numbers here; empty = do not.

    Returns:
        Markdown.

    Raises:
        DataError: if the bank, the pictures or the weights cannot be used.
    """
    found = bank.load(str(folder))
    everything = photos.load(faces, DataConfig())
    pixels = everything.pixels[: min(count, len(everything))]
    pictures = {name: image for name, image in read_styles(styles).items() if name in found.styles}
    network = networks.vgg19(weights, outputs=(LAYER,))
    rows = measure(found, pictures, pixels, network, retrieval.load("mobilefacenet", weights))
    if json_file:
        values = [dataclasses.asdict(row) for row in rows]
        images.write_bytes_atomic(json_file, json.dumps(values, indent=2).encode())
    return table(rows, len(pixels))


def measure(
    found: bank.StyleBank,
    pictures: Mapping[str, np.ndarray],
    pixels: np.ndarray,
    network: Callable[[Tensor], Tensor],
    descriptor: retrieval.Descriptor,
) -> list[StyleQuality]:
    """Measures styles.

    Args:
        found: the bank.
        pictures: style images uint8 [H, W, 3] by name; the styles to measure.
        pixels: uint8 [N, 128, 128, 3] photographs, upright.
        network: photographs in [-1, 1] to the features whose Gram matrices are compared.
        descriptor: of faces.
    """
    looks = [distance.measure(name, distance.tiles(image), network) for name, image in pictures.items()]
    own = descriptor.embed(pixels)
    rows = []
    for name in pictures:
        painted = paint(found, name, pixels)
        away = distance.distances([distance.measure(name, painted[:_LOOKED_AT], network)], looks)[0]
        placed = retrieval.place(descriptor, descriptor.embed(painted), own, range(len(pixels)))
        rows.append(
            StyleQuality(
                name,
                own=float(away[[look.name for look in looks].index(name)]),
                nearest=looks[int(np.argmin(away))].name,
                retrieved=float(placed.success(5).mean()),
                reserved=bank.PREFIX + name in bank.RESERVED,
            )
        )
    return rows


def paint(found: bank.StyleBank, name: str, pixels: np.ndarray) -> np.ndarray:
    """Photographs uint8 [N, S, S, 3] in a style at full strength, uint8."""
    row = found.styles[name][None]

    def painted(part: np.ndarray) -> np.ndarray:
        answer = bank.stylise(found.trunk, row, images.to_model_range(part))
        return images.to_uint8(ops.convert_to_numpy(answer))

    return in_batches(painted, pixels, size=_BATCH)


def table(rows: list[StyleQuality], count: int) -> str:
    """Markdown of what `measure` found on `count` photographs."""
    person = f"same person within the top 5 of {count}, %"
    header = ("style", "kept for testing", "nearest style image", person)
    cells = [
        (
            row.name,
            "yes" if row.reserved else "",
            "its own" if row.nearest == row.name else row.nearest,
            f"{100 * row.retrieved:.1f}",
        )
        for row in rows
    ]
    hits = np.mean([row.nearest == row.name for row in rows])
    retrieved = np.mean([row.retrieved for row in rows])
    return (
        f"{markdown_table(header, cells, left=3)}\n\n"
        f"Nearest to its own style image: {100 * hits:.0f} % of {len(rows)} styles. "
        f"Same person: {100 * retrieved:.1f} % on average.\n"
    )
