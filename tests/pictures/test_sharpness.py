import numpy as np
import pytest
from PIL import Image, ImageFilter

from ifrp_tf.core.errors import ImageError
from ifrp_tf.pictures.sharpness import BANDS, band_powers


def waves(side, cycles):
    """A grey wave of so many cycles a pixel along x."""
    light = 128 + 60 * np.sin(2 * np.pi * cycles * np.arange(side))
    return np.repeat(np.broadcast_to(light, (side, side))[..., None], 3, axis=-1)[None]


@pytest.mark.parametrize(("cycles", "band"), [(0.09, 0), (0.19, 1), (0.35, 2)])
def test_a_wave_has_its_power_in_its_band(cycles, band):
    power = band_powers(waves(64, cycles))[0]
    assert power[band] > 20 * np.delete(power, band).max()


def test_a_blur_of_one_pixel_takes_what_gaussians_take():
    noise = np.random.default_rng(0).integers(0, 256, (4, 128, 128, 3)).astype(np.uint8)
    soft = np.stack([np.asarray(Image.fromarray(p).filter(ImageFilter.GaussianBlur(1.0))) for p in noise])
    ratio = band_powers(soft).mean(0) / band_powers(noise).mean(0)
    # exp(-(2 pi f)^2) at the middle of each band, roughly: the figures that the module names
    np.testing.assert_allclose(ratio, (0.7, 0.26, 0.02), atol=0.1)
    assert len(BANDS) == 3


def test_brightness_has_no_power_and_contrast_counts_squared():
    picture = waves(32, 0.2)
    np.testing.assert_allclose(band_powers(picture + 20), band_powers(picture), rtol=1e-6)
    np.testing.assert_allclose(band_powers(picture * 0.5), band_powers(picture) / 4, rtol=1e-6)


def test_only_batches_of_squares():
    with pytest.raises(ImageError, match="S, S, 3"):
        band_powers(np.zeros((1, 32, 30, 3)))
