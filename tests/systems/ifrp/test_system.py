import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf
from objectives import Objective

from ifrp_tf.core.config import Config, DataConfig, TrainConfig
from ifrp_tf.core.errors import DataError
from ifrp_tf.nn import losses
from ifrp_tf.nn.features import networks, squeezenet
from ifrp_tf.systems.ifrp.settings import LossConfig, ModelConfig
from ifrp_tf.systems.ifrp.system import (
    IDENTITY_UNITS,
    build_identity_network,
    build_perceptual_network,
)

RANDOM = np.random.default_rng(17)
EVERYTHING = {
    "ssim": 0.2,
    "alignment": 0.02,
    "adversarial": 0.03,
    "identity": 0.4,
    "identity_cosine": 0.5,
    "identity_network": "mobilefacenet",
}


def configured(side=128, epoch_pictures=160, **loss):
    return Config(
        data=DataConfig(side=side),
        model=ModelConfig(stn="input"),
        loss=LossConfig(**loss),
        train=TrainConfig(batch_size=16, epoch_pictures=epoch_pictures),
    )


def pictures(count=2, side=128):
    return RANDOM.uniform(-1, 1, (count, side, side, 3)).astype("float32")


def transforms(count=2):
    return np.array([[0.1, 1.0, 0.1, 0.0]] * count, "float32"), np.array(
        [[0.0, 1.0, 0.0, 0.0]] * count, "float32"
    )


@pytest.fixture(scope="module")
def face_network():
    """MobileFaceNet as the identity loss uses it, its weights random instead of read."""
    keras.utils.set_random_seed(4)
    network = networks.mobilefacenet(None, outputs=(IDENTITY_UNITS["mobilefacenet"], "embedding"))
    for variable in network.weights:
        if "kernel" in variable.path:  # so that features keep about the scale of the pictures
            variable.assign(2.5 * variable)
    return network


@pytest.mark.parametrize(
    ("loss", "names"),
    [
        ({}, ["pixel"]),
        ({"identity": 0.0, "adversarial": 0.0}, ["pixel"]),
        ({"ssim": 0.1}, ["pixel", "structure"]),
        ({"alignment": 0.1}, ["pixel", "alignment"]),
        ({"ssim": 0.1, "alignment": 0.1}, ["pixel", "structure", "alignment"]),
    ],
)
def test_terms_follow_the_weights(loss, names):
    objective = Objective(configured(side=32, **loss), None)
    assert objective.term_names == names
    assert list(objective.terms(pictures(side=32), pictures(side=32), *transforms())) == names


@pytest.mark.parametrize(
    ("loss", "names"),
    [
        ({"identity": 0.4}, ["pixel", "identity"]),
        ({"identity": 0.0, "identity_cosine": 0.1}, ["pixel", "cosine"]),
        ({"identity": 0.4, "identity_cosine": 0.1}, ["pixel", "identity", "cosine"]),
        ({"identity": 0.0}, ["pixel"]),
    ],
)
def test_identity_terms_follow_their_weights(loss, names, face_network):
    objective = Objective(configured(identity_network="mobilefacenet", **loss), face_network)
    assert objective.term_names == names
    assert list(objective.terms(pictures(), pictures(), None, None)) == names


def test_terms_are_the_unweighted_losses(face_network):
    objective = Objective(configured(pixel="l1", **EVERYTHING), face_network)
    recovered, photos, (predicted, known) = pictures(), pictures(), transforms()
    terms = {
        name: float(value) for name, value in objective.terms(recovered, photos, predicted, known).items()
    }
    fake, real = face_network(recovered), face_network(photos)
    unit = IDENTITY_UNITS["mobilefacenet"]
    assert terms == pytest.approx(
        {
            "pixel": np.abs(recovered - photos).mean(),
            "structure": float(losses.structure_loss(recovered, photos)),
            "alignment": float(losses.alignment_loss(predicted, known, 128)),
            "identity": float(losses.identity_loss(fake[unit], real[unit])),
            "cosine": float(losses.cosine_loss(fake["embedding"], real["embedding"])),
        },
        rel=1e-4,
    )
    assert min(terms.values()) > 1e-6


