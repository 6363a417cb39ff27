import numpy as np
import pytest

from ifrp_tf.core.errors import ImageError
from ifrp_tf.data import misalign, toy_faces
from ifrp_tf.evaluation.diagnostics.registration import estimate, of_transforms, summarise
from ifrp_tf.nn.layers import affine_grid, bilinear_sample
from ifrp_tf.pictures import images

SIDE = 96
MOVES = np.array(
    [[0.05, 1.0, 0.0, 0.0], [0.0, 1.05, 0.0, 0.0], [0.0, 1.0, 0.04, -0.03], [-0.08, 0.95, -0.02, 0.05]],
    "float32",
)


@pytest.fixture(scope="module")
def faces():
    return toy_faces.draw(4, side=SIDE, seed=9).pixels


def test_known_movements_are_found(faces):
    moved = images.to_uint8(np.asarray(misalign.misalign(images.to_model_range(faces), MOVES)))
    found = estimate(moved, faces)
    np.testing.assert_allclose(found[:, 0], MOVES[:, 0], atol=0.006)  # a third of a degree
    np.testing.assert_allclose(found[:, 1], MOVES[:, 1], atol=0.006)
    np.testing.assert_allclose(found[:, 2:], MOVES[:, 2:], atol=0.006)  # 0.3 pixels
    np.testing.assert_allclose(estimate(faces, faces), [[0, 1, 0, 0]] * 4, atol=1e-6)


def test_light_and_softness_are_no_movement(faces):
    duller = np.round(faces * 0.6 + 30)
    soft = (duller + np.roll(duller, 1, 1) + np.roll(duller, -1, 1)) / 3
    found = estimate(soft, faces)
    assert np.abs(found - [0, 1, 0, 0]).max() < 0.006


def test_medians_in_degrees_per_cent_and_pixels():
    turned = np.array([[np.radians(3), 1.0, 0, 0], [-np.radians(1), 1.0, 0, 0], [np.radians(2), 1, 0, 0]])
    found = summarise(turned, 128)
    assert found["degrees"]["median"] == pytest.approx(2)
    assert found["degrees"]["p90"] == pytest.approx(2.8)
    # A corner lies 63.5 * sqrt(2) pixels from the middle.
    assert found["corners"]["median"] == pytest.approx(
        2 * np.sin(np.radians(1)) * 63.5 * np.sqrt(2), rel=1e-3
    )
    other = summarise(np.array([[0, 0.98, 3 / 64, 4 / 64]]), 128)
    assert other["percent"]["median"] == pytest.approx(2)
    assert other["pixels"]["median"] == pytest.approx(5)


def test_pictures_of_one_shape():
    with pytest.raises(ImageError):
        estimate(np.zeros((1, 32, 32, 3)), np.zeros((1, 16, 16, 3)))
    assert estimate(np.zeros((0, 32, 32, 3)), np.zeros((0, 32, 32, 3))).shape == (0, 4)


def test_an_answer_of_a_wrong_transform_lies_where_it_is_told(faces):
    """By pictures and by transforms alike: sampled by transforms that are wrong by something known."""
    known = np.asarray(misalign.undoing_parameters(MOVES))
    own = known + np.array([0.03, -0.02, 0.02, -0.01], "float32")
    moved = np.asarray(misalign.misalign(images.to_model_range(faces), MOVES))
    answers = images.to_uint8(np.asarray(bilinear_sample(moved, affine_grid(own, SIDE, SIDE), "edge")))
    told = of_transforms(own, known)
    np.testing.assert_allclose(estimate(answers, faces), told, atol=0.008)
    assert np.abs(told - [0, 1, 0, 0]).max() > 0.02
    np.testing.assert_allclose(of_transforms(known, known), [[0, 1, 0, 0]] * 4, atol=1e-6)
