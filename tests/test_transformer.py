"""The table of Spatial Transformers: angles and places."""

from ifrp_tf.experiments.ablation import configure
from ifrp_tf.experiments.transformer import TRANSFORMER
from ifrp_tf.networks import build_srn
from ifrp_tf.presets import preset


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
