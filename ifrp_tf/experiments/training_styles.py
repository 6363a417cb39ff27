"""Number of training styles: from one to five, each row adding one to the row above.

The paper finds the gain used up at three (Scream, Candy, Mosaic). Ours are formulas; the order puts a
painted, a drawn and a tiled one first, as different from each other as there are.
"""

from __future__ import annotations

from ifrp_tf.experiments.ablation import Ablation, Row

_STYLES = ("oil", "pencil", "mosaic", "halftone", "watercolour")
# SSIM and FSIM on seen styles, then on unseen ones.
_PAPER = (
    (0.69, 0.72, 0.54, 0.66),
    (0.70, 0.77, 0.60, 0.78),
    (0.72, 0.88, 0.68, 0.84),
    (0.72, 0.88, 0.68, 0.85),
    (0.73, 0.88, 0.69, 0.85),
)
_NAMES = ("seen_ssim", "seen_fsim", "unseen_ssim", "unseen_fsim")


def _row(count: int) -> Row:
    chosen = _STYLES[:count]
    return Row(
        changes={"data.styles": ",".join(chosen)},
        paper=dict(zip(_NAMES, _PAPER[count - 1], strict=True)),
        seen=chosen,
    )


TRAINING_STYLES = Ablation(
    title="Number of training styles",
    rows={
        "1 style": _row(1),
        "2 styles": _row(2),
        "3 styles": _row(3),
        "4 styles": _row(4),
        "5 styles": _row(5),
    },
    notes=(
        "Every row passes the same number of pictures, so more styles mean fewer pictures of each; the paper "
        "trains on all faces in every style.",
        "Seen styles are those that the row was trained on: the rows are not tested on the same portraits "
        "there, but on the same unseen ones.",
    ),
)
