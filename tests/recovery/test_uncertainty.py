import numpy as np
import pictures
import pytest
from helpers import ROOT
from skimage.data import astronaut

from ifrp_tf.core.errors import ImageError
from ifrp_tf.nn import metrics
from ifrp_tf.pictures import images
from ifrp_tf.recovery import uncertainty
from ifrp_tf.recovery.recoverer import Recoverer
from ifrp_tf.recovery.uncertainty import (
    CHANGES,
    FULL_SCALE,
    Uncertainty,
    align,
    changed,
    estimate,
    spread_of,
    value_of,
)

PORTRAIT = pictures.scene(64, 64)


def test_a_network_that_is_sure_has_no_spread():
    face = pictures.scene(64, 64)[::-1]
    symmetric = np.maximum(face, face[:, ::-1])

    def sure(portraits):
        return np.repeat(symmetric[None], len(portraits), axis=0)

    found = estimate(sure, PORTRAIT)
    np.testing.assert_array_equal(found.recovered, symmetric)
    assert (found.spread.shape, found.spread.dtype) == ((64, 64), np.float32)
    assert found.spread.max() == 0.0
    assert found.value == pytest.approx(0.0, abs=1e-6)


def test_the_plain_answer_and_the_spread_of_all_sixteen():
    batches = []

    def network(portraits):
        batches.append(portraits)
        return 255 - portraits

    found = estimate(network, PORTRAIT)
    ((batch,), again) = batches, changed(PORTRAIT)
    np.testing.assert_array_equal(batch, again)  # nothing is drawn at random
    assert batch.shape == (16, 64, 64, 3)
    assert batch.dtype == np.uint8
    np.testing.assert_array_equal(found.recovered, 255 - PORTRAIT)
    deviation = align(batch).astype(np.float64).std(axis=0).mean(axis=-1)
    np.testing.assert_allclose(found.spread, deviation, atol=1e-3)
    assert found.value > 0


def test_the_answers_that_are_shown_differ_most():
    levels = np.array([100, 101, 90, 160, 99, *[100] * 11], np.uint8)
    answers = np.broadcast_to(levels[:, None, None, None], (16, 8, 8, 3))
    found = Uncertainty(answers[0], np.zeros((8, 8), np.float32), 0.0, answers)
    assert found.several(4)[:, 0, 0, 0].tolist() == [100, 160, 90, 101]
    assert sorted(found.several(16)[:, 0, 0, 0]) == sorted(levels)  # equal ones, too, are shown once each


def test_the_number_is_the_structural_difference_of_the_answers():
    random = np.random.default_rng(3)
    noise = random.integers(-40, 40, (5, *PORTRAIT.shape))
    answers = np.clip(PORTRAIT + noise, 0, 255).astype(np.uint8)
    same = metrics.ssim(answers[:1].repeat(4, axis=0), answers[1:])
    assert value_of(answers) == pytest.approx(1 - float(np.mean(same)), abs=1e-4)
    assert value_of(answers[:1].repeat(3, axis=0)) == pytest.approx(0.0, abs=1e-6)


def test_every_change_is_a_small_one_and_none_is_another():
    texture = np.random.default_rng(0).integers(0, 60, PORTRAIT.shape).astype(np.uint8)  # is to be blurred
    batch = align(changed(PORTRAIT // 2 + texture)).astype(int)
    away = np.abs(batch[1:] - batch[0]).mean(axis=(1, 2, 3))
    families = [family for family, _ in CHANGES]
    assert set(families) == {"shift", "pose", "mirror", "style"}
    mirrored = [k for k, family in enumerate(families) if family == "mirror"]
    assert (away[mirrored[:1]] == 0).all()  # mirrored back
    assert (np.delete(away, mirrored[0]) > 0.5).all()
    assert away.max() < 60
    assert len(np.unique(away)) == len(away)


@pytest.mark.parametrize(
    ("move", "expected"),
    [({"right": 4 / 64}, (32, 36)), ({"down": 4 / 64}, (36, 32)), ({"angle": 90.0}, None)],
)
def test_the_content_moves_where_it_is_told_to(move, expected):
    dot = np.zeros((64, 64, 3), np.uint8)
    dot[31:33, 31:33] = 255
    if expected is None:  # a dot at the top goes to the right when the picture is turned clockwise
        dot = np.roll(dot, -20, axis=0)
        expected = (32, 52)
    moved = uncertainty._move(dot, **move)[..., 0].astype(float)
    middle = (np.indices((64, 64)) * moved).sum(axis=(1, 2)) / moved.sum() + 0.5
    np.testing.assert_allclose(middle, expected, atol=0.3)


def test_the_answers_to_mirrored_portraits_are_mirrored_back():
    """One that puts a light where the portrait has it agrees with itself; one that puts it left not."""
    portrait = np.zeros((64, 64, 3), np.uint8)
    portrait[:, :32] = 200
    mirror = [k for k, (family, _) in enumerate(CHANGES, 1) if family == "mirror"][0]
    answers = align(changed(portrait))
    np.testing.assert_array_equal(answers[mirror], portrait)
    stubborn = align(np.repeat(portrait[None], len(CHANGES) + 1, axis=0))
    assert spread_of(stubborn).min() > 0


def test_pictures_share_one_scale_and_are_lighter_where_the_spread_is_larger():
    face = np.full((8, 8, 3), 128, np.uint8)
    spread = np.linspace(0, FULL_SCALE, 64, dtype=np.float32).reshape(8, 8)
    picture = Uncertainty(face, spread, 1.0, face[None]).picture
    assert (picture.shape, picture.dtype) == ((8, 8, 3), np.uint8)
    lightness = (picture @ np.array([0.2126, 0.7152, 0.0722])).ravel()
    assert (np.diff(lightness) > 0).all()
    low = Uncertainty(face, spread / 2, 1.0, face[None]).picture
    assert low[-1, -1].sum() < picture[-1, -1].sum()  # not stretched to the face's own largest
    over = Uncertainty(face, spread * 3, 1.0, face[None]).picture
    np.testing.assert_array_equal(over[-1, -1], picture[-1, -1])


@pytest.mark.parametrize("portrait", [PORTRAIT[:50], PORTRAIT[..., 0], PORTRAIT / 255.0])
def test_what_is_no_square_portrait_is_refused(portrait):
    with pytest.raises(ImageError) as caught:
        estimate(lambda batch: batch, portrait)
    assert caught.value.reason == "bad_array"


@pytest.fixture(scope="module")
def recoverer():
    return Recoverer.load(ROOT / "saved_models" / "ifrp")


def test_the_released_model_aligns_what_is_shifted(recoverer):
    """Its answers to shifted portraits agree better than the shifted portraits themselves do."""
    face = images.resize(astronaut()[20:220, 124:324], 128)
    found = recoverer.uncertainty(face)
    np.testing.assert_array_equal(found.recovered, recoverer(face[None].repeat(16, axis=0))[0])
    moved = estimate(lambda batch: batch, face)
    assert 0 < found.value < 0.7 * moved.value
