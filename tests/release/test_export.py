import json

import keras
import numpy as np
import pictures
import pytest
import small_model
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from ifrp_tf.core.config import Config
from ifrp_tf.core.errors import ConfigError, ModelError
from ifrp_tf.pictures import images
from ifrp_tf.release import export, weights
from ifrp_tf.release import folder as model_folder
from ifrp_tf.systems.ifrp import networks

INVALID = tf.errors.InvalidArgumentError


@pytest.fixture(scope="module")
def loaded():
    return tf.saved_model.load(str(small_model.exported()))


@pytest.fixture(scope="module")
def served(loaded):
    signature = loaded.signatures["serving_default"]
    return lambda portraits: signature(portrait=tf.constant(portraits))["photo"].numpy()


@pytest.fixture(scope="module")
def served_files(loaded):
    def call(files):
        files = tf.constant(files, tf.string, shape=[len(files)])
        return loaded.signatures["recover_bytes"](portrait_bytes=files)["photo_bytes"].numpy()

    return call


def portraits(count, seed=0):
    noise = np.random.default_rng(seed).integers(0, 256, (count, 8, 8, 3)).astype(np.uint8)
    return np.array([images.resize(pixels, 128) for pixels in noise], np.uint8).reshape(-1, 128, 128, 3)


def test_the_signatures_are_the_published_ones(loaded):
    """Golden: a served model is called by these names, types and shapes."""
    found = {}
    for name, function in loaded.signatures.items():
        specs = {**function.structured_input_signature[1], **function.structured_outputs}
        found[name] = {key: (spec.dtype.name, spec.shape.as_list()) for key, spec in specs.items()}
    picture = ("uint8", [None, 128, 128, 3])
    assert found == {
        "serving_default": {"portrait": picture, "photo": picture},
        "recover_bytes": {"portrait_bytes": ("string", [None]), "photo_bytes": ("string", [None])},
    }


def test_the_export_answers_as_the_run_does(served):
    given = portraits(4)
    srn = networks.build_srn(small_model.CONFIG.model)
    weights.load(srn, small_model.run_folder() / "model" / "srn.weights.h5")
    expected = images.to_uint8(keras.ops.convert_to_numpy(srn(images.to_model_range(given), training=False)))
    received = served(given)
    assert expected.std() > 20
    assert np.abs(received.astype(int) - expected).mean() < 0.5
    assert np.abs(received.astype(int) - expected).max() <= 8


def test_an_answer_does_not_depend_on_its_neighbours(served):
    """But for the rounding of sums in another order."""
    given = portraits(5)
    assert np.abs(served(given)[2:3].astype(int) - served(given[2:3])).max() <= 1


def test_weights_are_stored_in_half_precision():
    model = saved_model_pb2.SavedModel()
    model.ParseFromString((small_model.exported() / "saved_model.pb").read_bytes())
    graph = model.meta_graphs[0].graph_def
    nodes = [*graph.node, *(node for function in graph.library.function for node in function.node_def)]
    stored = {}
    for node in nodes:
        if node.op == "Const":
            tensor = node.attr["value"].tensor
            kind = tf.dtypes.as_dtype(tensor.dtype).name
            stored[kind] = stored.get(kind, 0) + int(np.prod([d.size for d in tensor.tensor_shape.dim]))
    parameters = small_model.network().count_params()
    # Fewer numbers than the network has, because batch norms are folded; but once, not once a signature.
    assert 0.97 * parameters < stored["float16"] <= parameters
    assert stored["float32"] < 0.02 * parameters


def test_large_weights_are_cast_in_pieces_and_whole_again():
    """TensorFlow folds a cast into a constant only where the result has at most 100 KiB."""
    half = np.random.default_rng(0).normal(size=(3, 3, 64, 128)).astype("float16")
    function = tf.function(lambda: export._to_single(half)).get_concrete_function()
    casts = [op.outputs[0] for op in function.graph.get_operations() if op.type == "Cast"]
    assert 1 < len(casts) < 4
    assert max(4 * cast.shape.num_elements() for cast in casts) <= 100 * 1024
    np.testing.assert_array_equal(function(), half.astype("float32"))


