"""The procedural styles; run as a program under JAX it writes what that backend makes of them."""

import subprocess
import sys

import numpy as np
import pytest
from helpers import jax_environment
from material import COUNT, SIDE, material

from ifrp_tf.core.errors import ConfigError
from ifrp_tf.data.misalign import FILLS, misalign, similarity_parameters
from ifrp_tf.styles import procedural
from ifrp_tf.styles.degradations import degrade
from ifrp_tf.styles.formulas import RESERVED, TRAIN
from ifrp_tf.styles.procedural import STYLES, mix, stylise


def looks():
    """By name, every style and the degradation as a function of (photos, params, field)."""
    return {**STYLES, "degrade": degrade}


def jax_numbers():
    """What JAX makes of the same inputs: every look compiled, the switch, and the misalignments."""
    import jax

    arrays = material()
    numbers = {name: jax.jit(look)(*arrays) for name, look in looks().items()}
    switch = jax.jit(lambda index, *rest: stylise(index, *rest, names=SHORT))
    for index in range(len(SHORT)):
        numbers[f"switch/{index}"] = switch(index, *arrays)
    for fill in FILLS:
        numbers[f"misalign/{fill}"] = misalign(arrays[0], tilts(), fill)
    return numbers


SHORT = ("tonal", "sketch", "statistics")


def tilts():
    return np.array(similarity_parameters(material()[1][:, :4]))


@pytest.fixture(scope="module")
def portraits():
    """Every look of the same faces and noise, computed eagerly once."""
    arrays = material()
    return {name: np.asarray(look(*arrays)) for name, look in looks().items()}


