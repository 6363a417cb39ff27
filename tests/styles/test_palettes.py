import numpy as np
import pytest

from ifrp_tf.styles import palettes


def test_signed_undoes_unit_and_clips():
    picture = np.linspace(-1, 1, 12, dtype="float32").reshape(1, 2, 2, 3)
    np.testing.assert_allclose(palettes.signed(palettes.unit(picture)), picture, atol=1e-6)
    np.testing.assert_allclose(palettes.signed(np.float32([-1.0, 2.0])), [-1, 1])


@pytest.mark.parametrize(
    ("turn", "colour"),
    [(0.0, (1, 0, 0)), (1 / 3, (0, 1, 0)), (2 / 3, (0, 0, 1)), (1 / 6, (1, 1, 0)), (5.0, (1, 0, 0))],
)
def test_paint_gives_the_pure_hues(turn, colour):
    one = np.float32([1.0])
    np.testing.assert_allclose(palettes.paint(np.float32([turn]), one, one)[0], colour, atol=1e-4)


def test_paint_without_saturation_is_grey():
    grey = palettes.paint(np.float32([0.3]), np.float32([0.0]), np.float32([0.7]))
    np.testing.assert_allclose(grey[0], [0.7] * 3, atol=1e-6)


def test_bend_keeps_the_ends_and_the_order():
    tones = np.linspace(0, 1, 9, dtype="float32")
    for strength in (0.4, 1.0, 2.5):
        bent = np.asarray(palettes.bend(tones, np.float32(strength)))
        np.testing.assert_allclose(bent[[0, -1]], [0, 1], atol=1e-6)
        assert (np.diff(bent) > 0).all()
        assert np.sign(bent[4] - 0.5) == np.sign(strength - 1.0)


def test_gradient_map_hits_its_stops_and_mixes_between():
    stops = np.float32([[[0, 0, 0], [1, 0, 0], [1, 1, 1]]])
    tone = np.float32([[[0.0, 0.25, 0.5, 1.0]]])
    expected = [[0, 0, 0], [0.5, 0, 0], [1, 0, 0], [1, 1, 1]]
    np.testing.assert_allclose(palettes.gradient_map(tone, stops)[0, 0], expected, atol=1e-6)


def test_lay_covers_by_its_cover():
    ground, colour = np.zeros((1, 1, 2, 3), "float32"), np.ones((1, 1, 1, 3), "float32")
    laid = np.asarray(palettes.lay(ground, colour, np.float32([[[0.0, 0.25]]])))
    np.testing.assert_allclose(laid[0, 0, :, 0], [0.0, 0.25], atol=1e-6)
