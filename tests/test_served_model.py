"""One loaded version: its signatures, its checks, its warm-up, and what is not loaded."""

import numpy as np
import pytest
import served
from served import SIDE, direct, portraits

from ifrp_tf.errors import ModelError
from ifrp_tf.served_model import ServedModel, Spec
from ifrp_tf.serving_status import Refusal


@pytest.fixture(scope="module")
def model():
    return ServedModel("toy", 1, served.released() / "1")


def test_it_answers_as_the_saved_model_does(model):
    signature = model.signature("")
    pictures = portraits(3)
    assert signature.check({"portrait": pictures}) == 3
    np.testing.assert_array_equal(signature.run({"portrait": pictures})["photo"], direct(pictures))
    assert signature.batched
    assert model.warmed_up == 2
    assert str(signature.inputs["portrait"]) == f"uint8 [N, {SIDE}, {SIDE}, 3]"


def test_empty_batches(model):
    empty = {"portrait": np.zeros((0, SIDE, SIDE, 3), np.uint8)}
    assert model.signature("").run(empty)["photo"].shape == (0, SIDE, SIDE, 3)
    files = {"portrait_bytes": np.array([], object)}
    signature = model.signature("recover_bytes")
    assert signature.check(files) == 0
    assert signature.run(files)["photo_bytes"].tolist() == []


def test_what_does_not_fit_is_refused(model):
    signature = model.signature("serving_default")
    for inputs, words in (
        ({}, "Missing: portrait"),
        ({"portrait": portraits(1), "x": portraits(1)}, "unknown: 1"),
        ({"portrait": portraits(1).astype(int)}, "Received: int64"),
        ({"portrait": portraits(1)[0]}, r"Received: uint8 \[32, 32, 3\]"),
    ):
        with pytest.raises(Refusal, match=words) as caught:
            signature.check(inputs)
        assert caught.value.code == "INVALID_ARGUMENT"
    with pytest.raises(Refusal, match="starts with") as caught:
        model.signature("recover_bytes").run({"portrait_bytes": np.array([b"x" * 50], object)})
    assert caught.value.code == "INVALID_ARGUMENT"
    with pytest.raises(Refusal, match="recover_bytes, serving_default"):
        model.signature("other")


def test_specs():
    spec = Spec(np.dtype(object), (None,))
    assert spec.fits(np.array(["a"]))
    assert spec.fits(np.array([b"a"], object))
    assert not spec.fits(np.array([1]))
    assert Spec(np.dtype(np.int32), None).fits(np.zeros((3, 4), np.int32))
    assert str(Spec(np.dtype(np.int32), None)) == "int32 of any shape"


def test_an_altered_version_is_not_loaded(tmp_path):
    folder = served.copy_version(tmp_path, 5)
    (folder / "config.json").write_text("{}")
    with pytest.raises(ModelError, match="SHA-256"):
        ServedModel("toy", 5, folder)
    assert ServedModel("toy", 5, folder, trust=True).warmed_up == 2
    (folder / "saved_model.pb").write_bytes(b"nothing")
    with pytest.raises(ModelError, match="cannot be loaded"):
        ServedModel("toy", 5, folder, trust=True)
