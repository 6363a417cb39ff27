import io

import numpy as np
from PIL import Image

from ifrp_tf import style_figures


def opened(data):
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).astype(int)


def test_heat_map_shows_the_distances_and_is_repeatable():
    names, matrix = ["night_sky", "b", "c"], np.array([[0, 1, 9], [1, 0, 9], [9, 9, 0.0]])
    data = style_figures.heat_map(names, matrix)
    assert data == style_figures.heat_map(names, matrix)
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    yellow = (np.abs(opened(data) - [253, 231, 37]).sum(axis=-1) < 12).sum()
    purple = (np.abs(opened(data) - [68, 1, 84]).sum(axis=-1) < 12).sum()
    assert yellow > 1000  # four of nine fields are the largest distance, three are none
    assert purple > 1000
    assert opened(style_figures.heat_map([str(k) for k in range(30)], np.ones((30, 30)))).shape[0] > 1000


def test_chosen_styles_are_red():
    points = np.array([[0.0, 0.0], [1.0, 0.5], [3.0, 1.0]])

    def red(chosen):
        pixels = opened(style_figures.scatter(["a", "b", "c"], points, 0.7, chosen))
        return (np.abs(pixels - [207, 34, 46]).sum(axis=-1) < 12).sum()

    assert red([]) == 0 < red(["a"]) < red(["a", "c"])
