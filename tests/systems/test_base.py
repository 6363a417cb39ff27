"""The contract of a system, by one of two tiny networks: order, starts, gates, slopes, both backends."""

import json
import subprocess
import sys

import keras
import numpy as np
import pytest
from helpers import ROOT, jax_environment
from keras import ops

from ifrp_tf.core.config import Config, system_names, system_settings
from ifrp_tf.core.errors import ConfigError
from ifrp_tf.core.presets import preset
from ifrp_tf.nn import losses
from ifrp_tf.systems import base
from ifrp_tf.systems.base import Player, System, Term


class Tiny(System):
    """A convolution against a critic with a penalty on its slope, in the order that is asked for."""

    name, released, method = "tiny", "generator", "two convolutions"
    critic_first, start, waiting = True, 0, ()

    def build(self):
        side = self.config.data.side
        networks = {}
        for name, channels in (("generator", 3), ("critic", 1)):
            x = keras.Input((side, side, 3))
            y = keras.layers.Conv2D(channels, 3, padding="same", name="conv")(x)
            networks[name] = keras.Model(x, y, name=name)
            kernel = networks[name].get_layer("conv").kernel  # backends draw other random numbers
            kernel.assign(np.random.default_rng(channels).normal(0, 0.1, kernel.shape))
        return networks

    def forward(self, networks, batch):
        return {"recovered": networks["generator"](batch["portraits"], training=True)}

    def _slope(self, step):
        critic = step.networks["critic"]
        slope = step.gradient(lambda x: ops.square(critic(x, training=True)), step.batch["photos"])
        return ops.mean(ops.square(slope))

    @property
    def players(self):
        critic = Player(
            "critic",
            ("critic",),
            (
                Term("real", lambda s: ops.mean(ops.relu(1 - s.networks["critic"](s.batch["photos"])))),
                Term("fake", lambda s: ops.mean(ops.relu(1 + s.networks["critic"](s.outputs["recovered"])))),
                Term("slope", self._slope, lambda step: 10.0 + 0.0 * ops.cast(step, "float32")),
            ),
            critic=True,
            start=self.start,
        )
        generator = Player(
            "generator",
            ("generator",),
            (
                Term("pixel", lambda s: losses.pixel_loss(s.outputs["recovered"], s.batch["photos"])),
                Term("adversarial", lambda s: -ops.mean(s.networks["critic"](s.outputs["recovered"])), 0.1),
            ),
        )
        return (critic, generator) if self.critic_first else (generator, critic)

    def gates(self, critic, values):
        return dict.fromkeys(self.waiting, values["real"] < -1.0)  # never: a hinge is not negative


def tiny(**options):
    config = preset("toy").override(
        ["data.side=16", "train.batch_size=4", "train.optimizer=adam", "train.ema=0.9"]
    )
    system = Tiny(config)
    for name, value in options.items():
        setattr(system, name, value)
    return system


def batch():
    random = np.random.default_rng(0)
    portraits, photos = random.uniform(-1, 1, (2, 4, 16, 16, 3)).astype("float32")
    return portraits, photos, np.zeros((4, 4), "float32")


def steps_of(system, count=2):
    """Losses of each step, and the kernels afterwards, under the backend of this process."""
    if keras.backend.backend() == "jax":
        from ifrp_tf.training.step_jax import Trainer

        trainer, rows = Trainer(system), []
        for _ in range(count):
            trainer.state, values = trainer.train_on_batch(trainer.state, batch())
            rows.append({name: float(value) for name, value in values.items()})
        trainer.pull()
    else:
        from ifrp_tf.training.step_tf import Trainer

        trainer, rows = Trainer(system), []
        trainer.compile()
        for _ in range(count):
            for tracker in trainer.metrics:
                tracker.reset_state()
            rows.append({name: float(value) for name, value in trainer.train_step(batch()).items()})
    kernels = {name: np.asarray(net.get_layer("conv").kernel) for name, net in trainer.networks.items()}
    return rows, {**kernels, "average": np.asarray(trainer.average.get_layer("conv").kernel)}


