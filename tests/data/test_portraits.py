import dataclasses

import drawn_bank
import numpy as np
import pytest
import tensorflow as tf

from ifrp_tf.core.config import DataConfig
from ifrp_tf.data import misalign, portraits, toy_faces
from ifrp_tf.nn.layers import affine_grid, bilinear_sample
from ifrp_tf.pictures import images
from ifrp_tf.styles import formulas, procedural

CONFIG = DataConfig(side=64)


def noise_of(seed, count=8):
    def noise(stream, *shape):
        return tf.random.stateless_uniform((count, *shape), [seed, stream])

    return noise


@pytest.fixture(scope="module")
def pixels():
    return tf.convert_to_tensor(toy_faces.draw(8, side=64, seed=1).pixels)


def make(pixels, seed=0, config=CONFIG, **options):
    return [
        np.asarray(part)
        for part in portraits.make_group(pixels, noise_of(seed), config, formulas.TRAIN, **options)
    ]


def test_form_range_and_purity(pixels):
    first, again, other = make(pixels), make(pixels), make(pixels, seed=1)
    portrait, photo, transform = first
    assert portrait.shape == photo.shape == (8, 64, 64, 3)
    assert transform.shape == (8, 4)
    assert portrait.min() >= -1
    assert portrait.max() <= 1
    for a, b in zip(first, again, strict=True):
        np.testing.assert_array_equal(a, b)
    assert not np.array_equal(first[0], other[0])


def test_photo_is_the_photograph_or_its_mirror_image(pixels):
    photo = make(pixels)[1]
    straight = portraits.images.to_model_range(np.asarray(pixels))
    mirrored = [not np.allclose(p, s) for p, s in zip(photo, straight, strict=True)]
    assert any(mirrored)
    assert not all(mirrored)
    for p, s, turned in zip(photo, straight, mirrored, strict=True):
        np.testing.assert_allclose(p, s[:, ::-1] if turned else s)
    np.testing.assert_allclose(make(pixels, flip=False)[1], straight)


def test_transform_undoes_the_misalignment(pixels, monkeypatch):
    """With the style left out, sampling the portrait with the third part gives the photograph back."""
    monkeypatch.setattr(procedural, "stylise", lambda style, photos, params, field, names: photos)
    config = dataclasses.replace(CONFIG, degrade=0.0, strength=1.0, max_angle=20.0)
    small = tf.image.resize(tf.cast(pixels, tf.float32), (8, 8))
    smooth = tf.cast(tf.clip_by_value(tf.image.resize(small, (64, 64), "bicubic"), 0, 255), tf.uint8)
    portrait, photo, transform = make(smooth, config=config)
    back = np.asarray(bilinear_sample(tf.constant(portrait), affine_grid(transform, 64, 64), "edge"))
    inner = slice(20, 44)
    error, raw = (np.abs(x - photo)[:, inner, inner].mean() for x in (back, portrait))
    assert raw > 0.05
    assert error < 0.25 * raw


def test_strength_and_degradation_are_used(pixels):
    plain = dataclasses.replace(CONFIG, degrade=0.0, strength=1.0)
    base = make(pixels, config=plain, style=0)[0]
    assert not np.array_equal(base, make(pixels, config=dataclasses.replace(plain, strength=0.2), style=0)[0])
    assert not np.array_equal(base, make(pixels, config=dataclasses.replace(plain, degrade=1.0), style=0)[0])
    assert not np.array_equal(base, make(pixels, config=plain, style=1)[0])


@pytest.fixture(scope="module")
def with_bank(tmp_path_factory):
    folder = drawn_bank.write(tmp_path_factory.mktemp("bank"))
    return dataclasses.replace(CONFIG, bank=folder, degrade=0.0, strength=1.0)


def test_learned_styles_and_formulas_share_one_list(pixels, with_bank):
    names = ("bank_candy", formulas.TRAIN[0], "bank_mosaic")

    def styled(style, config=with_bank, names=names):
        return np.asarray(portraits.make_group(pixels, noise_of(0), config, names, style=style)[0])

    np.testing.assert_array_equal(styled(1), make(pixels, config=with_bank, style=0)[0])
    for style, name in ((0, "bank_candy"), (2, "bank_mosaic")):
        np.testing.assert_allclose(styled(style), styled(0, names=(name,)), atol=1e-5)
    assert np.abs(styled(0) - styled(2)).mean() > 0.01
    weak = dataclasses.replace(with_bank, strength=0.0)
    assert not np.array_equal(styled(0), styled(0, config=weak))


def test_sketches_are_moved_with_their_photographs(pixels):
    plain = dataclasses.replace(CONFIG, degrade=0.0)
    portrait, photo, transform = portraits.make_drawn_group(pixels, pixels, pixels, noise_of(0), plain)
    expected = portraits.make_group(pixels, noise_of(0), plain, formulas.TRAIN)
    np.testing.assert_array_equal(photo, expected[1])
    np.testing.assert_array_equal(transform, expected[2])
    back = np.asarray(bilinear_sample(portrait, affine_grid(transform, 64, 64), "edge"))
    inner = slice(20, 44)
    assert np.abs(back - photo)[:, inner, inner].mean() < 0.06


