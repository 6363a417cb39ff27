"""The objective of the `ifrp` system, asked term by term: a handle for tests and for other backends."""

import keras

from ifrp_tf.systems.base import Step
from ifrp_tf.systems.ifrp.system import Ifrp


class Objective:
    """The terms of the SRN without the adversarial one, and their weighted sum."""

    def __init__(self, config, identity_network, perceptual_network=None):
        self.system = Ifrp(config, identity_network, perceptual_network)

    @property
    def asked(self):
        """The terms that can be computed: without a network none of identity."""
        without = {"adversarial"} | (set() if self.system.identity_network else {"identity", "cosine"})
        without |= set() if self.system.perceptual_network else {"perceptual"}
        return [term for term in self.system.main.terms if term.name not in without]

    @property
    def term_names(self):
        return [term.name for term in self.asked]

    def terms(self, recovered, photos, transforms, known):
        step = Step(
            {"photos": photos, "transforms": known},
            {"recovered": recovered, "transforms": transforms},
            {},
            0,
            None,
        )
        return {term.name: term.value(step) for term in self.asked}

    def total(self, values, step):
        weights = {term.name: term.weight_at(step) for term in self.system.main.terms}
        return sum((weights[name] * value for name, value in values.items()), keras.ops.zeros(()))
