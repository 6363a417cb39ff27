"""FaceNet with random weights against the package itself; where its weights come from; what is refused."""

import hashlib
import subprocess
import sys
from pathlib import Path

import facenet_weights
import h5py
import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers import jax_environment, smooth_picture
from keras_facenet import FaceNet
from keras_facenet.metadata import MODEL_METADATA
from objectives import Objective

from ifrp_tf.core.config import Config, TrainConfig
from ifrp_tf.core.errors import ConfigError, DataError
from ifrp_tf.evaluation import retrieval
from ifrp_tf.nn.features import networks
from ifrp_tf.nn.features.facenet import FACENET_FEATURE, WEIGHTS_FILE, facenet, locate, read_arrays
from ifrp_tf.pictures import images
from ifrp_tf.systems.ifrp.settings import LossConfig
from ifrp_tf.systems.ifrp.system import build_identity_network

pytestmark = pytest.mark.slow
OUTPUTS = ("embedding", FACENET_FEATURE)
SEED = 3
KEY = "20180402-114759"
NOWHERE = "http://127.0.0.1:9/weights.h5"  # the discard port: nothing listens there


@pytest.fixture(scope="module")
def network():
    keras.utils.set_random_seed(SEED)
    network = facenet(None, outputs=OUTPUTS)
    network.drawn = bottleneck(network).copy()
    facenet_weights.draw(network)
    return network


def bottleneck(network):
    return np.asarray(facenet_weights.package_network(network).get_layer("Bottleneck").kernel)


@pytest.fixture(scope="module")
def weights_file(network, tmp_path_factory) -> Path:
    return facenet_weights.write(tmp_path_factory.mktemp("facenet") / WEIGHTS_FILE, network)


@pytest.fixture(scope="module")
def photos():
    """Three pictures [3, 128, 128, 3] in [-1, 1], with noise: a rescaling of another kind would show."""
    random = np.random.default_rng(3)
    smooth = np.concatenate([smooth_picture(128, channels=3, waves=waves) for waves in (1.0, 2.0, 4.0)])
    return (0.6 * smooth + random.uniform(-0.4, 0.4, smooth.shape)).astype("float32")


@pytest.fixture
def offline(monkeypatch, tmp_path):
    """An empty home, and an address at which nothing answers."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setitem(MODEL_METADATA[KEY], "keras_weights_url", NOWHERE)
    return tmp_path / "home/.keras-facenet" / KEY / WEIGHTS_FILE


# The graph.


def test_outputs_are_an_embedding_of_length_one_and_the_feature_map(network, photos):
    found = network(photos)
    assert {name: tuple(value.shape) for name, value in found.items()} == {
        "embedding": (3, 512),
        FACENET_FEATURE: (3, 36, 36, 192),
    }
    np.testing.assert_allclose(np.linalg.norm(found["embedding"], axis=1), 1.0, atol=1e-5)
    assert np.min(found[FACENET_FEATURE]) == 0.0 < np.max(found[FACENET_FEATURE])
    assert np.linalg.norm(found["embedding"][0] - found["embedding"][1]) > 1e-3


def test_nothing_learns_and_training_changes_nothing(network, photos):
    assert network.count_params() == 23_497_424
    assert not network.trainable_variables
    for name, value in network(photos, training=True).items():
        np.testing.assert_array_equal(value, network(photos, training=False)[name])


@pytest.mark.parametrize("name", OUTPUTS)
def test_gradients_reach_every_part_of_the_photo(network, photos, name):
    inputs = tf.constant(photos[:1])
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        value = tf.reduce_sum(network(inputs)[name][..., :100] ** 2)
    gradient = tape.gradient(value, inputs).numpy()
    assert np.isfinite(gradient).all()
    assert (np.abs(gradient).max(axis=-1) > 0).mean() > 0.9


def test_a_seed_gives_the_weights(network):
    keras.utils.set_random_seed(SEED)
    again = networks.facenet(None)
    assert again.output.shape[1:] == (512,)
    np.testing.assert_array_equal(bottleneck(again), network.drawn)
    assert np.std(network.drawn) > 0.01
    assert np.abs(bottleneck(network) - network.drawn).max() > 0.01


def test_unknown_outputs_and_types_are_refused():
    with pytest.raises(ConfigError, match="float64"):
        facenet(None, dtype="float64")
    with pytest.raises(ConfigError, match=rf"embedding, .*{FACENET_FEATURE}.*Received: \['normalise'\]"):
        facenet(None, outputs=("normalise",))


ON_JAX = """
import sys
from ifrp_tf.nn.features import networks as features
assert "keras_facenet" not in sys.modules
try:
    features.facenet(None)
except features.facenet.__globals__["ConfigError"] as error:
    print(error)
