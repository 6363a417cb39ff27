import pytest

from ifrp_tf.core.config import Config
from ifrp_tf.core.errors import ConfigError
from ifrp_tf.core.presets import all_presets, preset
from ifrp_tf.styles import sets
from ifrp_tf.systems import base


@pytest.mark.parametrize("name", all_presets())
def test_every_preset_builds_and_survives_json(name):
    config = preset(name)
    assert Config.from_dict(config.to_dict()) == config
    assert sets.resolve(config.data.styles)
    system = base.create(config)
    if not system.recovers or not system.players:
        return  # its networks depend on what it is given to learn, or it has none
    networks, side = system.build(), config.data.side
    assert networks[system.released].output_shape == (None, side, side, 3)
    for player in system.players:
        variables = [v for network in player.networks for v in networks[network].trainable_variables]
        optimizer = system.optimizer(player)
        optimizer.build(variables)
        assert optimizer.name == f"{player.name}_optimizer"


def test_the_papers_numbers():
    config = preset("paper")
    assert (config.train.optimizer, config.train.learning_rate, config.train.learning_rate_decay) == (
        "rmsprop",
        1e-3,
        0.99,
    )
    assert (config.loss.pixel, config.loss.adversarial, config.loss.adversarial_decay) == ("l2", 0.01, 0.995)
    assert (config.train.batch_size, config.data.max_angle, config.loss.margin_gate) == (64, 30.0, True)
    assert preset("wacv").model.srn == "wacv"
    assert preset("fdnn").model.stn == "none"


def test_unknown_preset_names_the_nearest():
    with pytest.raises(ConfigError, match="Did you mean 'modern'"):
        preset("modrn")
