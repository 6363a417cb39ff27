import math

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers import both_ways, smooth_picture

from ifrp_tf.core.errors import ConfigError
from ifrp_tf.nn import losses

RANDOM = np.random.default_rng(11)
LN2 = math.log(2.0)


def constant(*values):
    """Pictures [N, 16, 16, 3] of one level each."""
    return np.stack([np.full((16, 16, 3), value, "float32") for value in values])


def pictures(count=4, side=16):
    return RANDOM.uniform(-1, 1, (count, side, side, 3)).astype("float32")


def gradient(function, array):
    tensor = tf.constant(array)
    with tf.GradientTape() as tape:
        tape.watch(tensor)
        value = function(tensor)
    return tape.gradient(value, tensor)


# Pixel and structure.


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("l2", (0.5**2 + 0.1**2) / 2),
        ("l1", (0.5 + 0.1) / 2),
        ("charbonnier", (math.sqrt(0.25 + 1e-6) + math.sqrt(0.01 + 1e-6)) / 2),
    ],
)
def test_pixel_loss_by_hand(kind, expected):
    value = losses.pixel_loss(constant(0.5, -0.2), constant(0.0, -0.3), kind)
    assert float(value) == pytest.approx(expected, rel=1e-5)
    assert float(losses.pixel_loss(constant(0.5), constant(0.5), kind)) == pytest.approx(0.0, abs=1.1e-3)


def test_default_pixel_loss_is_the_papers():
    recovered, photos = pictures(), pictures()
    expected = np.mean((recovered.astype("float64") - photos) ** 2)
    assert float(losses.pixel_loss(recovered, photos)) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("kind", ["l2", "l1", "charbonnier"])
def test_pixel_loss_pulls_towards_the_photo(kind):
    slope = np.asarray(gradient(lambda x: losses.pixel_loss(x, constant(0.0), kind), constant(0.5)))
    assert (slope > 0).all()
    slope = np.asarray(gradient(lambda x: losses.pixel_loss(x, constant(0.0), kind), constant(-0.5)))
    assert (slope < 0).all()


def test_unknown_pixel_loss_is_refused():
    with pytest.raises(ConfigError, match="l2, l1 or charbonnier. Received: 'huber'"):
        losses.pixel_loss(constant(0.0), constant(0.0), "huber")


def test_structure_loss_of_flat_pictures_by_hand():
    """Without variance SSIM is its luminance part, of levels shifted to [0, 2] with C1 = (0.01 * 2)^2."""
    first, second, c1 = -0.95 + 1.0, -0.9 + 1.0, (0.01 * 2.0) ** 2
    ssim = (2 * first * second + c1) / (first**2 + second**2 + c1)
    value = float(losses.structure_loss(constant(-0.95), constant(-0.9)))
    assert value == pytest.approx(1.0 - ssim, rel=1e-3)


def test_structure_loss_is_zero_at_equality_and_falls_along_its_gradient():
    photos = smooth_picture(24, 3)
    assert float(losses.structure_loss(photos, photos)) == pytest.approx(0.0, abs=1e-5)
    recovered = np.clip(photos + RANDOM.normal(0, 0.3, photos.shape), -1, 1).astype("float32")
    before = float(losses.structure_loss(recovered, photos))
    slope = np.asarray(gradient(lambda x: losses.structure_loss(x, photos), recovered))
    assert np.isfinite(slope).all()
    assert 0.0 < before < 2.0
    after = float(losses.structure_loss(recovered - 0.05 * slope / np.abs(slope).max(), photos))
    assert after < before


def test_structure_loss_has_a_gradient_where_pictures_are_flat():
    slope = gradient(lambda x: losses.structure_loss(x, constant(0.0)), constant(0.0))
    assert np.isfinite(slope).all()


# Identity.


def test_identity_loss_by_hand():
    recovered = np.array([[1.0, 2.0], [0.0, 4.0]], "float32")
    photos = np.array([[1.0, 0.0], [2.0, 4.0]], "float32")
    assert float(losses.identity_loss(recovered, photos, relative=False)) == pytest.approx(8.0 / 4)
    assert float(losses.identity_loss(recovered, photos)) == pytest.approx((8.0 / 4) / (21.0 / 4), rel=1e-5)
    assert float(losses.identity_loss(photos, photos)) == 0.0


def test_relative_identity_loss_does_not_depend_on_the_scale_of_features():
    recovered, photos = RANDOM.normal(size=(2, 3, 7, 7, 5)).astype("float32")
    value = float(losses.identity_loss(recovered, photos))
    assert float(losses.identity_loss(100 * recovered, 100 * photos)) == pytest.approx(value, rel=1e-4)
    literal = float(losses.identity_loss(recovered, photos, relative=False))
    scaled = float(losses.identity_loss(100 * recovered, 100 * photos, relative=False))
    assert scaled == pytest.approx(1e4 * literal, rel=1e-4)


