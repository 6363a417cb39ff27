"""Tests of `serving/model`."""

import threading
import time

import grpc
import numpy as np
import pytest
import served
import tensorflow as tf
from served import NAME, SIDE, direct, portraits, wait_for
from tensorflow_serving.apis import get_model_status_pb2

from ifrp_tf.client.wire import HTTP_STATUSES
from ifrp_tf.core.errors import ModelError, ServingError
from ifrp_tf.release import folder as model_folder
from ifrp_tf.serving.model import AVAILABLE, END, ServedModel, Versions
from ifrp_tf.serving.signature import MAX_MESSAGE, Refusal, Spec, refusal

# ---- Codes and messages of refusals ----


def test_codes_are_those_of_grpc_and_http():
    assert {code.name for code in grpc.StatusCode} == set(HTTP_STATUSES)
    assert Refusal("INVALID_ARGUMENT", "x").http == 400
    assert Refusal("UNAVAILABLE", "x").http == 503
    assert Refusal("UNAVAILABLE", "x", overloaded=True).http == 429
    assert isinstance(Refusal("INTERNAL", "x"), ServingError)


def test_words_are_one_short_line():
    assert Refusal("INTERNAL", "a\nb", hint="c").words == "a b c"
    assert len(Refusal("INTERNAL", "a" * 5000).words) == MAX_MESSAGE


def test_an_assertion_in_a_graph_loses_its_trace():
    @tf.function
    def check(x):
        with tf.control_dependencies([tf.debugging.Assert(x > 0, ["portrait: expected more. Received:", x])]):
            return tf.identity(x)

    with pytest.raises(tf.errors.InvalidArgumentError) as caught:
        check(tf.constant(-5))
    reason = refusal(caught.value)
    assert reason.code == "INVALID_ARGUMENT"
    assert reason.words == "portrait: expected more. Received: -5"


def test_other_errors_of_tensorflow():
    with pytest.raises(tf.errors.InvalidArgumentError) as caught:
        tf.io.decode_png(b"\x89PNG\r\n\x1a\nno")
    reason = refusal(caught.value)
    assert reason.code == "INVALID_ARGUMENT"
    assert "[Op:" not in reason.words
    assert refusal(tf.errors.ResourceExhaustedError(None, None, "much")).code == "RESOURCE_EXHAUSTED"


def test_errors_of_python_are_internal():
    assert refusal(KeyError("x")).code == "INTERNAL"
    assert refusal(MemoryError()).words == "MemoryError"
    kept = Refusal("NOT_FOUND", "x")
    assert refusal(kept) is kept


# ---- One loaded version: its signatures, its checks, its warm-up, and what is not loaded ----


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
    with pytest.raises(Refusal, match="received text") as caught:
        model.signature("recover_bytes").run({"portrait_bytes": np.array([b"x" * 50], object)})
    assert caught.value.code == "INVALID_ARGUMENT"
    with pytest.raises(Refusal, match="recover_bytes, recover_picture, serving_default"):
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


# ---- New versions take over without a failed request; broken ones are refused ----


@pytest.fixture
def folder(tmp_path):
    served.copy_version(tmp_path / NAME, 1)
    return tmp_path / NAME


def statuses(endpoint):
    asked = get_model_status_pb2.GetModelStatusRequest()
    asked.model_spec.name = NAME
    answer = endpoint.model.GetModelStatus(asked, timeout=20)
    return {status.version: status for status in answer.model_version_status}


@pytest.mark.slow
def test_rolling_versions_under_load_fail_no_request(folder):
    """Three swaps while three clients ask all the time: every answer is one of the two models'."""
    pictures = portraits(2)
    bright = direct(pictures)
    answers, failures, over = [], [], threading.Event()

    def ask(endpoint):
        while not over.is_set():
            try:
                answer = endpoint.predict(portrait=pictures)
                answers.append(
                    (answer.model_spec.version.value, served.tf.make_ndarray(answer.outputs["photo"]))
                )
            except grpc.RpcError as error:
                failures.append(error)
            time.sleep(0.005)

    with served.any_server(folder) as endpoint:
        clients = [threading.Thread(target=ask, args=(endpoint,)) for _ in range(3)]
        for client in clients:
            client.start()
        try:
            for number in (2, 3, 10):
                (served.darker if number == 3 else served.copy_version)(folder, number)
                wait_for(lambda number=number: answers and answers[-1][0] == number, 60)
        finally:
            over.set()
            for client in clients:
                client.join(30)
        assert not failures
        assert {version for version, _ in answers} == {1, 2, 3, 10}
        for version, photos in answers:
            np.testing.assert_array_equal(photos, np.zeros_like(bright) if version == 3 else bright)
        if not served.BINARY:
            assert statuses(endpoint)[10].state == 30
            assert statuses(endpoint)[3].state == 50


