import numpy as np

from ifrp_tf.data import toy_faces


def test_faces_are_a_function_of_the_seed_and_differ_from_each_other():
    first, again, other = (toy_faces.draw(6, side=32, seed=seed) for seed in (3, 3, 4))
    assert first.pixels.shape == (6, 32, 32, 3)
    assert first.pixels.dtype == np.uint8
    np.testing.assert_array_equal(first.pixels, again.pixels)
    assert not np.array_equal(first.pixels, other.pixels)
    gaps = [np.abs(first.pixels[a].astype(int) - first.pixels[b]).mean() for a in range(6) for b in range(a)]
    assert min(gaps) > 3.0


def test_eyes_sit_where_the_tight_frame_has_them():
    pixels = toy_faces.draw(64, side=128, seed=0).pixels.astype(float)
    luminance = pixels.mean(axis=(0, 3))
    eye = luminance[40:48, 36:50].max()
    cheek = luminance[60:70, 36:50].mean()
    assert eye > cheek  # the whites of the eyes, at x .33 y .34
