import drawn_bank
import keras
import numpy as np
import pytest

from ifrp_tf import style_trainer, style_training, toy_faces
from ifrp_tf.errors import ConfigError
from ifrp_tf.style_trainer import StyleTrainer, StyleTraining
from ifrp_tf.styles import bank


@pytest.fixture(scope="module")
def style_images(tmp_path_factory):
    folder = drawn_bank.write_style_images(tmp_path_factory.mktemp("styles"))
    return style_training.read_styles([str(folder)])


@pytest.fixture(scope="module")
def pixels():
    return toy_faces.draw(4, side=128, seed=3).pixels


def trainer(style_images, **options):
    keras.utils.set_random_seed(1)  # the VGG of these tests has random weights
    settings = StyleTraining(pictures=40, batch_size=4, learning_rate=2e-3)
    return StyleTrainer(style_images, settings, None, dtype="float32", **options)


def test_gram_is_the_mean_of_outer_products():
    features = np.random.default_rng(0).normal(size=(2, 5, 7, 3)).astype("float32")
    expected = np.einsum("nhwi,nhwj->nij", features, features) / 35
    np.testing.assert_allclose(np.asarray(style_trainer.gram(features)), expected, rtol=1e-5)


def test_a_new_bank_learns_and_resumes_where_it_was(style_images, pixels):
    first = trainer(style_images)
    losses = [first.train_step(pixels)["loss"] for _ in range(8)]
    assert np.mean(losses[-3:]) < np.mean(losses[:3])
    assert first.names == (bank.PHOTOGRAPH, "dots", "stripes")
    state = first.state()
    again = trainer(style_images)
    again.restore(state)
    np.testing.assert_allclose(again.train_step(pixels)["loss"], first.train_step(pixels)["loss"], rtol=1e-3)
    made = first.result()
    assert set(made.styles) == set(first.names)
    assert not np.array_equal(made.trunk["conv1"], bank.initial_trunk(1)["conv1"])


def test_adding_leaves_the_trunk_alone(style_images, pixels):
    start = drawn_bank.random_bank()
    adder = trainer(style_images, start=start)
    for _ in range(2):
        assert adder.train_step(pixels)["photograph"] == 0
    made = adder.result()
    assert set(made.styles) == set(style_images)
    np.testing.assert_array_equal(made.trunk["up1"], start.trunk["up1"])
    first = np.mean(list(start.styles.values()), axis=0)
    assert np.abs(made.styles["dots"] - first).max() > 1e-4


def test_a_checkpoint_of_other_styles_is_refused(style_images):
    one = trainer({"dots": style_images["dots"]})
    with pytest.raises(ConfigError, match="checkpoint of the styles"):
        trainer(style_images).restore(one.state())


def test_keras_applications_stand_in_for_the_archive():
    source = keras.applications.VGG19(include_top=False, weights=None)
    network = style_trainer.perceptual_network("no/such/folder", "float32", source)
    for name in style_trainer.GRAM_LAYERS:
        np.testing.assert_array_equal(
            network.get_layer(name).get_weights()[0], source.get_layer(name).get_weights()[0]
        )
