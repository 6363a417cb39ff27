import dataclasses
import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from ifrp_tf.core.errors import ConfigError, DataError
from ifrp_tf.core.presets import preset
from ifrp_tf.data import toy_faces
from ifrp_tf.data.attributes import NAMES
from ifrp_tf.pictures import images
from ifrp_tf.recovery.transfer import Transfer
from ifrp_tf.release import export, load
from ifrp_tf.systems import base
from ifrp_tf.systems.base import Step
from ifrp_tf.systems.diat import data
from ifrp_tf.systems.diat.networks import SmoothMask, build_critic, build_transform, compose, depth_to_space
from ifrp_tf.systems.diat.settings import LossConfig, ModelConfig
from ifrp_tf.training import run
from ifrp_tf.training.step_tf import Trainer

TOY = preset("diat_toy")
SMILING = NAMES.index("Smiling")


def pictures(count, seed=0, side=32):
    return np.random.default_rng(seed).uniform(-1, 1, (count, side, side, 3)).astype("float32")


def value(x):
    return keras.ops.convert_to_numpy(x)


def gradient_of_logits(loss, logits, soft=False):
    layer, x = SmoothMask(soft), tf.Variable(logits)
    with tf.GradientTape() as tape:
        total = loss(*layer(x))
    return value(tape.gradient(total, x))


def test_the_parameters_are_those_of_the_authors_networks():
    """T: ten convolutions with norms and slopes; its mask net of five; the first six of D, and a score."""

    def unit(kernel, inside, out):
        return kernel**2 * inside * out + out + 4 * out + out

    down = unit(4, 3, 64) + unit(4, 64, 128) + unit(4, 128, 256) + unit(4, 256, 512) + unit(4, 512, 512)
    up = unit(3, 128, 512) + unit(3, 128, 256) + unit(3, 64, 128) + unit(3, 32, 64) + 25 * 16 * 3 + 3
    mask = unit(4, 3, 32) + unit(4, 32, 64) + unit(3, 64, 128) + unit(3, 128, 64) + 9 * 64 + 1
    assert build_transform(ModelConfig(width=64)).count_params() == down + up + mask
    critic = sum(16 * a * b + b for a, b in [(3, 64), (64, 128), (128, 256), *[(256, 256)] * 3])
    assert build_critic(64).count_params() == critic + 4 * 256 + 1
    assert build_critic(64).output["features"].shape == (None, 8, 8, 256)


def test_what_is_not_masked_is_the_photograph_to_the_bit():
    changed, photo = pictures(2), pictures(2, seed=1)
    for mask, expected in (
        (np.zeros((2, 32, 32, 1), "float32"), photo),
        (np.ones((2, 32, 32, 1), "float32"), changed),
    ):
        np.testing.assert_array_equal(value(compose(changed, photo, mask)), expected)


def test_depth_to_space_lays_channels_out_as_squares():
    x = np.arange(8, dtype="float32").reshape(1, 1, 2, 4)
    np.testing.assert_array_equal(value(depth_to_space(x))[0, :, :, 0], [[0, 1, 4, 5], [2, 3, 6, 7]])


def test_the_mask_is_cut_and_smooth_and_gradients_pass_the_cut():
    logits = np.full((1, 8, 8, 1), -3.0, "float32")
    logits[:, 2:6, 2:6] = 3.0
    mask, cells = (value(x) for x in SmoothMask()(logits))
    assert mask.shape == (1, 32, 32, 1)
    np.testing.assert_allclose(cells, 1 / (1 + np.exp(-logits)), rtol=1e-5)
    assert mask[0, 16, 16, 0] == pytest.approx(1, abs=0.01)
    assert mask[0, 0, 0, 0] == 0
    assert np.abs(np.diff(mask[0, 16, :, 0])).max() < 0.25
    soft = value(SmoothMask(soft=True)(logits)[0])
    assert 0.02 < soft[0, 0, 0, 0] < 0.2
    slope = gradient_of_logits(lambda mask, _: keras.ops.mean(mask), logits)
    np.testing.assert_allclose(
        slope, gradient_of_logits(lambda mask, _: keras.ops.mean(mask), logits, soft=True), rtol=1e-4
    )
    assert (slope > 0).all()


def test_the_share_of_the_mask_is_pulled_to_its_aim_from_both_sides():
    system = base.create(TOY)
    (ratio,) = (term for term in system.main.terms if term.name == "ratio")
    assert [float(ratio.weight_at(np.int64(k))) for k in (0, 49, 50)] == [0, 0, 10]

    def loss(mask, cells):
        return ratio.value(Step({}, {"mask": mask, "cells": cells}, {}, 0, None))

    for level, sign in ((2.0, 1), (-2.0, -1)):  # everything or nothing is masked; the aim is a quarter
        slope = gradient_of_logits(loss, np.full((1, 8, 8, 1), level, "float32"))
        assert (np.sign(slope) == sign).all()


def test_it_begins_with_a_mask_over_everything():
    found = base.create(TOY).build_released()(pictures(2), training=False)
    np.testing.assert_allclose(found["mask"], 1, atol=1e-5)
    assert np.abs(found["picture"]).max() <= 1


