import math

import keras
import numpy as np
import pytest

from ifrp_tf.core.config import TrainConfig
from ifrp_tf.nn.optimizers import CosineSchedule, PaperSchedule, TorchRMSprop, build_optimizer, decayed_weight

EPOCH = 468  # steps of an epoch of 29,952 pictures in batches of 64


# λ and η.


def weight(epoch, step=0, base=0.01, decay=0.995):
    return float(decayed_weight(base, decay, epoch * EPOCH + step, EPOCH))


def test_lambda_falls_to_its_half_at_epoch_139_and_stays():
    assert weight(0) == pytest.approx(0.01)
    assert weight(1) == pytest.approx(0.00995)
    assert weight(138) == pytest.approx(0.01 * 0.995**138, rel=1e-5)
    assert weight(138) > 0.005
    assert weight(139) == pytest.approx(0.005, rel=1e-6)  # 0.01 * 0.995 ** 139 = 0.00498
    assert weight(10_000) == pytest.approx(0.005, rel=1e-6)


def test_weights_change_only_where_an_epoch_begins():
    assert weight(3, 0) == weight(3, EPOCH - 1)
    assert weight(3, EPOCH) < weight(3, EPOCH - 1)


def test_a_weight_without_decay_is_constant():
    assert {weight(epoch, base=0.1, decay=1.0) for epoch in (0, 7, 5000)} == {weight(0, base=0.1, decay=1.0)}
    assert weight(5, base=0.0) == 0.0


# Learning rates.


def test_paper_schedule_warms_up_in_two_stairs():
    schedule = PaperSchedule(1e-3, 0.99, EPOCH)
    rates = {step: float(schedule(step)) for step in (0, 49, 50, 99, 100, EPOCH - 1)}
    assert rates == pytest.approx({0: 2e-5, 49: 2e-5, 50: 2e-4, 99: 2e-4, 100: 1e-3, EPOCH - 1: 1e-3})


def test_paper_schedule_decays_by_epochs_to_its_floor():
    schedule = PaperSchedule(1e-3, 0.99, EPOCH)
    assert float(schedule(EPOCH)) == pytest.approx(0.99e-3)
    assert float(schedule(10 * EPOCH + 5)) == pytest.approx(1e-3 * 0.99**10, rel=1e-5)
    assert float(schedule(687 * EPOCH)) == pytest.approx(1.003e-6, rel=1e-3)
    assert float(schedule(688 * EPOCH)) == pytest.approx(1e-6, rel=1e-6)
    assert float(schedule(5000 * EPOCH)) == pytest.approx(1e-6, rel=1e-6)


def test_cosine_schedule_warms_up_and_ends_at_a_hundredth():
    schedule = CosineSchedule(2e-3, 10_000)
    assert float(schedule(0)) == pytest.approx(2e-5)
    assert float(schedule(49)) == pytest.approx(1e-3, rel=1e-3)
    assert float(schedule(99)) == pytest.approx(2e-3, rel=1e-3)
    assert float(schedule(5_000)) == pytest.approx(2e-3 * (0.01 + 0.99 / 2), rel=1e-5)
    quarter = 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi / 4))
    assert float(schedule(2_500)) == pytest.approx(2e-3 * quarter, rel=1e-5)
    assert float(schedule(10_000)) == pytest.approx(2e-5, rel=1e-4)
    assert float(schedule(17_000)) == pytest.approx(2e-5, rel=1e-4)
    rates = [float(schedule(step)) for step in range(100, 10_001, 300)]
    assert rates == sorted(rates, reverse=True)


@pytest.mark.parametrize("schedule", [PaperSchedule(1e-3, 0.99, 7), CosineSchedule(1e-4, 900)])
def test_schedules_survive_their_configuration(schedule):
    again = keras.optimizers.schedules.deserialize(keras.optimizers.schedules.serialize(schedule))
    assert type(again) is type(schedule)
    assert [float(again(step)) for step in (0, 60, 500)] == [float(schedule(step)) for step in (0, 60, 500)]


# Optimizers.


