import contextlib
import json
import random
import zipfile

import numpy as np
import pytest

from hardening.fuzz import files
from hardening.fuzz.worker import attempt, chance_of
from ifrp_tf.core import archives
from ifrp_tf.core.config import Config
from ifrp_tf.release import weights


def outcomes(target, name, count):
    found = {}
    for index in range(count):
        outcome = attempt(target, target.make(chance_of(name, 20, index)))
        assert not outcome.finding, (index, outcome.finding)
        found[outcome.words] = found.get(outcome.words, 0) + 1
    return found


def test_settings_are_taken_or_refused():
    found = outcomes(files.Configs(), "configs", 500)
    assert set(found) == {"a configuration", "ConfigError", "ModelError"}
    assert min(found.values()) > 10


def test_weight_files_are_taken_or_refused():
    found = outcomes(files.Weights(), "weights", 80)
    assert set(found) == {"loaded", "ModelError", "DataError"}
    assert min(found.values()) > 5


@pytest.mark.parametrize("door", [(weights, "load"), (archives, "read_arrays"), (archives, "load_arrays")])
def test_a_door_that_lets_something_through_is_found(door, monkeypatch):
    def broken(*_):
        raise RuntimeError("h5py says so")

    monkeypatch.setattr(*door, broken)
    target = files.Weights()
    made = [attempt(target, target.make(chance_of("weights", 20, index))).words for index in range(40)]
    assert "escaped: RuntimeError" in made


def test_damaged_texts_are_of_every_kind():
    whole = json.dumps(Config().to_dict()).encode()
    made = [files.damaged_json(whole, random.Random(seed)) for seed in range(200)]
    parsed = 0
    for text in made:
        with contextlib.suppress(ValueError, RecursionError):
            parsed += isinstance(json.loads(text), dict)
    assert 80 < parsed < 190
    assert len(set(made)) > 180


def test_a_folder_is_emptied_before_each_case_and_gone_at_the_end(tmp_path):
    folder = files.Folder()
    folder.filled({"a/b": b"1", "c/": b"", "link d": b"/nowhere"})
    assert sorted(path.name for path in folder.path.iterdir()) == ["a", "c", "d"]
    assert (folder.path / "d").is_symlink()
    path = folder.filled({"e": b"2"})
    assert [entry.name for entry in path.iterdir()] == ["e"]
    del folder
    assert not path.exists()


def test_archives_with_damaged_members_are_still_archives(tmp_path):
    archives.write_arrays(tmp_path / "a.npz", {name: np.arange(9.0) for name in "abc"})
    whole, still = (tmp_path / "a.npz").read_bytes(), 0
    for seed in range(100):
        (tmp_path / "b.npz").write_bytes(files.damaged_npz(whole, random.Random(seed)))
        still += zipfile.is_zipfile(tmp_path / "b.npz")
    assert still > 60
