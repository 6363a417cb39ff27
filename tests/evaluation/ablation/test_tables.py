"""Tests of `evaluation/ablation/tables`."""

import pytest
from objectives import Objective

from ifrp_tf.core.config import Config
from ifrp_tf.core.errors import ConfigError
from ifrp_tf.core.presets import preset
from ifrp_tf.evaluation.ablation.tables import (
    ARCHITECTURE,
    IDENTITY,
    LOSSES,
    NETWORK,
    RECIPE,
    TABLES,
    TRAINING_STYLES,
    TRANSFORMER,
    Ablation,
    Row,
    assignments,
    configure,
    folder_name,
    table,
)
from ifrp_tf.styles import sets
from ifrp_tf.systems.ifrp.networks import build_srn

# ---- What all tables have in common, and how rows become configurations ----

NAMES = ("seen_ssim", "seen_fsim", "unseen_ssim", "unseen_fsim", "unlabelled")


@pytest.mark.parametrize("name", TABLES)
@pytest.mark.parametrize("base", ["modern", "paper"])
def test_rows_differ_in_what_the_table_is_about_and_in_nothing_else(name, base):
    ablation, start = TABLES[name], preset(base)
    configs = configure(ablation, start, [])
    assert list(configs) == list(ablation.rows)
    start = start.override(assignments(ablation.defaults))
    for config in configs.values():
        assert set(start.difference(config)) <= set(ablation.varied)


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


# ---- The table of architectures: the networks that its rows build ----


def test_rows_build_what_their_names_say():
    configs = configure(ARCHITECTURE, preset("modern"), ["model.width=8", "model.localisation=light"])
    layers = {}
    for name, config in configs.items():
        layers[name] = [layer.name for layer in build_srn(config.model, side=64).layers]
    skips = {name: sum(layer.endswith("_concat") for layer in found) for name, found in layers.items()}
    assert list(skips.values()) == [0, 4, 2, 2]
    blocks = [
        sum("_block" in layer and layer.endswith("_add") for layer in found) for found in layers.values()
    ]
    assert blocks == [0, 0, 0, 6]


def test_the_papers_best_row_is_the_last():
    rows = [row.paper for row in ARCHITECTURE.rows.values()]
    assert all(rows[-1][name] == max(row[name] for row in rows) for name in rows[-1])
    assert rows[1]["unseen_ssim"] < rows[0]["unseen_ssim"], "skips on all levels hurt unseen styles"


# ---- The table of identity networks: what each row compares ----


def test_every_network_has_its_row_and_the_measuring_one_none():
    configs = configure(IDENTITY, preset("modern"), [])
    networks = {config.loss.identity_network for config in configs.values()}
    assert networks == {"none", "vgg19", "mobilefacenet", "facenet"}
    for name, config in configs.items():
        weights = (config.loss.identity, config.loss.identity_cosine)
        assert sum(weight > 0 for weight in weights) == (name != "none")


def test_the_paper_gives_no_figures():
    assert not any(row.paper for row in IDENTITY.rows.values())


# ---- The table of losses: which terms each row computes ----


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


# ---- The first row is the preset itself, the others answer one question each ----


def test_the_first_row_is_the_preset():
    first = next(iter(configure(RECIPE, preset("modern"), []).values()))
    assert first == preset("modern")


def test_the_first_network_is_that_of_the_preset():
    assert next(iter(configure(NETWORK, preset("modern"), []).values())) == preset("modern")
    assert NETWORK.groups[0] == "foreign"


def test_every_other_row_differs_from_it_within_one_section():
    first, *others = (config.to_dict() for config in configure(RECIPE, preset("modern"), []).values())
    for other in others:
        changed = [section for section, part in first.items() if other[section] != part]
        assert len(changed) == 1
        part = changed[0]
        assert sum(other[part][key] != value for key, value in first[part].items()) <= 3


# ---- The table of training styles: each row adds one, none is reserved ----


def test_each_row_adds_one_style_to_the_row_above():
    chosen = [sets.resolve(row.changes["data.styles"]) for row in TRAINING_STYLES.rows.values()]
    assert [len(styles) for styles in chosen] == [1, 2, 3, 4, 5]
    for fewer, more in zip(chosen, chosen[1:], strict=False):
        assert more[:-1] == fewer


def test_each_row_is_tested_on_what_it_was_trained_on():
    for name, row in TRAINING_STYLES.rows.items():
        assert row.seen == sets.resolve(row.changes["data.styles"])
        assert name.startswith(str(len(row.seen)))
        assert len(row.paper) == 4


# ---- The table of Spatial Transformers: angles and places ----


def test_sets_of_angles_are_the_papers():
    for name, row in TRANSFORMER.rows.items():
        angles = row.changes["data.angles"]
        assert len(set(angles)) == len(angles) == int(name.split()[0])
        assert sorted(angles) == sorted(-angle for angle in angles)
        assert max(angles) == 30


def test_rows_have_the_transformers_of_their_names_at_a_small_side():
    configs = configure(TRANSFORMER, preset("modern"), ["model.width=8", "data.side=64"])
    found = []
    for config in list(configs.values())[:3]:
        layers = [layer.name for layer in build_srn(config.model, side=64).layers]
        found.append([name for name in ("stn0", "stn1", "stn2", "stn3", "stn4") if name in layers])
    assert found == [[], ["stn1", "stn2", "stn3", "stn4"], ["stn0"]]
