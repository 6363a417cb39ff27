"""What must never change: answers of the release, losses and gradients of a stored batch, files on disk.

The golden values were made at commit a6c40d2, before the modules were moved into packages, those of the
release when it was made. They allow for other processors: one level in an answer, 1e-4 of a loss.
`hardening/compare_commits.py` compares two commits on one machine and asks for equality to the bit.
"""

import json
import shutil
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers import ROOT
from PIL import Image

from ifrp_tf.core.config import Config
from ifrp_tf.core.presets import preset
from ifrp_tf.data import sample
from ifrp_tf.data.shards import Prepared
from ifrp_tf.pictures import images
from ifrp_tf.recovery.recoverer import Recoverer
from ifrp_tf.systems import base
from ifrp_tf.training import callbacks, checkpoint, loop
from ifrp_tf.training.step_tf import Trainer

HERE = Path(__file__).resolve().parent
GOLDEN = json.loads((HERE / "golden.json").read_text(encoding="utf-8"))
RELEASE = ROOT / "saved_models" / "ifrp" / "6"
PLAIN = (
    "loss.identity_network=none", "loss.identity=0", "loss.identity_cosine=0", "train.batch_size=4",
    "data.group=4", "train.dtype=float32",
)  # fmt: skip


def tiles(name):
    """The sixteen pictures of a sheet, uint8 [16, 128, 128, 3]."""
    sheet = np.asarray(Image.open(HERE / name).convert("RGB"))
    return sheet.reshape(4, 128, 4, 128, 3).transpose(0, 2, 1, 3, 4).reshape(16, 128, 128, 3)


@pytest.mark.skipif(not RELEASE.is_dir(), reason="release 6 has been superseded")
def test_release_6_answers_as_it_did():
    faces, expected = tiles("faces.png"), tiles("answers.png").astype(int)
    signatures = tf.saved_model.load(str(RELEASE)).signatures
    answers = signatures["serving_default"](portrait=tf.constant(faces))["photo"].numpy()
    assert np.abs(answers - expected).max() <= 1
    files = tf.constant([images.encode_png(face) for face in faces])
    encoded = signatures["recover_bytes"](portrait_bytes=files)["photo_bytes"].numpy()
    decoded = np.stack([images.read(one).pixels for one in encoded])
    assert np.abs(decoded.astype(int) - expected).max() <= 1
    recoverer = Recoverer.load(RELEASE)
    assert np.abs(recoverer.recover_batch(faces).astype(int) - expected).max() <= 1
    blocks = recoverer(sample.portrait()).reshape(8, 16, 8, 16, 3).mean(axis=(1, 3))
    np.testing.assert_allclose(blocks, GOLDEN["sample_blocks"], atol=1.0)


def batch(side):
    """Four drawn faces, shifted and posterised, with made-up transforms."""
    step = 128 // side
    photos = tiles("faces.png")[:4, ::step, ::step].astype("float32") / 127.5 - 1
    portraits = np.round(np.roll(photos, 3, axis=2) * 2) / 2
    known = np.float32([[0.02 * k, 1 + 0.01 * k, 0.01, -0.01] for k in range(4)])
    return portraits, photos, known


def fill(network, seed):
    """Weights that depend on no initializer, nor on the order in which networks are built."""
    random = np.random.default_rng(seed)
    for variable in sorted(network.trainable_variables, key=lambda v: v.path):
        value = np.asarray(variable.value)
        noise = random.normal(size=value.shape).astype("float32")
        if value.ndim > 1 and np.abs(value).max() > 0:
            variable.assign(noise * np.sqrt(1.5 / np.prod(value.shape[:-1])))


def gradient_norm(optimizer):
    """Of the first step: Adam's first moment is a tenth of the gradient, RMSprop's of its square."""
    total = 0.0
    for variable in optimizer.variables:
        values = np.asarray(variable.value, "float64")
        if variable.path.endswith("_momentum"):
            total += float(np.sum(np.square(values / 0.1)))
        elif isinstance(optimizer, keras.optimizers.RMSprop) and variable.path.endswith("_velocity"):
            total += float(np.sum(values / 0.1))
    return total**0.5


@pytest.mark.parametrize("name", GOLDEN["steps"])
def test_losses_and_gradients_of_a_stored_batch(name):
    golden = GOLDEN["steps"][name]
    config = preset(name).override([*golden["settings"], *PLAIN])
    trainer = Trainer(base.create(config))
    trainer.compile()
    fill(trainer.networks["srn"], 1)
    fill(trainer.networks["dn"], 2)
    losses = {key: float(value) for key, value in trainer.train_step(batch(config.data.side)).items()}
    assert losses == pytest.approx(golden["losses"], rel=1e-4)
    norms = {player: gradient_norm(optimizer) for player, optimizer in trainer.optimizers.items()}
    assert norms == pytest.approx(golden["gradient_norms"], rel=2e-3)


def test_a_checkpoint_of_then_is_restored_now(tmp_path):
    values = json.loads((HERE / "run" / "config.json").read_text(encoding="utf-8"))
    config = Config.from_dict(values)
    assert config.system == "ifrp"
    trainer = loop.make_trainer(config, "")
    shutil.copytree(HERE / "run" / "checkpoints", tmp_path / "checkpoints")
    state = checkpoint.restore_latest(tmp_path / "checkpoints", callbacks.training_of(trainer))
    assert state["step"] == GOLDEN["run"]["step"]
    weights = trainer.networks["srn"].get_weights()
    assert float(sum(np.abs(each).sum(dtype="float64") for each in weights)) == pytest.approx(
        GOLDEN["run"]["sum_of_weights"], rel=1e-6
    )
    assert int(trainer.optimizers["srn"].iterations) == GOLDEN["run"]["step"]


def test_shards_of_then_are_read_now():
    config = preset("modern").override(["data.validation_count=4", "data.styles=tonal", "train.batch_size=4"])
    prepared = Prepared.open(HERE / "shards", config.data)
    training, held_out = prepared.parts()
    assert (len(training), len(held_out)) == (12, 4)
    portraits, photos, transforms = next(iter(prepared.batches(config)))
    assert portraits.shape == photos.shape == (4, 128, 128, 3)
    assert transforms.shape == (4, 4)
    faces = {face.tobytes() for face in tiles("faces.png")}
    assert all(pixels.tobytes() in faces for pixels in held_out.pixels)


def test_a_folder_recovered_then_is_not_recovered_again(tmp_path):
    """The manifest of then is understood: pictures that are done are skipped, a new one is not."""
    output = tmp_path / "recovered"
    shutil.copytree(HERE / "recovered", output)
    folder = tmp_path / "faces"
    folder.mkdir()
    for k in (0, 1):
        shutil.copy(HERE / "recovered_faces" / f"face_{k:02d}.png", folder)
    images.write_png(folder / "face_02.png", tiles("faces.png")[2])
    model = json.loads((output / "report.json").read_text(encoding="utf-8"))[
        "model"
    ]  # a release that is gone
    recoverer = Recoverer(lambda x: x, side=128, name=model["name"], fingerprint=model["sha256"])
    recoverer.recover_folder(folder, output)
    report = json.loads((output / "report.json").read_text(encoding="utf-8"))
    status = {Path(entry["input"]).name: entry["status"] for entry in report["pictures"]}
    assert status == {"face_00.png": "skipped", "face_01.png": "skipped", "face_02.png": "recovered"}