"""


def test_importing_it_does_not_load_the_package_and_another_backend_is_refused():
    pytest.importorskip("jax")
    environment = jax_environment()
    run = subprocess.run([sys.executable, "-c", ON_JAX], env=environment, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert "expects Keras on TensorFlow. Received: jax" in run.stdout


# The weights file.


def test_it_agrees_with_the_package(weights_file, network, photos, monkeypatch):
    """Its own reading of the file, its own rescaling and its own levels, of pictures in 0-255."""
    checksum = hashlib.sha256(weights_file.read_bytes()).hexdigest()
    monkeypatch.setitem(MODEL_METADATA[KEY], "keras_weights_sha256", checksum)
    cache = weights_file.parent / "cache"
    (cache / KEY).mkdir(parents=True)
    (cache / KEY / WEIGHTS_FILE).symlink_to(weights_file)
    expected = FaceNet(cache_folder=str(cache)).embeddings(list(np.asarray(images.to_levels(photos))))
    np.testing.assert_allclose(network(photos)["embedding"], expected, atol=1e-5)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda group: group.attrs.update({"weight_names": []}), "'Conv2d_1a_3x3/kernel' .* found none"),
        (lambda group: group.attrs.update({"weight_names": [b"a/kernel:0"]}), "kernel' .* found none"),
        (lambda group: replace(group, np.zeros((3, 3, 4, 32), "float32")), r"Received: float32 of shape \(3"),
        (lambda group: replace(group, np.zeros((3, 3, 3, 32), "int32")), "Received: int32"),
        (lambda group: replace(group, np.full((3, 3, 3, 32), np.nan, "float32")), "Received: NaN"),
        (lambda group: None, "'Conv2d_1a_3x3_BatchNorm/beta' .* found none"),
    ],
)
def test_a_damaged_file_is_refused(network, tmp_path, change, message):
    path = tmp_path / "weights.h5"
    with h5py.File(path, "w") as file:
        group = file.create_group("model_weights/Conv2d_1a_3x3")  # as in the file of a whole model
        replace(group, np.zeros((3, 3, 3, 32), "float32"))
        change(group)
    with pytest.raises(DataError, match=message):
        read_arrays(path, facenet_weights.package_network(network))


def replace(group, array):
    if "Conv2d_1a_3x3" in group:
        del group["Conv2d_1a_3x3"]
    group["Conv2d_1a_3x3/kernel:0"] = array
    group.attrs["weight_names"] = [b"Conv2d_1a_3x3/kernel:0"]


def test_a_truncated_file_is_refused(weights_file, network, tmp_path):
    path = tmp_path / "weights.h5"
    for content in (weights_file.read_bytes()[:100_000], b"<html>404</html>", b""):
        path.write_bytes(content)
        with pytest.raises(DataError, match="Expected an HDF5 weights file"):
            read_arrays(path, facenet_weights.package_network(network))


# Where the weights come from.


def test_without_the_weights_it_is_told_what_to_put_where(offline, tmp_path):
    with pytest.raises(DataError, match="the download failed: .*refused") as caught:
        facenet(tmp_path)
    assert WEIGHTS_FILE in caught.value.message
    assert f"Fetch {NOWHERE} " in caught.value.hint
    assert f"put it into {tmp_path}" in caught.value.hint
    assert not offline.exists()
    with pytest.raises(DataError, match=f"{tmp_path / 'mine.h5'}, found no such file"):
        facenet(tmp_path / "mine.h5")


def test_a_file_of_another_checksum_is_taken_only_where_it_is_named(offline, tmp_path):
    path = tmp_path / WEIGHTS_FILE
    path.write_bytes(b"half of it")
    found = hashlib.sha256(b"half of it").hexdigest()
    with pytest.raises(DataError, match=f"SHA-256 8b71e704.*Received: {found}"):
        locate(tmp_path)
    assert locate(path) == path


def test_a_folder_goes_before_the_cache_and_the_cache_before_a_download(offline, tmp_path, monkeypatch):
    content, source, folder = b"weights", tmp_path / "source.h5", tmp_path / "given"
    monkeypatch.setitem(MODEL_METADATA[KEY], "keras_weights_sha256", hashlib.sha256(content).hexdigest())
    monkeypatch.setitem(MODEL_METADATA[KEY], "keras_weights_url", source.as_uri())
    source.write_bytes(b"changed on the way")
    with pytest.raises(DataError, match=r"Received: .* 18 bytes"):
        locate(folder)
    assert not offline.exists()
    source.write_bytes(content)
    assert locate(folder) == offline
    assert offline.read_bytes() == content
    source.unlink()
    assert locate(folder) == offline
    folder.mkdir()
    (folder / WEIGHTS_FILE).write_bytes(content)
    assert locate(folder) == folder / WEIGHTS_FILE
    offline.write_bytes(b"half of it")
    (folder / WEIGHTS_FILE).unlink()
    with pytest.raises(DataError, match="the download failed"):
        locate(folder)


# What it is for.


def test_it_is_a_descriptor(weights_file, network, photos):
    descriptor = retrieval.load("facenet", weights_file)
    pictures = np.asarray(images.to_uint8(photos))
    found = descriptor.embed(pictures)
    np.testing.assert_allclose(found, network(images.to_model_range(pictures))["embedding"], atol=1e-5)
    assert descriptor.metric == "cosine"
    assert descriptor.fingerprint == hashlib.sha256(weights_file.read_bytes()).hexdigest()


def test_it_is_an_identity_network(weights_file, network, photos):
    """In the precision of training, whatever the policy; which is left alone."""
    loss = LossConfig(identity_network="facenet", identity_cosine=0.1)
    config = Config(loss=loss, train=TrainConfig(dtype="bfloat16"))
    half = build_identity_network(config, str(weights_file))
    assert keras.config.dtype_policy().name == "float32"
    assert not half.trainable_variables
    expected, found = network(photos), half(photos)
    for name in OUTPUTS:
        assert found[name].dtype == tf.float32
        assert 0 < np.linalg.norm(found[name] - expected[name]) < 0.05 * np.linalg.norm(expected[name])
    recovered = tf.constant(0.5 * photos)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(recovered)
        terms = Objective(config, half).terms(recovered, photos, None, None)
    assert list(terms) == ["pixel", "identity", "cosine"]
    for name in ("identity", "cosine"):
        assert float(terms[name]) > 0.0
        slope = tape.gradient(terms[name], recovered).numpy()
        assert np.isfinite(slope).all()
        assert np.abs(slope).max() > 0.0
