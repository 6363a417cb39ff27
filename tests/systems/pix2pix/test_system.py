"""pix2pix as the proof that a system is one folder: networks of the paper, losses, and a short run."""

import dataclasses
import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from ifrp_tf.core.config import Config
from ifrp_tf.core.errors import ConfigError
from ifrp_tf.core.presets import preset
from ifrp_tf.data import toy_faces
from ifrp_tf.nn import losses
from ifrp_tf.pictures import images
from ifrp_tf.release import export
from ifrp_tf.release import load as release_load
from ifrp_tf.systems import base
from ifrp_tf.systems.base import Step
from ifrp_tf.systems.pix2pix.networks import build_critic, build_generator
from ifrp_tf.systems.pix2pix.settings import ModelConfig
from ifrp_tf.training import run as training
from ifrp_tf.training.step_tf import Trainer


def test_the_parameters_are_those_of_the_papers_networks():
    assert build_generator(ModelConfig(), side=128).count_params() == pytest.approx(41.826e6, rel=5e-4)
    assert build_critic(ModelConfig(), side=128).count_params() == pytest.approx(2.768e6, rel=2e-3)


def test_every_logit_sees_seventy_pixels():
    critic = build_critic(ModelConfig(critic_width=4, normalization="instance"), side=128)
    assert critic.output_shape == (None, 14, 14, 1)
    names = [f"c{k}_conv" for k in range(1, 5)] + ["logits"]
    field = 1
    for layer in reversed([critic.get_layer(name) for name in names]):
        field = (field - 1) * layer.strides[0] + layer.kernel_size[0]
    assert field == 70


def test_a_side_that_cannot_be_halved_to_one_is_refused():
    with pytest.raises(ConfigError, match="power of two"):
        preset("pix2pix").override(["data.side=96"])


def test_the_losses_are_the_papers():
    config = preset("pix2pix_toy")
    system = base.create(config)
    portraits, photos, recovered = (
        np.random.default_rng(0).uniform(-1, 1, (3, 2, 64, 64, 3)).astype("float32")
    )
    critic = system.build()["critic"]
    step = Step(
        {"portraits": portraits, "photos": photos}, {"recovered": recovered}, {"critic": critic}, 0, None
    )
    total, values = system.main.loss(step)
    fake = np.asarray(critic([portraits, recovered], training=True))
    real = np.asarray(critic([portraits, photos], training=True))
    adversarial, pixel = np.log1p(np.exp(-fake)).mean(), np.abs(recovered - photos).mean()
    assert float(values["pixel"]) == pytest.approx(pixel, rel=1e-5)
    assert float(total) == pytest.approx(adversarial + 100 * pixel, rel=1e-4)
    player = next(player for player in system.players if player.critic)
    total, _ = player.loss(dataclasses.replace(step, memo={}))
    expected = (np.log1p(np.exp(-real)).mean() + np.log1p(np.exp(fake)).mean()) / 2
    assert float(total) == pytest.approx(expected, rel=1e-3)
    assert float(losses.pixel_loss(photos, photos, "l1")) == 0


@pytest.mark.slow
def test_it_overfits_eight_pairs():
    keras.utils.set_random_seed(0)
    trainer = Trainer(base.create(preset("pix2pix_toy").override(["model.dropout=0", "train.batch_size=8"])))
    trainer.compile()
    photos = images.to_model_range(toy_faces.draw(8, side=64, seed=5).pixels)
    pairs = tf.data.Dataset.from_tensors((-np.round(photos * 2) / 2, photos)).repeat()
    history = trainer.fit(pairs, steps_per_epoch=60, epochs=3, verbose=0).history
    assert history["pixel"][-1] < 0.15 < history["pixel"][0]
    assert set(history) == {
        "loss", "pixel", "adversarial", "critic_real", "critic_fake", "critic_updates", "generator_updates",
    }  # fmt: skip


@pytest.mark.slow
def test_a_run_is_trained_resumed_exported_and_recovered_with(tmp_path):
    """The whole path without a line about pix2pix outside of its folder."""
    assignments = [
        "train.pictures=64",
        "train.epoch_pictures=32",
        "data.validation_count=8",
        "data.styles=tonal",
    ]
    config = preset("pix2pix_toy").override(assignments)
    last = training.run(config, "", tmp_path / "run")
    assert last["step"] == 4
    longer = config.override(["train.pictures=96"])
    assert training.run(longer, "", tmp_path / "run", resume="must")["step"] == 6
    assert (tmp_path / "run" / "model" / "generator.weights.h5").is_file()
    assert Config.from_dict(json.loads((tmp_path / "run" / "config.json").read_text())) == longer
    version = export.run(tmp_path / "run", tmp_path / "pix2pix" / "1")
    card = (version / "MODEL_CARD.md").read_text()
    assert "pix2pix U-Net, width 8" in card
    assert "Loss: l1 100, adversarial 1." in card
    assert (version / "generator.weights.h5").is_file()
    portraits = toy_faces.draw(3, side=64, seed=9).pixels
    of_run = release_load.load(tmp_path / "run").network(portraits)
    of_version = release_load.load(tmp_path / "pix2pix").network(portraits)
    assert np.abs(of_run.astype(int) - of_version).max() <= 1
