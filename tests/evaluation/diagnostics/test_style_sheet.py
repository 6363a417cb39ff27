import numpy as np
import pytest
import small_model

from ifrp_tf.core.errors import ConfigError, DataError
from ifrp_tf.data import toy_faces
from ifrp_tf.evaluation.diagnostics import style_sheet as preview
from ifrp_tf.pictures import images
from ifrp_tf.styles.formulas import NAMES, RESERVED, TRAIN


@pytest.fixture
def folder(tmp_path):
    faces = tmp_path / "faces"
    faces.mkdir()
    for k, pixels in enumerate(toy_faces.draw(3, side=64).pixels):
        images.write_png(faces / f"{k}.png", pixels)
    return faces


def test_words_for_styles():
    everything = preview.choose("all")
    assert everything[: len(NAMES)] == tuple(NAMES)
    assert {"bank_candy", "bank_wave"} <= set(everything[len(NAMES) :])
    assert preview.choose("train") == TRAIN
    assert preview.choose("reserved") == RESERVED
    assert preview.choose(" oil,sketch,") == ("oil", "sketch")
    with pytest.raises(ConfigError, match="Did you mean 'sketch'"):
        preview.choose("oil,sketsh")
    with pytest.raises(ConfigError, match="Expected at least one style"):
        preview.choose(",")


def test_a_row_for_each_style_below_the_photos(folder, tmp_path):
    target = tmp_path / "sheet.png"
    assert preview.run(folder, target, styles="tonal,sketch", photos=2) == 0
    sheet = images.read(target).pixels
    assert sheet.shape == (3 * 130 + 2, 3 * 130 + 2, 3)
    rows = [sheet[2 + 130 * k : 130 + 130 * k] for k in range(3)]
    for row in rows:
        assert row[:, :128].min() < 100  # the name
    assert np.abs(rows[1].astype(int) - rows[0]).mean() > 10
    assert np.abs(rows[2].astype(int) - rows[1]).mean() > 10

    again = tmp_path / "again.png"
    preview.run(folder, again, styles="sketch", photos=2)
    # A style looks the same whichever others are drawn.
    np.testing.assert_array_equal(images.read(again).pixels[132:260], sheet[262:390])
    preview.run(folder, again, styles="sketch", photos=2, seed=8, misalign=True)
    assert (images.read(again).pixels[:130] != sheet[:130]).any()


def test_what_cannot_be_read_is_passed_over_and_told(folder, tmp_path, caplog):
    (folder / "words.txt").write_text("no picture")
    assert preview.run(folder, tmp_path / "sheet.png", styles="tonal", photos=9) == 1
    assert "words.txt" in caplog.text
    with pytest.raises(DataError, match="none of the 1 files"):
        preview.run(folder / "words.txt", tmp_path / "none.png")
    assert not (tmp_path / "none.png").exists()
    for setting in ({"photos": 0}, {"photos": 65}, {"seed": -1}):
        with pytest.raises(ConfigError, match=next(iter(setting))):
            preview.run(folder, tmp_path / "none.png", **setting)


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--help"], 0, "rows are styles"),
        (["--input=x"], 2, "output"),
        (["--input=x", "--output=y.png", "--photos=0"], 2, "photos"),
        (["--input=missing", "--output=y.png"], 1, "does not exist"),
    ],
)
def test_the_command(tmp_path, monkeypatch, arguments, code, words):
    monkeypatch.chdir(tmp_path)
    done = small_model.called("preview_styles", *arguments)
    assert done.returncode == code
    told = done.stdout if code == 0 else done.stderr
    assert words in told
    assert "Traceback" not in done.stderr
    if code:
        assert len(done.stderr.strip().splitlines()) == 1
