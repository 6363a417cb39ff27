import json

import numpy as np
import pictures
import pytest
import small_model

from ifrp_tf.core.errors import ModelError
from ifrp_tf.pictures import images
from ifrp_tf.release import folder as model_folder
from ifrp_tf.release.load import in_batches, load

SCENE = pictures.scene(300, 200)


@pytest.fixture
def copy(tmp_path):
    """A version folder that may be damaged, without a network in it: loading must not get that far."""
    folder = tmp_path / "ifrp" / "4"
    (folder / "variables").mkdir(parents=True)
    for name in ("saved_model.pb", "config.json", "variables/variables.index"):
        (folder / name).write_bytes((small_model.exported() / name).read_bytes())
    model_folder.write_checksums(folder)
    return folder


def test_a_folder_of_versions_is_a_model():
    model = load(small_model.exported().parent)
    assert (model.name, model.side, len(model.fingerprint)) == ("small/7", 128, 64)
    portraits = np.stack([images.letterbox(SCENE)] * 2)
    recovered = model.network(portraits)
    assert (recovered.shape, recovered.dtype) == (portraits.shape, np.uint8)
    assert recovered.std() > 20


def test_an_altered_model_is_refused_before_tensorflow_sees_it(copy):
    (copy / "saved_model.pb").write_bytes(b"no model")
    with pytest.raises(ModelError, match="expected SHA-256"):
        load(copy)
    with pytest.raises(ModelError, match="cannot be loaded"):
        load(copy, trust=True)


def test_a_model_for_other_pictures_is_refused(copy):
    config = json.loads((copy / "config.json").read_text())
    config["data"]["side"] = 64
    (copy / "config.json").write_text(json.dumps(config))
    (copy / "variables" / "variables.data-00000-of-00001").write_bytes(
        (small_model.exported() / "variables" / "variables.data-00000-of-00001").read_bytes()
    )
    model_folder.write_checksums(copy)
    with pytest.raises(ModelError, match="64"):
        load(copy.parent)


def test_a_network_that_answers_nan_is_reported(tmp_path):
    srn = small_model.network(small_model.TINY)
    for weight in srn.weights:
        weight.assign(np.full(weight.shape, 1e30))
    model = load(small_model.write_run(tmp_path / "run", small_model.TINY, srn))
    with pytest.raises(ModelError, match="no usable answer"):
        model.network(np.zeros((1, 32, 32, 3), np.uint8))


@pytest.mark.parametrize("count", [1, 4, 5, 8, 11])
def test_every_batch_is_full_and_every_row_is_answered(count):
    seen = []

    def function(a, b):
        seen.append(len(a))
        return a + b

    rows = np.arange(2 * count).reshape(count, 2)
    np.testing.assert_array_equal(in_batches(function, rows, 10 * rows, size=4), 11 * rows)
    assert seen == [4] * -(-count // 4)


def test_without_filling_the_last_batch_is_short():
    seen = []
    in_batches(lambda rows: seen.append(len(rows)) or rows, np.arange(5), size=4, fill=False)
    assert seen == [4, 1]
