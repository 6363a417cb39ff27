"""The recipe: the preset `modern` with one choice at a time made otherwise.

What the other tables leave open: pixel loss, weak adversarial terms, weight and network of the identity
term, learning rate, styles, localisation and normalisation. A second seed shows how large a difference must
be to mean something.
"""

from __future__ import annotations

from typing import Any

from ifrp_tf.experiments.ablation import Ablation, Row

_MODERN: dict[str, Any] = {
    "train.seed": 1,
    "train.learning_rate": 8e-4,
    "data.styles": "all_train",
    "data.strength": 0.75,
    "loss.pixel": "l1",
    "loss.adversarial": 0.0,
    "loss.adversarial_kind": "bce",
    "loss.identity_network": "mobilefacenet",
    "loss.identity": 0.0,
    "loss.identity_cosine": 0.1,
    "model.localisation": "cascade",
    "model.normalization": "batch",
}


def _row(changes: dict[str, Any]) -> Row:
    return Row(changes=_MODERN | changes)


RECIPE = Ablation(
    title="Recipe, one choice at a time",
    rows={
        "modern": _row({}),
        "another seed": _row({"train.seed": 2}),
        "squared error": _row({"loss.pixel": "l2"}),
        "identity 0.3": _row({"loss.identity_cosine": 0.3}),
        "strength from 0.5": _row({"data.strength": 0.5}),
        "formulas only": _row({"data.styles": "train"}),
        "adversarial 0.003": _row({"loss.adversarial": 0.003}),
        "adversarial 0.001": _row({"loss.adversarial": 0.001}),
        "adversarial 0.003, hinge": _row({"loss.adversarial": 0.003, "loss.adversarial_kind": "hinge"}),
        "VGG-19 features": _row(
            {"loss.identity_network": "vgg19", "loss.identity": 0.1, "loss.identity_cosine": 0.0}
        ),
        "one localisation network": _row({"model.localisation": "light"}),
        "group normalisation": _row({"model.normalization": "group"}),
        "learning rate 4e-4": _row({"train.learning_rate": 4e-4}),
        "learning rate 1.6e-3": _row({"train.learning_rate": 1.6e-3}),
    },
    defaults={"model.stn": "input"},
    notes=("The paper has no such table.",),
)
