import keras
import numpy as np
import pytest
import tensorflow as tf

from ifrp_tf.core.config import Config
from ifrp_tf.core.errors import TrainingError
from ifrp_tf.core.presets import preset
from ifrp_tf.data import toy_faces
from ifrp_tf.systems import base
from ifrp_tf.training.step_tf import Trainer, _check_connected


def make(*assignments, seed=0, eager=True):
    """A small trainer: few layers, and eager steps spare a test of few steps the tracing of a graph."""
    keras.utils.set_random_seed(seed)
    small = ["data.side=32", "model.skips=none", "train.batch_size=8", "data.group=4", "train.ema=0.9"]
    config = preset("toy").override([*small, *assignments])
    trainer = Trainer(base.create(config))
    trainer.compile()
    trainer.run_eagerly = eager
    return trainer


def pairs(count=8):
    photos = toy_faces.draw(count, side=32, seed=5).pixels.astype("float32") / 255 * 2 - 1
    portraits = np.clip(np.round(photos * 2) / 2, -1, 1)
    known = np.tile(np.float32([[0, 1, 0, 0]]), (count, 1))
    return tf.data.Dataset.from_tensors((portraits, photos, known)).repeat()


def snapshot(network):
    return [np.array(v.value) for v in network.weights]


def changed(before, network):
    return any(
        not np.array_equal(a, np.asarray(v.value)) for a, v in zip(before, network.weights, strict=True)
    )


@pytest.mark.slow
def test_it_overfits_eight_pairs():
    trainer = make("loss.adversarial=0", "train.pictures=1200", eager=False)
    first = trainer.fit(pairs(), steps_per_epoch=1, verbose=0).history["pixel"][0]
    last = trainer.fit(pairs(), steps_per_epoch=120, verbose=0) and trainer.fit(
        pairs(), steps_per_epoch=10, verbose=0
    )
    assert last.history["pixel"][0] < 0.25 * first
    assert int(trainer.step) == 131


def test_every_part_is_updated_and_counted():
    trainer = make("loss.margin_gate=false")
    parts = {**trainer.networks, "average": trainer.average}
    before = {name: snapshot(network) for name, network in parts.items()}
    logs = trainer.fit(pairs(), steps_per_epoch=2, verbose=0).history
    for name, network in parts.items():
        assert changed(before[name], network), name
    assert set(logs) == {
        "loss", "pixel", "alignment", "adversarial", "dn_real", "dn_fake", "dn_updates", "srn_updates",
    }  # fmt: skip
    assert int(trainer.step) == 2
    for name, optimizer in trainer.optimizers.items():
        assert int(optimizer.iterations) == round(2 * logs[f"{name}_updates"][0])


def test_the_dn_waits_for_its_start():
    trainer = make("loss.adversarial_start=2")
    before = snapshot(trainer.networks["dn"])
    logs = trainer.fit(pairs(), steps_per_epoch=2, verbose=0).history
    assert not changed(before, trainer.networks["dn"])
    assert logs["adversarial"] == [0.0]
    trainer.fit(pairs(), steps_per_epoch=1, verbose=0)
    assert changed(before, trainer.networks["dn"])
    assert int(trainer.optimizers["dn"].iterations) == 1


def test_a_losing_srn_waits_and_its_moments_stay():
    """A constant DN: its error on fakes is above 0.7 (the SRN waits), none is below 0.3 (the DN does not)."""
    trainer = make("loss.margin_gate=true")
    logits = trainer.networks["dn"].get_layer("logits")
    logits.kernel.assign(np.zeros(logits.kernel.shape))
    logits.bias.assign([0.3])  # errors: .554 on photographs, .854 on fakes
    moments = [np.array(v.value) for v in trainer.optimizers["srn"].variables]
    before = [np.array(v.value) for v in trainer.networks["srn"].trainable_variables]
    logs = trainer.fit(pairs(), steps_per_epoch=1, verbose=0).history
    assert (logs["srn_updates"], logs["dn_updates"]) == ([0.0], [1.0])
    for a, v in zip(moments, trainer.optimizers["srn"].variables, strict=True):
        np.testing.assert_array_equal(a, v.value)
    for a, v in zip(before, trainer.networks["srn"].trainable_variables, strict=True):
        np.testing.assert_array_equal(a, v.value)
    assert np.isclose(logs["dn_fake"][0], np.log1p(np.exp(0.3)), atol=1e-3)


def test_total_is_the_weighted_sum():
    trainer = make("loss.adversarial=0.002", "loss.alignment=0.05")
    logs = {
        name: value[0] for name, value in trainer.fit(pairs(), steps_per_epoch=1, verbose=0).history.items()
    }
    expected = logs["pixel"] + 0.05 * logs["alignment"] + 0.002 * logs["adversarial"]
    assert logs["loss"] == pytest.approx(expected, rel=1e-4)


def test_moving_average_follows():
    trainer = make("loss.adversarial=0")
    start = snapshot(trainer.networks["srn"])
    trainer.fit(pairs(), steps_per_epoch=1, verbose=0)
    decay = 1 / 10  # (1 + 0) / (10 + 0) at the first step
    for a, now, average in zip(start, trainer.networks["srn"].weights, trainer.average.weights, strict=True):
        np.testing.assert_allclose(average.value, decay * a + (1 - decay) * np.asarray(now.value), atol=1e-5)


def test_a_variable_without_gradient_is_named():
    variables = [keras.Variable(1.0, name="lonely"), keras.Variable(1.0, name="fine")]
    with pytest.raises(TrainingError, match="lonely"):
        _check_connected(variables, [None, tf.constant(1.0)])


@pytest.mark.slow
def test_bfloat16_trains_and_keeps_float32_variables():
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        trainer = make("train.dtype=bfloat16", eager=False)
    finally:
        keras.config.set_dtype_policy("float32")
    logs = trainer.fit(pairs(), steps_per_epoch=3, verbose=0).history
    assert all(np.isfinite(value[0]) for value in logs.values())
    assert {v.dtype for v in trainer.networks["srn"].trainable_variables} == {"float32"}


def test_default_configuration_is_the_journals():
    assert Trainer(base.create(Config())).networks["srn"].name == "srn_ijcv"
