"""The table of architectures: the networks that its rows build."""

from ifrp_tf.experiments.ablation import configure
from ifrp_tf.experiments.architecture import ARCHITECTURE
from ifrp_tf.networks import build_srn
from ifrp_tf.presets import preset


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
