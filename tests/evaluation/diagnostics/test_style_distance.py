"""Tests of `evaluation/diagnostics/style_distance`."""

import csv
import io
import json

import numpy as np
import pytest
import small_model
from helpers import ROOT
from PIL import Image

from ifrp_tf.core.errors import ConfigError, DataError
from ifrp_tf.data import toy_faces
from ifrp_tf.evaluation.diagnostics import style_distance
from ifrp_tf.evaluation.diagnostics.style_distance import Request
from ifrp_tf.pictures import images


def opened(data):
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).astype(int)


def test_heat_map_shows_the_distances_and_is_repeatable():
    names, matrix = ["night_sky", "b", "c"], np.array([[0, 1, 9], [1, 0, 9], [9, 9, 0.0]])
    data = style_distance.heat_map(names, matrix)
    assert data == style_distance.heat_map(names, matrix)
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    yellow = (np.abs(opened(data) - [253, 231, 37]).sum(axis=-1) < 12).sum()
    purple = (np.abs(opened(data) - [68, 1, 84]).sum(axis=-1) < 12).sum()
    assert yellow > 1000  # four of nine fields are the largest distance, three are none
    assert purple > 1000
    assert opened(style_distance.heat_map([str(k) for k in range(30)], np.ones((30, 30)))).shape[0] > 1000


def test_chosen_styles_are_red():
    points = np.array([[0.0, 0.0], [1.0, 0.5], [3.0, 1.0]])

    def red(chosen):
        pixels = opened(style_distance.scatter(["a", "b", "c"], points, 0.7, chosen))
        return (np.abs(pixels - [207, 34, 46]).sum(axis=-1) < 12).sum()

    assert red([]) == 0 < red(["a"]) < red(["a", "c"])


STYLES = ("dots", "flat", "noise", "stripes")


def textures(name, generator, side=128):
    rows, columns = np.mgrid[0:side, 0:side]
    pattern = {
        "dots": 255 * ((rows % 9 < 4) & (columns % 9 < 4)),
        "flat": 90 + 0 * rows + rows // 4,
        "noise": generator.integers(0, 256, (side, side)),
        "stripes": 255 * (rows % 12 < 6),
    }[name]
    return np.stack([pattern, 255 - pattern, pattern // 2], axis=-1).astype(np.uint8)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root, generator = tmp_path_factory.mktemp("select"), np.random.default_rng(0)
    photos = toy_faces.draw(4, side=128).pixels
    for k, pixels in enumerate(photos):
        images.write_png(root / "photos" / f"{k}.png", pixels)
    for name in STYLES:
        texture = textures(name, generator)
        images.write_png(root / "styles" / f"{name}.png", texture)
        for k, pixels in enumerate(photos[:3]):
            mixed = (0.1 * pixels + 0.9 * texture).astype(np.uint8)
            images.write_png(root / "stylised" / name / f"{k}.png", mixed)
    return root


def request(folders, output, **changes):
    given = {"styles": str(folders / "styles"), "photos": str(folders / "photos"), "k": 2, "scale": 128}
    given |= {"output": str(output), "weights": str(ROOT / "data/weights"), "layers": ("block1_conv2",)}
    return Request(**{**given, **changes})


def test_tables_figures_and_the_chosen_last(data_dir, folders, tmp_path, capsys):
    assert style_distance.run(request(folders, tmp_path), say=print) == 0
    lines = capsys.readouterr().out.splitlines()
    result = json.loads((tmp_path / "matrix.json").read_text())
    assert lines[-1] == ",".join(result["chosen"])
    assert len(result["chosen"]) == 2
    assert result["names"] == [*STYLES, "photos"]
    matrix = np.array(result["matrix"])
    np.testing.assert_allclose(matrix, matrix.T)
    assert (matrix[~np.eye(5, dtype=bool)] > 0).all()
    pair = [STYLES.index(name) for name in result["chosen"]]
    assert matrix[pair[0], pair[1]] == matrix[:4, :4].max()
    assert result["to_photos"] == {name: matrix[k, 4] for k, name in enumerate(STYLES)}
    assert 0 < result["noise_floor"]["photos"] < result["to_photos"]["noise"]
    assert np.array(result["embedding"]).shape == (5, 2)
    rows = list(csv.reader((tmp_path / "matrix.csv").open()))
    assert rows[0] == ["", *STYLES, "photos"]
    np.testing.assert_allclose([[float(value) for value in row[1:]] for row in rows[1:]], matrix, atol=1e-6)
    for name in ("heat_map.png", "embedding.png"):
        assert min(images.read(tmp_path / name).pixels.shape[:2]) > 300


def test_stylised_faces_are_compared_and_find_their_style(data_dir, folders, tmp_path, capsys):
    (tmp_path / "photos").mkdir()
    for path in (folders / "photos").iterdir():
        (tmp_path / "photos" / path.name).write_bytes(path.read_bytes())
    (tmp_path / "photos" / "words.txt").write_text("no picture")
    asked = request(
        folders, tmp_path / "out", stylised=str(folders / "stylised"), photos=str(tmp_path / "photos"),
        without=("noise",), with_photos=True, aim="sum", k=3, layers=("block1_conv1", "block1_conv2"),
    )  # fmt: skip
    assert style_distance.run(asked, say=print) == 1
    assert "their own style image" in capsys.readouterr().out
    result = json.loads((tmp_path / "out" / "matrix.json").read_text())
    assert result["chosen"] == ["dots", "flat", "stripes"]
    assert result["pictures"] == {"photos": 4} | dict.fromkeys(STYLES, 3)
    assert result["nearest_is_own"] == np.mean(
        [result["nearest_style_image"][name] == name for name in STYLES]
    )
    assert result["nearest_is_own"] >= 0.75
    assert "words.txt" in result["unreadable"][0]


def test_what_cannot_be_asked(folders, tmp_path):
    for changes in ({"k": 0}, {"limit": 1}):
        with pytest.raises(ConfigError, match="limit >= 2 and k >= 1"):
            request(folders, tmp_path, **changes)
    with pytest.raises(ConfigError, match="Did you mean 'dots'"):
        style_distance.run(request(folders, tmp_path, without=("dot",)))
    with pytest.raises(ConfigError, match="k=5"):
        style_distance.run(request(folders, tmp_path, k=5))
    twice = tmp_path / "twice"
    for name in ("a.png", "a.jpg"):
        images.write_png(twice / name, np.zeros((32, 32, 3), np.uint8))
    with pytest.raises(DataError, match="'a'"):
        style_distance.run(request(folders, tmp_path, styles=str(twice)))


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--help"], 0, "most distinct"),
        (["--styles=x"], 2, "photos"),
        (["--styles=x", "--photos=y", "--output=z"], 1, "does not exist"),
        (["--styles=x", "--photos=y", "--output=z", "--aim=mean"], 2, "aim"),
    ],
)
def test_the_command(tmp_path, monkeypatch, arguments, code, words):
    monkeypatch.chdir(tmp_path)
    done = small_model.called("select_styles", *arguments)
    assert done.returncode == code, done.stderr
    assert words in (done.stdout if code == 0 else done.stderr)
    assert "Traceback" not in done.stderr
