"""PSNR, SSIM and FSIM against scikit-image, against the authors' code, against what they must be."""

import json
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from golden import make_fsim
from helpers import ROOT, both_ways, jax_environment
from keras import ops

from ifrp_tf.core.errors import ImageError
from ifrp_tf.nn import metrics

GOLDEN = json.loads((ROOT / "tests/support/golden/fsim.json").read_text())["fsim"]
PICTURES = make_fsim.pictures()
SMALL = [name for name, (a, _) in PICTURES.items() if a.shape == (128, 128, 3)]
MEASURES = (metrics.psnr, metrics.ssim, metrics.fsim)


@pytest.fixture(scope="module")
def pairs():
    """Two batches of uint8 pictures, [N, 128, 128, 3]."""
    return tuple(np.stack([PICTURES[name][k] for name in SMALL]) for k in (0, 1))


def grey(image):
    return image.astype("float64") @ np.array([0.2989, 0.587, 0.114])


def test_luminance_weighs_the_channels_in_any_range(pairs):
    np.testing.assert_allclose(both_ways(metrics.luminance, pairs[0]), grey(pairs[0]), atol=1e-3)
    signed = pairs[0].astype("float32") / 100 - 1
    np.testing.assert_allclose(metrics.luminance(signed), grey(signed), atol=1e-5)


def test_psnr_equals_scikit_image(pairs):
    from skimage.metrics import peak_signal_noise_ratio

    expected = [peak_signal_noise_ratio(a, b, data_range=255) for a, b in zip(*pairs, strict=True)]
    np.testing.assert_allclose(both_ways(metrics.psnr, *pairs), expected, rtol=1e-5)
    shifted = [batch.astype("float32") / 100 - 1 for batch in pairs]
    np.testing.assert_allclose(metrics.psnr(*shifted, max_value=2.55), expected, rtol=1e-5)


@pytest.mark.parametrize(("max_value", "scale"), [(255, 1.0), (2.0, 2 / 255)])
def test_ssim_equals_scikit_image(pairs, max_value, scale):
    from skimage.metrics import structural_similarity

    a, b = (batch.astype("float32") * np.float32(scale) for batch in pairs)
    settings = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "full": True}
    expected = []
    for x, y in zip(a, b, strict=True):
        _, every = structural_similarity(grey(x), grey(y), data_range=max_value, **settings)
        expected.append(every[5:-5, 5:-5].mean())
    found = both_ways(lambda x, y: metrics.ssim(x, y, max_value=max_value), a, b)
    np.testing.assert_allclose(found, expected, atol=2e-5)
    assert max(expected) - min(expected) > 0.5


def test_ssim_keeps_its_digits_on_faint_contrast():
    from skimage.metrics import structural_similarity

    faint = 250.0 + 0.2 * make_fsim.texture(64, 64) * np.ones(3)
    other = 250.0 + 0.2 * make_fsim.texture(64, 64)[::-1] * np.ones(3)
    settings = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "full": True}
    _, every = structural_similarity(grey(faint), grey(other), data_range=2.0, **settings)
    found = metrics.ssim(faint[None], other[None], max_value=2.0)
    np.testing.assert_allclose(found, [every[5:-5, 5:-5].mean()], atol=1e-3)


def test_ssim_has_the_gradient_of_finite_differences(pairs):
    a, b = (tf.constant(batch[:2, 40:64, 40:64].astype("float32") / 127.5) for batch in pairs)
    direction = b - a
    with tf.GradientTape() as tape:
        tape.watch(a)
        value = ops.sum(metrics.ssim(a, b, max_value=2.0))
    slope = float(tf.reduce_sum(tape.gradient(value, a) * direction))
    above, below = (ops.sum(metrics.ssim(a + h * direction, b, max_value=2.0)) for h in (1e-3, -1e-3))
    assert slope == pytest.approx(float(above - below) / 2e-3, rel=0.01)
    assert abs(slope) > 0.01


def test_ssim_stays_differentiable_at_equal_and_at_flat_pictures(pairs):
    for start in (tf.constant(pairs[0][:1].astype("float32")), tf.zeros((1, 32, 32, 3))):
        with tf.GradientTape() as tape:
            tape.watch(start)
            value = ops.sum(metrics.ssim(start, start + 0.0))
        assert np.isfinite(tape.gradient(value, start)).all()


@pytest.mark.parametrize("name", GOLDEN)
def test_fsim_equals_the_authors_code(name):
    a, b = (image[None] for image in PICTURES[name])
    np.testing.assert_allclose(metrics.fsim(a, b), [GOLDEN[name]], atol=1e-4)


def test_goldens_cover_every_picture_and_tell_them_apart():
    assert set(GOLDEN) == set(PICTURES)
    assert max(GOLDEN.values()) - min(GOLDEN.values()) > 0.1


def test_fsim_of_flat_pictures_is_a_number():
    flat = np.zeros((2, 32, 40, 3), "uint8")
    textured = flat + make_fsim.scene(32, 40)
    border = 2 * (32 + 40) - 4  # black lies outside: these pixels alone see a gradient
    np.testing.assert_allclose(metrics.fsim(flat, flat + 90), 2 * [1 - border / 32 / 40], atol=0.005)
    np.testing.assert_array_equal(metrics.fsim(flat, flat), [1, 1])
    assert (np.asarray(metrics.fsim(flat, textured)) < 0.9).all()


def test_every_picture_of_a_batch_is_measured_by_itself(pairs):
    for measure in MEASURES:
        alone = np.concatenate([measure(a[None], b[None]) for a, b in zip(*pairs, strict=True)])
        np.testing.assert_allclose(both_ways(measure, *pairs, tolerance=1e-4), alone, rtol=1e-5)


