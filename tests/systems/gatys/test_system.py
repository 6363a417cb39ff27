import numpy as np
import pytest
from keras import ops

from ifrp_tf.core.errors import ConfigError, TrainingError
from ifrp_tf.core.presets import preset
from ifrp_tf.systems import base
from ifrp_tf.systems.gatys.system import CONTENT_LAYER, STYLE_LAYERS
from ifrp_tf.training import loop, solve


def pictures(count, seed=0, side=32):
    return np.random.default_rng(seed).uniform(-1, 1, (count, side, side, 3)).astype("float32")


def fitted(*changes, weights=""):
    system = base.create(preset("gatys").override(changes))
    system.load_frozen(weights)
    system.fit(pictures(5, seed=3))
    return system


def gram(maps):
    x = np.asarray(maps).reshape(maps.shape[0], -1, maps.shape[-1])
    return np.einsum("nia,nib->nab", x, x) / x.shape[1]


def test_the_loss_is_the_papers():
    system = fitted()
    portraits, answers = pictures(2), pictures(2, seed=1)
    seen, content, photos = (system.vgg(x) for x in (answers, portraits, pictures(5, seed=3)))
    expected = np.square(np.asarray(seen[CONTENT_LAYER]) - content[CONTENT_LAYER]).mean(axis=(1, 2, 3)).sum()
    for layer in STYLE_LAYERS:
        target = gram(photos[layer]).mean(axis=0)
        weight = 1e3 / seen[layer].shape[-1] ** 2
        expected += weight * np.square(gram(seen[layer]) - target).mean(axis=(1, 2)).sum()
    assert float(system.objective(answers, system.targets(portraits))) == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("style", ["random", "oracle"])
def test_other_styles(style):
    system, truth = fitted(f"model.style={style}"), pictures(1, seed=7)
    expected = gram(system.vgg(truth if style == "oracle" else pictures(5, seed=3)[:1])[STYLE_LAYERS[1]])
    found = system.targets(pictures(1), truth)[STYLE_LAYERS[1]]
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-2)


def test_the_loss_falls_ten_times_in_fifty_iterations(data_dir):
    system = fitted("model.iterations=50", weights=str(data_dir / "weights"))
    targets = system.targets(pictures(1))
    slope = solve.value_and_slope(system.objective)
    start = np.zeros((1, 32, 32, 3), "float32")
    answer, values = solve.minimise(slope, start, targets, iterations=50)
    assert values[-1] < 0.1 * values[0]
    assert all(b <= a for a, b in zip(values, values[1:], strict=False))
    assert np.abs(answer).max() <= 1.0
    assert float(slope(answer, targets)[0]) == pytest.approx(values[-1], rel=1e-3)


def test_the_slope_is_that_of_finite_differences():
    slope = solve.value_and_slope(lambda x, t: ops.sum(ops.square(x - t) * x))
    x, t = pictures(1, side=4), pictures(1, seed=1, side=4)
    _, gradient = slope(x, t)
    direction = pictures(1, seed=2, side=4)
    ahead, behind = (float(slope(x + s * 1e-2 * direction, t)[0]) for s in (1, -1))
    assert (ahead - behind) / 2e-2 == pytest.approx(float((np.asarray(gradient) * direction).sum()), rel=1e-2)


def test_answers_are_found_one_by_one_and_told():
    system, done = fitted("model.iterations=2"), []
    portraits = pictures(2)
    answers = solve.recover(system, portraits, seen=done.append)
    assert done == [1, 2]
    assert answers.shape == portraits.shape
    alone = solve.recover(system, portraits[1:])
    np.testing.assert_allclose(alone, answers[1:], atol=1e-4)


def test_an_objective_that_is_not_finite_is_an_error():
    slope = solve.value_and_slope(lambda x, t: ops.sum(ops.log(x - 2.0)))
    with pytest.raises(TrainingError, match="finite"):
        solve.minimise(slope, np.zeros((1, 2, 2, 3), "float32"), np.zeros(1, "float32"), iterations=3)


def test_it_cannot_be_trained():
    with pytest.raises(ConfigError, match="gatys, which finds each answer"):
        loop.make_trainer(preset("gatys"), "")