def test_identity_is_relative_unless_told_otherwise(face_network):
    recovered, photos = pictures(), pictures()
    loss = {**EVERYTHING, "alignment": 0.0}
    relative, literal = (
        float(
            Objective(configured(**loss, identity_relative=kind), face_network).terms(
                recovered, photos, None, None
            )["identity"]
        )
        for kind in (True, False)
    )
    scale = float(np.mean(np.square(face_network(photos)[IDENTITY_UNITS["mobilefacenet"]])))
    assert literal == pytest.approx(relative * scale, rel=1e-3)


def test_identity_may_look_at_every_second_picture_only(face_network):
    recovered, photos = pictures(4), pictures(4)
    loss = {**EVERYTHING, "alignment": 0.0}
    sparse = Objective(configured(**loss, identity_every=2), face_network).terms(
        recovered, photos, None, None
    )
    dense = Objective(configured(**loss), face_network)
    chosen = dense.terms(recovered[[0, 2]], photos[[0, 2]], None, None)
    for name in ("identity", "cosine"):
        assert float(sparse[name]) == pytest.approx(float(chosen[name]), rel=1e-4)
    everything = dense.terms(recovered, photos, None, None)
    assert float(sparse["pixel"]) == pytest.approx(float(everything["pixel"]))


def test_perfect_recovery_costs_nothing(face_network):
    objective = Objective(configured(**EVERYTHING), face_network)
    photos, (_, known) = pictures(), transforms()
    terms = objective.terms(photos, photos, known, known)
    assert float(objective.total(terms, 0)) == pytest.approx(0.0, abs=1e-4)


def test_total_is_the_sum_by_hand_with_decayed_weights():
    """λ and η fall by 0.995 an epoch of ten steps, to no less than half; the other weights stay."""
    objective = Objective(configured(**EVERYTHING), None)
    terms = {
        "pixel": 1.0,
        "structure": 2.0,
        "alignment": 3.0,
        "identity": 5.0,
        "cosine": 7.0,
        "adversarial": 11.0,
    }
    fixed = 1.0 + 0.2 * 2.0 + 0.02 * 3.0 + 0.5 * 7.0
    for step, factor in [
        (0, 1.0),
        (9, 1.0),
        (10, 0.995),
        (25, 0.995**2),
        (1380, 0.995**138),
        (1390, 0.5),
        (99_999, 0.5),
    ]:
        expected = fixed + factor * (0.4 * 5.0 + 0.03 * 11.0)
        assert float(objective.total(terms, step)) == pytest.approx(expected, rel=1e-5), step


def test_each_decay_is_its_own():
    config = configured(**EVERYTHING, identity_decay=1.0, adversarial_decay=0.9)
    total = Objective(config, None).total({"identity": 1.0, "adversarial": 1.0}, tf.constant(20, tf.int64))
    assert float(total) == pytest.approx(0.4 + 0.03 * 0.81, rel=1e-5)


def test_missing_terms_are_not_counted():
    objective = Objective(configured(**EVERYTHING), None)
    assert float(objective.total({"pixel": 2.5}, 0)) == pytest.approx(2.5)


def test_gradient_reaches_the_recovered_picture_through_every_term(face_network):
    photos, (predicted, known) = pictures(), transforms()
    recovered, predicted = tf.constant(pictures()), tf.constant(predicted)
    objective = Objective(configured(**EVERYTHING), face_network)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch([recovered, predicted])
        terms = objective.terms(recovered, photos, predicted, known)
        total = objective.total(terms, 0)
    for name, value in terms.items():
        source = predicted if name == "alignment" else recovered
        slope = tape.gradient(value, source).numpy()
        assert np.isfinite(slope).all(), name
        assert np.abs(slope).max() > 0.0, name
    assert np.abs(tape.gradient(total, recovered)).max() > 0.0
    assert not face_network.trainable_variables


def test_alignment_is_measured_in_pixels_of_the_pictures_side():
    predicted, known = transforms()
    values = {
        side: float(
            Objective(configured(side=side, alignment=0.1), None).terms(
                pictures(side=side), pictures(side=side), predicted, known
            )["alignment"]
        )
        for side in (32, 128)
    }
    assert values[128] / values[32] == pytest.approx(127 / 31, rel=1e-3)


# The identity network.


