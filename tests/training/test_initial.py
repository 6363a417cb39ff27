import dataclasses
import shutil

import numpy as np
import pytest
import small_model

from ifrp_tf.core.errors import ModelError
from ifrp_tf.systems.ifrp import networks
from ifrp_tf.systems.ifrp.settings import ModelConfig
from ifrp_tf.training import initial

CASCADE = dataclasses.replace(small_model.CONFIG.model, localisation="cascade")


def values(srn, layer):
    return srn.get_layer(layer).get_weights()[0]


def test_a_weights_file_is_taken_whole_or_refused():
    path = str(small_model.run_folder() / "model" / "srn.weights.h5")
    srn = networks.build_srn(small_model.CONFIG.model)
    initial.start_from(srn, [path])
    for received, expected in zip(srn.get_weights(), small_model.network().get_weights(), strict=True):
        np.testing.assert_array_equal(received, expected)
    with pytest.raises(ModelError, match="arrays"):
        initial.start_from(networks.build_srn(CASCADE), [path])


def test_layers_that_fit_are_taken_from_several_sources(tmp_path):
    aligner = dataclasses.replace(small_model.CONFIG, model=dataclasses.replace(CASCADE, srn="aligner"))
    run = small_model.write_run(tmp_path / "aligner", aligner, small_model.network(aligner, seed=9))
    srn = networks.build_srn(CASCADE)
    before = values(srn, "align1_conv1")
    initial.start_from(srn, [str(small_model.run_folder())])
    np.testing.assert_array_equal(values(srn, "e1_conv"), values(small_model.network(), "e1_conv"))
    np.testing.assert_array_equal(values(srn, "align1_conv1"), before)
    initial.start_from(srn, [str(small_model.exported()), str(run)])
    found = small_model.network(aligner, seed=9)
    np.testing.assert_array_equal(values(srn, "align1_conv1"), values(found, "align1_conv1"))
    half = values(small_model.network(), "e1_conv").astype(np.float16)
    np.testing.assert_array_equal(values(srn, "e1_conv"), half)


def test_a_graph_without_weights_is_refused_in_words(tmp_path):
    version = shutil.copytree(small_model.exported(), tmp_path / "1")
    (path,) = version.glob("*.weights.h5")
    path.unlink()
    with pytest.raises(ModelError, match="with its weights"):
        initial.start_from(networks.build_srn(small_model.CONFIG.model), [str(version)])


def test_a_source_without_a_fitting_layer_is_an_error():
    srn = networks.build_srn(ModelConfig(width=16, stn="none", skips="none"))
    with pytest.raises(ModelError, match="none that do"):
        initial.start_from(srn, [str(small_model.run_folder())])
