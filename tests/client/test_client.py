"""Tests of `client/client`."""

import os
import socket
import subprocess
import sys
import threading
import time

import numpy as np
import pictures
import pytest
from helpers import ROOT
from model_servers import SERVERS, Model, poisoned

from ifrp_tf.client.client import Client, Patience, RemoteError
from ifrp_tf.client.wire import MAX_MESSAGE
from ifrp_tf.core.errors import ConfigError, IfrpError, ImageError, ServingError
from ifrp_tf.pictures import images


class Question:
    """Fails with the given codes, then answers; keeps when it was asked and with how much time left."""

    def __init__(self, *codes, wait_s=0.0):
        self.codes, self.wait_s = list(codes), wait_s
        self.times, self.left = [], []

    def __call__(self, left):
        self.times.append(time.monotonic())
        self.left.append(left)
        if self.codes:
            raise RemoteError(self.codes.pop(0), "as told", wait_s=self.wait_s)
        return "answer"


def patience(timeout=5.0, retries=3, jitter=0.5):
    return Patience(timeout, retries, lambda: jitter, first_pause=0.05, longest_pause=0.2)


def test_pauses_double_up_to_a_limit():
    assert [patience().pause(attempt) for attempt in range(5)] == pytest.approx([0.05, 0.1, 0.2, 0.2, 0.2])
    assert patience().pause(10**6) == pytest.approx(0.2)


def test_pauses_are_spread_over_half_to_one_and_a_half():
    assert [patience(jitter=jitter).pause(1) for jitter in (0.0, 1.0)] == pytest.approx([0.05, 0.15])
    pauses = {Patience(1.0, 1).pause(0) for _ in range(20)}
    assert len(pauses) > 10
    assert 0.05 <= min(pauses) <= max(pauses) <= 0.15


def test_unavailable_is_asked_again_after_the_pauses():
    question = Question("UNAVAILABLE", "UNAVAILABLE")
    assert patience().ask(question) == "answer"
    gaps = [after - before for before, after in zip(question.times, question.times[1:], strict=False)]
    assert gaps[0] >= 0.05
    assert gaps[1] >= 0.1
    assert question.left[0] == pytest.approx(5.0, abs=0.5)
    assert question.left[2] < 4.86


@pytest.mark.parametrize(
    "code", ["DEADLINE_EXCEEDED", "INVALID_ARGUMENT", "INTERNAL", "NOT_FOUND", "CANCELLED"]
)
def test_nothing_else_is_asked_again(code):
    question = Question(code)
    with pytest.raises(RemoteError):
        patience().ask(question)
    assert len(question.times) == 1


@pytest.mark.parametrize("retries", [0, 2])
def test_at_most_so_many_retries(retries):
    question = Question(*["UNAVAILABLE"] * 9)
    with pytest.raises(RemoteError):
        patience(retries=retries).ask(question)
    assert len(question.times) == retries + 1


def test_nobody_waits_for_a_pause_that_ends_too_late():
    question = Question(*["UNAVAILABLE"] * 99)
    with pytest.raises(RemoteError):
        patience(timeout=0.5, retries=99).ask(question)
    assert 1 < len(question.times) < 9
    assert min(question.left) > 0.001
    start = time.monotonic()
    with pytest.raises(RemoteError):
        patience().ask(Question("UNAVAILABLE", wait_s=60.0))
    assert time.monotonic() - start < 4.0


def test_a_server_gets_the_pause_it_asks_for():
    question = Question("UNAVAILABLE", wait_s=0.4)
    patience().ask(question)
    assert question.times[1] - question.times[0] >= 0.4


def test_other_errors_pass():
    def question(left):
        raise KeyError("unknown")

    with pytest.raises(KeyError):
        patience().ask(question)


SIDE = 32
SCENE = pictures.scene(300, 200)


@pytest.fixture(params=["grpc", "rest"])
def protocol(request):
    return request.param


@pytest.fixture
def model():
    return Model()


@pytest.fixture
def address(protocol, model):
    with SERVERS[protocol](model) as address:
        yield address


@pytest.fixture
def client(protocol, address):
    with Client(address, protocol=protocol, timeout=10.0, jitter=lambda: 0.0) as client:
        yield client


def noise(count, side=SIDE):
    return np.random.default_rng(0).integers(0, 256, (count, side, side, 3)).astype(np.uint8)


def test_a_path_bytes_an_array_and_a_batch_are_one_portrait(client, tmp_path):
    data = pictures.save(SCENE, "PNG")
    (tmp_path / "portrait.jpg").write_bytes(data)
    expected = 255 - images.letterbox(SCENE, SIDE)
    for source in (tmp_path / "portrait.jpg", str(tmp_path / "portrait.jpg"), data, SCENE):
        np.testing.assert_array_equal(client.recover(source), expected)
    listed = client.recover([data, SCENE[::-1].copy()])
    np.testing.assert_array_equal(listed[0], expected)
    np.testing.assert_array_equal(listed[1], 255 - images.letterbox(SCENE[::-1], SIDE))
    np.testing.assert_array_equal(client.recover(images.letterbox(SCENE, SIDE)[None]), expected[None])


