"""Tests of the system `style_bank`: its training, its files, its tool."""

import signal
import subprocess
import time

import drawn_bank
import keras
import numpy as np
import pytest
import small_model

from ifrp_tf.cli import train_style_bank as style_bank
from ifrp_tf.core.archives import read_arrays
from ifrp_tf.core.errors import ConfigError, DataError, ModelError
from ifrp_tf.core.presets import preset
from ifrp_tf.data import toy_faces
from ifrp_tf.data.photos import PhotoSet
from ifrp_tf.nn.losses import gram
from ifrp_tf.pictures import images
from ifrp_tf.styles import bank
from ifrp_tf.systems.style_bank import files, networks
from ifrp_tf.systems.style_bank.files import STYLE_SIDE
from ifrp_tf.systems.style_bank.system import StyleBankSystem
from ifrp_tf.training import callbacks, checkpoint
from ifrp_tf.training.step_tf import Trainer


@pytest.fixture(scope="module")
def style_images(tmp_path_factory):
    folder = drawn_bank.write_style_images(tmp_path_factory.mktemp("styles"))
    return files.read_styles([str(folder)])


@pytest.fixture(scope="module")
def photos():
    return PhotoSet(toy_faces.draw(4, side=128, seed=3).pixels, tuple("abcd"))


def trainer(style_images, **options):
    keras.utils.set_random_seed(1)  # the VGG of these tests has random weights
    config = preset("style_bank").override(["train.pictures=40", "train.batch_size=4", "train.dtype=float32"])
    system = StyleBankSystem(config, style_images, **options)
    system.load_frozen(None)
    made = Trainer(system)
    made.compile()
    return made


def train(made, photos, count):
    """The losses of so many steps."""
    batches = made.system.batches(photos, int(made.step))
    return [made.fit(batches.skip(k).take(1), verbose=0).history["loss"][0] for k in range(count)]


def test_gram_is_the_mean_of_outer_products():
    features = np.random.default_rng(0).normal(size=(2, 5, 7, 3)).astype("float32")
    expected = np.einsum("nhwi,nhwj->nij", features, features) / 35
    np.testing.assert_allclose(np.asarray(gram(features)), expected, rtol=1e-5)


@pytest.mark.slow
def test_a_new_bank_learns_and_resumes_where_it_was(style_images, photos, tmp_path):
    first = trainer(style_images)
    losses = train(first, photos, 8)
    assert np.mean(losses[-3:]) < np.mean(losses[:3])
    assert first.system.names == (bank.PHOTOGRAPH, "dots", "stripes")
    checkpoint.save(tmp_path, callbacks.training_of(first), 8)
    again = trainer(style_images)
    again.set_step(checkpoint.restore_latest(tmp_path, callbacks.training_of(again))["step"])
    np.testing.assert_allclose(train(again, photos, 1), train(first, photos, 1), rtol=1e-3)
    made = first.system.result(first.released)
    assert set(made.styles) == set(first.system.names)
    assert not np.array_equal(made.trunk["conv1"], bank.initial_trunk(1)["conv1"])


def test_adding_leaves_the_trunk_alone(style_images, photos):
    start = drawn_bank.random_bank()
    adder = trainer(style_images, start=start)
    batches = adder.system.batches(photos, 0)
    assert adder.fit(batches.take(2), verbose=0).history["photograph"] == [0]
    made = adder.system.result(adder.released)
    assert set(made.styles) == set(style_images)
    np.testing.assert_array_equal(made.trunk["up1"], start.trunk["up1"])
    first = np.mean(list(start.styles.values()), axis=0)
    assert np.abs(made.styles["dots"] - first).max() > 1e-4


def test_batches_are_a_function_of_the_step_alone(style_images, photos):
    system = trainer(style_images).system
    whole = list(system.batches(photos, 0).as_numpy_iterator())
    rest = list(system.batches(photos, 3).as_numpy_iterator())
    assert (len(whole), len(rest)) == (10, 7)
    for a, b in zip(whole[3:], rest, strict=True):
        np.testing.assert_array_equal(a[0], b[0])
        np.testing.assert_array_equal(a[1], b[1])


def test_a_checkpoint_of_other_styles_is_refused(style_images, tmp_path):
    checkpoint.save(tmp_path, callbacks.training_of(trainer({"dots": style_images["dots"]})), 1)
    with pytest.raises(ModelError):
        checkpoint.restore_latest(tmp_path, callbacks.training_of(trainer(style_images)))