def test_photographs_of_sketches_take_on_the_tones_of_others(pixels):
    plain = dataclasses.replace(CONFIG, degrade=0.0)
    others = (np.asarray(pixels) // 3 + np.array([20, 40, 90])).astype(np.uint8)

    def drawn(share):
        config = dataclasses.replace(plain, sketch_tones=share)
        made = portraits.make_drawn_group(pixels, pixels, others, noise_of(0), config)
        return [np.asarray(part) for part in made]

    def middle(x):
        return x[:, 16:48, 16:48]

    (sketch, own, transform), (toned_sketch, toned, toned_transform) = drawn(0.0), drawn(1.0)
    np.testing.assert_array_equal(sketch, toned_sketch)
    np.testing.assert_array_equal(transform, toned_transform)
    wanted = middle(np.asarray(images.to_model_range(others)))
    np.testing.assert_allclose(middle(toned).mean((1, 2)), wanted.mean((1, 2)), atol=0.05)
    ratio = middle(toned).std((1, 2)) / middle(own).std((1, 2))
    np.testing.assert_allclose(ratio, 0.5, atol=0.06)  # a third, bounded
    for before, after in zip(middle(own), middle(toned), strict=True):  # what is seen stays
        assert np.corrcoef(before[..., 1].ravel(), after[..., 1].ravel())[0, 1] > 0.98
    for some, a, b in zip(drawn(0.5)[1], own, toned, strict=True):
        assert np.array_equal(some, a) != np.array_equal(some, b)


def painted(pixels, seed=0, **options):
    """Portraits without a style, misaligned, as foreign ones; and what `make_foreign_group` makes of them."""
    tilted, parameters = moved(pixels)
    undoing = np.asarray(misalign.undoing_parameters(parameters))
    config = dataclasses.replace(CONFIG, **{"degrade": 0.0, **options})
    made = portraits.make_foreign_group(tilted, pixels, undoing, noise_of(seed), config, formulas.TRAIN)
    return tilted, undoing, [np.asarray(part) for part in made]


def moved(pixels):
    noise = np.random.default_rng(2).random((8, 4), dtype="float32")
    parameters = misalign.similarity_parameters(noise, max_angle=20.0, max_shift=4.0)
    return images.to_uint8(
        np.asarray(misalign.misalign(images.to_model_range(pixels), parameters))
    ), parameters


def test_foreign_portraits_are_mirrored_and_moved_with_what_undoes_them(pixels):
    small = tf.image.resize(tf.cast(pixels, tf.float32), (8, 8))
    smooth = tf.cast(tf.clip_by_value(tf.image.resize(small, (64, 64), "bicubic"), 0, 255), tf.uint8)
    tilted, undoing, (portrait, photo, transform) = painted(smooth)
    back = np.asarray(bilinear_sample(tf.constant(portrait), affine_grid(transform, 64, 64), "edge"))
    inner = slice(20, 44)
    assert np.abs(portrait - photo)[:, inner, inner].mean() > 0.04
    assert np.abs(back - photo)[:, inner, inner].mean() < 0.02
    straight = images.to_model_range(np.asarray(smooth))
    mirrored = np.array([not np.allclose(p, s) for p, s in zip(photo, straight, strict=True)])
    assert 0 < mirrored.sum() < 8
    known = undoing * np.where(mirrored[:, None], [[-1.0, 1, 1, -1]], 1.0)
    still = np.all(np.abs(transform - known) < 1e-5, axis=1)
    assert 0 < still.sum() < 8  # one of three is where it was
    assert np.abs(transform[:, 0]).max() <= np.radians(CONFIG.max_angle) + 1e-6
    raw = images.to_model_range(tilted)
    for k in np.flatnonzero(still):
        np.testing.assert_allclose(portrait[k], raw[k][:, ::-1] if mirrored[k] else raw[k], atol=0.02)


@pytest.mark.parametrize(
    "change", [{"augment": 1.0}, {"backdrop": 1.0}, {"restyle": 1.0}, {"degrade": 1.0}], ids=str
)
def test_foreign_portraits_are_changed_anew_and_their_photographs_are_not(pixels, change):
    plain, changed = painted(pixels)[2], painted(pixels, **change)[2]
    found = [painted(pixels, seed, **change)[2][0] - painted(pixels, seed)[2][0] for seed in range(4)]
    assert max(np.abs(part).mean() for part in found) > 0.05
    np.testing.assert_array_equal(plain[1], changed[1])
    np.testing.assert_array_equal(plain[2], changed[2])


def test_weak_styles_go_down_to_the_photograph(pixels):
    plain = dataclasses.replace(
        CONFIG, degrade=0.0, strength=1.0, weak=1.0, max_angle=0, max_scale=0, max_shift=0
    )
    portrait, photo, _ = make(pixels, config=plain, style=0)
    full = make(pixels, config=dataclasses.replace(plain, weak=0.0), style=0)[0]
    nearness = np.abs(portrait - photo).mean((1, 2, 3)) / np.abs(full - photo).mean((1, 2, 3))
    assert nearness.min() < 0.35
    assert nearness.max() > 0.65


def test_what_is_off_leaves_every_portrait_as_it_was(pixels):
    """The new settings must not move the noise of the old ones: stored batches stay what they are."""
    names = ("augment", "backdrop", "restyle", "weak")
    base = make(pixels)
    for name in names:
        assert getattr(CONFIG, name) == 0.0
        other = make(pixels, config=dataclasses.replace(CONFIG, **{name: 1e-9}))
        np.testing.assert_allclose(other[0], base[0], atol=1e-6)
