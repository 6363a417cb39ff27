import numpy as np
import pytest

from ifrp_tf.styles import printing
from ifrp_tf.styles.filters import luminance


def noise(count, side=64, seed=0):
    generator = np.random.default_rng(seed)
    return (
        generator.random((count, 16)).astype("float32"),
        generator.random((count, side, side, 3)).astype("float32"),
    )


def test_posterise_leaves_few_tones_and_keeps_their_order():
    tones = np.linspace(0, 1, 1001, dtype="float32")[None, None]
    stepped = np.asarray(printing.posterise(tones, np.float32([[[4.0]]])))[0, 0]
    assert (np.diff(stepped) >= -1e-6).all()
    near = np.abs(stepped[:, None] - np.linspace(0, 1, 5)).min(axis=1) < 0.02
    assert near.mean() > 0.7  # the rest are the soft risers
    np.testing.assert_allclose(stepped[[0, -1]], [0, 1], atol=0.02)


def test_outline_lies_on_edges_and_nowhere_else():
    light = np.ones((1, 64, 64), "float32")
    light[:, :, 32:] = 0.2
    sigma = np.full((1, 1, 1), 1.0, "float32")
    lines = np.asarray(printing.outline(light, sigma, np.float32(0.5), 0.2))[0]
    assert lines[20:44, 30:34].max() > 0.9
    assert lines[20:44, 8:20].max() < 0.1


@pytest.mark.parametrize("style", [printing.halftone, printing.comic, printing.tonal, printing.woodblock])
def test_what_is_dark_in_the_photo_differs_from_what_is_light(style):
    photos = np.full((12, 64, 64, 3), -0.7, "float32")
    photos[:, :, 32:] = 0.7
    params, field = noise(12)
    light = np.asarray(luminance(np.asarray(style(photos, params, field))))
    gaps = np.abs(light[:, :, 40:].mean(axis=(1, 2)) - light[:, :, :24].mean(axis=(1, 2)))
    assert np.median(gaps) > 0.15


def test_contours_draw_lines_where_tones_pass_but_none_on_flat_ground():
    params, field = noise(4)
    flat = np.zeros((4, 64, 64, 3), "float32")
    ramp = np.broadcast_to(np.linspace(-1, 1, 64, dtype="float32")[:, None], (4, 64, 64, 3))
    busy, calm = (
        np.abs(np.diff(np.asarray(printing.contours(p, params, field)), axis=2)).mean() for p in (ramp, flat)
    )
    assert busy > 1.5 * calm
