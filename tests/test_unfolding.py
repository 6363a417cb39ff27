import json
import shutil

import keras
import numpy as np
import pytest
import small_model

from ifrp_tf import model_folder, unfolding
from ifrp_tf.errors import ModelError
from ifrp_tf.folding import partners

PORTRAITS = np.random.default_rng(0).uniform(-1, 1, (20, 128, 128, 3)).astype("float32")


@pytest.fixture(scope="module")
def released():
    return unfolding.load_released(small_model.exported(), PORTRAITS)


def test_it_answers_like_the_network_that_was_exported(released):
    expected, received = (
        np.asarray(srn(PORTRAITS[:4], training=False)) for srn in (small_model.network(), released)
    )
    assert expected.std() > 0.1
    assert np.abs(received - expected).mean() < 0.003 * np.abs(expected).max()  # float16 is rounded


def test_its_norms_are_back_and_know_what_they_normalise(released):
    pairs = partners(released)
    assert len(pairs) > 10
    inner = keras.Model(released.input, [released.get_layer(layer).output for layer in pairs.values()])
    for name, output in zip(pairs, inner(PORTRAITS, training=False), strict=True):
        norm, values = released.get_layer(name), np.asarray(output, np.float64)
        values = values.reshape(-1, values.shape[-1])
        np.testing.assert_allclose(np.asarray(norm.moving_mean), values.mean(0), atol=1e-4)
        np.testing.assert_allclose(np.asarray(norm.moving_variance), values.var(0), atol=1e-4, rtol=1e-3)


def test_weights_of_another_configuration_are_refused(tmp_path):
    folder = tmp_path / "9"
    shutil.copytree(small_model.exported(), folder)
    config = json.loads((folder / "config.json").read_text())
    config["model"]["width"] = 16
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(ModelError, match="SHA-256"):
        unfolding.load_released(folder, PORTRAITS)
    (folder / model_folder.CHECKSUMS).unlink()
    model_folder.write_checksums(folder)
    with pytest.raises(ModelError, match="arrays of the configuration"):
        unfolding.load_released(folder, PORTRAITS)
