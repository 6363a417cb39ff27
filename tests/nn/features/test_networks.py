"""The frozen networks: what WEIGHTS.md measured, measured again; gradients; precision; damage."""

import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers import jax_environment, smooth_picture
from PIL import Image

from ifrp_tf.core.archives import model_variables
from ifrp_tf.core.errors import ConfigError, DataError
from ifrp_tf.nn.features import networks
from ifrp_tf.pictures import images

BUILDERS = {
    "mobilefacenet": (networks.mobilefacenet, "mobilefacenet.npz"),
    "vgg19": (networks.vgg19, "vgg19_imagenet_conv1_1_to_conv3_4.npz"),
    "dlib_resnet": (networks.dlib_resnet, "dlib_face_resnet.npz"),
}
FEATURES = (networks.MOBILEFACENET_FEATURE, "embedding")


@pytest.fixture(scope="module")
def weights(data_dir) -> Path:
    return data_dir / "weights"


@pytest.fixture(scope="module")
def lfw(data_dir) -> np.ndarray:
    """Two photos each of 200 persons, [200, 2, 128, 128, 3] in [-1, 1]."""
    persons = [sorted(folder.iterdir()) for folder in sorted((data_dir / "faces/train/lfw").iterdir())]
    persons = [photos for photos in persons if len(photos) > 1]
    chosen = np.random.default_rng(7).choice(len(persons), 200, replace=False)
    return np.stack([[read(path) for path in persons[k][:2]] for k in chosen])


@pytest.fixture(scope="module")
def faces(data_dir) -> np.ndarray:
    """16 photos of CelebA, [16, 128, 128, 3] in [-1, 1]."""
    return np.stack([read(path) for path in sorted((data_dir / "faces/train/celeba").iterdir())[:16]])


def read(path):
    return images.to_model_range(np.asarray(Image.open(path)))


def same_and_different(network, photos):
    """Descriptors [200, 2, 128] -> those of the same person, those of different persons."""
    found = network.predict(photos.reshape(-1, *photos.shape[2:]), batch_size=50, verbose=0).reshape(
        200, 2, -1
    )
    first, second = found[:, 0], found[:, 1]
    return (first, second), (first, np.roll(second, 1, axis=0))


def area_under_curve(higher, lower):
    return (higher[:, None] > lower[None, :]).mean()


def test_mobilefacenet_tells_persons_apart_as_documented(weights, lfw):
    def cosine(a, b):
        return (a * b).sum(-1) / np.linalg.norm(a, axis=-1) / np.linalg.norm(b, axis=-1)

    same, different = (cosine(*pair) for pair in same_and_different(networks.mobilefacenet(weights), lfw))
    assert area_under_curve(same, different) > 0.97
    assert same.mean() == pytest.approx(0.630, abs=0.03)
    assert different.mean() == pytest.approx(0.007, abs=0.03)


def test_dlib_tells_persons_apart_as_documented(weights, lfw):
    pairs = same_and_different(networks.dlib_resnet(weights), lfw)
    same, different = (np.linalg.norm(a - b, axis=-1) for a, b in pairs)
    assert area_under_curve(different, same) > 0.97
    assert same.mean() == pytest.approx(0.446, abs=0.03)
    assert different.mean() == pytest.approx(0.818, abs=0.03)


def test_vgg_minds_blur_far_more_than_brightness(weights, faces):
    from scipy.ndimage import gaussian_filter

    network = networks.vgg19(weights)
    reference = network(faces).numpy()

    def cost(changed):
        return np.mean((network(changed).numpy() - reference) ** 2) / np.mean(reference**2)

    blurred, brighter = cost(gaussian_filter(faces, (0, 2, 2, 0))), cost(faces + np.float32(15 / 127.5))
    assert blurred > 20 * brighter
    assert blurred == pytest.approx(0.329, abs=0.06)
    assert brighter == pytest.approx(0.007, abs=0.002)


@pytest.mark.parametrize(
    ("network", "count"),
    [
        (lambda: networks.mobilefacenet(None, fold=False), 1_022_720),
        (lambda: networks.dlib_resnet(None), 5_618_144),
        (lambda: networks.vgg19(None, outputs=["block3_conv4"]), 2_325_568),
    ],
)
def test_networks_have_the_documented_size_and_learn_nothing(network, count):
    network = network()
    assert network.count_params() == count
    assert not network.trainable_variables
    photos = smooth_picture(128, channels=3)
    np.testing.assert_array_equal(network(photos, training=True), network(photos, training=False))


def test_folding_changes_nothing(weights, faces):
    folded, plain = (
        networks.mobilefacenet(weights, outputs=FEATURES, fold=fold)(faces) for fold in (True, False)
    )
    for name in FEATURES:
        np.testing.assert_allclose(folded[name], plain[name], atol=1e-4)
    names = {layer.name for layer in networks.mobilefacenet(None).layers}
    assert not any("batchnorm" in name or name == "fc1" for name in names)


