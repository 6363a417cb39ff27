import keras
import numpy as np
import pytest

from ifrp_tf.core.config import Config
from ifrp_tf.data import toy_faces
from ifrp_tf.systems.base import System
from ifrp_tf.training import validation

SYSTEM = System(Config())


@pytest.fixture(scope="module")
def faces():
    return toy_faces.draw(60, side=64, seed=2).pixels


def identity():
    inputs = keras.Input((64, 64, 3))
    return keras.Model(inputs, keras.layers.Activation("linear")(inputs))


def test_recover_keeps_order_and_count_across_batches(faces):
    np.testing.assert_array_equal(validation.recover(SYSTEM, identity(), faces), faces)
    assert len(validation.recover(SYSTEM, identity(), faces[:1])) == 1


def test_score_of_equal_and_of_known_difference(faces):
    assert validation.score(faces, faces) == {"psnr": 100.0, "ssim": pytest.approx(1.0)}
    off = np.where(faces < 128, faces + 10, faces - 10).astype(np.uint8)
    assert validation.score(off, faces)["psnr"] == pytest.approx(10 * np.log10(255**2 / 100), abs=1e-3)


def test_trivial_answers_are_scored_beside(faces):
    mean = np.round(faces.mean(axis=0)).astype(np.uint8)
    scores = validation.FixedPairs(255 - faces, faces, mean).trivial_scores()
    assert set(scores) == {"input", "mean_face"}
    assert scores["mean_face"]["psnr"] > scores["input"]["psnr"]
