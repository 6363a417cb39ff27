"""The figures of the documentation: which there are, their size, and that they are those of the code."""

import draw_figures
import numpy as np
import pytest
from helpers import ROOT
from PIL import Image

FOLDER = ROOT / "docs" / "figures"


def test_every_figure_is_there_small_and_shown():
    texts = [path.read_text(encoding="utf-8") for path in ROOT.glob("docs/*.md")]
    assert {path.name for path in FOLDER.iterdir()} == set(draw_figures.FIGURES)
    for name in draw_figures.FIGURES:
        assert (FOLDER / name).stat().st_size < 150_000
        assert any(f"](figures/{name})" in text for text in texts)


def test_the_drawn_network_is_the_one_that_is_built(tmp_path):
    draw_figures.network(tmp_path / "network.svg")
    assert (tmp_path / "network.svg").read_text() == (FOLDER / "network.svg").read_text()


@pytest.mark.slow
@pytest.mark.parametrize("name", draw_figures.FIGURES)
def test_figures_are_those_that_the_command_draws(name, tmp_path):
    draw_figures.FIGURES[name](tmp_path / name)
    if name.endswith(".webp"):
        drawn, committed = (np.asarray(Image.open(each / name)).astype(int) for each in (tmp_path, FOLDER))
        assert drawn.shape == committed.shape
        assert np.abs(drawn - committed).mean() < 3
    else:
        assert (tmp_path / name).read_text().startswith(("<svg", "<?xml"))