def test_outputs_by_name():
    network = networks.mobilefacenet(None, outputs=("embedding", "res_3_block1", "conv_1", "conv_6sep"))
    found = network(smooth_picture(128, channels=3))
    shapes = {name: tuple(value.shape[1:]) for name, value in found.items()}
    assert shapes == {
        "embedding": (128,),
        "res_3_block1": (28, 28, 64),
        "conv_1": (56, 56, 64),
        "conv_6sep": (7, 7, 512),
    }
    maps = networks.vgg19(None, outputs=("block1_conv2", "block2_conv1", "block3_conv4"))
    shapes = {name: tuple(value.shape[1:]) for name, value in maps(smooth_picture(128, channels=3)).items()}
    assert shapes == {
        "block1_conv2": (128, 128, 64),
        "block2_conv1": (64, 64, 128),
        "block3_conv4": (32, 32, 256),
    }
    assert networks.vgg19(None).output.shape[1:] == (32, 32, 256)
    for build in (networks.mobilefacenet, networks.vgg19):
        with pytest.raises(ConfigError, match="block4_conv1"):
            build(None, outputs=("block4_conv1",))
        with pytest.raises(ConfigError, match="dtype"):
            build(None, dtype="float64")


@pytest.mark.parametrize("name", BUILDERS)
def test_gradients_reach_every_part_of_the_photo(weights, faces, name):
    network = BUILDERS[name][0](weights)
    photos = tf.constant(faces[:2])
    with tf.GradientTape() as tape:
        tape.watch(photos)
        value = tf.reduce_mean(network(photos) ** 2)
    gradient = tape.gradient(value, photos).numpy()
    assert np.isfinite(gradient).all()
    inner = np.abs(gradient[:, 8:108, 8:120]).max(axis=-1)  # MobileFaceNet sees no row below 112
    assert (inner > 0).mean() > 0.99


@pytest.mark.slow
@pytest.mark.parametrize("by_policy", [False, True])
def test_bfloat16_stays_close(weights, faces, by_policy):
    expected = networks.mobilefacenet(weights, outputs=FEATURES, dtype="float32")(faces)
    relu = networks.vgg19(weights, dtype="float32")(faces)
    dtype = "bfloat16"
    if by_policy:
        keras.config.set_dtype_policy("mixed_bfloat16")
        dtype = None
    network = networks.mobilefacenet(weights, outputs=FEATURES, dtype=dtype)
    assert network.get_layer("conv_2_dw_conv2d").compute_dtype == "bfloat16"
    found = network(faces)
    assert {value.dtype for value in found.values()} == {tf.float32}
    for a, b in (
        *((found[name], expected[name]) for name in FEATURES),
        (networks.vgg19(weights, dtype=dtype)(faces), relu),
    ):
        error = np.asarray(a) - np.asarray(b)
        assert 0 < np.linalg.norm(error) < 0.05 * np.linalg.norm(b)


@pytest.mark.parametrize("name", BUILDERS)
def test_a_damaged_archive_is_refused(tmp_path, name):
    build, file = BUILDERS[name]
    with pytest.raises(DataError, match=rf"Expected the weight archive {file} in {tmp_path}"):
        build(tmp_path)
    network = build(None, fold=False) if name == "mobilefacenet" else build(None)
    arrays = {key: np.asarray(variable) for key, variable in model_variables(network)}
    lost = sorted(arrays)[3]
    np.savez(tmp_path / file, **{key: array for key, array in arrays.items() if key != lost})
    with pytest.raises(DataError, match=lost):
        build(tmp_path)
    (tmp_path / file).write_bytes((tmp_path / file).read_bytes()[:10_000])
    with pytest.raises(DataError, match="Expected a NumPy .npz archive"):
        build(tmp_path)


def test_a_network_survives_a_keras_file(tmp_path):
    network = networks.mobilefacenet(None, outputs=FEATURES)
    network.save(tmp_path / "network.keras")
    reloaded = keras.models.load_model(tmp_path / "network.keras")
    photos = smooth_picture(128, channels=3)
    np.testing.assert_array_equal(reloaded(photos)["embedding"], network(photos)["embedding"])


ON_JAX = """
import sys, keras, numpy as np
from ifrp_tf.nn.features import networks as features
assert keras.backend.backend() == "jax"
import jax
photos = np.load(sys.argv[2])
found = {}
for name in ("mobilefacenet", "vgg19", "dlib_resnet"):
    network = getattr(features, name)(sys.argv[1])
    loss = lambda x: (network(x) ** 2).mean()
    if name == "mobilefacenet":
        found[name], found["by"] = jax.jit(jax.value_and_grad(loss))(photos)
    else:
        found[name] = jax.jit(loss)(photos)
np.savez(sys.argv[3], **found)
"""


@pytest.mark.slow
def test_jax_gives_the_same_numbers(weights, faces, tmp_path):
    pytest.importorskip("jax")
    photos = faces[:2]
    np.save(tmp_path / "photos.npy", photos)
    environment = jax_environment()
    paths = [str(path) for path in (weights, tmp_path / "photos.npy", tmp_path / "out.npz")]
    run = subprocess.run(
        [sys.executable, "-c", ON_JAX, *paths], env=environment, capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr
    jax = np.load(tmp_path / "out.npz")
    for name, (build, _) in BUILDERS.items():
        tensor = tf.constant(photos)
        network = build(weights)
        with tf.GradientTape() as tape:
            tape.watch(tensor)
            value = tf.reduce_mean(network(tensor) ** 2)
        assert jax[name] == pytest.approx(float(value), rel=1e-4)
        if name == "mobilefacenet":
            by = tape.gradient(value, tensor).numpy()
            np.testing.assert_allclose(jax["by"], by, atol=2e-3 * np.abs(by).max())
