import numpy as np
import pytest
import small_model

pytest.importorskip("skimage")

from ifrp_tf.core.errors import ConfigError
from ifrp_tf.data import sample
from ifrp_tf.pictures import images
from ifrp_tf.styles import formulas


def test_the_face_lies_in_the_frame_of_the_training_photographs():
    """Eyes at x 0.326 and 0.674, y 0.34 of the side: the pupils are the darkest spots there."""
    photo = sample.photo()
    assert photo.shape == (128, 128, 3)
    grey = photo.mean(axis=2)
    row = round(0.34 * 128)
    for column in (round(0.326 * 128), round(0.674 * 128)):
        around = grey[row - 10 : row + 11, column - 10 : column + 11]
        y, x = np.unravel_index(around.argmin(), around.shape)
        assert abs(y - 10) <= 4
        assert abs(x - 10) <= 6


def test_the_portrait_is_stylised_and_the_same_every_time():
    portrait = sample.portrait()
    np.testing.assert_array_equal(portrait, sample.portrait())
    assert portrait.shape == (128, 128, 3)
    assert np.abs(portrait.astype(int) - sample.photo()).mean() > 10
    assert np.abs(portrait.astype(int) - sample.portrait("pencil", seed=2)).mean() > 10


def test_the_style_is_one_that_no_network_was_trained_on():
    assert sample.STYLE in formulas.RESERVED


def test_unknown_styles_and_files_are_refused(tmp_path):
    with pytest.raises(ConfigError, match="Did you mean 'mosaic'"):
        sample.portrait("mosaik")
    with pytest.raises(ConfigError, match=r"\.png"):
        sample.run(tmp_path / "sample.jpg")


def test_it_is_written_where_it_is_wanted(tmp_path):
    path = tmp_path / "new" / "sample.png"
    assert sample.run(path, style="pencil") == path
    np.testing.assert_array_equal(images.read(path).pixels, sample.portrait("pencil"))


def test_wrong_usage_of_the_tool_exits_2(tmp_path):
    done = small_model.called("sample_portrait", f"--output={tmp_path / 'sample.jpg'}")
    assert done.returncode == 2
    assert ".png" in done.stderr
    assert len(done.stderr.splitlines()) == 1
