"""Spatial Transformers: none, the paper's four inside the network, or ours on the portrait, by set of angles.

The paper trains and tests on faces turned by one of 11 or of 5 angles. Here the sets hold for training, and
all rows are tested on the same portraits, turned by any angle up to 30 degrees.
"""

from __future__ import annotations

from ifrp_tf.experiments.ablation import Ablation, Row

_ELEVEN = (0.0, 5.0, -5.0, 10.0, -10.0, 15.0, -15.0, 20.0, -20.0, 30.0, -30.0)
_FIVE = (0.0, 15.0, -15.0, 30.0, -30.0)
_NONE = {"model.stn": "none", "loss.alignment": 0.0}
_INSIDE = {"model.stn": "paper", "loss.alignment": 0.0}
_PORTRAIT = {"model.stn": "input", "loss.alignment": 0.02}

TRANSFORMER = Ablation(
    title="Spatial Transformers by set of angles",
    rows={
        "11 angles, none": Row(changes={"data.angles": _ELEVEN, **_NONE}, paper={"unlabelled": 0.64}),
        "11 angles, inside": Row(changes={"data.angles": _ELEVEN, **_INSIDE}, paper={"unlabelled": 0.66}),
        "11 angles, on the portrait": Row(changes={"data.angles": _ELEVEN, **_PORTRAIT}),
        "5 angles, none": Row(changes={"data.angles": _FIVE, **_NONE}, paper={"unlabelled": 0.64}),
        "5 angles, inside": Row(changes={"data.angles": _FIVE, **_INSIDE}, paper={"unlabelled": 0.65}),
        "5 angles, on the portrait": Row(changes={"data.angles": _FIVE, **_PORTRAIT}),
    },
    # The paper's localisation networks need a side of 128: --set=model.localisation=full has them there.
    defaults={"model.localisation": "light"},
    notes=(
        "The paper does not label the metric of this table; its size is that of SSIM.",
        "The transformer on the portrait is ours, and is told the true misalignment in training.",
        "All rows are tested on the same portraits, turned by any angle up to 30 degrees.",
    ),
)
