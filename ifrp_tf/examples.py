"""Which portraits a report shows: the best, the middle and the worst, chosen by number and not by eye."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np

from ifrp_tf.pairing import Protocol
from ifrp_tf.rows import PairRow

EXAMPLES = 3
"""Examples of each kind."""

ERROR_SCALE = 96
"""Mean absolute error of the channels, levels of 0-255, that is drawn white; black is none."""


@dataclasses.dataclass(frozen=True)
class Example:
    """A portrait to show.

    Attributes:
        kind: `best`, `median` or `worst` of its style by PSNR.
        row: what was measured.
        strip: uint8 [4, side, side, 3]: portrait, recovered, photograph, error map.
    """

    kind: str
    row: PairRow
    strip: np.ndarray


def choose(
    style: str, rows: Sequence[PairRow], protocol: Protocol, recover: Callable[[np.ndarray], np.ndarray]
) -> list[Example]:
    """The best, the middle and the worst portraits of a style by PSNR, made once more.

    Args:
        style: of the rows.
        rows: at least one.
        protocol: makes the portraits.
        recover: recovers them.
    """
    order = sorted(rows, key=lambda row: (-row.model.psnr, row.name))
    count = min(EXAMPLES, max(1, len(order) // 3))
    middle = (len(order) - count) // 2
    places = {
        "best": range(count),
        "median": range(middle, middle + count),
        "worst": range(len(order) - count, len(order)),
    }
    kinds: dict[int, str] = {}
    for kind, chosen in places.items():
        for k in chosen:
            kinds.setdefault(k, kind)
    names = [order[k].name for k in sorted(kinds)]
    portraits = protocol.read_portraits(style, names).pixels
    photos = protocol.read_photos(names).pixels
    recovered = recover(portraits)
    strips = np.stack([portraits, recovered, photos, error_map(recovered, photos)], axis=1)
    return [Example(kinds[k], order[k], strip) for k, strip in zip(sorted(kinds), strips, strict=True)]


def error_map(recovered: np.ndarray, photos: np.ndarray) -> np.ndarray:
    """Where recovered faces differ from the photographs: black where not, over red to white.

    Args:
        recovered: uint8 [N, S, S, 3].
        photos: uint8 [N, S, S, 3].

    Returns:
        uint8 [N, S, S, 3].

    Example:
        >>> int(error_map(np.zeros((1, 8, 8, 3), np.uint8), np.zeros((1, 8, 8, 3), np.uint8)).max())
        4
    """
    from matplotlib import colormaps  # late: it takes half a second

    error = np.abs(recovered.astype(np.float32) - photos.astype(np.float32)).mean(axis=-1)
    colours = colormaps["inferno"](np.minimum(error / ERROR_SCALE, 1.0), bytes=True)
    return colours[..., :3]