@pytest.fixture(scope="module")
def jax_portraits(tmp_path_factory):
    pytest.importorskip("jax")
    target = tmp_path_factory.mktemp("jax") / "numbers.npz"
    environment = jax_environment()
    environment["XLA_FLAGS"] = "--xla_backend_optimization_level=0"  # compiled once, run once
    command = [sys.executable, __file__, str(target)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    with np.load(target) as archive:
        return dict(archive)


@pytest.mark.parametrize("name", looks())
def test_portraits_are_finite_and_in_range(name, portraits):
    portrait = portraits[name]
    assert portrait.shape == (COUNT, SIDE, SIDE, 3)
    assert portrait.dtype == np.float32
    assert np.isfinite(portrait).all()
    assert portrait.min() >= -1
    assert portrait.max() <= 1
    assert portrait.std() > 0.1


@pytest.mark.parametrize("name", looks())
def test_black_white_and_the_ends_of_the_noise_are_finite(name):
    levels, noise = np.array([(-1, 0), (1, 0), (-1, 1), (1, 1)], "float32").T
    noise = np.minimum(noise, np.nextafter(np.float32(1), np.float32(0)))
    ones = np.ones((4, 16, 16, 3), "float32")
    params = noise[:, None] * np.ones(procedural.PARAMS, "float32")
    shape = (4, 1, 1, 1)
    portrait = np.asarray(looks()[name](levels.reshape(shape) * ones, params, noise.reshape(shape) * ones))
    assert portrait.shape == ones.shape
    assert np.isfinite(portrait).all()
    assert np.abs(portrait).max() <= 1


def test_styles_differ_from_each_other_and_from_the_photo(portraits):
    photos = material()[0]
    pictures = {"photo": photos, **{name: portraits[name] for name in STYLES}}
    names = list(pictures)
    for k, first in enumerate(names):
        for second in names[k + 1 :]:
            gap = np.abs(pictures[first] - pictures[second]).mean(axis=(1, 2, 3))
            assert gap.max() > 0.12, (first, second, gap)
            assert gap.min() > 0.03, (first, second, gap)


@pytest.mark.parametrize("name", looks())
def test_params_and_field_both_change_the_look_and_nothing_else_does(name, portraits):
    look = looks()[name]
    photos, params, field = material()
    np.testing.assert_array_equal(look(photos, params, field), portraits[name])
    others = np.random.default_rng(9)
    by_params = np.asarray(look(photos, others.random(params.shape, dtype="float32"), field))
    assert np.abs(by_params - portraits[name]).mean() > 0.08
    by_field = np.asarray(look(photos, params, others.random(field.shape, dtype="float32")))
    assert np.abs(by_field - portraits[name]).mean() > 0.01


@pytest.mark.parametrize("name", looks())
def test_pictures_of_a_group_do_not_see_each_other(name, portraits):
    alone = looks()[name](*(array[1:2] for array in material()))
    np.testing.assert_allclose(alone, portraits[name][1:2], atol=2e-3)


@pytest.mark.slow
def test_graph_gives_what_eager_gives(portraits):
    import tensorflow as tf

    names = tuple(STYLES)
    photos, params, field = material()
    groups = tf.data.Dataset.range(len(names)).map(
        lambda index: stylise(index, photos, params, field, names=names)
    )
    for name, portrait in zip(names, groups.as_numpy_iterator(), strict=True):
        assert_same_look(portrait, portraits[name], name)
    (degraded,) = tf.data.Dataset.from_tensors((photos, params, field)).map(degrade).as_numpy_iterator()
    assert_same_look(degraded, portraits["degrade"], "degrade")


@pytest.mark.slow
def test_jax_gives_what_tensorflow_gives(portraits, jax_portraits):
    for name, portrait in portraits.items():
        assert_same_look(jax_portraits[name], portrait, name)
    for index, name in enumerate(SHORT):
        assert_same_look(jax_portraits[f"switch/{index}"], portraits[name], name)
    for fill in FILLS:
        expected = misalign(material()[0], tilts(), fill)
        np.testing.assert_allclose(jax_portraits[f"misalign/{fill}"], expected, atol=1e-4)


def assert_same_look(ours, expected, name):
    """Equal to 1e-3, but for the few pixels in which rounding tips a step, a tile or a nearest pixel."""
    away = np.abs(np.asarray(ours) - expected).max(axis=-1)
    assert np.mean(away > 1e-3) < 0.02, (name, np.mean(away > 1e-3), away.max())
    assert away.mean() < 2e-3, (name, away.mean())


def test_the_switch_takes_the_style_of_its_number(portraits):
    arrays = material()
    for index in (0, 7, len(TRAIN) - 1):
        portrait = stylise(np.int32(index), *arrays)
        np.testing.assert_allclose(portrait, portraits[TRAIN[index]], atol=1e-5)
    beyond = stylise(np.int64(99), *arrays, names=SHORT)
    np.testing.assert_allclose(beyond, portraits[SHORT[-1]], atol=1e-5)
    np.testing.assert_array_equal(stylise(0, *arrays, names=("oil",)), portraits["oil"])


def test_reserved_styles_are_never_trained_on():
    assert len(RESERVED) == 3
    assert not set(RESERVED) & set(TRAIN)
    assert set(RESERVED) | set(TRAIN) == set(STYLES)
    assert [name for name in STYLES if name in TRAIN] == list(TRAIN)
    assert len(STYLES) >= 14


def test_wrong_names_and_sizes_are_refused():
    arrays = material()
    with pytest.raises(ConfigError, match="cubism"):
        stylise(0, *arrays, names=("oil", "cubism"))
    with pytest.raises(ConfigError, match="names"):
        stylise(0, *arrays, names=())
    with pytest.raises(ConfigError, match="12 x 12"):
        stylise(0, *(array[:, :12, :12] if array.ndim == 4 else array for array in arrays))


@pytest.mark.parametrize("name", ["sketch", "oil", "halftone", "mosaic"])
def test_the_look_does_not_depend_on_the_size_of_the_picture(name):
    """Lines and cells grow with the side, so tones stay what they are, block by block."""
    photos, params, field = material(side=128)
    halved = photos.reshape(COUNT, 64, 2, 64, 2, 3).mean(axis=(2, 4))
    large = np.asarray(STYLES[name](photos, params, field))
    small = np.asarray(STYLES[name](halved, params, field[:, :64, :64]))
    large = large.reshape(COUNT, 4, 32, 4, 32, 3).mean(axis=(2, 4))
    small = small.reshape(COUNT, 4, 16, 4, 16, 3).mean(axis=(2, 4))
    assert np.abs(large - small).max() < 0.3
    assert np.abs(large - small).mean() < 0.07


def test_mix_goes_from_the_photo_to_the_portrait(portraits):
    photos = material()[0]
    mixed = np.asarray(mix(photos, portraits["comic"], np.array([0.0, 1.0, 0.25], "float32")))
    np.testing.assert_array_equal(mixed[0], photos[0])
    np.testing.assert_allclose(mixed[1], portraits["comic"][1], atol=1e-6)
    np.testing.assert_allclose(mixed[2], 0.75 * photos[2] + 0.25 * portraits["comic"][2], atol=1e-6)


@pytest.mark.slow
def test_the_person_stays_recognisable(data_dir):
    """By a face descriptor, every portrait is nearer to its own photograph than to others."""
    from ifrp_tf.nn.features import networks
    from ifrp_tf.pictures import images

    files = sorted((data_dir / "faces" / "train" / "celeba").glob("*.jpg"))[:12]
    if len(files) < 12:
        pytest.skip("needs the photographs described in WORKSPACE.md in data/faces/train/")
    network = networks.mobilefacenet(data_dir / "weights")

    def describe(pictures):
        descriptors = np.asarray(network(pictures))
        return descriptors / np.linalg.norm(descriptors, axis=1, keepdims=True)

    photos = np.asarray(images.to_model_range(np.stack([images.read(file).pixels for file in files])))
    _, params, field = material(count=len(photos), side=128)
    own = describe(photos)
    for name, style in STYLES.items():
        similar = describe(style(photos, params, field)) @ own.T
        right = np.trace(similar) / len(photos)
        wrong = (similar.sum() - np.trace(similar)) / (similar.size - len(photos))
        # Photographs of one person: 0.63 and 0.01. Hand-drawn sketches of students: 0.46.
        assert right - wrong > 0.12, (name, right, wrong)


if __name__ == "__main__":
    np.savez(sys.argv[1], **{name: np.asarray(value) for name, value in jax_numbers().items()})
