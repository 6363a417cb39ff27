"""The table of identity networks: what each row compares."""

from ifrp_tf.experiments.ablation import configure
from ifrp_tf.experiments.identity import IDENTITY
from ifrp_tf.presets import preset


def test_every_network_has_its_row_and_the_measuring_one_none():
    configs = configure(IDENTITY, preset("modern"), [])
    networks = {config.loss.identity_network for config in configs.values()}
    assert networks == {"none", "vgg19", "mobilefacenet", "facenet"}
    for name, config in configs.items():
        weights = (config.loss.identity, config.loss.identity_cosine)
        assert sum(weight > 0 for weight in weights) == (name != "none")


def test_the_paper_gives_no_figures():
    assert not any(row.paper for row in IDENTITY.rows.values())