def test_the_losses_are_those_of_their_formulas():
    system = base.create(TOY)
    networks = system.build()
    batch = {"photos": pictures(4), "others": pictures(4, seed=1)}
    outputs = system.forward(networks, batch)

    def gradient(function, x):
        with tf.GradientTape() as tape:
            x = tf.convert_to_tensor(x)
            tape.watch(x)
            total = function(x)
        return tape.gradient(total, x)

    step = Step(batch, outputs, networks, np.int64(0), gradient)
    judged = {
        name: {key: value(part) for key, part in networks["critic"](x).items()}
        for name, x in (
            ("photos", batch["photos"]),
            ("others", batch["others"]),
            ("picture", outputs["picture"]),
        )
    }
    total, values = system.main.loss(step)
    adversarial = -judged["picture"]["score"].mean()
    content = np.square(judged["picture"]["features"] - judged["photos"]["features"]).mean()
    content /= np.square(judged["photos"]["features"]).mean() + 1e-6
    assert float(values["adversarial"]) == pytest.approx(adversarial, rel=1e-4)
    assert float(values["content"]) == pytest.approx(content, rel=1e-4)
    assert float(total) == pytest.approx(adversarial + content, rel=1e-4)  # the mask is left alone at first
    critic = system.players[0]
    _, values = critic.loss(dataclasses.replace(step, memo={}))
    assert float(values["real"]) == pytest.approx(
        np.maximum(1 - judged["others"]["score"], 0).mean(), rel=1e-4
    )
    assert float(values["fake"]) == pytest.approx(
        np.maximum(1 + judged["picture"]["score"], 0).mean(), rel=1e-4
    )
    slopes = value(gradient(lambda x: networks["critic"](x)["score"], batch["others"]))
    assert float(values["slope"]) == pytest.approx(np.square(slopes).sum((1, 2, 3)).mean(), rel=1e-3)
    _, later = critic.loss(dataclasses.replace(step, memo={}, number=np.int64(3)))
    assert float(later["slope"]) == 0  # every eighth step only


def test_a_step_moves_both_networks():
    trainer = Trainer(base.create(TOY))
    trainer.compile()
    before = {name: [np.array(v) for v in n.trainable_variables] for name, n in trainer.networks.items()}
    dataset = base.create(TOY).batches(toy_faces.draw(64, side=32, seed=TOY.train.seed), 0).take(2)
    logs = [trainer.train_step(batch) for batch in dataset]
    assert np.isfinite([float(x) for log in logs for x in log.values()]).all()
    for name, network in trainer.networks.items():
        moved = [
            np.abs(a - np.array(b)).max() > 0
            for a, b in zip(before[name], network.trainable_variables, strict=True)
        ]
        assert any(moved), name


def test_batches_are_photographs_without_the_attribute_and_others_with_it():
    photos = toy_faces.draw(64, side=32, seed=TOY.train.seed)
    system = base.create(TOY.override(["data.flip=false"]))
    vectors = system._vectors(photos)
    flat = images.to_model_range(photos.pixels).reshape(64, -1)
    first = list(system.batches(photos, 0).take(3).as_numpy_iterator())
    for batch in first:
        for part, sign in zip(batch, (-1, 1), strict=True):
            places = [int(np.abs(flat - one.ravel()).sum(1).argmin()) for one in part]
            assert (vectors[places, SMILING] == sign).all()
            assert len(set(places)) == len(places)
    again = next(iter(system.batches(photos, 2).as_numpy_iterator()))  # resuming is setting the step
    np.testing.assert_array_equal(again[0], first[2][0])
    turned = TOY.override(["model.attribute=smile=-1", "data.flip=false"])
    assert turned.model.sign == -1
    other = next(iter(data.batches(photos, vectors, turned, 0).as_numpy_iterator()))
    places = [int(np.abs(flat - one.ravel()).sum(1).argmin()) for one in other[1]]
    assert (vectors[places, SMILING] == -1).all()
    with pytest.raises(DataError, match="with and without Smiling. Received: 0 and 0"):
        data.batches(photos, 0 * vectors, TOY, 0)


@pytest.mark.parametrize("attribute", ["", "smile=0.5", "smile=1,male=1", "smiel=1"])
def test_an_attribute_is_one_and_known(attribute):
    with pytest.raises(ConfigError, match="attribute"):
        ModelConfig(attribute=attribute)


def test_the_recogniser_sees_pictures_of_128():
    with pytest.raises(ConfigError, match="recogniser sees"):
        TOY.override(["loss.identity=1"])
    with pytest.raises(ConfigError, match="power of two"):
        TOY.override(["data.side=48"])
    assert LossConfig().features == "recogniser"


@pytest.mark.slow
def test_it_trains_resumes_and_its_export_answers(tmp_path):
    config = TOY.override(["train.pictures=32", "train.epoch_pictures=16", "data.validation_count=8"])
    run.run(config, "", tmp_path / "run")
    rows = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert [row["train"]["critic_slope"] > 0 for row in rows] == [
        True,
        False,
    ]  # it is asked for at step 0 alone
    version = export.run(tmp_path / "run", tmp_path / "diat_smile" / "1")
    faces = toy_faces.draw(3, side=32).pixels
    expected = Transfer.load(tmp_path / "run").change(faces)
    np.testing.assert_allclose(
        Transfer.load(version).change(faces).pictures.astype(int), expected.pictures, atol=1
    )
    answers = load.load(version).network(faces)
    assert np.abs(answers.astype(int) - expected.pictures).max() <= 2
    assert "never evidence" in (version / "MODEL_CARD.md").read_text()
