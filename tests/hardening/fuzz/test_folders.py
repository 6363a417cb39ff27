import json
import random

import pytest

from hardening.fuzz import folders
from hardening.fuzz.worker import attempt, chance_of
from ifrp_tf.core.config import Config
from ifrp_tf.release import folder as model_folder
from ifrp_tf.release import load
from ifrp_tf.training import checkpoint

WHOLE = {
    "1/saved_model.pb": b"no program",
    "1/variables/variables.index": b"index",
    "1/config.json": json.dumps(Config().to_dict()).encode(),
}


@pytest.fixture
def versions(tmp_path):
    """Versions with sound checksums over a model that TensorFlow will refuse."""
    for name, data in WHOLE.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(data)
    model_folder.write_checksums(tmp_path / "1")
    return folders.tree_of(tmp_path)


def test_trees_are_damaged_in_every_way():
    made = [folders.damaged_tree(WHOLE, random.Random(seed)) for seed in range(300)]
    names = {name for tree in made for name in tree}
    assert {"1/config.json/", "link 1/saved_model.pb", "1/more", "1/.hidden"} <= names
    assert any("1/config.json" not in tree and "1/config.json/" not in tree for tree in made)
    assert len({json.dumps({name: str(data) for name, data in tree.items()}) for tree in made}) > 200


def test_versions_are_refused_before_or_by_tensorflow(versions):
    target, words = folders.Models(versions), set()
    for index in range(150):
        outcome = attempt(target, target.make(chance_of("models", 20, index)))
        assert not outcome.finding, (index, outcome.finding)
        words.add(outcome.words)
    assert words == {"ModelError"}


def test_a_loader_that_believes_altered_files_is_found(versions, monkeypatch):
    monkeypatch.setattr(load, "load", lambda folder, trust: None)
    target = folders.Models(versions)
    words = [attempt(target, target.make(chance_of("models", 20, index))).words for index in range(20)]
    assert "escaped: AssertionError" in words


def test_runs_are_restored_or_refused(monkeypatch):
    target, words = folders.Runs(), set()
    for index in range(25):
        outcome = attempt(target, target.make(chance_of("runs", 20, index)))
        assert not outcome.finding, (index, outcome.finding)
        words.add(outcome.words)
    assert {"restored"} < words <= {"restored", "loaded", "no checkpoint", "ModelError"}
    monkeypatch.setattr(checkpoint, "restore_latest", lambda *_: {}["step"])
    words = [attempt(target, target.make(chance_of("runs", 20, index))).words for index in range(3)]
    assert "escaped: KeyError" in words
