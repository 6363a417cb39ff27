import numpy as np
import pytest

from ifrp_tf import images, screening, toy_faces
from ifrp_tf.config import DataConfig
from ifrp_tf.errors import ImageError

CONFIG = DataConfig(side=64)


def test_every_reason_to_drop_a_photograph(tmp_path):
    faces = toy_faces.draw(8, side=96).pixels
    source, test = tmp_path / "train", tmp_path / "test"
    for name, pixels in {
        "celeba/1.png": faces[0], "celeba/2.png": faces[1], "celeba/3.png": faces[0],
        "celeba/4.png": faces[6], "celeba/5.png": faces[2][:30, :30], "lfw/Ann/1.png": faces[3],
        "lfw/Bo/1.png": faces[4],
    }.items():  # fmt: skip
        images.write_png(source / name, pixels)
    (source / "notes.txt").write_text("no picture")
    for name, pixels in {"celeba/9.png": faces[6], "lfw/Bo/2.png": faces[5]}.items():
        images.write_png(test / name, pixels)
    found, tested = images.list_pictures(source), images.list_pictures(test)
    kept, dropped = screening.choose(source, found, test, tested, CONFIG)
    assert kept == ["celeba/1.png", "celeba/2.png", "lfw/Ann/1.png"]
    reasons = {name: reason.split(":")[0] for name, reason in dropped}
    assert reasons == {
        "celeba/3.png": "duplicate", "celeba/4.png": "in_test", "celeba/5.png": "too_small",
        "lfw/Bo/1.png": "person_in_test", "notes.txt": "unreadable",
    }  # fmt: skip
    assert "celeba/1.png" in dict(dropped)["celeba/3.png"]
    # A person is told by the folder's name, wherever the source begins.
    kept, dropped = screening.choose(
        source / "lfw", images.list_pictures(source / "lfw"), test, tested, CONFIG
    )
    assert (kept, dropped) == (["Ann/1.png"], [("Bo/1.png", "person_in_test")])
    kept, dropped = screening.choose(source, found, "", [], CONFIG)
    assert [name for name, _ in dropped] == ["celeba/3.png", "celeba/5.png", "notes.txt"]


def test_the_centre_is_cut_before_the_size_is_judged(tmp_path):
    pixels = np.zeros((64, 64, 3), np.uint8)
    pixels[16:48, 16:48] = 200
    images.write_png(tmp_path / "a.png", pixels)
    assert screening.decoded(tmp_path / "a.png", DataConfig(side=64, crop=32)).min() == 200
    assert screening.decoded(tmp_path / "a.png", DataConfig(side=64)).shape == (64, 64, 3)
    with pytest.raises(ImageError, match="at least 33 pixels"):
        screening.decoded(tmp_path / "a.png", DataConfig(side=66, crop=32))