@pytest.mark.parametrize(
    "loss",
    [
        {"identity_network": "none"},
        {"identity": 0.0},
        {"identity_network": "mobilefacenet", "identity": 0.0},
        {"identity_network": "facenet", "identity": 0.0},
    ],
)
def test_no_network_is_read_where_it_has_no_weight(loss):
    assert build_identity_network(configured(**loss), "no/such/folder") is None


def test_missing_weights_are_an_error_not_a_missing_term():
    with pytest.raises(DataError, match="no/such/folder"):
        build_identity_network(configured(), "no/such/folder")


@pytest.mark.parametrize("name", ["mobilefacenet", "vgg19"])
def test_networks_give_the_features_the_objective_asks_for(name, data_dir):
    cosine = 0.1 if name == "mobilefacenet" else 0.0
    config = configured(identity_network=name, identity_cosine=cosine)
    network = build_identity_network(config, str(data_dir / "weights"))
    assert network is not None
    assert not network.trainable_variables
    photos = pictures()
    outputs = network(photos)
    expected = {IDENTITY_UNITS[name], *(["embedding"] if cosine else [])}
    assert set(outputs) == expected
    assert outputs[IDENTITY_UNITS[name]].shape[0] == 2
    terms = Objective(config, network).terms(0.5 * photos, photos, None, None)
    assert list(terms) == ["pixel", "identity", *(["cosine"] if cosine else [])]
    assert 0.0 < float(terms["identity"]) < 10.0


def test_identity_computes_in_the_precision_of_training(data_dir):
    config = configured(identity_network="mobilefacenet")
    config = dataclasses.replace(config, train=dataclasses.replace(config.train, dtype="bfloat16"))
    network = build_identity_network(config, str(data_dir / "weights"))
    policies = {layer.compute_dtype for layer in network.layers if "conv2d" in layer.name}
    assert "bfloat16" in policies
    assert {value.dtype for value in network(pictures()).values()} == {tf.float32}


def test_the_identity_network_sees_small_pictures_enlarged(face_network):
    """It takes 128 x 128: pictures of another side are brought to it, with a gradient."""
    config = configured(64, adversarial=0.0, identity_network="mobilefacenet", identity_cosine=0.5)
    photos = pictures(side=64)
    recovered = tf.Variable(0.5 * photos)
    with tf.GradientTape() as tape:
        small = Objective(config, face_network).terms(recovered, photos, None, None)["cosine"]
    assert np.abs(tape.gradient(small, recovered)).max() > 0
    twice = [
        keras.ops.image.resize(part, (128, 128), interpolation="bilinear") for part in (recovered, photos)
    ]
    large = Objective(config, face_network).terms(*twice, None, None)["cosine"]
    assert float(small) == pytest.approx(float(large), rel=1e-5)


def test_jax_agrees(two_backends):
    expected, received = two_backends
    np.testing.assert_allclose(received["objective/total"], expected["objective/total"], rtol=1e-4)


def test_the_perceptual_term_is_the_distance_of_every_kth_picture():
    keras.utils.set_random_seed(5)
    network = squeezenet.squeezenet(None, outputs=("conv1", "fire3"))
    recovered, photos = pictures(4), pictures(4)
    assert "perceptual" not in Objective(configured(), None, network).term_names
    assert "perceptual" not in Objective(configured(perceptual=0.1), None, None).term_names
    objective = Objective(configured(perceptual=0.1, perceptual_every=2), None, network)
    terms = objective.terms(recovered, photos, None, None)
    expected = squeezenet.perceptual_distance(network(recovered[::2]), network(photos[::2]))
    assert float(terms["perceptual"]) == pytest.approx(float(np.mean(expected)), rel=1e-5)
    assert float(terms["perceptual"]) > 0
    weighted = objective.total({"perceptual": terms["perceptual"]}, tf.constant(0, tf.int64))
    assert float(weighted) == pytest.approx(0.1 * float(terms["perceptual"]), rel=1e-5)
    other = recovered.copy()
    other[1::2] = 0.0  # these are not looked at
    assert float(objective.terms(other, photos, None, None)["perceptual"]) == float(terms["perceptual"])


def test_a_perceptual_network_only_where_it_has_a_weight(tmp_path):
    assert build_perceptual_network(configured(), str(tmp_path)) is None
    with pytest.raises(DataError):
        build_perceptual_network(configured(perceptual=0.1), str(tmp_path))
