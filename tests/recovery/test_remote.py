import json
import signal
import subprocess
import time

import numpy as np
import pictures
import pytest
import small_model
from model_servers import SERVERS, Model, grpc_server, poisoned

from ifrp_tf.cli import recover_remote
from ifrp_tf.client.client import Client
from ifrp_tf.core.errors import ConfigError, DataError, ModelError
from ifrp_tf.pictures import images
from ifrp_tf.recovery import remote

SIDE = 32


def run(source, output, *, version=None, **flags):
    request = recover_remote.Request(input=(source,), output=output, model_version=version, **flags)
    return recover_remote.run(request)


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
def given(tmp_path):
    fill(tmp_path / "in", 5)
    fill(tmp_path / "in" / "more", 2)
    return tmp_path / "in"


def fill(path, count):
    path.mkdir(parents=True)
    for k in range(count):
        images.write_png(path / f"{k}.png", np.roll(pictures.scene(40, 40), k, axis=1))


def report_of(output):
    return json.loads((output / "report.json").read_text())


def test_a_tree_is_mirrored_as_recover_does(protocol, address, given, tmp_path, capsys):
    code = run(str(given), str(tmp_path / "out"), address=address, protocol=protocol, side_by_side=True)
    assert code == 0
    said = capsys.readouterr().out
    assert f"7 recovered, 0 skipped, 0 failed; model ifrp/1 at {address}; " in said
    for name in ("0", "more/1"):
        portrait = images.letterbox(images.read(given / f"{name}.png").pixels, SIDE)
        photo = images.read(tmp_path / "out" / f"{name}_recovered.png").pixels
        np.testing.assert_array_equal(photo, 255 - portrait)
        assert (tmp_path / "out" / f"{name}_side_by_side.png").is_file()
    report = report_of(tmp_path / "out")
    assert report["counts"] == {"recovered": 7, "skipped": 0, "failed": 0}
    assert report["model"]["name"] == f"ifrp/1 at {address}"


def test_uncertainty_is_asked_of_the_server_in_full_batches(protocol, address, model, given, tmp_path):
    options = {"address": address, "protocol": protocol, "uncertainty": True}
    assert run(str(given / "0.png"), str(tmp_path / "out"), **options) == 0
    (face,) = report_of(tmp_path / "out")["pictures"][0]["faces"]
    assert (tmp_path / "out" / face["uncertainty"]).is_file()
    assert 0 < face["uncertainty_value"] < 1
    assert sum(model.sizes) == 16


def test_what_is_done_stays_done_until_the_model_changes(protocol, address, model, given, tmp_path):
    def again(**options):
        code = run(str(given), str(tmp_path / "out"), address=address, protocol=protocol, **options)
        return code, report_of(tmp_path / "out")["counts"]

    assert again() == (0, {"recovered": 7, "skipped": 0, "failed": 0})
    model.sizes.clear()
    assert again() == (0, {"recovered": 0, "skipped": 7, "failed": 0})
    assert model.sizes == []
    model.versions = (1, 2)
    assert again() == (1, {"recovered": 0, "skipped": 0, "failed": 7})
    assert report_of(tmp_path / "out")["pictures"][0]["reason"] == "output_exists"
    assert again(version=1) == (0, {"recovered": 0, "skipped": 7, "failed": 0})
    assert again(overwrite=True) == (0, {"recovered": 7, "skipped": 0, "failed": 0})


def test_bad_pictures_cost_only_themselves(protocol, address, given, tmp_path, capsys):
    (given / "text.png").write_bytes(b"text")
    images.write_png(given / "poison.png", poisoned(images.read(given / "0.png").pixels[:SIDE, :SIDE]))
    code = run(str(given), str(tmp_path / "out"), address=address, protocol=protocol)
    assert code == 1
    assert report_of(tmp_path / "out")["counts"] == {"recovered": 7, "skipped": 0, "failed": 2}
    reasons = {
        entry["input"].split("/")[-1]: entry["reason"] for entry in report_of(tmp_path / "out")["pictures"]
    }
    assert (reasons["text.png"], reasons["poison.png"]) == ("not_an_image", "not_recovered")
    assert "not finite" in capsys.readouterr().err


