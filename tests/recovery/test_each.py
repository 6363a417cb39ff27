"""The loop of the tools that make one answer for each picture."""

import json

import numpy as np
import pytest

from ifrp_tf.core.errors import DataError, ImageError
from ifrp_tf.pictures import images
from ifrp_tf.recovery.each import each


@pytest.fixture
def folder(tmp_path):
    for k, name in enumerate(("a.png", "inner/b.png", "c.png")):
        path = tmp_path / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        images.write_png(path, np.full((64, 64, 3), 40 * k, np.uint8))
    (tmp_path / "in" / "d.txt").write_text("no picture")
    return tmp_path


def run(folder, asked, settings="s", **options):
    """Of the tree `in`; what was made is named in `asked`."""

    def make(pixels, path):
        asked.append(path.name)
        if path.name == "c.png":
            raise ImageError("too_dull", "Expected more colour.")
        return {"inverted": 255 - pixels}, {"mean": float(pixels.mean())}

    said = []
    code = each(
        folder / "in", folder / "out", make, settings=settings, method="m", say=said.append, **options
    )
    return code, said[0], json.loads((folder / "out" / "report.json").read_text())["pictures"]


def test_every_picture_has_a_row_and_bad_ones_cost_nobody_else(folder):
    code, said, rows = run(folder, [])
    assert code == 1
    assert said.startswith("2 made, 0 there already, 2 failed")
    assert [(row["name"], row["status"], row.get("reason")) for row in rows] == [
        ("a.png", "made", None), ("c.png", "failed", "too_dull"), ("d.txt", "failed", rows[2]["reason"]),
        ("inner/b.png", "made", None),
    ]  # fmt: skip
    assert rows[0]["mean"] == 0
    assert images.read(folder / "out" / "inner" / "b_inverted.png").pixels.max() == 215
    assert b"generated, not evidence; m" in (folder / "out" / "a_inverted.png").read_bytes()


def test_what_is_there_is_not_made_again(folder):
    asked = []
    run(folder, asked)
    (folder / "out" / "a_inverted.png").unlink()
    images.write_png(folder / "in" / "inner" / "b.png", np.full((64, 64, 3), 7, np.uint8))
    asked.clear()
    run(folder, asked)
    assert asked == ["a.png", "c.png", "b.png"]
    asked.clear()
    assert run(folder, asked)[1].startswith("0 made, 2 there already")
    assert asked == ["c.png"]
    asked.clear()
    run(folder, asked, settings="others")
    assert asked == ["a.png", "c.png", "b.png"]
    asked.clear()
    run(folder, asked, settings="others", overwrite=True)
    assert asked == ["a.png", "c.png", "b.png"]


def test_two_pictures_with_one_stem_have_two_answers(folder):
    images.write_png(folder / "in" / "a.webp.png", np.full((64, 64, 3), 200, np.uint8))
    (folder / "in" / "a.webp.png").rename(folder / "in" / "a.jpg")
    _, said, rows = run(folder, [])
    assert said.startswith("3 made")
    assert [row["outputs"] for row in rows[:2]] == [["a_jpg_inverted.png"], ["a_png_inverted.png"]]
    assert images.read(folder / "out" / "a_jpg_inverted.png").pixels.max() == 55
    assert images.read(folder / "out" / "a_png_inverted.png").pixels.max() == 255


def test_an_answer_is_made_again_when_its_mask_has_changed(folder):
    mask, asked = folder / "mask", []
    mask.write_bytes(b"1")
    run(folder, asked, also=lambda path: mask if path.name == "a.png" else None)
    mask.write_bytes(b"2")
    asked.clear()
    run(folder, asked, also=lambda path: mask if path.name == "a.png" else None)
    assert asked == ["a.png", "c.png"]


def test_a_run_that_is_stopped_keeps_what_an_earlier_one_made(folder):
    run(folder, [])
    images.write_png(folder / "in" / "a.png", np.full((64, 64, 3), 9, np.uint8))
    with pytest.raises(KeyboardInterrupt):
        run(folder, Stopping())
    asked = []
    run(folder, asked)
    assert asked == ["c.png"]


class Stopping(list):
    def append(self, name):
        if name == "c.png":
            raise KeyboardInterrupt


def test_nothing_to_read_is_an_error(tmp_path):
    with pytest.raises(DataError):
        each(tmp_path / "none", tmp_path / "out", lambda *_: ({}, {}), settings="", method="")