def test_cosine_loss_by_hand():
    x = np.array([[3.0, 0.0], [1.0, 1.0], [2.0, 0.0]], "float32")
    y = np.array([[0.5, 0.0], [1.0, 0.0], [-1.0, 0.0]], "float32")
    expected = (0.0 + (1.0 - 1.0 / math.sqrt(2.0)) + 2.0) / 3
    assert float(losses.cosine_loss(x, y)) == pytest.approx(expected, rel=1e-5)


def test_cosine_loss_turns_the_embedding_towards_the_photo():
    x, y = np.array([[1.0, 0.0]], "float32"), np.array([[1.0, 1.0]], "float32")
    slope = np.asarray(gradient(lambda e: losses.cosine_loss(e, y), x))
    assert slope[0, 1] < 0.0
    assert slope[0, 0] == pytest.approx(0.0, abs=1e-6)
    assert np.isfinite(gradient(lambda e: losses.cosine_loss(e, y), np.zeros((1, 2), "float32"))).all()


@pytest.mark.parametrize("loss", [losses.identity_loss, losses.cosine_loss])
def test_the_photo_gets_no_gradient(loss):
    recovered = tf.constant(RANDOM.normal(size=(2, 8)).astype("float32"))
    assert (
        gradient(lambda photos: loss(recovered, photos), RANDOM.normal(size=(2, 8)).astype("float32")) is None
    )


# Alignment.


def test_alignment_loss_of_a_shift_is_its_length_in_pixels():
    """A shift by 2 p / (side - 1) in coordinates is p pixels, for every corner."""
    known = np.array([[0.0, 1.0, 0.0, 0.0]], "float32")
    for side in (32, 128):
        for y, x in [(3.0, 0.0), (0.0, -4.0), (3.0, 4.0)]:
            predicted = known + np.array([[0.0, 0.0, 2 * y / (side - 1), 2 * x / (side - 1)]], "float32")
            value = float(losses.alignment_loss(predicted, known, side))
            assert value == pytest.approx(math.hypot(y, x), rel=1e-4)


def test_alignment_loss_of_a_scale_and_a_turn_by_hand():
    """Corners lie sqrt(2) * 127 / 2 pixels from the centre; a turn moves them along a chord."""
    known = np.array([[0.0, 1.0, 0.0, 0.0]], "float32")
    radius = math.sqrt(2.0) * 127 / 2
    scaled = np.array([[0.0, 1.1, 0.0, 0.0]], "float32")
    turned = np.array([[0.2, 1.0, 0.0, 0.0]], "float32")
    assert float(losses.alignment_loss(scaled, known)) == pytest.approx(0.1 * radius, rel=1e-4)
    assert float(losses.alignment_loss(turned, known)) == pytest.approx(2 * math.sin(0.1) * radius, rel=1e-4)
    mean = (0.1 * radius + 2 * math.sin(0.1) * radius) / 2
    both = np.concatenate([scaled, turned])
    assert float(losses.alignment_loss(both, known.repeat(2, axis=0))) == pytest.approx(mean, rel=1e-4)


def test_alignment_loss_at_equality_is_a_thousandth_of_a_pixel_and_smooth():
    known = np.array([[0.3, 0.9, 0.1, 0.0]], "float32")
    assert float(losses.alignment_loss(known, known)) <= 1.1e-3
    assert np.isfinite(gradient(lambda p: losses.alignment_loss(p, known), known)).all()
    slope = np.asarray(gradient(lambda p: losses.alignment_loss(p, known), known + np.float32(0.05)))
    assert (slope > 0).all()


# Adversarial.


def sigmoid(x):
    return 1.0 / (1.0 + np.exp(-x.astype("float64")))


def test_cross_entropies_are_the_logarithms_of_the_paper():
    real, fake = RANDOM.normal(0, 2, (2, 6, 1)).astype("float32")
    on_real, on_fake = losses.discriminator_adversarial_losses(real, fake)
    assert float(on_real) == pytest.approx(-np.log(sigmoid(real)).mean(), rel=1e-5)
    assert float(on_fake) == pytest.approx(-np.log(1 - sigmoid(fake)).mean(), rel=1e-5)
    srn = losses.generator_adversarial_loss(fake)
    assert float(srn) == pytest.approx(-np.log(sigmoid(fake)).mean(), rel=1e-5)