def test_pictures_are_decoded_by_the_rules_of_images(client):
    for data in (
        pictures.with_exif("JPEG", 6, SCENE),
        pictures.save(np.dstack([SCENE, SCENE[..., 0]]), "PNG"),
    ):
        expected = 255 - images.letterbox(images.read(data).pixels, SIDE)
        np.testing.assert_array_equal(client.recover(data), expected)


def test_many_pictures_go_in_requests_of_a_bounded_size(client, model):
    portraits = noise(70)
    np.testing.assert_array_equal(client.recover(portraits), 255 - portraits)
    assert model.sizes == [32, 32, 6]


def test_messages_stay_below_the_limit_of_grpc_whatever_the_batch(protocol):
    """Answers of TensorFlow Serving take two bytes for a level above 127."""
    model = Model(side=128, as_numbers=True)
    model.photos = lambda portraits: portraits // 2 + 128
    portraits = noise(45, side=128)
    with SERVERS[protocol](model) as address, Client(address, protocol=protocol, batch=1000) as client:
        np.testing.assert_array_equal(client.recover(portraits), portraits // 2 + 128)
    assert max(model.sizes) * 128 * 128 * 3 * 2 < MAX_MESSAGE
    assert len(model.sizes) == 2


def test_no_picture_is_no_question(client, model):
    assert client.recover(noise(0)).shape == (0, SIDE, SIDE, 3)
    assert client.recover([]).shape == (0, SIDE, SIDE, 3)
    assert list(client.recover_each([])) == []
    assert model.sizes == []


def test_one_bad_picture_costs_one_picture(client, model):
    portraits = noise(20)
    given = [*portraits, b"no picture", poisoned(portraits[0])]
    given[7] = poisoned(portraits[7])
    answers = list(client.recover_each(given))
    assert [k for k, answer in enumerate(answers) if isinstance(answer, IfrpError)] == [7, 20, 21]
    for k in (0, 6, 8, 19):
        np.testing.assert_array_equal(answers[k], 255 - portraits[k])
    assert answers[7].code == "INVALID_ARGUMENT"
    assert "not finite" in str(answers[7])
    assert answers[20].reason == "not_an_image"
    assert len(model.sizes) < 20  # halves, not one by one


def test_recover_says_which_of_several_is_bad(client):
    with pytest.raises(RemoteError, match="Picture 2: .*not finite"):
        client.recover([SCENE, SCENE, poisoned(noise(1)[0])])
    with pytest.raises(ImageError, match="Picture 1: .*does not exist"):
        client.recover([SCENE, "http://example.com/portrait.png"])  # never fetched: a path like any other


@pytest.mark.parametrize(
    "source",
    [
        np.zeros((2, 64, 64, 3), np.uint8),
        np.zeros((2, SIDE, SIDE, 3), np.float32),
        np.full((SIDE, SIDE, 3), np.nan),
        b"",
        pictures.png_bomb(),
        "/no/such/file.png",
        7,
    ],
    ids=["small batch", "float batch", "nan", "empty", "bomb", "missing", "number"],
)
def test_what_is_no_portrait_is_not_sent(client, model, source):
    with pytest.raises(ImageError):
        client.recover(source)
    assert model.sizes == []


def test_metadata_and_status(client, model):
    model.versions = (3, 12)
    info = client.metadata()
    assert (info.name, info.version, info.side) == ("ifrp", 12, SIDE)
    assert info.signatures["recover_bytes"]["inputs"] == {"portrait_bytes": ("DT_STRING", (-1,))}
    assert client.status() == {3: "AVAILABLE", 12: "AVAILABLE"}


def test_a_version_can_be_asked_for(protocol, address, model):
    model.versions = (3, 12)
    with Client(address, "ifrp", protocol, 3) as client:
        assert client.metadata().version == 3
        client.recover(SCENE)
        model.versions = (12,)
        with pytest.raises(RemoteError, match=r"NOT_FOUND.*versions \{12: 'AVAILABLE'\}"):
            client.recover(SCENE)


def test_a_model_that_is_not_there(protocol, address):
    with (
        Client(address, "nobody", protocol) as client,
        pytest.raises(RemoteError, match="No model 'nobody'") as error,
    ):
        client.recover(SCENE)
    assert error.value.code == "NOT_FOUND"
    assert isinstance(error.value, ServingError)


@pytest.mark.parametrize("code", ["UNAVAILABLE", "TOO_MANY"])
def test_a_full_server_is_asked_again(client, model, code):
    model.failures.extend([code] * 3)
    client.recover(SCENE)
    assert len(model.sizes) == 4


def test_a_server_that_stays_full_is_given_up(client, model):
    model.failures.extend(["UNAVAILABLE"] * 10)
    with pytest.raises(RemoteError, match="UNAVAILABLE.*as told"):
        client.recover([SCENE, SCENE])
    assert model.sizes == [2] * 4  # nor is the batch bisected: no picture is to blame


def test_what_is_wrong_is_not_repeated(client, model):
    model.failures.append("INTERNAL")
    with pytest.raises(RemoteError, match="INTERNAL"):
        client.recover(SCENE)
    assert len(model.sizes) == 1


def test_the_deadline_holds(protocol, address, model):
    with Client(address, protocol=protocol, timeout=0.5) as client:
        assert client.side == SIDE
        model.delay = 3.0
        start = time.monotonic()
        with pytest.raises(RemoteError, match="DEADLINE_EXCEEDED"):
            client.recover(SCENE)
        assert time.monotonic() - start < 2.0
    assert len(model.sizes) == 1


def test_a_server_that_is_not_there_is_missed_within_the_deadline(protocol):
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        port = probe.getsockname()[1]
    start = time.monotonic()
    with (
        Client(f"localhost:{port}", protocol=protocol, timeout=5.0) as client,
        pytest.raises(RemoteError) as error,
    ):
        client.recover(SCENE)
    assert error.value.code == "UNAVAILABLE"
    assert "refused" in str(error.value)
    assert "Is it running there?" in str(error.value)
    assert time.monotonic() - start < 5.0


def test_a_server_that_comes_back_is_found(protocol, model):
    with SERVERS[protocol](model) as address, Client(address, protocol=protocol, retries=20) as client:
        before = client.recover(SCENE)
        port = int(address.rpartition(":")[2])
    back = threading.Event()

    def serve():
        time.sleep(0.5)
        with SERVERS[protocol](model, port=port):
            back.wait(20)

    with Client(address, protocol=protocol, retries=20, timeout=20.0) as client:
        thread = threading.Thread(target=serve)
        thread.start()
        np.testing.assert_array_equal(client.recover(SCENE), before)
        back.set()
        thread.join()


def test_the_other_protocol_is_recognised(protocol, address):
    other = {"grpc": "rest", "rest": "grpc"}[protocol]
    with (
        Client(address, protocol=other, timeout=5.0, retries=1) as client,
        pytest.raises(RemoteError, match="8500"),
    ):
        client.recover(SCENE)


def test_threads_share_a_client(client):
    portraits = noise(8)
    answers = [None] * 8

    def ask(k):
        answers[k] = [client.recover(portraits[k]) for _ in range(5)]

    threads = [threading.Thread(target=ask, args=(k,)) for k in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for portrait, found in zip(portraits, answers, strict=True):
        np.testing.assert_array_equal(found, np.stack([255 - portrait] * 5))


def test_a_closed_client_says_so(client):
    client.close()
    with pytest.raises(RemoteError, match="closed"):
        client.recover(SCENE)


@pytest.mark.parametrize(
    "arguments",
    [
        {"address": "http://localhost:8500"},
        {"address": "localhost"},
        {"address": "localhost:0"},
        {"model": ""},
        {"protocol": "soap"},
        {"version": -1},
        {"timeout": 0},
        {"timeout": float("nan")},
        {"retries": -1},
        {"batch": 0},
        {"tls": "no/such.pem"},
        {"tls": __file__},
        {"tls": __file__, "protocol": "rest"},
    ],
    ids=str,
)
def test_wrong_arguments_are_refused_at_once(arguments):
    with pytest.raises(ConfigError, match="Received"):
        Client(**{"address": "localhost:8500", **arguments})


def test_neither_tensorflow_nor_keras_is_imported(protocol, address, tmp_path):
    portrait, output = tmp_path / "portrait.png", tmp_path / "photo.png"
    images.write_png(portrait, SCENE)
    program = f"""
import sys
from ifrp_tf.client import Client
from ifrp_tf.pictures import images
with Client({address!r}, protocol={protocol!r}) as client:
    images.write_png({str(output)!r}, client.recover({str(portrait)!r}))
heavy = ("tensorflow", "tensorflow_serving", "keras", "jax", "torch", "h5py", "scipy", "cv2")
print([name for name in heavy if name in sys.modules], "grpc" in sys.modules)
"""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout.split() == ["[]", str(protocol == "grpc")], done.stderr
    np.testing.assert_array_equal(images.read(output).pixels, 255 - images.letterbox(SCENE, SIDE))
