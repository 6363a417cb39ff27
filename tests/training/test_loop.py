import keras
import numpy as np
import pytest

from ifrp_tf.core.errors import ConfigError
from ifrp_tf.core.presets import preset
from ifrp_tf.data import photos, toy_faces
from ifrp_tf.pictures import images
from ifrp_tf.training import loop, step_tf

CONFIG = preset("toy").override(
    [
        "train.batch_size=4",
        "train.epoch_pictures=8",
        "train.pictures=16",
        "data.styles=tonal",
        "data.validation_count=4",
    ]
)


@pytest.fixture(scope="module")
def split():
    return photos.split(toy_faces.draw(24, side=64), 4)


def test_the_dtype_policy_is_the_trainers_alone():
    trainer = loop.make_trainer(CONFIG.override(["train.dtype=bfloat16"]), "")
    assert keras.config.dtype_policy().name == "float32"
    assert trainer.networks["srn"].get_layer("e1_conv").compute_dtype == "bfloat16"


def test_equal_seeds_start_equal():
    first, again, other = (loop.make_trainer(CONFIG.override([f"train.seed={s}"]), "") for s in (1, 1, 2))
    for a, b in zip(first.networks["srn"].weights, again.networks["srn"].weights, strict=True):
        np.testing.assert_array_equal(a.value, b.value)
    assert any(
        not np.array_equal(a.value, b.value)
        for a, b in zip(first.networks["srn"].weights, other.networks["srn"].weights, strict=True)
    )


def test_fit_goes_on_from_the_step_to_the_end_of_the_budget(split):
    class Count(keras.callbacks.Callback):
        epochs, steps = (), 0

        def on_epoch_end(self, epoch, logs=None):
            self.epochs = (*self.epochs, epoch)

        def on_train_batch_end(self, batch, logs=None):
            self.steps += 1

    trainer, count = loop.make_trainer(CONFIG, ""), Count()
    trainer.run_eagerly = True
    trainer.set_step(1)
    trainer.train(split[0], [count])
    assert int(trainer.step) == CONFIG.train.steps == 4
    assert (count.steps, count.epochs) == (3, (0, 1))


def test_fixed_pairs_belong_to_the_held_out_photographs(split):
    training, held_out = split
    pairs = loop.fixed_pairs(held_out, training, CONFIG)
    np.testing.assert_array_equal(pairs.photos, held_out.pixels)
    assert pairs.portraits.shape == held_out.pixels.shape
    assert not np.array_equal(pairs.portraits, pairs.photos)
    np.testing.assert_array_equal(pairs.mean_face, photos.mean_face(training))


def expand(segments):
    return [(epoch, steps) for epochs, steps in segments for epoch in epochs]


@pytest.mark.parametrize(
    ("done", "expected"),
    [
        (0, [(0, 4), (1, 4), (2, 2)]),
        (1, [(0, 3), (1, 4), (2, 2)]),  # resumed within an epoch: the rest of it, then whole ones
        (4, [(1, 4), (2, 2)]),
        (7, [(1, 1), (2, 2)]),
        (9, [(2, 1)]),
        (10, []),
    ],
)
def test_epochs_keep_their_length_when_a_run_is_resumed(done, expected):
    train = CONFIG.override(["train.epoch_pictures=16", "train.pictures=40"]).train
    assert expand(step_tf._segments(done, train.steps, train.epoch_steps)) == expected


def test_determinism_that_comes_too_late_is_an_error():
    with pytest.raises(ConfigError, match="before TensorFlow is first used"):
        loop.make_trainer(CONFIG.override(["train.deterministic=true"]), "")


def test_foreign_portraits_of_the_persons_held_out(split, tmp_path):
    training, held_out = split
    assert loop.foreign_pairs(held_out, training, CONFIG) is None
    lines = ["portrait,photo,undo_theta_rad,undo_scale,undo_t1,undo_t2"]
    for name, level, shown in (("a", 40, held_out.names[2]), ("b", 50, training.names[0])):
        images.write_png(tmp_path / f"{name}.png", np.full((64, 64, 3), level, np.uint8))
        lines.append(f"{name}.png,train/{shown},0.1,1.0,0.0,0.0")
    (tmp_path / "train.csv").write_text("\n".join(lines))
    pairs = loop.foreign_pairs(held_out, training, CONFIG.override([f"data.foreign={tmp_path}"]))
    assert len(pairs.photos) == 1  # that of a person trained on is not looked at
    assert (pairs.portraits == 40).all()
    np.testing.assert_array_equal(pairs.photos[0], held_out.pixels[2])
    (tmp_path / "train.csv").write_text("\n".join([lines[0], lines[2]]))
    assert loop.foreign_pairs(held_out, training, CONFIG.override([f"data.foreign={tmp_path}"])) is None
