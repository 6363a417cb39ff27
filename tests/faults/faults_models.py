"""Faults 65-68: models and weights that are more than they should be, altered, or others."""

import ast
import json
import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import keras
import numpy as np
import pytest
import small_model
import tensorflow as tf
from faults import Fault, portrait, released, write
from helpers import ROOT

from ifrp_tf.core import archives
from ifrp_tf.core.config import DataConfig
from ifrp_tf.core.errors import DataError, ModelError
from ifrp_tf.data import photos
from ifrp_tf.release import folder as model_folder
from ifrp_tf.release import load, weights
from ifrp_tf.styles import bank
from ifrp_tf.systems.ifrp import networks
from ifrp_tf.training import checkpoint

TINY = small_model.TINY


class Evil:
    """What runs when a pickle of it is read: makes a folder."""

    def __init__(self, marker: Path) -> None:
        self.marker = str(marker)

    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return os.mkdir, (self.marker,)


def with_lambda(folder: Path) -> Path:
    """A `.keras` and an `.h5` file of which a layer runs code when it is called."""
    marker = str(folder / "marker")
    layer = keras.layers.Lambda(lambda x: __import__("pathlib").Path(marker).touch() or x, output_shape=(3,))
    network = keras.Sequential([keras.Input((3,)), layer])
    network.save(folder / "model.keras")
    network.save(folder / "model.weights.h5.h5")
    os.rename(folder / "model.weights.h5.h5", folder / "model.weights.h5")
    with suppress(FileNotFoundError):
        os.unlink(marker)
    return folder


def never_run(folder: Path) -> None:
    with pytest.raises(ModelError, match=r"Expected a model folder or a \.weights\.h5"):
        load.load(folder / "model.keras")
    network = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    with pytest.raises(ModelError, match=r"expected 2 arrays\. Received: 0"):
        weights.load(network, folder / "model.weights.h5")
    assert not (folder / "marker").exists()
    for path in [*(ROOT / "ifrp_tf").rglob("*.py"), *(ROOT / "tools").rglob("*.py")]:
        nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
        names = {node.attr for node in nodes if isinstance(node, ast.Attribute)}
        assert not names & {"load_model", "model_from_json", "deserialize_keras_object"}, path


def pickles(folder: Path) -> Path:
    """Archives of objects, where a bank, a checkpoint and the cache of photographs are looked for."""
    evil = np.array([Evil(folder / "marker")], dtype=object)
    (folder / "bank").mkdir()
    np.savez(folder / "bank" / "trunk.npz", **{"a/kernel": evil, "a/bias": evil})
    np.save(folder / "array.npy", evil)
    write(folder / "photos", {"a.png": portrait()})
    photos.load(folder / "photos", DataConfig(side=32), cache=folder / "cache")
    (cached,) = (folder / "cache").glob("*.npy")
    np.save(cached, evil)
    training = checkpoint.Training({}, {"srn_optimizer": optimizer()})
    names = [variable.path for variable in training.optimizers["srn_optimizer"].variables]
    saved = checkpoint.save(folder / "run", training, 1)
    np.savez(saved / "srn_optimizer.npz", **dict.fromkeys(names, evil))
    return folder


def optimizer() -> keras.optimizers.Optimizer:
    made = keras.optimizers.Adam(name="srn_optimizer")
    made.build([keras.Variable(1.0)])
    return made


def never_unpickled(folder: Path) -> None:
    network = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1, name="a")])
    for read in (
        lambda: bank.load(str(folder / "bank")),
        lambda: archives.read_arrays(folder / "bank" / "trunk.npz"),
        lambda: archives.read_arrays(folder / "array.npy"),
        lambda: archives.load_arrays(folder / "bank" / "trunk.npz", network),
    ):
        with pytest.raises(DataError, match="allow_pickle=False|not a zip file"):
            read()
    with pytest.raises(ModelError, match="Object arrays cannot be loaded|Differing names"):
        checkpoint.restore_latest(folder / "run", checkpoint.Training({}, {"srn_optimizer": optimizer()}))
    again = photos.load(folder / "photos", DataConfig(side=32), cache=folder / "cache")
    assert again.pixels.dtype == np.uint8
    assert not (folder / "marker").exists()
    assert '"S301"' in (ROOT / "pyproject.toml").read_text(encoding="utf-8")


def altered(folder: Path) -> Path:
    source = Path(model_folder.locate(ROOT / "saved_models" / "ifrp").path)
    copied = Path(shutil.copytree(source, folder / "ifrp" / "3"))
    with open(copied / "MODEL_CARD.md", "a", encoding="utf-8") as card:
        card.write("An altered word.\n")
    return copied


def refused_unless_trusted(folder: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tf.saved_model, "load", lambda *_: pytest.fail("TensorFlow touched an altered model"))
        with pytest.raises(ModelError, match=r"MODEL_CARD\.md.*expected SHA-256 .* Received: .*`trust`"):
            load.load(folder)
    trusted = load.load(folder, trust=True)
    assert (trusted.name, trusted.side) == ("ifrp/3", 128)
    assert trusted.fingerprint != released().fingerprint


def other_widths(folder: Path) -> Path:
    run = small_model.write_run(folder / "run", TINY)
    wider = TINY.override(["model.width=16"])
    return write(run, {"config.json": json.dumps(wider.to_dict()).encode()})


def refused_with_the_shapes(run: Path) -> None:
    with pytest.raises(ModelError, match=r"cannot be loaded: .*shape.*configuration beside the weights"):
        load.load(run)
    srn = networks.build_srn(TINY.override(["model.normalization=none"]).model, side=32)
    with pytest.raises(ModelError, match=r"expected \d+ arrays\. Received: \d+"):
        weights.load(srn, run / "model" / "srn.weights.h5")


ROWS = [
    Fault(65, "layers that run code", with_lambda, never_run),
    Fault(66, "pickles in archives", pickles, never_unpickled),
    Fault(67, "altered SavedModel", altered, refused_unless_trusted),
    Fault(
        68,
        "weights of another width",
        other_widths,
        refused_with_the_shapes,
        differs="The message holds the shapes that differ: a weights file knows no configuration.",
    ),
]
