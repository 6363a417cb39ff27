import pytest

from ifrp_tf.core.config import Config
from ifrp_tf.core.errors import ConfigError
from ifrp_tf.core.presets import PRESETS, preset
from ifrp_tf.nn.optimizers import build_optimizer
from ifrp_tf.styles import sets
from ifrp_tf.systems.ifrp.networks import build_discriminator, build_srn


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_builds_and_survives_json(name):
    config = preset(name)
    assert Config.from_dict(config.to_dict()) == config
    srn = build_srn(config.model, side=config.data.side)
    side = config.data.side
    assert srn.output_shape == (None, side, side, 3)
    assert build_discriminator(config.model, side=side).output_shape == (None, 1)
    build_optimizer(config.train, "srn_optimizer").build(srn.trainable_variables)
    assert sets.resolve(config.data.styles)


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