def test_keras_applications_stand_in_for_the_archive():
    source = keras.applications.VGG19(include_top=False, weights=None)
    network = networks.perceptual_network("no/such/folder", "float32", source)
    for name in networks.GRAM_LAYERS:
        np.testing.assert_array_equal(
            network.get_layer(name).get_weights()[0], source.get_layer(name).get_weights()[0]
        )


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("training")
    (root / "photos").mkdir()
    for k, pixels in enumerate(toy_faces.draw(6, side=128, seed=1).pixels):
        images.write_png(root / "photos" / f"{k}.png", pixels)
    drawn_bank.write_style_images(root / "styles")
    return root


def test_style_images_by_name(folders, tmp_path):
    found = files.read_styles([str(folders / "styles")])
    assert list(found) == ["dots", "stripes"]
    assert min(found["dots"].shape[:2]) == STYLE_SIDE
    with pytest.raises(DataError, match="names of their own"):
        files.read_styles([str(folders / "styles"), str(folders / "styles" / "dots.png")])
    with pytest.raises(DataError):
        files.read_styles([str(tmp_path)])


def test_reserved_styles_never_train_the_trunk(folders, tmp_path):
    drawn_bank.write_style_images(tmp_path, ("Wave", "dots"))
    settings = style_bank.StyleTraining(pictures=8)
    with pytest.raises(ConfigError, match="reserved styles: wave"):
        style_bank.train_bank(
            [str(tmp_path)], str(folders / "photos"), tmp_path / "b", tmp_path / "r", settings
        )


def test_a_kill_between_the_files_of_a_bank_never_mixes_two(tmp_path, monkeypatch):
    old, new = drawn_bank.random_bank(0), drawn_bank.random_bank(1)
    files.write_bank(old, tmp_path, add=False)
    write = files.write_arrays

    def killed(path, arrays):
        if path.name == bank.TRUNK:
            raise KeyboardInterrupt
        write(path, arrays)

    monkeypatch.setattr(files, "write_arrays", killed)
    with pytest.raises(KeyboardInterrupt):
        files.write_bank(old, tmp_path, add=False)  # the same bank again: nothing is taken away
    bank.load.cache_clear()
    assert bank.load(str(tmp_path)).names == old.names
    with pytest.raises(KeyboardInterrupt):
        files.write_bank(new, tmp_path, add=False)
    bank.load.cache_clear()
    with pytest.raises(DataError, match="Expected a style bank"):
        bank.load(str(tmp_path))
    monkeypatch.undo()
    files.write_bank(new, tmp_path, add=False)
    np.testing.assert_allclose(bank.load(str(tmp_path)).trunk["conv1"], new.trunk["conv1"], atol=1e-2)


def flags(folders, output, run_dir, styles, *more):
    return [
        "train_style_bank", f"--styles={styles}", f"--photos={folders / 'photos'}", f"--output={output}",
        f"--run_dir={run_dir}", "--batch_size=2", *more,
    ]  # fmt: skip


@pytest.mark.slow
def test_a_bank_is_trained_killed_resumed_and_added_to(folders, tmp_path, data_dir):
    output, run_dir = tmp_path / "bank", tmp_path / "run"
    new = flags(folders, output, run_dir, folders / "styles", f"--weights={data_dir / 'weights'}")
    command = small_model.command(*new, "--pictures=100000")
    with subprocess.Popen(command, env=small_model.environment(), stderr=subprocess.PIPE) as child:
        log = run_dir / "log.txt"
        until = time.monotonic() + 120
        while child.poll() is None and time.monotonic() < until and not log.exists():
            time.sleep(0.2)
        child.send_signal(signal.SIGKILL)
    assert not list(output.glob("*"))  # nothing half done under a final name
    done = small_model.tool(*new, "--pictures=8")
    assert done.returncode == 0, done.stderr
    assert "step 4/4" in done.stderr
    made = bank.load(str(output))
    assert made.names == ("bank_dots", "bank_stripes")

    drawn_bank.write_style_images(tmp_path / "more", ("wave", "mine"))
    added = flags(folders, output, tmp_path / "add", tmp_path / "more", f"--weights={data_dir / 'weights'}")
    done = small_model.tool(*added, "--add", "--pictures=4")
    assert done.returncode == 0, done.stderr
    bank.load.cache_clear()
    after = bank.load(str(output))
    assert set(after.names) == {"bank_dots", "bank_stripes", "bank_mine", "bank_wave"}
    np.testing.assert_array_equal(after.trunk["conv2"], made.trunk["conv2"])
    assert set(read_arrays(output / bank.RESERVED_FILE)) == {"wave"}
    assert set(read_arrays(output / files.OWN)) == {"mine"}
