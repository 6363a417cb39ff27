"""What all tables have in common, and how rows become configurations."""

import pytest

from ifrp_tf.config import Config
from ifrp_tf.errors import ConfigError
from ifrp_tf.experiments import TABLES, table
from ifrp_tf.experiments.ablation import Ablation, Row, assignments, configure, folder_name
from ifrp_tf.presets import preset

NAMES = ("seen_ssim", "seen_fsim", "unseen_ssim", "unseen_fsim", "unlabelled")


@pytest.mark.parametrize("name", TABLES)
@pytest.mark.parametrize("base", ["modern", "paper"])
def test_rows_differ_in_what_the_table_is_about_and_in_nothing_else(name, base):
    ablation, start = TABLES[name], preset(base)
    configs = configure(ablation, start, [])
    assert list(configs) == list(ablation.rows)
    start = start.override(assignments(ablation.defaults))
    for values in [config.to_dict() for config in configs.values()]:
        for section, part in start.to_dict().items():
            for key, value in part.items():
                assert values[section][key] == value or f"{section}.{key}" in ablation.varied


@pytest.mark.parametrize("name", TABLES)
def test_every_row_sets_everything_that_varies(name):
    """So a row means the same whatever the base is; what a row leaves to the base is its identity term."""
    varied = set(TABLES[name].varied)
    for row in TABLES[name].rows.values():
        assert varied - set(row.changes) <= {"loss.identity", "loss.identity_cosine"}


@pytest.mark.parametrize("name", TABLES)
def test_figures_are_the_papers_and_between_0_and_1(name):
    for row in TABLES[name].rows.values():
        assert set(row.paper) <= set(NAMES)
        assert all(0 < value < 1 for value in row.paper.values())
    folders = [folder_name(row) for row in TABLES[name].rows]
    assert len(set(folders)) == len(folders)


def test_the_nearest_table_is_named():
    assert table("losses") is TABLES["losses"]
    with pytest.raises(ConfigError, match="architecture"):
        table("architectures")


def test_changes_as_settings_come_back_as_they_were():
    changes = {"data.angles": (0.0, 7.5, -15.0), "data.flip": False, "loss.ssim": 0.0, "model.skips": "unet"}
    config = Config().override(assignments(changes))
    assert (config.data.angles, config.data.flip) == ((0.0, 7.5, -15.0), False)
    assert (config.loss.ssim, config.model.skips) == (0.0, "unet")


def test_what_the_table_varies_is_nobody_elses_to_set():
    two = Ablation(title="T", rows={"a": Row(changes={"model.skips": "none"})})
    assert configure(two, Config(), ["data.side=64"])["a"].data.side == 64
    with pytest.raises(ConfigError, match="which the rows vary"):
        configure(two, Config(), ["model.skips=unet"])


def test_what_the_table_only_prefers_may_be_set():
    settings = ["data.side=128", "model.localisation=full"]
    made = configure(TABLES["transformer"], preset("paper"), settings)
    assert {config.model.localisation for config in made.values()} == {"full"}


def test_no_row_is_trained_twice():
    with pytest.raises(ConfigError, match="'pixel' and 'pixel \\+ identity' are the same"):
        configure(TABLES["losses"], preset("tiny"), [])


def test_an_impossible_row_is_named():
    with pytest.raises(ConfigError, match="Row '11 angles, on the portrait'"):
        configure(TABLES["transformer"], preset("wacv"), [])