def updates(optimizer, gradients, start=0.0):
    """The values of a variable after each gradient."""
    variable = keras.Variable(np.full(np.shape(gradients[0]), start, "float32"))
    optimizer.build([variable])
    values = []
    for gradient in gradients:
        optimizer.apply([keras.ops.convert_to_tensor(np.asarray(gradient, "float32"))], [variable])
        values.append(np.asarray(variable).astype("float64"))
    return values


def test_rmsprop_takes_the_step_of_torch():
    """v = 0.9 v + 0.1 g^2; w -= lr g / (sqrt(v) + 1e-8): epsilon outside the root, whatever the size of g."""
    g = np.array([1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0])
    gradients = [g, -0.5 * g, 3.0 * g]
    received = updates(TorchRMSprop(1e-3, rho=0.9, epsilon=1e-8), gradients)
    w, v = np.zeros_like(g), np.zeros_like(g)
    for gradient, value in zip(gradients, received, strict=True):
        v = 0.9 * v + 0.1 * gradient**2
        w = w - 1e-3 * gradient / (np.sqrt(v) + 1e-8)
        np.testing.assert_allclose(value, w, rtol=1e-3)


def test_kerass_own_epsilon_would_not_do():
    """Why the optimizer is our own: with 1e-8 inside the root a small gradient hardly moves anything."""
    (torch,) = updates(TorchRMSprop(1e-3, rho=0.9, epsilon=1e-8), [[1e-6]])
    (inside,) = updates(keras.optimizers.RMSprop(1e-3, rho=0.9, epsilon=1e-8), [[1e-6]])
    assert torch[0] / inside[0] > 100.0


def test_default_optimizer_is_the_papers():
    optimizer = build_optimizer(TrainConfig(batch_size=64, epoch_pictures=29_952), "srn_optimizer")
    assert isinstance(optimizer, TorchRMSprop)
    assert (optimizer.name, optimizer.rho, optimizer.epsilon, optimizer.momentum) == (
        "srn_optimizer",
        0.9,
        1e-8,
        0.0,
    )
    # The first step is that of the warm-up: lr / 50 times g / sqrt(0.1 g^2).
    (first,) = updates(optimizer, [[0.5]])
    assert first[0] == pytest.approx(-2e-5 / math.sqrt(0.1), rel=1e-4)
    assert float(optimizer.learning_rate) == pytest.approx(2e-5)


def test_each_optimizer_counts_its_own_updates():
    config = TrainConfig()
    srn, dn = build_optimizer(config, "srn_optimizer"), build_optimizer(config, "dn_optimizer")
    updates(srn, [[1.0]] * 51)
    updates(dn, [[1.0]])
    assert (int(srn.iterations), int(dn.iterations)) == (51, 1)
    assert float(srn.learning_rate) == pytest.approx(2e-4)
    assert float(dn.learning_rate) == pytest.approx(2e-5)


def test_adam_with_a_cosine_takes_its_first_step():
    config = TrainConfig(optimizer="adam", schedule="cosine", learning_rate=1e-3, pictures=16_000)
    (first,) = updates(build_optimizer(config, "srn_optimizer"), [[0.3, -2.0]])
    # The bias-corrected first step of Adam is lr * sign(g); the warm-up starts at lr / 100.
    np.testing.assert_allclose(first, [-1e-5, 1e-5], rtol=1e-3)


def test_optimizers_survive_their_configuration():
    for kind in ("rmsprop", "adam"):
        for schedule in ("paper", "cosine"):
            optimizer = build_optimizer(TrainConfig(optimizer=kind, schedule=schedule), "dn_optimizer")
            again = keras.optimizers.deserialize(keras.optimizers.serialize(optimizer))
            assert type(again) is type(optimizer)
            assert again.get_config() == optimizer.get_config()


def test_jax_agrees(two_backends):
    expected, received = two_backends
    names = [name for name in expected if name.startswith("schedules/")]
    assert len(names) == 5
    for name in names:
        np.testing.assert_allclose(received[name], expected[name], rtol=1e-4, atol=1e-9, err_msg=name)