def test_adversarial_literals():
    zero, three = np.zeros((1, 1), "float32"), np.full((1, 1), 3.0, "float32")
    assert float(losses.generator_adversarial_loss(zero)) == pytest.approx(LN2)
    assert [float(x) for x in losses.discriminator_adversarial_losses(zero, zero)] == pytest.approx(
        [LN2, LN2]
    )
    assert float(losses.generator_adversarial_loss(three, "hinge")) == -3.0
    hinge = losses.discriminator_adversarial_losses(zero, three, "hinge")
    assert [float(x) for x in hinge] == [1.0, 4.0]
    won = losses.discriminator_adversarial_losses(three, -three, "hinge")
    assert [float(x) for x in won] == [0.0, 0.0]


@pytest.mark.parametrize("kind", ["bce", "hinge"])
def test_adversaries_pull_in_opposite_directions(kind):
    logits = np.array([[-0.5], [0.2]], "float32")
    srn = gradient(lambda x: losses.generator_adversarial_loss(x, kind), logits)
    real = gradient(lambda x: losses.discriminator_adversarial_losses(x, logits, kind)[0], logits)
    fake = gradient(lambda x: losses.discriminator_adversarial_losses(logits, x, kind)[1], logits)
    assert (np.asarray(srn) < 0).all()
    assert (np.asarray(real) < 0).all()
    assert (np.asarray(fake) > 0).all()


def test_confident_logits_stay_finite_and_keep_their_gradient():
    """-log(sigmoid) written out would be infinite here, and the SRN could not learn when it loses."""
    lost = np.full((1, 1), -200.0, "float32")
    assert float(losses.generator_adversarial_loss(lost)) == pytest.approx(200.0)
    assert float(gradient(losses.generator_adversarial_loss, lost)[0, 0]) == pytest.approx(-1.0)


# The gate.


@pytest.mark.parametrize(
    ("real", "fake", "update_dn", "update_srn"),
    [
        (0.5, 0.5, True, True),
        (0.29, 0.5, False, True),  # the DN wins on photographs
        (0.5, 0.29, False, True),
        (0.1, 0.1, False, True),
        (0.71, 0.5, True, False),  # the SRN wins
        (0.5, 0.71, True, False),
        (5.0, 5.0, True, False),
        (0.1, 0.9, True, True),  # both would wait
        (0.9, 0.1, True, True),
        (0.31, 0.69, True, True),
    ],
)
def test_margin_gates(real, fake, update_dn, update_srn):
    gates = losses.margin_gates(tf.constant(real), tf.constant(fake))
    assert [bool(gate) for gate in gates] == [update_dn, update_srn]


# All of them.

EVERY_LOSS = {
    "l2": lambda x, y: losses.pixel_loss(x, y, "l2"),
    "l1": lambda x, y: losses.pixel_loss(x, y, "l1"),
    "charbonnier": lambda x, y: losses.pixel_loss(x, y, "charbonnier"),
    "structure": losses.structure_loss,
    "identity": losses.identity_loss,
    "cosine": lambda x, y: losses.cosine_loss(x[:, 0, 0], y[:, 0, 0]),
    "alignment": lambda x, y: losses.alignment_loss(
        *(keras.ops.reshape(z, (-1, 768))[:, :4] for z in (x, y))
    ),
    "bce": lambda x, y: losses.discriminator_adversarial_losses(x[:, 0, 0, :1], y[:, 0, 0, :1])[1],
    "hinge": lambda x, y: losses.discriminator_adversarial_losses(x[:, 0, 0, :1], y[:, 0, 0, :1], "hinge")[0],
    "srn": lambda x, y: losses.generator_adversarial_loss(x[:, 0, 0, :1]),
}


@pytest.mark.parametrize("name", EVERY_LOSS)
def test_every_loss_is_a_float32_mean_over_the_batch(name):
    loss, recovered, photos = EVERY_LOSS[name], pictures(), pictures()
    value = both_ways(loss, recovered, photos)
    assert value.shape == ()
    assert value.dtype == "float32"
    order = [2, 0, 3, 1]
    assert float(loss(recovered[order], photos[order])) == pytest.approx(float(value), rel=1e-5)
    twice = loss(np.concatenate([recovered, recovered]), np.concatenate([photos, photos]))
    assert float(twice) == pytest.approx(float(value), rel=1e-5)
    half = loss(tf.cast(recovered, tf.bfloat16), tf.cast(photos, tf.bfloat16))
    assert half.dtype == tf.float32
    assert float(half) == pytest.approx(float(value), rel=0.05, abs=0.01)


def test_jax_agrees(two_backends):
    expected, received = two_backends
    names = [name for name in expected if name.startswith("losses/")]
    assert len(names) == 15
    for name in names:
        np.testing.assert_allclose(received[name], expected[name], rtol=1e-4, atol=1e-5, err_msg=name)
