import io

import numpy as np
from helpers import smooth_picture
from material import material
from PIL import Image

from ifrp_tf.styles import procedural
from ifrp_tf.styles.degradations import craquelure, degrade, jpeg


def test_degradations_befall_a_part_of_the_pictures():
    photos, params, field = material(count=200, side=16)
    changed = np.abs(np.asarray(degrade(photos, params, field)) - photos).mean(axis=(1, 2, 3))
    assert 0.85 < np.mean(changed > 0.01) <= 1.0
    assert np.median(changed) > 0.08
    spared = np.full((200, procedural.PARAMS), 0.999, "float32")
    np.testing.assert_allclose(degrade(photos, spared, field), photos, atol=1e-5)
    spared[:, 2] = 0.1
    grey = np.asarray(degrade(photos, spared, field))
    assert np.ptp(grey, axis=-1).max() < 1e-3


def test_cracks_are_thin_dark_lines():
    photos, _, field = material(side=128)
    cracks = np.asarray(craquelure(field[..., 2]))
    assert cracks.shape == field.shape[:3]
    assert 0.03 < (cracks > 0.5).mean() < 0.25
    only = np.full((len(photos), procedural.PARAMS), 0.999, "float32")
    only[:, 11] = 0.3
    aged = np.asarray(degrade(photos, only, field))
    where = np.asarray(craquelure(field[:, ::-1, :, 2])) > 0.5
    assert (photos - aged)[where].mean() > 0.1
    assert np.abs(photos - aged)[~where].mean() < 0.05


def test_jpeg_is_near_to_what_pillow_writes():
    picture = (smooth_picture(48, channels=3, waves=9.0) + 1) / 2
    noise = np.random.default_rng(0).normal(0, 0.05, picture.shape)
    picture = np.clip(picture + noise, 0, 1).astype("float32")
    for quality, coarseness in ((50, 1.0), (20, 2.5)):
        buffer = io.BytesIO()
        levels = Image.fromarray((picture[0] * 255).round().astype(np.uint8))
        levels.save(buffer, "JPEG", quality=quality, subsampling=0)
        expected = np.asarray(Image.open(buffer)) / 255
        received = np.asarray(jpeg(picture, np.array([coarseness], "float32")))[0]
        lost = np.abs(expected - picture[0]).mean()
        assert np.abs(received - expected).mean() < 0.15 * lost


def test_jpeg_takes_any_side_and_leaves_little_at_first():
    picture = (smooth_picture(45, channels=3) + 1) / 2
    fine, coarse = (np.asarray(jpeg(picture, np.array([c], "float32"))) for c in (0.02, 4.0))
    assert fine.shape == picture.shape
    assert np.abs(fine - picture).mean() < 0.003
    assert np.abs(coarse - picture).mean() > np.abs(fine - picture).mean()