def test_a_broken_version_is_refused_and_the_old_one_stays(folder):
    with served.inside(folder) as endpoint:
        broken = served.copy_version(folder, 2)
        data = bytearray((broken / "saved_model.pb").read_bytes())
        wait_for(lambda: endpoint.server.versions.number == 2)

        data[len(data) // 2] ^= 1
        hidden = folder / ".3"
        served.shutil.copytree(broken, hidden)
        (hidden / "saved_model.pb").write_bytes(data)
        hidden.rename(folder / "3")
        wait_for(lambda: 3 in statuses(endpoint) and statuses(endpoint)[3].state == 50)
        assert "SHA-256" in statuses(endpoint)[3].status.error_message
        pictures = portraits(1)
        np.testing.assert_array_equal(endpoint.photos(pictures), direct(pictures))
        assert endpoint.predict(portrait=pictures).model_spec.version.value == 2

        # Mended: tried again.
        (folder / "3" / "saved_model.pb").write_bytes((broken / "saved_model.pb").read_bytes())
        wait_for(lambda: endpoint.server.versions.number == 3)


def test_a_folder_may_be_copied_slowly(folder):
    versions = Versions(NAME, folder, poll_seconds=0)
    versions.start()
    target = folder / "2"
    target.mkdir()
    for path in sorted((folder / "1").rglob("*")):
        place = target / path.relative_to(folder / "1")
        place.mkdir() if path.is_dir() else served.shutil.copy(path, place)
        versions.poll()
        assert versions.number in (1, 2)
    assert versions.number == 2


def test_a_removed_version_gives_way_to_the_one_before(folder):
    served.copy_version(folder, 2)
    versions = Versions(NAME, folder, poll_seconds=0)
    versions.start()
    assert versions.number == 2
    served.shutil.rmtree(folder / "2")
    versions.poll()
    assert versions.number == 1
    served.shutil.rmtree(folder / "1")
    versions.poll()
    assert versions.number == 1  # better than none


def test_a_version_that_does_not_survive_its_warm_up_is_refused(folder):
    path = folder / "1" / "assets.extra" / "tf_serving_warmup_requests"
    path.write_bytes(path.read_bytes()[:-9])
    model_folder.write_checksums(folder / "1")
    with pytest.raises(ModelError, match="warm-up request 1"):
        Versions(NAME, folder, poll_seconds=0).start()


def test_no_version_at_all(tmp_path):
    versions = Versions(NAME, tmp_path, poll_seconds=0)
    with pytest.raises(Refusal, match="loaded yet") as caught:
        _ = versions.current
    assert caught.value.code == "UNAVAILABLE"
    (tmp_path / "seven").mkdir()
    with pytest.raises(ModelError, match="Expected numbered version folders"):
        versions.start()
    with pytest.raises(ModelError, match="Nothing is named"):
        Versions(NAME, tmp_path / "nowhere", poll_seconds=0).start()


def test_find_says_what_there_is(folder):
    versions = Versions(NAME, folder, poll_seconds=0)
    versions.start()
    assert versions.find(NAME).version == versions.find(NAME, 1).version == 1
    for wanted in (("nobody",), (NAME, 2), (NAME, None, "stable")):
        with pytest.raises(Refusal, match="Available: ") as caught:
            versions.find(*wanted)
        assert caught.value.code == "NOT_FOUND"
    (status,) = versions.statuses()
    assert (status.version, status.state) == (1, AVAILABLE)


def test_statuses_of_many_failures_are_forgotten(folder):
    versions = Versions(NAME, folder, poll_seconds=0)
    versions.start()
    for number in range(2, 40):
        (folder / str(number)).mkdir()
    versions.poll()
    known = versions.statuses()
    assert len(known) <= 18
    assert known[0].state == END
    assert known[-1].version == 1
    started = time.monotonic()
    versions.poll()  # nothing changed: nothing is tried
    assert time.monotonic() - started < 1
