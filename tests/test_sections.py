import dataclasses

import pytest

from ifrp_tf.config import Config
from ifrp_tf.errors import ConfigError
from ifrp_tf.sections import DataConfig, LossConfig, ModelConfig, TrainConfig

SECTIONS = {"data": DataConfig, "model": ModelConfig, "loss": LossConfig, "train": TrainConfig}
EVERY_FIELD = [
    (section, field.name) for section, kind in SECTIONS.items() for field in dataclasses.fields(kind)
]


def test_defaults_are_the_papers():
    config = Config()
    assert (config.train.optimizer, config.train.learning_rate) == ("rmsprop", 1e-3)
    assert (config.loss.pixel, config.loss.adversarial, config.loss.adversarial_kind) == ("l2", 0.01, "bce")
    assert (config.loss.adversarial_decay, config.train.learning_rate_decay) == (0.995, 0.99)
    assert (config.model.srn, config.model.stn, config.model.skips) == ("ijcv", "paper", "top2_residual")
    assert (config.loss.ssim, config.loss.alignment, config.loss.identity_cosine) == (0.0, 0.0, 0.0)


@pytest.mark.parametrize(("section", "name"), EVERY_FIELD)
def test_every_setting_is_explained(section, name):
    assert f"\n        {name}: " in SECTIONS[section].__doc__


@pytest.mark.parametrize(("section", "name"), EVERY_FIELD)
def test_every_setting_refuses_a_value_of_another_type(section, name):
    for wrong in (None, {"a": 1}, object()):
        with pytest.raises(ConfigError, match=name):
            SECTIONS[section](**{name: wrong})


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        (LossConfig, {"identity_cosine": 0.1, "identity_network": "vgg19"}, "identity_cosine"),
        (ModelConfig, {"stn": "input", "srn": "wacv"}, "srn=ijcv"),
        (ModelConfig, {"stn_bounded": True, "stn_start": "authors"}, "stn_start=identity"),
        (TrainConfig, {"epoch_pictures": 4, "batch_size": 8}, "epoch_pictures"),
        (DataConfig, {"sketch_share": 1.0}, "sketch_share between 0 and 0.9"),
    ],
)
def test_settings_that_contradict_each_other(kind, options, message):
    with pytest.raises(ConfigError, match=message):
        kind(**options)
