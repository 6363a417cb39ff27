import numpy as np
import pytest
import tensorflow as tf

from ifrp_tf.core.presets import preset
from ifrp_tf.systems import base
from ifrp_tf.systems.base import Step
from ifrp_tf.training.step_tf import Trainer

TOY = preset("mgan_toy")


def pictures(count, seed=0, side=32):
    return np.random.default_rng(seed).uniform(-1, 1, (count, side, side, 3)).astype("float32")


def test_the_encoder_is_frozen_and_released_with_the_decoder(data_dir):
    system = base.create(TOY)
    system.load_frozen(str(data_dir / "weights"))
    generator = system.build()["generator"]
    names = {variable.path.split("/")[0] for variable in generator.trainable_variables}
    assert names == {f"d{k}_{part}" for k in (2, 3, 4) for part in ("conv", "norm")} | {"d1_conv"}
    released = system.build_released()
    released.set_weights(generator.get_weights())
    x = pictures(2)
    np.testing.assert_allclose(released(x, training=False), generator(x, training=False), atol=1e-5)


def test_the_losses_are_those_of_the_authors():
    system = base.create(TOY)
    system.load_frozen("")
    networks = system.build()
    batch, recovered = {"portraits": pictures(2), "photos": pictures(2, seed=1)}, pictures(2, seed=2)
    step = Step(batch, {"recovered": recovered}, {"critic": networks["critic"]}, 0, None)
    total, values = system.main.loss(step)
    real, fake = (
        np.asarray(networks["critic"](system._seen(x) / 255.0, training=True))
        for x in (batch["photos"], recovered)
    )
    pixel, hinge = np.square(recovered - batch["photos"]).mean(), np.maximum(0, 1 - fake).mean()
    assert float(values["pixel"]) == pytest.approx(pixel, rel=1e-4)
    assert float(total) == pytest.approx(pixel + 0.01 * hinge, rel=1e-3)
    critic = next(player for player in system.players if player.critic)
    expected = np.maximum(0, 1 - real).mean() + np.maximum(0, 1 + fake).mean()
    assert float(critic.loss(step)[0]) == pytest.approx(expected, rel=1e-3)


def test_a_step_trains_the_decoder_and_the_critic():
    system = base.create(TOY)
    system.load_frozen("")
    trainer = Trainer(system)
    trainer.compile()
    trainer.run_eagerly = True
    before = [np.array(v) for v in trainer.networks["generator"].weights]
    logs = trainer.train_step((tf.constant(pictures(8)), tf.constant(pictures(8, seed=1))))
    assert np.isfinite([float(value) for value in logs.values()]).all()
    for a, v in zip(before, trainer.networks["generator"].weights, strict=True):
        frozen = v.path.startswith("block")
        assert frozen == np.array_equal(a, np.asarray(v)) or v.path.endswith("conv/bias"), v.path
