"""The client and our server together; TensorFlow Serving in its place where IFRP_MODEL_SERVER names it."""

import json
import threading

import numpy as np
import pictures
import pytest
import served
import small_model
from served import NAME, SIDE, direct, portraits

from ifrp_tf.cli import recover_remote
from ifrp_tf.client.client import Client, RemoteError
from ifrp_tf.pictures import images
from ifrp_tf.recovery.recoverer import Recoverer

ours_only = pytest.mark.skipif(bool(served.BINARY), reason="TensorFlow Serving answers this in its own way")


@pytest.fixture(scope="module")
def endpoint():
    with served.any_server() as opened:
        yield opened


@pytest.fixture(params=["grpc", "rest"])
def protocol(request):
    return request.param


def address(endpoint, protocol):
    return f"localhost:{endpoint.port if protocol == 'grpc' else endpoint.rest_port}"


@pytest.fixture
def client(endpoint, protocol):
    with Client(address(endpoint, protocol), NAME, protocol, timeout=20.0) as client:
        yield client


def test_answers_are_those_of_the_saved_model(client):
    batch = portraits(16)
    np.testing.assert_array_equal(client.recover(batch), direct(batch))
    np.testing.assert_array_equal(client.recover(batch[3]), direct(batch[3:4])[0])
    many = client.recover(portraits(50))
    assert np.abs(many.astype(int) - direct(portraits(50))).max() <= 1


def test_answers_are_those_of_recover(client):
    scene = pictures.scene(300, 200)
    for data in (pictures.save(scene, "PNG"), pictures.with_exif("JPEG", 6, scene)):
        expected = direct(images.letterbox(images.read(data).pixels, SIDE)[None])[0]
        np.testing.assert_array_equal(client.recover(data), expected)


def test_the_model_describes_itself(client):
    info = client.metadata()
    assert (info.name, info.version, info.side) == (NAME, 1, SIDE)
    assert set(info.signatures) >= {"serving_default", "recover_bytes"}
    assert client.status() == {1: "AVAILABLE"}


def test_what_is_not_there(endpoint, protocol):
    with Client(address(endpoint, protocol), "nobody", protocol) as client:
        with pytest.raises(RemoteError, match="No model 'nobody'") as error:
            client.recover(portraits(1))
        assert error.value.code == "NOT_FOUND"
    with Client(address(endpoint, protocol), NAME, protocol, version=9) as client:
        with pytest.raises(RemoteError, match=r"versions \{1: 'AVAILABLE'\}") as error:
            client.recover(portraits(1))
        assert error.value.code == "NOT_FOUND"


def test_the_other_port_is_recognised(endpoint, protocol):
    other = {"grpc": "rest", "rest": "grpc"}[protocol]
    with (
        Client(address(endpoint, other), NAME, protocol, retries=0, timeout=5.0) as client,
        pytest.raises(RemoteError, match="8500"),
    ):
        client.recover(portraits(1))


def test_the_server_refuses_what_the_client_would_not_send(client):
    """What a model swapped for one of another size would say."""
    with pytest.raises(RemoteError) as error:
        client._transport.predict(np.zeros((2, SIDE + 1, SIDE, 3), np.uint8), None, 20.0)
    assert error.value.code in ("INVALID_ARGUMENT", "BAD_ANSWER")


@ours_only
def test_a_full_server_is_waited_for(protocol):
    with served.inside(max_batch_size=16, max_enqueued_batches=1) as endpoint:
        with Client(address(endpoint, protocol), NAME, protocol, retries=30, timeout=20.0) as client:
            batch = portraits(16)
            client.recover(batch)
            with served.Held(endpoint.server.batcher) as held:
                answers = []
                threads = [
                    threading.Thread(target=lambda: answers.append(client.recover(batch))) for _ in range(3)
                ]
                for thread in threads:
                    thread.start()
                served.wait_for(lambda: endpoint.server.batcher.waiting >= 16)
                held.free.set()
                for thread in threads:
                    thread.join()
        assert len(answers) == 3
        for answer in answers:
            np.testing.assert_array_equal(answer, direct(batch))


def test_many_clients_at_once_get_their_own_answers(client):
    given = portraits(48)
    expected = np.concatenate([direct(given[k : k + 1]) for k in range(48)])
    answers = [None] * 8

    def ask(k):
        answers[k] = np.stack([client.recover(given[j]) for j in range(k, 48, 8)])

    threads = [threading.Thread(target=ask, args=(k,)) for k in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for k in range(8):
        assert np.abs(answers[k].astype(int) - expected[k::8]).max() <= 1


def test_a_folder_comes_out_as_from_the_model_itself(endpoint, protocol, tmp_path):
    (tmp_path / "in").mkdir()
    for k in range(20):
        scene = np.roll(pictures.scene(40 + k, 50), k, axis=1)
        (tmp_path / "in" / f"{k}.png").write_bytes(pictures.save(scene, "PNG"))
    (tmp_path / "in" / "text.jpg").write_bytes(b"text")
    request = recover_remote.Request(
        input=(str(tmp_path / "in"),),
        output=str(tmp_path / "far"),
        address=address(endpoint, protocol),
        model_name=NAME,
        protocol=protocol,
    )
    assert recover_remote.run(request) == 1
    Recoverer.load(served.released()).recover_folder(tmp_path / "in", tmp_path / "near")
    for k in range(20):
        far, near = (images.read(tmp_path / where / f"{k}_recovered.png").pixels for where in ("far", "near"))
        np.testing.assert_array_equal(far, near)
    far, near = (json.loads((tmp_path / where / "report.json").read_text()) for where in ("far", "near"))
    assert far["counts"] == near["counts"] == {"recovered": 20, "skipped": 0, "failed": 1}
    assert far["pictures"] == near["pictures"]


def test_the_two_tools_work_together(tmp_path):
    images.write_png(tmp_path / "portrait.png", pictures.scene())
    with served.outside(served.released()) as endpoint:
        flags = [
            f"--model_name={NAME}",
            f"--input={tmp_path / 'portrait.png'}",
            f"--output={tmp_path / 'out'}",
        ]
        done = small_model.tool("recover_remote", f"--address=localhost:{endpoint.port}", *flags)
    assert (done.returncode, done.stderr) == (0, "")
    assert "1 recovered" in done.stdout
    expected = direct(images.letterbox(pictures.scene(), SIDE)[None])[0]
    np.testing.assert_array_equal(images.read(tmp_path / "out" / "portrait_recovered.png").pixels, expected)
