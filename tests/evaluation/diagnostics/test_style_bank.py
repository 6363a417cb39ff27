import drawn_bank
import numpy as np
import pytest
import small_model
from drawn_protocol import PixelDescriptor

from ifrp_tf.data import toy_faces
from ifrp_tf.evaluation.diagnostics import style_bank
from ifrp_tf.nn.features import networks
from ifrp_tf.styles import bank


@pytest.fixture(scope="module")
def made():
    return drawn_bank.random_bank(names=("candy", "wave"))


def test_the_own_style_image_is_nearest_where_faces_look_like_it(made):
    """Style images that are faces in that very style, and the two mixed up."""
    pixels = toy_faces.draw(8, side=128, seed=2).pixels
    pictures = {
        name: np.concatenate(list(style_bank.paint(made, name, pixels[:3])), axis=1)
        for name in ("candy", "wave")
    }
    network = networks.vgg19(None, outputs=("block2_conv1",))
    rows = style_bank.measure(made, pictures, pixels, network, PixelDescriptor())
    assert [(row.name, row.nearest, row.reserved) for row in rows] == [
        ("candy", "candy", False),
        ("wave", "wave", True),
    ]
    assert all(0 <= row.retrieved <= 1 for row in rows)
    crossed = {"candy": pictures["wave"], "wave": pictures["candy"]}
    wrong = style_bank.measure(made, crossed, pixels, network, PixelDescriptor())
    assert [row.nearest for row in wrong] == ["wave", "candy"]
    assert wrong[0].own > rows[0].own
    text = style_bank.table(rows, len(pixels))
    assert "| wave | yes | its own |" in text
    assert "100 % of 2 styles" in text


def test_a_person_is_retrieved_where_the_face_is_not_changed(made, monkeypatch):
    """A style that changes nothing keeps every person, one that swaps the faces loses them."""
    pixels = toy_faces.draw(24, side=128, seed=2).pixels
    network = networks.vgg19(None, outputs=("block1_conv1",))

    def retrieved(painted):
        monkeypatch.setattr(style_bank, "paint", lambda *_: painted)
        pictures = {"candy": pixels[0]}
        return style_bank.measure(made, pictures, pixels, network, PixelDescriptor())[0].retrieved

    assert retrieved(pixels) == 1
    assert retrieved(np.roll(pixels, 7, axis=0)) < 0.5


def test_without_a_bank_the_tool_says_so(tmp_path):
    done = small_model.called(
        "check_style_bank", f"--bank={tmp_path}", f"--styles={tmp_path}", f"--faces={tmp_path}"
    )
    assert done.returncode == 1
    assert "style bank" in done.stderr
    assert bank.TRUNK in done.stderr
