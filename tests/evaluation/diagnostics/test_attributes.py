import json

import numpy as np
import pytest

from ifrp_tf.cli import check_attributes
from ifrp_tf.core.errors import ConfigError, DataError
from ifrp_tf.data import landmarks, photos
from ifrp_tf.data.attributes import NAMES, Attributes
from ifrp_tf.evaluation import retrieval
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
    asked, place = ("Male", "Smiling", judged.MOUTH), NAMES.index(judged.MOUTH)
    black = Recoverer(lambda batch: 0 * batch, side=SIDE, name="black", fingerprint="0" * 64)
    found, sheet = judged.measure(
        recoverer, judge, encode, portraits, truth, vectors, asked,
        plain=black, descriptor=Corner(), opening=lambda pictures: encode(pictures)[:, place],
    )  # fmt: skip
    answers = found["answers"]
    assert set(answers["true"]["accuracy"].values()) == {1.0}
    assert answers["true"]["asked"] == 1.0
    assert answers["true"]["psnr"] > answers["nothing"]["psnr"] > answers["plain"]["psnr"]
    absent = (vectors < 0).mean(axis=0)  # told nothing, the judge sees nothing there
    np.testing.assert_allclose(list(answers["nothing"]["accuracy"].values()), absent, atol=1e-4)
    chosen = [NAMES.index(name) for name in asked]
    assert answers["nothing"]["asked"] == pytest.approx(absent[chosen].mean())
    assert [answers[name]["frr_top1"] for name in ("plain", "nothing", "true")] == pytest.approx(
        [1 / 7, 1, 1]
    )
    gain, low, high = found["differences"]["true-nothing"]["psnr"]
    assert gain == pytest.approx(answers["true"]["psnr"] - answers["nothing"]["psnr"], abs=1e-3)
    assert low <= gain <= high
    assert found["differences"]["nothing-plain"]["ssim"][1] > 0
    assert found["turned"][judged.MOUTH]["opening"]["change"] == pytest.approx(2, abs=0.02)
    male, smiling = found["turned"]["Male"], found["turned"]["Smiling"]
    assert male["followed"] == smiling["followed"] == 1.0
    assert male["effects"]["Male"] == pytest.approx(100, abs=0.1)
    assert sum(abs(value) for name, value in male["effects"].items() if name != "Male") < 0.01
    assert smiling["effects"]["Mouth_Slightly_Open"] > 0.05
    assert sheet.shape == (6 * (SIDE + 2) + 2, 9 * (SIDE + 2) + 2, 3)  # six faces; two pictures an attribute
    judge_found = {"fitted": 3, "tested": 7, "ceiling": all_of(1), "always": all_of(0.5)}
    text = judged.tables({"judge": judge_found, "model": found})
    assert "| Male | 50.0 | 100.0 |" in text
    assert "| told the truth less told nothing | +" in text
    assert "points of accuracy in the mean of Male, Smiling, Mouth_Slightly_Open (bar 5)" in text
    assert "Smiling moves Mouth_Slightly_Open by +" in text
    assert "its opening follows in" in text
    assert json.loads(json.dumps(found)) == found
    alone, _ = judged.measure(recoverer, judge, encode, portraits, truth, vectors, ("Smiling",))
    assert set(alone["answers"]) == {"nothing", "true"}
    text = judged.tables({"judge": judge_found, "model": alone})
    assert "FRR" not in text
    assert "opening" not in text


class Corner:
    """A descriptor of persons by the corner that nothing is painted into."""

    name, fingerprint = "corner", ""

    def embed(self, pictures):
        return pictures[:, -4:].reshape(len(pictures), -1).astype(np.float32)

    def distances(self, queries, gallery):
        return retrieval.pairwise(queries, gallery, "euclidean")


def test_a_mouth_follows_where_it_moves_by_more_than_faces_and_mirror_images_differ():
    def faces(left, right):
        return np.stack([left, right], axis=1).astype(np.uint8)[:, None, :, None]

    before = faces([50, 50, 50, 50], [60, 60, 60, 60])  # seen from the other side, all are 10 wider open
    after = faces([61, 59, 70, 20], [0, 0, 0, 0])
    truth = faces([10, 85, 80, 90], [0, 0, 0, 0])
    wanted = np.array([1, 1, -1, -1])  # those that are closed shall open, the others close
    found = judged._opened(lambda pictures: pictures[:, 0, 0, 0].astype(float), before, after, truth, wanted)
    assert found == {"followed": 0.5, "ceiling": 0.5, "noise": 10, "change": 7.5, "photographs": 37.5}


def test_the_opening_is_that_of_the_face_mesh(data_dir):
    known = landmarks.load("test", data_dir / "labels")
    names = sorted(known.quality, key=lambda name: known.quality[name][2])
    names = [names[len(names) // 10], names[-len(names) // 10]]
    pictures = np.stack([photos.read(data_dir / "faces" / "test" / name, 128) for name in names])
    expected = [known.quality[name][2] for name in names]
    assert expected[1] - expected[0] > 0.1
    np.testing.assert_allclose(judged.mouth_opening()(pictures), expected, atol=0.05)


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


@pytest.mark.parametrize("given", ["sheet", "plain"])
def test_a_sheet_and_a_second_model_need_a_model(tmp_path, given):
    with pytest.raises(ConfigError, match="--model"):
        check_attributes.run(check_attributes.Request(**{given: str(tmp_path / "x")}))