VARIANTS = {
    "critic first": {},
    "critic last": {"critic_first": False},
    "critic starts later": {"start": 1},
    "generator waits": {"waiting": ("generator",)},
    "critic waits": {"waiting": ("critic",)},
}


@pytest.fixture(scope="module")
def by_jax():
    program = (
        f"import json, sys; sys.path.insert(0, {str(ROOT / 'tests' / 'systems')!r})\n"
        + """
import test_base as t
found = {name: t.steps_of(t.tiny(**options)) for name, options in t.VARIANTS.items()}
plain = {name: [rows, {k: v.tolist() for k, v in kernels.items()}] for name, (rows, kernels) in found.items()}
print(json.dumps(plain))
"""
    )
    done = subprocess.run(
        [sys.executable, "-c", program], env=jax_environment(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.slow
@pytest.mark.parametrize("name", VARIANTS)
def test_both_backends_take_the_same_steps(name, by_jax):
    rows, kernels = steps_of(tiny(**VARIANTS[name]))
    expected_rows, expected_kernels = by_jax[name]
    for row, expected in zip(rows, expected_rows, strict=True):
        assert row == pytest.approx(expected, rel=1e-3, abs=1e-5)
    for part, values in expected_kernels.items():
        np.testing.assert_allclose(kernels[part], np.array(values), atol=2e-4, err_msg=part)


def moved(**options):
    system = tiny(**options)
    before = {name: np.asarray(net.get_layer("conv").kernel) for name, net in system.build().items()}
    rows, after = steps_of(system, count=1)
    return rows[0], {name for name in before if not np.array_equal(before[name], after[name])}


def test_who_waits_is_not_moved():
    assert moved()[1] == {"generator", "critic"}
    row, found = moved(waiting=("generator",))
    assert (found, row["generator_updates"], row["critic_updates"]) == ({"critic"}, 0.0, 1.0)
    row, found = moved(waiting=("critic",))
    assert (found, row["generator_updates"], row["critic_updates"]) == ({"generator"}, 1.0, 0.0)
    row, found = moved(start=1)
    assert (found, row["critic_slope"]) == ({"generator"}, 0.0)


def test_the_slope_is_the_gradient_of_the_sum():
    """By hand: the gradient of c(x)² with respect to x is 2 c(x) k, for a convolution of one pixel."""
    system = tiny()
    rows, _ = steps_of(system, count=1)
    critic = system.build()["critic"]
    photos = batch()[1]
    import tensorflow as tf

    x = tf.constant(photos)
    with tf.GradientTape() as tape:
        tape.watch(x)
        total = tf.reduce_sum(tf.square(critic(x)))
    assert rows[0]["critic_slope"] == pytest.approx(
        float(np.mean(np.square(tape.gradient(total, x)))), rel=1e-4
    )


def test_the_loss_is_the_weighted_sum_of_the_terms():
    rows, _ = steps_of(tiny(), count=1)
    assert rows[0]["loss"] == pytest.approx(rows[0]["pixel"] + 0.1 * rows[0]["adversarial"], rel=1e-5)
    assert list(rows[0]) == tiny().metric_names()


def test_every_system_is_whole():
    assert {"ifrp", "style_bank", "pix2pix"} <= set(system_names())
    for name in system_names():
        settings = system_settings(name)
        assert settings.PRESETS, name
        for make in settings.PRESETS.values():
            config = make()
            assert config.system == name
            assert isinstance(base.create(config), System)
            assert Config.from_dict(json.loads(json.dumps(config.to_dict()))) == config


def test_an_unknown_system_names_the_nearest():
    with pytest.raises(ConfigError, match="pix2pix"):
        Config(system="pix2pic")
    with pytest.raises(ConfigError, match="LossConfig of the system ifrp"):
        Config(loss=system_settings("pix2pix").LossConfig())


def test_difference_names_what_changed():
    config = preset("toy")
    other = config.override(["train.seed=9", "model.width=16"])
    assert config.difference(other) == {"train.seed": (1, 9), "model.width": (8, 16)}
    assert config.difference(config) == {}
