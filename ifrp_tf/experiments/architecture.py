"""Architecture of the SRN: how much of the portrait may pass around the bottleneck.

The paper's finding: skips on every level copy the style along, and the top two with residual blocks do best.
"""

from __future__ import annotations

from ifrp_tf.experiments.ablation import Ablation, Row

ARCHITECTURE = Ablation(
    title="Architecture of the style removal network",
    rows={
        "autoencoder": Row(
            changes={"model.skips": "none"},
            paper={"seen_ssim": 0.65, "seen_fsim": 0.84, "unseen_ssim": 0.62, "unseen_fsim": 0.80},
        ),
        "U-Net": Row(
            changes={"model.skips": "unet"},
            paper={"seen_ssim": 0.65, "seen_fsim": 0.87, "unseen_ssim": 0.61, "unseen_fsim": 0.78},
        ),
        "top-2 skips": Row(
            changes={"model.skips": "top2"},
            paper={"seen_ssim": 0.66, "seen_fsim": 0.86, "unseen_ssim": 0.63, "unseen_fsim": 0.82},
        ),
        "top-2 skips + residual blocks": Row(
            changes={"model.skips": "top2_residual"},
            paper={"seen_ssim": 0.72, "seen_fsim": 0.88, "unseen_ssim": 0.68, "unseen_fsim": 0.84},
        ),
    },
)
