"""One row: commands that do the same by hand, settings not to be mixed, words of a training that failed."""

import dataclasses
import json
import shlex

import pytest

from ifrp_tf.core.errors import ConfigError, TrainingError
from ifrp_tf.evaluation.ablation import row as ablate_row
from ifrp_tf.evaluation.ablation import run


def job(folder, **options):
    given = {"table": "architecture", "pictures": 64, "base": "toy", "run_dir": str(folder)}
    return run.plan(run.Request(**given, **options))[1][0]


def test_commands_do_the_same_by_hand(tmp_path):
    row = job(tmp_path, settings=("data.side=32",), limit=7, descriptor="none")
    train, unseen, seen = map(shlex.split, row.commands)
    assert train[:2] == ["python", "tools/train.py"]
    assert train[2:] == list(row.flags)
    assert {"--preset=toy", "--set=data.side=32", "--set=model.skips=none"} < set(train)
    assert {"--styles=engraving,impasto,facets", "--limit=7", "--descriptor=none"} < set(unseen)
    assert "--styles=pencil,oil,mosaic" in seen
    assert [line[1] for line in (unseen, seen)] == ["tools/evaluate.py"] * 2


def test_a_folder_begun_with_other_settings_is_refused(tmp_path):
    row = job(tmp_path)
    ablate_row.check(row)
    row.folder.mkdir()
    (row.folder / "config.json").write_text(json.dumps(row.config.to_dict()))
    ablate_row.check(row)
    for options in ({"settings": ("train.seed=2",)}, {"settings": ("data.angles=0,15",)}):
        with pytest.raises(ConfigError, match=r"train\.seed: 1 -> 2|data\.angles: \[\] -> \[0\.0, 15\.0\]"):
            ablate_row.check(job(tmp_path, **options))


def test_what_is_not_there_is_no_result(tmp_path):
    row = job(tmp_path)
    assert ablate_row.result(row) is None
    row.folder.mkdir()
    (row.folder / "trained.json").write_text(json.dumps(row.config.to_dict()))
    assert ablate_row.result(row) is None, "trained, not tested"


def test_a_training_that_fails_says_why_and_its_seconds_are_kept(tmp_path):
    row = job(tmp_path)
    broken = dataclasses.replace(row, flags=(*row.flags, "--resume=perhaps"))
    with pytest.raises(TrainingError, match="exit code 2: ifrp train: .*--resume=perhaps"):
        ablate_row.train(broken)
    assert json.loads((row.folder / "seconds.json").read_text())["seconds"] > 0
    assert not (row.folder / "trained.json").exists()
