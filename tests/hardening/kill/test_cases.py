"""The short loop on the real tools; `tools/kill_loop.py` is the long one, `test_train` kills a training."""

import json
import shutil

import numpy as np
import pytest
import small_model

from hardening.kill import cases, intact
from hardening.kill import run as killing
from hardening.kill.run import Moment
from ifrp_tf.cli import recover
from ifrp_tf.core.errors import ConfigError
from ifrp_tf.release import export
from ifrp_tf.release import folder as model_folder


@pytest.mark.slow
def test_a_recovery_killed_and_resumed_equals_an_undisturbed_one(tmp_path):
    cases.draw(tmp_path / "in", 24)
    (tmp_path / "in" / "not_a_picture.png").write_bytes(b"text")
    case = cases.recovery(tmp_path / "in", model := small_model.exported())
    work = tmp_path / "work"
    work.mkdir()
    life = killing.live(case, work, tmp_path / "log", Moment(0.001, 20))  # in the middle of the first batch
    assert life.killed, life.said
    assert intact.damaged(work) == []
    before = case.lasting(work)
    assert 0 < len(before) < 48
    for folder in (tmp_path / "whole", work):
        for _ in range(2):  # the second finds everything done, so that both reports say the same
            request = recover.Request(
                input=(str(tmp_path / "in"),), output=str(folder / "out"), model=str(model), gallery=True
            )
            code = recover.run(request)
            assert code == 1  # one input is no picture
    assert killing.lost(before, case.lasting(work)) == []
    assert cases.compare(tmp_path / "whole", work) == ([], True)
    assert len(json.loads((work / "out" / "report.json").read_text())["pictures"]) == 25


@pytest.mark.slow
def test_an_export_killed_while_it_writes_leaves_nothing_under_its_name(tmp_path):
    case = cases.export(small_model.run_folder(), tmp_path)
    life = killing.live(case, tmp_path, tmp_path / "log", Moment(0.0, 3))
    assert life.killed, life.said
    assert intact.leftovers(tmp_path)
    assert not case.finished(tmp_path)
    assert case.lasting(tmp_path) == {}
    output = export.run(small_model.run_folder(), tmp_path / "toy" / "1")
    model_folder.verify(output)
    assert case.finished(tmp_path)
    assert intact.damaged(tmp_path) == []
    assert intact.leftovers(tmp_path) == []  # the next export takes away what the killed one left


def test_what_a_training_and_a_bank_may_not_lose(tmp_path):
    run = tmp_path / "run"
    for step in (4, 8):
        (run / "checkpoints" / f"step_{step:08d}").mkdir(parents=True)
    (run / "metrics.jsonl").write_text('{"step": 4}\n{"step": 8}\n{"step": 12}\n')
    (run / "config.json").write_text("{}")
    case = cases.training()
    before = case.lasting(tmp_path)
    assert before == {"checkpoint": 8, "rows up to it": 2, "config.json": 1}
    shutil.rmtree(run / "checkpoints" / "step_00000008")
    assert len(killing.lost(before, case.lasting(tmp_path))) == 2
    (tmp_path / "other" / "run").mkdir(parents=True)
    (tmp_path / "other" / "run" / "metrics.jsonl").write_text('{"step": 4}\n{"step": 4}\n')
    faults, _ = case.differences(tmp_path, tmp_path / "other")
    assert "metrics.jsonl: expected rows of steps [4, 8, 12], received [4, 4]" in faults
    bank = cases.bank(tmp_path, tmp_path, "none")
    assert bank.lasting(tmp_path) == {"step": 0}
    np.savez(run / "checkpoint.npz", step=np.asarray(7))
    assert bank.lasting(tmp_path) == {"step": 7}


def test_wrong_usage(tmp_path):
    for what, kills in (([], 1), (["recovry"], 1), (["recovery"], 0)):
        with pytest.raises(ConfigError, match="training, recovery, export, bank"):
            cases.run(what, kills, 0, tmp_path, weights="")
    done = small_model.tool("kill_loop", "--what=x", f"--run_dir={tmp_path}")
    assert done.returncode == 2
    assert "Expected some of training" in done.stderr
