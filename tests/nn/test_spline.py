"""The spline warp: what it meets, what it keeps, and its slopes."""

import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from ifrp_tf.data import landmarks as marks
from ifrp_tf.nn import spline

MEAN = marks.mean_shape()


def faces(count, spread=0.006, seed=0):
    return (MEAN + np.random.default_rng(seed).normal(0, spread, (count, *MEAN.shape))).astype("float32")


def smooth(count, side=64):
    x = (np.arange(side) + 0.5) / side
    return np.stack(
        [
            np.stack([np.sin(3 * x[None] + k + 2 * x[:, None]), np.cos(4 * x[:, None] - k + x[None])], -1)
            for k in range(count)
        ]
    ).astype("float32")


@pytest.mark.parametrize("order", [1, 2])
def test_values_are_met_and_affine_ones_everywhere(order):
    centres = np.random.default_rng(1).uniform(0, 1, (2, 12, 2)).astype("float32")
    values = np.random.default_rng(2).normal(size=(2, 12, 3)).astype("float32")
    found = spline.evaluate(centres, centres, spline.fit(centres, values, order=order), order=order)
    np.testing.assert_allclose(found, values, atol=2e-3)
    points = np.random.default_rng(3).uniform(0, 1, (2, 30, 2)).astype("float32")
    matrix = np.float32([[0.3, -0.2, 1.0], [0.1, 0.4, -2.0]])
    affine = lambda p: p @ matrix + np.float32([0.5, -1.0, 0.25])  # noqa: E731
    found = spline.evaluate(points, centres, spline.fit(centres, affine(centres), order=order), order=order)
    np.testing.assert_allclose(found, affine(points), atol=2e-3)


def test_the_constant_operator_is_the_same_spline():
    centres, points = np.random.default_rng(1).uniform(0, 1, (10, 2)), spline.grid(6)
    values = np.random.default_rng(2).normal(size=(10, 2)).astype("float32")
    expected = spline.evaluate(points[None], centres[None], spline.fit(centres[None], values[None]))
    np.testing.assert_allclose(spline.operator(centres, points) @ values, expected[0], atol=5e-3)


def test_faces_of_the_mean_shape_stay_as_they_are():
    warp, pictures = spline.Warp(MEAN, 64), smooth(2)
    same = np.stack([MEAN, MEAN])
    np.testing.assert_allclose(warp.normalise(pictures, same), pictures, atol=1e-4)
    np.testing.assert_allclose(warp.render(pictures, same), pictures, atol=1e-4)


def at(picture, points):
    from ifrp_tf.nn.layers import bilinear_sample

    positions = (points[..., ::-1] * picture.shape[1] - 0.5).astype("float32")
    return np.asarray(bilinear_sample(picture, positions[:, None], "edge"))[:, 0]


def test_landmarks_are_moved_to_the_mean_shape_and_back():
    warp, pictures, own = spline.Warp(MEAN, 64), smooth(3), faces(3)
    mean = np.stack([MEAN] * 3)
    textures = np.asarray(warp.normalise(pictures, own))
    np.testing.assert_allclose(at(textures, mean), at(pictures, own), atol=0.04)
    again = np.asarray(warp.render(textures, own))
    np.testing.assert_allclose(at(again, own), at(textures, mean), atol=0.05)
    inner = np.s_[:, 8:-8, 8:-8]
    assert np.abs(again - pictures)[inner].mean() < 0.01


def test_slopes_are_those_of_finite_differences():
    warp, textures, own = spline.Warp(MEAN, 32), smooth(1, 32), faces(1)
    weight = smooth(2, 32)[1:, ::-1]  # smooth too: a bilinear sampler has kinks

    def value(t, p):
        return ops.sum(weight * warp.render(t, p))

    arguments = [tf.constant(textures), tf.constant(own)]
    with tf.GradientTape() as tape:
        tape.watch(arguments)
        total = value(*arguments)
    slopes = tape.gradient(total, arguments)
    for k, step in ((0, 1e-2), (1, 1e-3)):
        direction = np.random.default_rng(6).normal(size=arguments[k].shape).astype("float32")
        moved = [
            float(value(*[a + (s * step * direction if j == k else 0.0) for j, a in enumerate(arguments)]))
            for s in (1, -1)
        ]
        numeric = (moved[0] - moved[1]) / (2 * step)
        assert numeric == pytest.approx(float(np.sum(np.asarray(slopes[k]) * direction)), rel=0.08, abs=0.05)


def test_real_faces_do_not_fold(data_dir):
    points = marks.load("test", data_dir / "labels").points
    own = np.stack([points[name] for name in sorted(points)[:40]])
    border = np.broadcast_to(spline.BORDER, (40, 8, 2))
    centres = np.concatenate([own, border], axis=1)
    values = np.concatenate([own - MEAN, np.zeros_like(border)], axis=1)
    flow = np.asarray(
        spline.evaluate(spline.grid(32)[None], centres, spline.fit(centres, values, smoothing=1e-4))
    )
    places = (spline.grid(32) - flow).reshape(40, 32, 32, 2)
    right, down = np.diff(places, axis=2)[:, :-1], np.diff(places, axis=1)[:, :, :-1]
    area = right[..., 0] * down[..., 1] - right[..., 1] * down[..., 0]
    assert (area > 0).mean() > 0.998