def test_measures_are_symmetric_and_take_floats(pairs):
    a, b = pairs
    for measure in MEASURES:
        found = np.asarray(measure(a, b))
        assert found.shape == (len(SMALL),)
        assert found.dtype == np.float32
        np.testing.assert_allclose(measure(b, a), found, rtol=1e-6)
        np.testing.assert_array_equal(measure(a.astype("float32"), b.astype("float32")), found)


def test_identical_pictures(pairs):
    a = pairs[0]
    np.testing.assert_allclose(metrics.ssim(a, a), np.ones(len(a)), atol=1e-6)
    np.testing.assert_allclose(metrics.fsim(a, a), np.ones(len(a)), atol=1e-6)
    assert np.isposinf(metrics.psnr(a, a)).all()


@pytest.mark.parametrize("measure", MEASURES)
def test_wrong_shapes_are_refused(measure):
    good = np.zeros((2, 32, 32, 3), "uint8")
    for bad in (good[0], good[:1], good[:, :16], good[..., :1]):
        with pytest.raises(ImageError, match=r"Received: \(2, 32, 32, 3\)"):
            measure(good, bad)
    with pytest.raises(ImageError, match="RGB"):
        measure(good[..., 0], good[..., 0])


def test_ssim_refuses_pictures_smaller_than_its_window():
    tiny = np.zeros((1, 10, 32, 3), "uint8")
    with pytest.raises(ImageError, match="at least 11"):
        metrics.ssim(tiny, tiny)


@pytest.mark.parametrize(
    ("metric", "measure"),
    [
        (metrics.PSNR(), metrics.psnr),
        (metrics.SSIM(), metrics.ssim),
        (metrics.FSIM(), metrics.fsim),
        (metrics.PSNR(max_value=100), lambda a, b: metrics.psnr(a, b, 100)),
        (metrics.SSIM("other", max_value=300), lambda a, b: metrics.ssim(a, b, 300)),
    ],
)
def test_metrics_average_over_pictures_not_batches(pairs, metric, measure):
    metric = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(metric))
    a, b = pairs
    values = np.asarray(measure(a, b))
    metric.update_state(a[:1], b[:1])
    metric.update_state(a[1:], b[1:])
    assert float(metric.result()) == pytest.approx(values.mean(), rel=1e-5)
    metric.reset_state()
    weights = np.arange(len(a), dtype="float32")
    metric.update_state(a, b, sample_weight=weights)
    assert float(metric.result()) == pytest.approx(np.average(values, weights=weights), rel=1e-5)


def test_psnr_metric_leaves_identical_pictures_out_and_counts_them(pairs):
    a, b = pairs
    metric = metrics.PSNR()
    assert float(metric.result()) == 0.0
    metric.update_state(a[:2], a[:2])
    assert np.isposinf(metric.result())
    metric.update_state(a[1:3], b[1:3])
    assert float(metric.result()) == pytest.approx(np.mean(metrics.psnr(a[1:3], b[1:3])), rel=1e-5)
    assert float(metric.identical) == 2
    metric.reset_state()
    assert float(metric.identical) == 0
    metric.update_state(np.full_like(a, np.nan, dtype="float32"), b)
    assert np.isnan(metric.result())


def test_metrics_work_in_a_compiled_model(pairs):
    a, b = (batch.astype("float32") for batch in pairs)
    model = keras.Sequential([keras.Input((128, 128, 3)), keras.layers.Identity()])
    model.compile(loss="mse", metrics=[metrics.PSNR(), metrics.SSIM(), metrics.FSIM()])
    logs = model.evaluate(a, b, batch_size=3, verbose=0, return_dict=True)
    for name in ("psnr", "ssim", "fsim"):
        assert logs[name] == pytest.approx(np.mean(getattr(metrics, name)(a, b)), rel=1e-4)


ON_JAX = """
import sys, keras, numpy as np
from ifrp_tf.nn import metrics
assert keras.backend.backend() == "jax"
a, b = np.load(sys.argv[1]).values()
metric = metrics.FSIM()
metric.update_state(a, b)
import jax
by = jax.grad(lambda x: metrics.ssim(x, b / 127.5, max_value=2.0).sum())(a / np.float32(127.5))
np.savez(sys.argv[2], psnr=metrics.psnr(a, b), ssim=metrics.ssim(a, b), fsim=jax.jit(metrics.fsim)(a, b),
         mean=metric.result(), by=by)
"""


@pytest.mark.slow
def test_jax_gives_the_same_numbers(pairs, tmp_path):
    pytest.importorskip("jax")
    a, b = (batch.astype("float32") for batch in pairs)
    np.savez(tmp_path / "in.npz", a=a, b=b)
    environment = jax_environment()
    command = [sys.executable, "-c", ON_JAX, str(tmp_path / "in.npz"), str(tmp_path / "out.npz")]
    run = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    jax = np.load(tmp_path / "out.npz")
    for name in ("psnr", "ssim", "fsim"):
        np.testing.assert_allclose(jax[name], getattr(metrics, name)(a, b), rtol=1e-4)
    assert jax["mean"] == pytest.approx(np.mean(metrics.fsim(a, b)), rel=1e-4)
    scaled = tf.constant(a / np.float32(127.5))
    with tf.GradientTape() as tape:
        tape.watch(scaled)
        value = ops.sum(metrics.ssim(scaled, b / np.float32(127.5), max_value=2.0))
    np.testing.assert_allclose(jax["by"], tape.gradient(value, scaled), atol=1e-6)
