"""The first row is the preset itself, the others answer one question each."""

from ifrp_tf.experiments.ablation import configure
from ifrp_tf.experiments.recipe import RECIPE
from ifrp_tf.presets import preset


def test_the_first_row_is_the_preset():
    first = next(iter(configure(RECIPE, preset("modern"), []).values()))
    assert first == preset("modern")


def test_every_other_row_differs_from_it_within_one_section():
    first, *others = (config.to_dict() for config in configure(RECIPE, preset("modern"), []).values())
    for other in others:
        changed = [section for section, part in first.items() if other[section] != part]
        assert len(changed) == 1
        part = changed[0]
        assert sum(other[part][key] != value for key, value in first[part].items()) <= 3
