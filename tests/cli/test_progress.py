"""Long work shows life: what it logs is seen on the error stream of its command."""

import logging

import pytest
import small_model

from ifrp_tf.data import bundle
from ifrp_tf.evaluation.ablation import run as ablation
from ifrp_tf.evaluation.comparison import run as comparison

WORK = [
    ("compare", comparison, "run", 0, ("--data={0}", "--faces={0}", "--sketches={0}", "--insist")),
    ("ablate", ablation, "run", 0, ("--table=recipe", "--base=toy", "--pictures=8", "--insist")),
    ("bundle", bundle, "make", [], ("--shards={0}",)),
]


@pytest.mark.parametrize(("name", "module", "work", "answer", "flags"), WORK, ids=[row[0] for row in WORK])
def test_what_the_work_logs_is_shown(monkeypatch, tmp_path, name, module, work, answer, flags):
    def logs(*_, **__):
        logging.info("row %d", 7)
        return answer

    monkeypatch.setattr(module, work, logs)
    output = f"--{'output' if name == 'bundle' else 'run_dir'}={tmp_path / 'new'}"
    done = small_model.called(name, output, *(flag.format(tmp_path) for flag in flags))
    assert done.returncode == 0, done.stderr
    assert "row 7" in done.stderr
