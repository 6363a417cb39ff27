"""Losses: what the adversarial and the identity term add to the squared (or absolute) error of pixels.

The rows switch terms off, and the paper's λ on; the identity term is the base's own (VGG-19 in the preset
`paper`, MobileFaceNet in `modern`). Our structure term is off in all rows: the paper has none.
"""

from __future__ import annotations

from ifrp_tf.experiments.ablation import Ablation, Row

_NO_IDENTITY = {"loss.identity": 0.0, "loss.identity_cosine": 0.0}

LOSSES = Ablation(
    title="Losses",
    rows={
        "pixel": Row(
            changes={"loss.ssim": 0.0, "loss.adversarial": 0.0, **_NO_IDENTITY},
            paper={"seen_ssim": 0.60, "seen_fsim": 0.72, "unseen_ssim": 0.54, "unseen_fsim": 0.65},
        ),
        "pixel + adversarial": Row(
            changes={"loss.ssim": 0.0, "loss.adversarial": 0.01, **_NO_IDENTITY},
            paper={"seen_ssim": 0.62, "seen_fsim": 0.75, "unseen_ssim": 0.58, "unseen_fsim": 0.72},
        ),
        "pixel + identity": Row(changes={"loss.ssim": 0.0, "loss.adversarial": 0.0}),
        "pixel + adversarial + identity": Row(
            changes={"loss.ssim": 0.0, "loss.adversarial": 0.01},
            paper={"seen_ssim": 0.72, "seen_fsim": 0.88, "unseen_ssim": 0.68, "unseen_fsim": 0.84},
        ),
    },
    notes=(
        "Which single term the paper adds in its second row is not legible in the text at hand: that it is "
        "the adversarial one is an assumption.",
    ),
)