def test_a_server_that_goes_away_ends_the_run_and_a_later_run_goes_on(protocol, tmp_path):
    fill(tmp_path / "in", 40)
    model, port = Model(), 0
    model.photos = lambda portraits: model.failures.extend(["UNAVAILABLE"] * 99) or 255 - portraits
    arguments = {"protocol": protocol, "retries": 1}
    with SERVERS[protocol](model) as address:
        port = int(address.rpartition(":")[2])
        with pytest.raises(ModelError, match="UNAVAILABLE.*run it again to go on"):
            run(str(tmp_path / "in"), str(tmp_path / "out"), address=address, **arguments)
    done = len(list((tmp_path / "out").glob("*_recovered.png")))
    assert done == 16
    with SERVERS[protocol](Model(), port=port):
        assert run(str(tmp_path / "in"), str(tmp_path / "out"), address=address, **arguments) == 0
    assert report_of(tmp_path / "out")["counts"] == {"recovered": 24, "skipped": 16, "failed": 0}


def test_one_version_answers_all_pictures(protocol, address, model, tmp_path):
    fill(tmp_path / "in", 40)

    def swap(portraits):
        model.versions = (2,)
        return 255 - portraits

    model.photos = swap
    with pytest.raises(ModelError, match=r"NOT_FOUND.*versions \{2: 'AVAILABLE'\}"):
        run(str(tmp_path / "in"), str(tmp_path / "out"), address=address, protocol=protocol)
    assert len(model.sizes) == 1


def test_usage_is_checked_before_anything_is_asked(given, tmp_path):
    out = str(tmp_path / "out")
    with pytest.raises(ConfigError, match="HOST:PORT"):
        run(str(given), out, address="localhost")
    assert not (tmp_path / "out").exists()
    with pytest.raises(DataError, match="does not exist"):
        run(str(tmp_path / "none"), out, address="localhost:1")
    with pytest.raises(ModelError, match="Is it running there"):
        run(str(given), out, address="localhost:1", retries=0)


def test_a_fingerprint_is_of_address_name_and_version():
    with grpc_server(Model(versions=(1, 2))) as address, Client(address) as client:
        info = client.metadata()
    fingerprint = remote.fingerprint(address, info)
    assert len(fingerprint) == 64
    assert int(fingerprint, 16)
    assert fingerprint == remote.fingerprint(address, info)
    assert fingerprint != remote.fingerprint("localhost:8500", info)


def test_the_tool(given, tmp_path):
    """Its exit codes, and that it runs where there is no TensorFlow."""
    (tmp_path / "poor" / "tensorflow").mkdir(parents=True)
    (tmp_path / "poor" / "keras").mkdir()
    for name in ("tensorflow", "keras"):
        (tmp_path / "poor" / name / "__init__.py").write_text("raise ImportError('there is none here')")
    environment = {**small_model.environment(), "PYTHONPATH": str(tmp_path / "poor")}

    def tool(address, source, *flags):
        given = [f"--address={address}", f"--input={source}", f"--output={tmp_path / 'out'}", *flags]
        command = small_model.command("recover_remote", *given)
        return subprocess.run(command, env=environment, timeout=60, check=False, **small_model.CAPTURE)

    with grpc_server(Model()) as address:
        (given / "text.png").write_bytes(b"text")
        done = tool(address, given)
        assert done.returncode == 1
        assert "7 recovered, 0 skipped, 1 failed" in done.stdout
        assert done.stderr.count("\n") == 1
        assert "not_an_image" in done.stderr
        assert tool(address, given, "--protocol=soap").returncode == 2
    done = tool(address, given, "--retries=0")
    assert done.returncode == 3
    assert done.stderr.startswith("recover_remote.py: Expected an answer of the model server at localhost:")
    assert done.stderr.count("\n") == 1


def test_ctrl_c_finishes_the_batch_at_hand(tmp_path):
    fill(tmp_path / "in", 100)
    with grpc_server(Model(delay=0.5)) as address:
        flags = [f"--address={address}", f"--input={tmp_path / 'in'}", f"--output={tmp_path / 'out'}"]
        command = small_model.command("recover_remote", *flags)
        with subprocess.Popen(
            command, env=small_model.environment(), stdout=subprocess.PIPE, text=True
        ) as child:
            deadline = time.monotonic() + 60
            while not (tmp_path / "out" / "0_recovered.png").exists() and time.monotonic() < deadline:
                time.sleep(0.02)
            child.send_signal(signal.SIGINT)
            said, _ = child.communicate(timeout=60)
    assert child.returncode == 130
    assert "interrupted before" in said
    report = report_of(tmp_path / "out")
    assert report["interrupted"] is True
    assert report["counts"]["recovered"] == len(list((tmp_path / "out").glob("*_recovered.png")))
    assert 16 <= report["counts"]["recovered"] < 100