@pytest.mark.parametrize("shape", [(1, 64, 128, 3), (1, 128, 127, 3), (2, 128, 128, 1), (128, 128, 3)])
def test_another_shape_is_refused(served, shape):
    with pytest.raises((INVALID, ValueError), match="128"):
        served(np.zeros(shape, np.uint8))


def test_another_type_is_refused(loaded):
    with pytest.raises((INVALID, TypeError), match="uint8"):
        loaded.signatures["serving_default"](portrait=tf.zeros((1, 128, 128, 3)))


def test_an_empty_batch_is_answered(served, served_files):
    assert served(portraits(0)).shape == (0, 128, 128, 3)
    assert served_files([]).shape == (0,)


def test_files_give_what_pixels_give(served, served_files):
    given = portraits(3)
    answers = served_files([pictures.save(pixels, "PNG") for pixels in given])
    np.testing.assert_array_equal([images.read(answer).pixels for answer in answers], served(given))
    assert all(answer.startswith(b"\x89PNG") for answer in answers)


def test_files_of_any_size_are_letterboxed(served, served_files):
    scene = pictures.scene(300, 200)
    (answer,) = served_files([pictures.save(scene, "JPEG")])
    decoded = images.read(pictures.save(scene, "JPEG")).pixels
    expected = served(images.letterbox(decoded)[None])[0]
    assert np.abs(images.read(answer).pixels.astype(int) - expected).mean() < 0.5


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "expected a PNG or JPEG"),
        (b"not a picture, but long enough to be one", "starts with"),
        (b"\x89PNG\r\n\x1a\n" + bytes(2 * 2**20), "at most 2097152 bytes"),
        (pictures.png_bomb(), "20000"),
        (pictures.jpeg_claiming(20000, 20000), "20000"),
        (pictures.save(pictures.scene(12, 12), "PNG"), "expected sides from 16"),
        (pictures.save(pictures.scene(400, 300), "JPEG")[:3000], "JPEG"),
    ],
    ids=["empty", "text", "long", "png bomb", "jpeg bomb", "small", "cut"],
)
def test_bad_files_are_refused(served_files, data, words):
    with pytest.raises(INVALID, match=words):
        served_files([pictures.save(pictures.scene(), "PNG"), data])


def test_an_answer_that_is_not_finite_is_refused():
    """Cast to uint8 it would be a plausible black face."""
    picture = keras.Input((32, 32, 3))
    huge = keras.layers.Rescaling(3e38)(keras.layers.Rescaling(3e38)(picture))
    function = export.signatures(keras.Model(picture, huge))["serving_default"]
    with pytest.raises(INVALID, match="not finite"):
        function(tf.fill((1, 32, 32, 3), tf.constant(255, tf.uint8)))


def test_the_version_folder_is_complete_and_checked():
    folder = small_model.exported()
    names = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert names >= {
        "MODEL_CARD.md", "SHA256SUMS", "config.json", "mean_face.png", "saved_model.pb", "srn.weights.h5",
        "variables/variables.index", "assets.extra/tf_serving_warmup_requests",
    }  # fmt: skip
    assert len(model_folder.verify(folder)) == 64
    assert Config.from_dict(json.loads((folder / "config.json").read_text())) == small_model.CONFIG
    assert [path.name for path in folder.parent.iterdir()] == ["7"]
    card = (folder / "MODEL_CARD.md").read_text()
    assert "40,000 pictures" in card
    assert "*none*" in card


def test_weights_for_fine_tuning_can_be_loaded_back():
    srn = networks.build_srn(small_model.CONFIG.model)
    weights.load(srn, small_model.exported() / "srn.weights.h5")
    for weight, expected in zip(srn.weights, small_model.network().weights, strict=True):
        half = keras.ops.convert_to_numpy(expected).astype(np.float16)
        np.testing.assert_array_equal(keras.ops.convert_to_numpy(weight), half.astype(np.float32))


