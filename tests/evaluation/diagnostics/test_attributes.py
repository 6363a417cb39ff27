import json

import numpy as np
import pytest

from ifrp_tf.cli import check_attributes
from ifrp_tf.core.errors import ConfigError, DataError
from ifrp_tf.data.attributes import NAMES, Attributes
from ifrp_tf.evaluation.diagnostics import attributes as judged
from ifrp_tf.nn.logistic import Logistic
from ifrp_tf.pictures import images
from ifrp_tf.recovery.recoverer import Recoverer

COUNT, SIDE = len(NAMES), 32
random = np.random.default_rng(0)


def painted(portraits, told=None):
    """A network that paints what it is told into its answer, the smile into the mouth too."""
    told = np.zeros((len(portraits), COUNT)) if told is None else told.copy()
    told[:, NAMES.index("Mouth_Slightly_Open")] += 0.5 * told[:, NAMES.index("Smiling")]
    answers = portraits.copy()
    answers[:, 0, :COUNT] = np.round(128 + 60 * told)[..., None]
    return answers


def encode(pictures):
    return (pictures[:, 0, :COUNT, 0].astype(float) - 128) / 60


@pytest.fixture
def recoverer():
    return Recoverer(painted, side=SIDE, name="painter", fingerprint="0" * 64, attributes=NAMES)


def test_what_is_told_and_turned_around_is_counted(recoverer):
    judge = Logistic(np.zeros(COUNT), np.ones(COUNT), np.eye(COUNT, COUNT + 1) * 10)
    portraits = random.integers(0, 256, (7, SIDE, SIDE, 3)).astype(np.uint8)
    vectors = np.where(random.random((7, COUNT)) < 0.5, 1, -1).astype(np.int8)
    truth = painted(portraits, vectors.astype(float))
    found, sheet = judged.measure(recoverer, judge, encode, portraits, truth, vectors, ("Male", "Smiling"))
    assert set(found["true"]["accuracy"].values()) == {1.0}
    assert found["true"]["psnr"] > found["nothing"]["psnr"]
    absent = (vectors < 0).mean(axis=0)  # told nothing, the judge sees nothing there
    np.testing.assert_allclose(list(found["nothing"]["accuracy"].values()), absent, atol=1e-4)
    male, smiling = found["turned"]["Male"], found["turned"]["Smiling"]
    assert male["followed"] == smiling["followed"] == 1.0
    assert male["effects"]["Male"] == pytest.approx(100, abs=0.1)
    assert sum(abs(value) for name, value in male["effects"].items() if name != "Male") < 0.01
    assert smiling["effects"]["Mouth_Slightly_Open"] > 0.05
    assert sheet.shape == (6 * (SIDE + 2) + 2, 7 * (SIDE + 2) + 2, 3)  # six faces; two pictures an attribute
    judge_found = {"fitted": 3, "tested": 7, "ceiling": all_of(1), "always": all_of(0.5)}
    text = judged.tables({"judge": judge_found, "model": found})
    assert "| Male | 50.0 | 100.0 |" in text
    assert "told the truth" in text
    assert json.loads(json.dumps(found)) == found


def all_of(value):
    return dict.fromkeys(NAMES, value)


def test_only_photographs_with_all_labels_are_judged(tmp_path):
    vectors = {f"train/x/{k}.png": np.ones(COUNT, np.int8) for k in (2, 1, 9)}
    vectors["train/x/1.png"][3] = -1
    vectors["train/x/3.png"] = np.array([1, *[0] * (COUNT - 1)], np.int8)
    vectors["test/x/4.png"] = np.ones(COUNT, np.int8)
    (tmp_path / "train" / "x").mkdir(parents=True)
    for k in (1, 2, 3):  # of the ninth there are labels alone
        images.write_png(tmp_path / "train" / "x" / f"{k}.png", np.full((40, 40, 3), 10 * k, np.uint8))
    known = Attributes(vectors, {}, {})
    found, rows = judged.labelled(known, tmp_path, "train", side=16)
    assert found.names == ("x/1.png", "x/2.png")
    assert found.pixels[:, 0, 0, 0].tolist() == [10, 20]
    assert rows[:, 3].tolist() == [-1, 1]
    with pytest.raises(DataError, match="Received: none"):
        judged.labelled(known, tmp_path, "test")


def test_a_sheet_needs_a_model(tmp_path):
    with pytest.raises(ConfigError, match="--model"):
        check_attributes.run(check_attributes.Request(sheet=str(tmp_path / "sheet.png")))
