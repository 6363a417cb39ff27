import numpy as np
import pytest

from ifrp_tf.data import misalign, toy_faces
from ifrp_tf.pictures import images
from ifrp_tf.styles.augmentations import CHANGES, PARAMS, augment, backdrop, displaced

SIDE, COUNT = 64, 12


@pytest.fixture(scope="module")
def faces():
    return (toy_faces.draw(COUNT, side=SIDE, seed=3).pixels / 255).astype("float32")


def noise(seed, side=SIDE):
    random = np.random.default_rng(seed)
    return random.random((COUNT, PARAMS), dtype="float32"), random.random(
        (COUNT, side, side, 3), dtype="float32"
    )


@pytest.mark.parametrize("name", CHANGES)
def test_every_change_changes_and_is_a_function_of_picture_and_noise(faces, name):
    change = CHANGES[name][1]
    first, again, other = (np.asarray(change(faces, *noise(seed))) for seed in (0, 0, 1))
    assert first.shape == faces.shape
    assert first.dtype == np.float32
    assert np.isfinite(first).all()
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).mean() > 1e-3
    changed = np.abs(np.clip(first, 0, 1) - faces).mean(axis=(1, 2, 3))
    assert np.mean(changed > 0.002) > 0.7
    # A picture's change does not depend on its neighbours.
    params, field = noise(0)
    alone = np.asarray(change(faces[4:5], params[4:5], field[4:5]))
    np.testing.assert_allclose(alone, first[4:5], atol=2e-5)


def test_exposure_keeps_the_order_of_tones_and_tone_curves_do_not(faces):
    ramp = np.repeat(np.linspace(0, 1, SIDE, dtype="float32")[None, :, None], SIDE, axis=0)
    ramp = np.repeat(np.repeat(ramp, 3, axis=-1)[None], COUNT, axis=0)
    exposed, toned = (np.asarray(CHANGES[name][1](ramp, *noise(5))) for name in ("exposed", "tones"))
    assert (np.diff(exposed[:, 5], axis=1) > -1e-4).all()
    falls = [(np.diff(part[5], axis=0) < -1e-3).any() for part in toned]
    assert 0.5 < np.mean(falls) <= 1.0


def test_an_elastic_portrait_moves_by_a_few_pixels_and_none_on_average():
    y, x = (part.astype("float32") for part in np.mgrid[:128, :128])
    places = np.repeat(np.stack([y, x, x], axis=-1)[None] / 127, COUNT, axis=0)
    moved = (np.asarray(CHANGES["elastic"][1](places, *noise(2, 128))) - places)[..., :2] * 127
    inner = moved[:, 16:112, 16:112]
    size = np.linalg.norm(inner, axis=-1)
    assert 0.7 < np.median(size) < 4
    assert size.max() < 8
    assert np.abs(moved.mean(axis=(1, 2))).max() < 0.5
    slope = np.abs(np.diff(inner, axis=1)).max()
    assert slope < 1  # smooth: nothing folds over


def test_displaced_samples_beside_the_pixel(faces):
    zero = np.zeros((COUNT, SIDE, SIDE), "float32")
    np.testing.assert_allclose(displaced(faces, zero, zero), faces, atol=1e-3)
    half = SIDE / 128  # two pixels of a side of 128 are one here
    moved = np.asarray(displaced(faces, zero + 2 / (2 * half), zero))
    np.testing.assert_allclose(moved[:, :-1], faces[:, 1:], atol=2e-3)
    between = np.asarray(displaced(faces, zero, zero + 0.5 / half))
    np.testing.assert_allclose(between[:, :, :-1], (faces[:, :, :-1] + faces[:, :, 1:]) / 2, atol=2e-3)


def test_lines_are_few_colours_and_contours_leave_most_of_the_picture(faces):
    params, field = noise(7)
    params[:, 14] = 0.99  # no tint
    drawn = np.asarray(CHANGES["lines"][1](faces, params, field))
    for part in drawn:
        _, counts = np.unique((part.reshape(-1, 3) * 20).round(), axis=0, return_counts=True)
        assert np.sort(counts)[-6:].sum() > 0.75 * SIDE * SIDE
    over = np.asarray(CHANGES["contours"][1](faces, *noise(7)))
    assert 0.3 < np.mean(np.abs(over - faces).max(-1) < 1e-3) < 1


def test_augment_takes_the_changes_whose_gates_open(faces):
    portraits = faces * 2 - 1
    asked = []

    def draw(k):
        asked.append(k)
        return noise(k)

    shut = np.asarray(augment(portraits, np.full(len(CHANGES), 0.999, "float32"), draw))
    np.testing.assert_allclose(shut, portraits, atol=1e-6)
    gates = np.full(len(CHANGES), 0.999, "float32")
    gates[7] = 0.0
    one = np.asarray(augment(portraits, gates, lambda k: noise(k)))
    expected = np.clip(np.asarray(list(CHANGES.values())[7][1](faces, *noise(7))), 0, 1) * 2 - 1
    np.testing.assert_allclose(one, expected, atol=1e-5)
    everything = np.asarray(augment(portraits, np.zeros(len(CHANGES), "float32"), draw))
    assert everything.min() >= -1
    assert everything.max() <= 1
    none = np.asarray(augment(portraits, np.zeros(len(CHANGES), "float32"), draw, 0.0))
    np.testing.assert_allclose(none, portraits, atol=1e-6)


def test_the_background_goes_and_the_face_stays_wherever_it_lies(faces):
    params = np.array([[0.4, -0.2, 0.0, 0.0]] * 3 + [[-0.5, 0.15, 0.1, -0.1]] * 9, "float32")
    params[:, 1] += 1.0
    tilted = misalign.misalign(images.to_model_range((faces * 255).astype(np.uint8)), params)
    undoing = misalign.undoing_parameters(params)
    chance, field = noise(4)
    chance[:, 4] = np.where(np.arange(COUNT) % 2, 0.1, 0.4)  # white, black
    chance[:, 5] = 0.0
    behind = np.asarray(backdrop(tilted, undoing, chance, field))
    grid = _grid(np.asarray(undoing))
    inside = (grid**2).sum(-1) < 0.5**2
    corner = (np.abs(grid[..., 1]) > 1.12) | (np.abs(grid) > 0.92).all(-1)
    np.testing.assert_allclose(behind[inside], np.asarray(tilted)[inside], atol=1e-6)
    for k in range(COUNT):
        np.testing.assert_allclose(behind[k][corner[k]], 1.0 if k % 2 else -1.0, atol=0.02)


def _grid(undoing):
    """Where each pixel lies in the aligned photograph, [N, S, S, 2] in -1 to 1: by the matrix, in NumPy."""
    axis = np.linspace(-1, 1, SIDE)
    points = np.stack(np.meshgrid(axis, axis, indexing="ij"), axis=-1)
    found = []
    for theta, scale, up, along in undoing:
        turn = np.array([[np.cos(theta), -np.sin(theta)], [np.sin(theta), np.cos(theta)]])
        found.append(points @ np.linalg.inv(scale * turn).T - [up, along])
    return np.stack(found)


def test_shares_are_those_that_the_documents_name():
    assert sum(share for share, _ in CHANGES.values()) == pytest.approx(1.71)
    assert all(0 < share < 0.5 for share, _ in CHANGES.values())
