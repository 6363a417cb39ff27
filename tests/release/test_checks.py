"""An export against Keras with the same weights, and its ONNX form."""

import numpy as np
import pytest
import served
import small_model

from ifrp_tf.core.errors import ModelError
from ifrp_tf.pictures import images
from ifrp_tf.release import checks
from ifrp_tf.release import folder as model_folder


def test_an_export_agrees_with_keras_before_and_after_rounding():
    result = checks.verify(small_model.exported(), batches=(1, 7))
    for batch in (1, 7):
        assert 0 < result["float"][batch] <= 1e-4
        assert result["serving_default"][batch] <= 1
        assert result["recover_bytes"][batch] <= 1


def test_at_all_batch_sizes_on_given_pictures(tmp_path):
    for number in range(3):
        images.write_png(tmp_path / f"{number}.png", served.portraits(1, seed=number)[0])
    result = checks.verify(served.released() / "1", faces=str(tmp_path))
    assert list(result["float"]) == [1, 7, 64]
    assert result["pictures"] == str(tmp_path)


def test_what_is_compared_is_the_answer_before_rounding():
    pixels = served.portraits(2)
    photos = checks._Unrounded(served.released() / "1")(pixels)
    assert photos.dtype == np.float32
    np.testing.assert_array_equal(images.to_uint8(photos), served.direct(pixels))
    assert len(np.unique(photos)) > 1000


def test_a_version_that_answers_otherwise_is_found_out(tmp_path, monkeypatch):
    """Weights swapped under the Keras network: what an export with a wrong graph would look like."""
    version = served.copy_version(tmp_path, 1)
    good = checks.graph_weights.load_srn(version)
    good.layers[-2].set_weights([1.02 * weights for weights in good.layers[-2].get_weights()])
    for weights in good.trainable_variables[-2:]:
        weights.assign(weights + 0.01)
    monkeypatch.setattr(checks.graph_weights, "load_srn", lambda folder: good)
    with pytest.raises(ModelError, match="at batch 1 to differ from Keras by at most"):
        checks.verify(version, batches=(1,))


def test_an_altered_version_is_not_checked_at_all(tmp_path):
    version = served.copy_version(tmp_path, 1)
    (version / "config.json").write_text("{}")
    with pytest.raises(ModelError, match="SHA-256"):
        checks.verify(version)


def test_onnx_is_written_beside_the_version(tmp_path):
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    pytest.importorskip("tf2onnx")
    version = served.copy_version(tmp_path, 4)
    path, difference = checks.write_onnx(version)
    assert path == tmp_path / "4.onnx"
    assert 0 <= difference <= 1e-4
    model_folder.verify(version)  # nothing was added
    session = checks.onnx.Session(onnx.load(path))
    pixels = served.portraits(2)
    received = images.to_uint8(session(images.to_model_range(pixels)))
    assert np.abs(received.astype(int) - served.direct(pixels).astype(int)).max() <= 1


def test_litert_is_written_beside_the_version(tmp_path):
    version = served.copy_version(tmp_path, 4)
    path, difference = checks.write_litert(version)
    assert path == tmp_path / "4.tflite"
    assert 0 <= difference <= 1e-4
    model_folder.verify(version)  # nothing was added
    session = checks.litert.Session(path.read_bytes())
    pixels = served.portraits(2)
    received = images.to_uint8(session(images.to_model_range(pixels)))
    assert np.abs(received.astype(int) - served.direct(pixels).astype(int)).max() <= 1


def test_the_tool_checks_an_existing_version(tmp_path):
    pytest.importorskip("onnxruntime")
    pytest.importorskip("tf2onnx")
    version = served.copy_version(tmp_path, 2)
    done = small_model.called("export", f"--output={version}", "--verify", "--onnx", "--litert")
    assert done.returncode == 0, done.stderr
    assert "recover_bytes" in done.stdout
    assert (tmp_path / "2.onnx").is_file()
    assert (tmp_path / "2.tflite").is_file()
    done = small_model.called("export", f"--output={tmp_path / '3'}")
    assert done.returncode == 2
    assert "--run" in done.stderr