def test_warm_up_requests_can_be_replayed(loaded):
    from tensorflow_serving.apis import prediction_log_pb2

    path = small_model.exported() / "assets.extra" / "tf_serving_warmup_requests"
    called = []
    for record in tf.data.TFRecordDataset(str(path)).as_numpy_iterator():
        request = prediction_log_pb2.PredictionLog.FromString(record).predict_log.request
        assert request.model_spec.name == "small"
        name = request.model_spec.signature_name
        inputs = {key: tf.constant(tf.make_ndarray(value)) for key, value in request.inputs.items()}
        loaded.signatures[name](**inputs)
        called.append(name)
    assert called == ["serving_default", "recover_bytes"]


def test_it_loads_as_tensorflow_serving_loads_it(served):
    """In a session, by the names of the signature's tensors."""
    given = portraits(1)
    with tf.compat.v1.Session(graph=tf.Graph()) as session:
        meta = tf.compat.v1.saved_model.load(session, ["serve"], str(small_model.exported()))
        signature = meta.signature_def["serving_default"]
        answer = session.run(signature.outputs["photo"].name, {signature.inputs["portrait"].name: given})
    np.testing.assert_array_equal(answer, served(given))


def test_a_version_is_never_overwritten(tmp_path):
    (tmp_path / "1").mkdir()
    with pytest.raises(ModelError, match="exists"):
        export.run(small_model.run_folder(), tmp_path / "1")


@pytest.mark.parametrize("name", ["latest", "1.5", "٣"])
def test_a_version_is_a_number(tmp_path, name):
    with pytest.raises(ConfigError, match="version number"):
        export.run(small_model.run_folder(), tmp_path / name)


def test_a_run_without_a_model_is_refused(tmp_path):
    with pytest.raises(ModelError, match=r"weights\.h5.*no such file"):
        export.run(tmp_path, tmp_path / "1")


def test_weights_that_are_not_finite_are_refused_and_nothing_is_left(tmp_path):
    srn = small_model.network(small_model.TINY)
    srn.weights[0].assign(np.full(srn.weights[0].shape, np.nan))
    run = small_model.write_run(tmp_path / "run", small_model.TINY, srn)
    with pytest.raises(ModelError, match="NaN"):
        export.run(run, tmp_path / "models" / "1")
    assert not list((tmp_path / "models").glob("*"))


def test_an_export_that_answers_otherwise_is_refused_and_nothing_is_left(tmp_path, monkeypatch):
    run = small_model.write_run(tmp_path / "run", small_model.TINY)
    monkeypatch.setattr(export, "_TOLERANCE", 0.0)
    with pytest.raises(ModelError, match="float16 storage"):
        export.run(run, tmp_path / "models" / "1")
    assert not list((tmp_path / "models").iterdir())


def test_the_weights_are_beside_the_graph_and_a_large_export_is_refused(tmp_path, monkeypatch):
    run = small_model.write_run(tmp_path / "run", small_model.TINY)
    folder = export.run(run, tmp_path / "models" / "1")
    assert (folder / "srn.weights.h5").stat().st_size > 10_000
    assert "`srn.weights.h5` (float16)" in (folder / "MODEL_CARD.md").read_text()
    monkeypatch.setattr(export, "MAX_BYTES", 100_000)
    with pytest.raises(ModelError, match="at most 100,000 bytes"):
        export.run(run, tmp_path / "models" / "2")
    assert [path.name for path in (tmp_path / "models").iterdir()] == ["1"]


def test_the_tool(tmp_path):
    run = small_model.write_run(tmp_path / "run", small_model.TINY)
    done = small_model.called("export", f"--run={run}", f"--output={tmp_path / 'ifrp' / '3'}", "--noweights")
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str(tmp_path / "ifrp" / "3")
    assert done.stderr == ""
    assert model_folder.verify(tmp_path / "ifrp" / "3")
    assert not list((tmp_path / "ifrp" / "3").glob("*.weights.h5"))
    assert "| fine-tuning |" in (tmp_path / "ifrp" / "3" / "MODEL_CARD.md").read_text()


def test_wrong_usage_of_the_tool_exits_2():
    done = small_model.called("export", "--run=x", "--outptu=y")
    assert done.returncode == 2
    assert "output" in done.stderr
