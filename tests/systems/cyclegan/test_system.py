import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf

from ifrp_tf.core.errors import ConfigError
from ifrp_tf.core.presets import preset
from ifrp_tf.systems import base
from ifrp_tf.systems.base import Step
from ifrp_tf.systems.cyclegan.networks import ImagePool, build_critic, build_generator
from ifrp_tf.systems.cyclegan.settings import ModelConfig
from ifrp_tf.training import callbacks, checkpoint
from ifrp_tf.training.step_tf import Trainer

TOY = preset("cyclegan_toy")


def pictures(count, seed=0, side=32):
    return np.random.default_rng(seed).uniform(-1, 1, (count, side, side, 3)).astype("float32")


def test_the_parameters_are_those_of_the_papers_networks():
    assert build_generator(ModelConfig()).count_params() == 7_837_699
    assert build_critic(ModelConfig()).count_params() == 2_764_737


def test_a_preset_that_works_at_half_the_side_answers_at_the_whole():
    config = ModelConfig(width=4, blocks=1, critic_width=4, reduce=2)
    generator = build_generator(config, side=64)
    assert generator.get_layer("small").output.shape == (None, 32, 32, 3)
    assert generator.output_shape == (None, 64, 64, 3)
    assert build_critic(config, side=128).output_shape == (None, 6, 6, 1)


@pytest.mark.parametrize("changes", [["data.side=36"], ["train.batch_size=1", "data.group=1"]])
def test_what_does_not_fit_is_refused(changes):
    with pytest.raises(ConfigError, match="for cyclegan"):
        preset("cyclegan").override(changes)


def test_the_pool_first_fills_then_returns_half_old_pictures():
    pool = ImagePool(16)
    number = np.arange(400, dtype="float32")
    given = number[:, None, None, None] * np.ones((1, 2, 2, 3), "float32")
    found = np.concatenate([np.asarray(pool(given[k : k + 8], training=True)) for k in range(0, 400, 8)])
    found = found[:, 0, 0, 0]
    np.testing.assert_array_equal(found[:16], number[:16])
    old = found[16:] != number[16:]
    assert 0.4 < old.mean() < 0.6
    assert (found <= number).all()
    exchanged = found[16:][old]
    assert len(set(exchanged)) == len(exchanged), "what is taken out is replaced, so nothing comes twice"
    assert np.median(number[16:][old] - exchanged) > 8
    np.testing.assert_array_equal(pool(given[:8]), given[:8])  # not while recovering


def test_photographs_never_meet_their_own_portraits():
    system = base.create(TOY)
    photos = pictures(8)
    networks = {name: lambda x, training: x for name in ("generator", "inverse")}
    outputs = system.forward(networks, {"portraits": photos, "photos": photos})
    assert all(np.abs(np.asarray(a) - b).max() > 0.1 for a, b in zip(outputs["photos"], photos, strict=True))
    assert {float(x.sum()) for x in np.asarray(outputs["photos"])} == {float(x.sum()) for x in photos}


def test_the_losses_are_the_papers():
    system = base.create(TOY)
    networks = system.build()
    batch = {"portraits": pictures(4), "photos": pictures(4, seed=1)}
    outputs = system.forward(networks, batch)
    step = Step(batch, outputs, networks, 0, None)
    total, values = system.main.loss(step)
    out = {name: np.asarray(value) for name, value in outputs.items()}
    cycle = np.abs(out["portraits_again"] - batch["portraits"]).mean()
    cycle += np.abs(out["photos_again"] - out["photos"]).mean()
    kept = np.abs(out["photos_kept"] - out["photos"]).mean()
    kept += np.abs(out["portraits_kept"] - batch["portraits"]).mean()
    fooled = [
        np.square(np.asarray(networks[f"{kind}_critic"](out[made])) - 1).mean()
        for kind, made in (("photo", "recovered"), ("portrait", "painted"))
    ]
    assert float(values["cycle"]) == pytest.approx(cycle, rel=1e-4)
    assert float(total) == pytest.approx(sum(fooled) + 10 * cycle + 5 * kept, rel=1e-4)
    critic = next(player for player in system.players if player.name == "photo_critic")
    total, _ = critic.loss(dataclasses.replace(step, memo={}))
    scores = networks["photo_critic"]
    real, fake = np.asarray(scores(out["photos"])), np.asarray(scores(out["recovered"]))
    assert float(total) == pytest.approx((np.square(real - 1).mean() + np.square(fake).mean()) / 2, rel=1e-4)


def test_a_step_moves_all_four_networks_and_a_checkpoint_holds_all(tmp_path):
    trainer = Trainer(base.create(TOY))
    trainer.compile()
    trainer.run_eagerly = True
    before = {name: [np.array(v) for v in n.trainable_variables] for name, n in trainer.networks.items()}
    logs = trainer.train_step((tf.constant(pictures(8)), tf.constant(pictures(8, seed=1))))
    assert np.isfinite([float(value) for value in logs.values()]).all()
    for name, network in trainer.networks.items():
        moved = [
            np.abs(a - np.asarray(b)).max() > 0 for a, b in zip(before[name], network.weights, strict=False)
        ]
        assert "pool" in name or any(moved), name
    pool = trainer.networks["photo_pool"]
    assert int(pool.get_layer("pool").count) == 8
    checkpoint.save(tmp_path, callbacks.training_of(trainer), 1)
    other = Trainer(base.create(TOY))
    other.compile()
    checkpoint.restore_latest(tmp_path, callbacks.training_of(other))
    for name, network in trainer.networks.items():  # the pools, too
        for a, b in zip(network.weights, other.networks[name].weights, strict=True):
            np.testing.assert_array_equal(a, b)
    for (
        name,
        optimizer,
    ) in trainer.optimizers.items():  # of both generators: layers called alike
        for a, b in zip(optimizer.variables, other.optimizers[name].variables, strict=True):
            np.testing.assert_array_equal(a, b)


def test_the_rate_is_constant_for_half_the_steps_and_falls_to_zero():
    config = TOY.override(["train.pictures=800"])
    system = base.create(config)
    rate = system.optimizer(system.main)._learning_rate
    assert [round(float(rate(k)) / 5e-4, 3) for k in (0, 49, 50, 75, 99)] == [1.0, 1.0, 1.0, 0.51, 0.039]
    assert isinstance(
        keras.optimizers.deserialize(keras.optimizers.serialize(system.optimizer(system.main))),
        keras.optimizers.Adam,
    )
