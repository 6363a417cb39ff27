"""What the journal paper reports (Shiri et al., IJCV 2019), and why its figures are not ours to compare with.

Quoted from its tables; the conference paper's are not at hand and none are given.
"""

from __future__ import annotations

from typing import NamedTuple


class Figures(NamedTuple):
    """One row of one table.

    Attributes:
        psnr: dB.
        ssim: 0 to 1.
        fsim: 0 to 1.
        frr: face retrieval ratio, 0 to 1; k and gallery are not stated there.
    """

    psnr: float
    ssim: float
    fsim: float
    frr: float


COLUMNS = ("seen", "unseen", "sketches")
"""Training styles, the other styles, and the style Sketch among them (made by a network, not by hand)."""

PAPER: dict[str, tuple[Figures, Figures, Figures]] = {
    "Gatys": (
        Figures(20.18, 0.57, 0.73, 0.6467),
        Figures(20.25, 0.57, 0.66, 0.6228),
        Figures(19.93, 0.55, 0.67, 0.6836),
    ),
    "Johnson": (
        Figures(15.65, 0.34, 0.68, 0.5054),
        Figures(15.81, 0.33, 0.70, 0.3887),
        Figures(16.27, 0.35, 0.68, 0.4027),
    ),
    "MGAN": (
        Figures(16.22, 0.44, 0.64, 0.2697),
        Figures(16.17, 0.47, 0.60, 0.2252),
        Figures(16.01, 0.46, 0.61, 0.2499),
    ),
    "pix2pix": (
        Figures(20.82, 0.59, 0.80, 0.7513),
        Figures(18.90, 0.54, 0.67, 0.5998),
        Figures(19.01, 0.55, 0.66, 0.6663),
    ),
    "CycleGAN": (
        Figures(18.58, 0.32, 0.69, 0.2507),
        Figures(15.89, 0.27, 0.64, 0.2568),
        Figures(15.65, 0.31, 0.65, 0.2670),
    ),
    "Shiri et al. 2017": (
        Figures(21.57, 0.58, 0.79, 0.8451),
        Figures(20.21, 0.56, 0.70, 0.7532),
        Figures(21.35, 0.57, 0.71, 0.7644),
    ),
    "IFRP": (
        Figures(26.08, 0.72, 0.88, 0.9093),
        Figures(24.83, 0.68, 0.84, 0.8492),
        Figures(24.89, 0.68, 0.83, 0.8905),
    ),
}
"""Method -> figures in the order of `COLUMNS`."""

PAPER_FCR: dict[str, float] = {
    "Gatys": 0.7289,
    "Johnson": 0.4499,
    "MGAN": 0.3824,
    "pix2pix": 0.8773,
    "CycleGAN": 0.2497,
    "Shiri et al. 2017": 0.8909,
    "IFRP": 0.9206,
}
"""Method -> face consistency ratio, 0 to 1."""

DIFFERENCES: tuple[str, ...] = (
    "Photographs: the paper tests on 2,000 CelebA faces and does not say how tightly they are cropped. How "
    "hard a set is shows in what the mean face scores, which the paper does not report.",
    "Retrieval: the paper names neither descriptor nor gallery nor k. Here they are stated, and chance is "
    "given.",
    "SSIM and FSIM: the paper does not state its settings. Here both are of the luminance of 8-bit pictures, "
    "with the constants of their authors.",
    "Misalignment: the paper's ranges of scale and shift are not stated.",
)
"""Of any protocol here to the paper's."""

STYLE_DIFFERENCES: dict[str, str] = {
    "procedural": "Styles: the paper's are ten artworks painted by style-transfer networks, three of them "
    "trained on. Here they are formulas, drawn again for every portrait.",
    "paper": "Styles: the paper's ten artworks, but painted by this package's own style networks, seven of "
    "which no model here was trained on.",
    "sketches": "Styles: the paper's sketches are made by a style-transfer network from the photograph. "
    "Here they are drawn by hand.",
    "foreign": "Styles: the paper's are ten artworks painted by style-transfer networks, three of them "
    "trained on. Here they are styles of networks that other people made, none of them trained on.",
    "folders": "Styles: the paper's are ten artworks painted by style-transfer networks. Here they are what "
    "is in the folders.",
}
"""Protocol -> how its styles differ."""


def nearest_column(protocol: str, reserved: bool) -> str:
    """The column of the paper that is nearest to a protocol.

    Args:
        protocol: `procedural`, `sketches`, `foreign` or `folders`.
        reserved: whether no style was trained on.

    Example:
        >>> nearest_column("procedural", reserved=True)
        'unseen'
    """
    if protocol == "sketches":
        return "sketches"
    return "unseen" if reserved or protocol in ("folders", "foreign") else "seen"
