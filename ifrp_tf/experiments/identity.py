"""Identity network: whose features the recovered face must share with the photograph.

The paper compares VGG-19 (conference) with FaceNet (journal) by eye only and prefers FaceNet. The descriptor
that measures FRR is in none of the rows.
"""

from __future__ import annotations

from ifrp_tf.experiments.ablation import Ablation, Row

_FEATURES = {"loss.identity": 0.1, "loss.identity_cosine": 0.0}

IDENTITY = Ablation(
    title="Identity network",
    rows={
        "none": Row(
            changes={"loss.identity_network": "none", "loss.identity": 0.0, "loss.identity_cosine": 0.0}
        ),
        "VGG-19 features": Row(changes={"loss.identity_network": "vgg19", **_FEATURES}),
        "MobileFaceNet features": Row(changes={"loss.identity_network": "mobilefacenet", **_FEATURES}),
        "MobileFaceNet embedding": Row(
            changes={
                "loss.identity_network": "mobilefacenet",
                "loss.identity": 0.0,
                "loss.identity_cosine": 0.1,
            }
        ),
        "FaceNet features": Row(changes={"loss.identity_network": "facenet", **_FEATURES}),
    },
    notes=("The paper shows pictures for this comparison and no figures: FaceNet's are the truer faces.",),
)
