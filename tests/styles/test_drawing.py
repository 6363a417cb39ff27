import numpy as np
import pytest

from ifrp_tf.styles import drawing


def noise(count, side=64, seed=0):
    generator = np.random.default_rng(seed)
    return (
        generator.random((count, 16)).astype("float32"),
        generator.random((count, side, side, 3)).astype("float32"),
    )


def test_a_sketch_draws_the_edge():
    """The portrait is busier at the edge between two flat halves than within them."""
    photos = np.full((12, 64, 64, 3), -0.2, "float32")
    photos[:, :, 32:] = 0.8
    params, field = noise(12)
    change = np.abs(np.diff(np.asarray(drawing.sketch(photos, params, field)), axis=2)).mean(axis=(1, 3))
    assert np.median(change[:, 28:36].max(axis=1) / (change[:, 44:60].mean(axis=1) + 1e-3)) > 2.0


@pytest.mark.parametrize("style", [drawing.sketch, drawing.pencil, drawing.charcoal, drawing.engraving])
def test_monochrome_media_have_one_ink_on_one_ground(style):
    """All colours of a drawing lie near one line in colour space: from paper to ink."""
    photos = np.random.default_rng(1).uniform(-1, 1, (6, 8, 8, 3)).repeat(8, 1).repeat(8, 2).astype("float32")
    params, field = noise(6)
    for portrait in np.asarray(style(photos, params, field)):
        centred = portrait.reshape(-1, 3) - portrait.reshape(-1, 3).mean(axis=0)
        spread = np.linalg.svd(centred, compute_uv=False) ** 2
        assert spread[0] / spread.sum() > 0.9


@pytest.mark.parametrize("style", [drawing.pencil, drawing.charcoal, drawing.engraving, drawing.crayon])
def test_tones_of_the_photo_show(style):
    photos = np.full((12, 64, 64, 3), -0.8, "float32")
    photos[:, :, 32:] = 0.8
    params, field = noise(12)
    portraits = np.asarray(style(photos, params, field))
    left, right = portraits[:, :, :24].mean(axis=(1, 2)), portraits[:, :, 40:].mean(axis=(1, 2))
    assert np.median(np.abs(left - right).max(axis=1)) > 0.2


def test_wobble_moves_lines_by_no_more_than_its_reach():
    picture = np.zeros((2, 64, 64, 3), "float32")
    picture[:, :, 32] = 1.0
    _, field = noise(2)
    moved = np.asarray(drawing.wobble(picture, field, np.full((2, 1, 1), 2.0, "float32")))
    columns = np.nonzero(moved.sum(axis=(0, 1, 3)))[0]
    assert columns.min() >= 32 - 8
    assert columns.max() <= 32 + 8
    assert not np.array_equal(moved, picture)
