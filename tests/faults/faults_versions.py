"""Faults 69-72: folders of models that are incomplete, lead elsewhere, or hold another thing."""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import small_model
import tensorflow as tf
from faults import Fault, write
from helpers import ROOT
from model_servers import SERVERS, Model
from tensorflow.core.protobuf import saved_model_pb2

from ifrp_tf.client.client import Client
from ifrp_tf.core.errors import DataError, ModelError, ServingError
from ifrp_tf.release import folder as model_folder
from ifrp_tf.release import load, weights
from ifrp_tf.styles import bank

TINY = small_model.TINY


def version(folder: Path) -> Path:
    """A folder with the files of a version, though no model is in them."""
    names = ("saved_model.pb", "variables/variables.index", "MODEL_CARD.md")
    write(
        folder,
        {**{name: name.encode() for name in names}, "config.json": json.dumps(TINY.to_dict()).encode()},
    )
    model_folder.write_checksums(folder)
    return folder


def incomplete(folder: Path) -> Path:
    shutil.rmtree(version(folder / "without" / "1") / "variables")
    (folder / "empty").mkdir()
    version(folder / "latest" / "newest")
    (folder / "hollow" / "3").mkdir(parents=True)
    return folder


def named_files_are_missing(folder: Path) -> None:
    for name, words in {
        "without": r"Expected variables/variables\.index",
        "empty": "Received: an empty folder",
        "latest": r"a numbered version .* Received: newest",
        "hollow": r"Expected .*3/saved_model\.pb",
    }.items():
        with pytest.raises(ModelError, match=words):
            load.load(folder / name)


def links(folder: Path) -> Path:
    """Versions with a file outside, by a link and by `..` in the list, and one with a link inside."""
    write(folder, {"elsewhere": b"saved_model.pb"})
    out = version(folder / "out")
    (out / "saved_model.pb").unlink()
    (out / "saved_model.pb").symlink_to(folder / "elsewhere")
    climbing = version(folder / "climbing")
    with open(climbing / "SHA256SUMS", "a", encoding="utf-8") as sums:
        sums.write(f"{model_folder.sha256(folder / 'elsewhere')}  ../elsewhere\n")
    inside = version(folder / "inside")
    os.rename(inside / "MODEL_CARD.md", inside / "card")
    (inside / "MODEL_CARD.md").symlink_to("card")
    model_folder.write_checksums(inside)
    return folder


def nothing_from_outside(folder: Path) -> None:
    for trust in (False, True):
        with pytest.raises(ModelError, match="the link 'saved_model.pb', which leads to .*elsewhere"):
            model_folder.verify(folder / "out", trust=trust)
    with pytest.raises(ModelError, match=r"\.\./elsewhere .*no such file"):
        model_folder.verify(folder / "climbing")
    assert len(model_folder.verify(folder / "inside")) == 64


def not_a_number(folder: Path) -> Path:
    """A run with NaN in a weight, the same weights sound and halved, and a bank with infinity in a style."""
    srn = small_model.network(TINY)
    run = small_model.write_run(folder / "run", TINY, srn)
    write(folder, {"config.json": (run / "config.json").read_bytes()})
    weights.write_half(run / "model" / "srn.weights.h5", folder / "half.weights.h5")
    srn.weights[0].assign(np.full(srn.weights[0].shape, np.nan))
    srn.save_weights(run / "model" / "srn.weights.h5")
    (folder / "bank").mkdir()
    np.savez(folder / "bank" / "trunk.npz", **bank.initial_trunk(0))
    styles = {"photograph": bank.initial_style(), "bright": np.full(bank.PARAMETERS, np.inf)}
    np.savez(folder / "bank" / "styles.npz", **styles)
    return folder


def refused_when_loaded(folder: Path) -> None:
    with pytest.raises(ModelError, match="NaN or infinity in .*kernel"):
        load.load(folder / "run")
    with pytest.raises(DataError, match=r"NaN or infinity in \['bright'\]"):
        bank.load(str(folder / "bank"))
    portraits = np.full((1, 32, 32, 3), 90, np.uint8)
    assert load.load(folder / "half.weights.h5").network(portraits).shape == portraits.shape


def foreign_signature(folder: Path) -> Path:
    @tf.function(input_signature=[tf.TensorSpec((None, 32, 32, 3), tf.float32, name="portrait")])
    def serving_default(portrait: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"photo": portrait}

    tf.saved_model.save(
        tf.Module(), str(folder / "ifrp" / "4"), signatures={"serving_default": serving_default}
    )
    write(folder / "ifrp" / "4", {"config.json": json.dumps(TINY.to_dict()).encode()})
    model_folder.write_checksums(folder / "ifrp" / "4")
    return folder / "ifrp"


def seen_at_once(model: Path) -> None:
    with pytest.raises(ModelError, match="Expected a signature of portrait uint8"):
        load.load(model)
    golden = saved_model_pb2.SavedModel()
    path = model_folder.locate(ROOT / "saved_models" / "ifrp").path
    golden.ParseFromString((path / "saved_model.pb").read_bytes())
    found = golden.meta_graphs[0].signature_def
    for name, key, kind, shape in (
        ("serving_default", "", tf.uint8, [-1, 128, 128, 3]),
        ("recover_bytes", "_bytes", tf.string, [-1]),
    ):
        for part, tensor in (("inputs", f"portrait{key}"), ("outputs", f"photo{key}")):
            info = getattr(found[name], part)[tensor]
            assert (info.dtype, [dim.size for dim in info.tensor_shape.dim]) == (kind.as_datatype_enum, shape)
    asked = []
    served = Model()
    served.find = lambda name, _: asked.append(name) or 1
    with SERVERS["grpc"](served) as address, Client(address, timeout=10.0) as client:
        for _ in range(2):
            client.recover(np.zeros((32, 32, 3), np.uint8))
        assert len(asked) == 3  # twice for an answer, once for what the model is
    served.signatures = ("another",)
    with SERVERS["grpc"](served) as address, Client(address, timeout=10.0) as client:  # noqa: SIM117
        with pytest.raises(ServingError, match="serving_default"):
            client.recover(np.zeros((32, 32, 3), np.uint8))


ROWS = [
    Fault(69, "incomplete model folders", incomplete, named_files_are_missing),
    Fault(
        70,
        "links in a model folder",
        links,
        nothing_from_outside,
        differs="A link that stays inside is followed: what it leads to has its sum as well.",
    ),
    Fault(
        71,
        "weights of NaN or of half precision",
        not_a_number,
        refused_when_loaded,
        differs="Half precision is how this package ships weights: it is read, and checked like any other.",
    ),
    Fault(72, "another signature", foreign_signature, seen_at_once),
]
