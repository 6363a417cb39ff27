import json

import numpy as np
import pytest
import tensorflow as tf

from ifrp_tf.core.errors import TrainingError
from ifrp_tf.core.presets import preset
from ifrp_tf.data import toy_faces
from ifrp_tf.pictures import images
from ifrp_tf.systems import base
from ifrp_tf.training import callbacks, checkpoint, validation
from ifrp_tf.training.step_tf import Trainer


@pytest.fixture
def trainer():
    made = Trainer(base.create(preset("toy").override(["train.batch_size=4", "train.epoch_pictures=8"])))
    made.compile()
    made.run_eagerly = True  # spares a test of few steps the tracing of a graph
    return made


@pytest.fixture(scope="module")
def photos():
    return toy_faces.draw(10, side=64, seed=5).pixels


def dataset(photos, poison=None):
    values = images.to_model_range(photos[:4])
    known = np.tile(np.float32([[0, 1, 0, 0]]), (4, 1))
    count = tf.data.Dataset.range(4)
    nan = lambda k: tf.where(k == poison, np.nan, 1.0) if poison is not None else 1.0  # noqa: E731
    return count.map(lambda k: (values, values * tf.cast(nan(k), tf.float32), known))


def test_finite_guard_names_the_loss_and_leaves_the_last_checkpoint(trainer, photos, tmp_path):
    saver = callbacks.Checkpointer(tmp_path, trainer.config.override(["train.checkpoint_steps=1"]))
    with pytest.raises(TrainingError, match=r"nan or infinity in .*pixel.* at step 3"):
        trainer.fit(dataset(photos, poison=2), callbacks=[callbacks.FiniteGuard(), saver], verbose=0)
    assert [path.name for path in checkpoint.list_checkpoints(tmp_path)][-1] == "step_00000002"


def test_checkpointer_saves_by_steps_and_at_the_epochs_end(trainer, photos, tmp_path):
    saver = callbacks.Checkpointer(tmp_path, trainer.config.override(["train.checkpoint_steps=3"]))
    trainer.fit(dataset(photos), callbacks=[saver], verbose=0)
    assert [path.name for path in checkpoint.list_checkpoints(tmp_path)] == ["step_00000003", "step_00000004"]
    other = Trainer(base.create(trainer.config))
    other.compile()
    assert checkpoint.restore_latest(tmp_path, callbacks.training_of(other))["step"] == 4
    for a, b in zip(trainer.average.weights, other.average.weights, strict=True):
        np.testing.assert_array_equal(a.value, b.value)
    assert int(other.optimizers["srn"].iterations) == int(trainer.optimizers["srn"].iterations)
    assert int(other.optimizers["dn"].iterations) == int(trainer.optimizers["dn"].iterations)


def test_validation_writes_rows_samples_board_and_model(trainer, photos, tmp_path):
    pairs = validation.FixedPairs(255 - photos, photos, np.round(photos.mean(axis=0)).astype(np.uint8))
    watch = callbacks.Validation(tmp_path, trainer.config, pairs)
    trainer.fit(dataset(photos), callbacks=[watch], verbose=0)
    (row,) = callbacks.read_metrics(tmp_path)
    assert (row["step"], row["pictures"], row["epoch"]) == (4, 16, 1)
    assert set(row["validation"]) == {"model", "input", "mean_face"}
    assert row["train"]["loss"] > 0
    sheet = images.read(tmp_path / "samples" / "step_00000004.png").pixels
    assert sheet.shape[1] > 8 * 64
    assert list((tmp_path / "tensorboard").iterdir())
    again = Trainer(base.create(trainer.config))
    again.networks["srn"].load_weights(tmp_path / "model" / "srn.weights.h5")
    recovered = validation.recover(again.system, again.networks["srn"], pairs.portraits)
    expected = row["validation"]["model"]["psnr"]
    assert validation.score(recovered, photos)["psnr"] == pytest.approx(expected, abs=1e-3)


def test_steps_come_to_again_after_a_kill_are_written_once(trainer, photos, tmp_path):
    row = {"step": 4, "validation": {"model": {"psnr": 1.0}}}
    text = "".join(json.dumps({**row, "step": step}) + "\n" for step in (2, 4, 8))
    (tmp_path / "metrics.jsonl").write_text(text + '{"st')  # killed before its first checkpoint, in a row
    pairs = validation.FixedPairs(255 - photos, photos, photos[0])
    watch = callbacks.Validation(tmp_path, trainer.config, pairs)
    watch.set_model(trainer)
    trainer.step.assign(4)
    watch.on_epoch_end(0)
    assert [json.loads(line)["step"] for line in (tmp_path / "metrics.jsonl").read_text().splitlines()] == [
        2,
        4,
    ]
    names = {path.name for path in (tmp_path / "model").iterdir()}
    assert names == {"srn.weights.h5", "mean_face.png", "config.json"}


def test_patience_stops_the_run(trainer, photos, tmp_path):
    config = trainer.config.override(["train.patience=2"])
    rows = [{"step": k, "validation": {"model": {"psnr": p}}} for k, p in enumerate([99.0, 98.0])]
    (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    pairs = validation.FixedPairs(255 - photos, photos, photos[0])
    watch = callbacks.Validation(tmp_path, config, pairs)
    trainer.fit(dataset(photos), epochs=5, callbacks=[watch], verbose=0)
    assert len(callbacks.read_metrics(tmp_path)) == 3  # 99, 98 and one more without a gain


def test_metrics_survive_a_cut_line_and_are_trimmed(tmp_path):
    (tmp_path / "metrics.jsonl").write_text('{"step": 1}\n{"step": 2}\n{"st')
    assert [row["step"] for row in callbacks.read_metrics(tmp_path)] == [1, 2]
    callbacks.trim_metrics(tmp_path, 1)
    assert (tmp_path / "metrics.jsonl").read_text() == '{"step": 1}\n'


def test_foreign_portraits_are_scored_beside(trainer, photos, tmp_path, caplog):
    caplog.set_level("INFO")
    mean = np.round(photos.mean(axis=0)).astype(np.uint8)
    pairs, foreign = (validation.FixedPairs(given, photos, mean) for given in (255 - photos, photos // 2))
    watch = callbacks.Validation(tmp_path, trainer.config, pairs, foreign)
    trainer.fit(dataset(photos), callbacks=[watch], verbose=0)
    (row,) = callbacks.read_metrics(tmp_path)
    found = row["validation"]
    assert set(found) == {"model", "input", "mean_face", "foreign", "foreign_input", "foreign_mean_face"}
    assert found["foreign_input"] == validation.score(photos // 2, photos)
    answers = validation.recover(trainer.system, trainer.average, photos // 2)
    assert found["foreign"] == pytest.approx(validation.score(answers, photos), rel=1e-4)
    assert "foreign portraits: " in caplog.text
