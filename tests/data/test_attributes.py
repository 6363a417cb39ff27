"""Labels, and what landmarks add to them."""

import numpy as np
import pytest

from ifrp_tf.core.errors import ConfigError, DataError
from ifrp_tf.data import attributes
from ifrp_tf.data.attributes import NAMES

COLUMNS = ("photo", "source", "person", "gender", "age", *NAMES)


@pytest.fixture
def folder(tmp_path):
    """200 labelled photographs whose mouths tell the truth 19 times of 20, and some others."""
    generator, rows, names, quality = np.random.default_rng(0), [], [], []
    for k in range(200):
        there = k % 2 == 0
        said = there != (k % 20 == 0)
        labels = {"Mouth_Slightly_Open": 1 if there else -1, "Smiling": generator.choice([-1, 1]), "Male": -1}
        rows.append({"photo": f"train/celeba/{k}.jpg", "source": "celeba", **labels})
        names.append(f"celeba/{k}.jpg")
        quality.append([1, 0, 0.2 if said else 0.01, generator.uniform(0.4, 0.8)])
    rows.append({"photo": "train/aaf/a.jpg", "source": "aaf", "person": "aaf-a", "gender": 1, "age": 52})
    rows.append({"photo": "train/lfw/ann/1.jpg", "source": "lfw", "person": "ann"})
    names += ["aaf/a.jpg", "lfw/ann/1.jpg", "celeba/new.jpg"]
    quality += [[1, 0, 0.01, 0.5], [1, 0, 0.3, 0.5], [1, 0, 0.3, 0.5]]
    lines = [",".join(COLUMNS), *(",".join(str(row.get(c, "")) for c in COLUMNS) for row in rows)]
    (tmp_path / "attributes.csv").write_text("\n".join(lines) + "\n")
    np.savez(
        tmp_path / "landmarks.npz",
        train_names=np.array(names), train_quality=np.float16(quality),
        test_names=np.array([], dtype="<U4"), test_quality=np.zeros((0, 4), np.float16),
    )  # fmt: skip
    return tmp_path


def test_labels_stay_and_landmarks_add_only_what_they_tell_well(folder):
    found = attributes.load(folder)
    mouth, smile = found.calibrations["Mouth_Slightly_Open"], found.calibrations["Smiling"]
    assert mouth.accuracy == pytest.approx(0.95)
    assert mouth.always == 0.5
    assert mouth.is_used
    assert not smile.is_used, "it is noise here"
    place = {name: k for k, name in enumerate(NAMES)}
    vectors = found.of(["celeba/0.jpg", "aaf/a.jpg", "lfw/ann/1.jpg", "celeba/new.jpg", "none.jpg"])
    assert vectors[0, place["Mouth_Slightly_Open"]] == 1, "the label, though the mouth is shut"
    assert vectors[:, place["Mouth_Slightly_Open"]].tolist() == [1, -1, 1, 1, 0]
    assert vectors[1, [place["Male"], place["Young"], place["Smiling"]]].tolist() == [1, -1, 0]
    assert not vectors[4].any()
    assert found.persons == {"train/aaf/a.jpg": "aaf-a", "train/lfw/ann/1.jpg": "ann"}
    assert "landmarks right in 95.0% of 200" in found.summary()
    assert "not used" in found.summary()


@pytest.mark.parametrize("name", ["attributes.csv", "landmarks.npz"])
def test_missing_and_damaged_files_are_named(folder, name):
    (folder / name).write_bytes(b"photo,source\nx,aaf\n")
    with pytest.raises(DataError, match=name):
        attributes.load(folder)
    (folder / name).unlink()
    with pytest.raises(DataError, match=name):
        attributes.load(folder)


def test_words_of_users():
    vector = attributes.parse("male=1, smiling = 0.5,beard=-1, Mouth Slightly Open=-1")
    found = {name: value for name, value in zip(NAMES, vector.tolist(), strict=True) if value}
    assert found == {"Male": 1.0, "Smiling": 0.5, "No_Beard": 1.0, "Mouth_Slightly_Open": -1.0}
    assert attributes.parse("").tolist() == [0.0] * len(NAMES)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("smilling=1", "Did you mean 'smiling'"),
        ("male=2", "from -1"),
        ("male", "name=value"),
        ("male=x", "male=x"),
    ],
)
def test_wrong_words_are_answered_with_the_nearest(text, words):
    with pytest.raises(ConfigError, match=words):
        attributes.parse(text)


def test_a_balanced_draw():
    labels = np.array([1] * 5 + [-1] * 95 + [0] * 50)
    drawn = attributes.balanced(labels, 1001, np.random.default_rng(0))
    assert len(drawn) == 1001
    assert set(labels[drawn]) == {-1, 1}
    assert (labels[drawn] > 0).sum() in (500, 501)
    with pytest.raises(DataError, match="Received: 0 and"):
        attributes.balanced(np.array([-1, -1]), 4, np.random.default_rng(0))


def test_the_real_labels(data_dir):
    found = attributes.load(data_dir / "labels")
    assert {name for name, own in found.calibrations.items() if own.is_used} == {
        "Mouth_Slightly_Open",
        "Smiling",
    }
    assert len(found.vectors) > 30_000
