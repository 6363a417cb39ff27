"""The table of losses: which terms each row computes."""

import pytest

from ifrp_tf.experiments.ablation import configure
from ifrp_tf.experiments.loss_terms import LOSSES
from ifrp_tf.objective import Objective
from ifrp_tf.presets import preset


@pytest.mark.parametrize("base", ["modern", "paper"])
def test_each_row_has_the_terms_of_its_name(base):
    configs = configure(LOSSES, preset(base), ["loss.alignment=0"])
    for name, config in configs.items():
        # The objective only asks whether there is a network.
        terms = set(Objective(config, identity_network=object()).term_names) | (
            {"adversarial"} if config.loss.adversarial else set()
        )
        identity = "identity" if base == "paper" else "cosine"
        assert terms == {identity if part == "identity" else part for part in name.split(" + ")}


def test_the_papers_figures_rise_with_every_term():
    figures = [row.paper for row in LOSSES.rows.values() if row.paper]
    assert len(figures) == 3
    for less, more in zip(figures, figures[1:], strict=False):
        assert all(more[name] > less[name] for name in less)
