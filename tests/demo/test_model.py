import re
import subprocess
import sys

import numpy as np
import pytest
import small_model
from helpers import ROOT
from model_servers import SERVERS, Model

from ifrp_tf.client import RemoteError
from ifrp_tf.core.errors import ConfigError, ModelError
from ifrp_tf.demo import model as demo_model

SCHEMES = {"grpc": "grpc", "rest": "http"}


@pytest.mark.parametrize("protocol", ["grpc", "rest"])
def test_a_served_model_is_asked_anew_for_every_picture(protocol):
    model = Model()
    portraits = np.random.default_rng(0).integers(0, 256, (3, model.side, model.side, 3)).astype(np.uint8)
    with SERVERS[protocol](model) as address:
        opened = demo_model.served(f"{SCHEMES[protocol]}://{address}/")
        first = opened()
        assert (first.side, first.name) == (model.side, f"ifrp/1 at {address}")
        np.testing.assert_array_equal(first.recover_batch(portraits), 255 - portraits)
        model.versions = (1, 2)
        second = opened()
        assert second.name == f"ifrp/2 at {address}"
        assert second.fingerprint != first.fingerprint
        np.testing.assert_array_equal(first.recover_batch(portraits), 255 - portraits)
        model.versions = (2,)
        with pytest.raises(RemoteError):  # its files name version 1, so no other may answer for it
            first.recover_batch(portraits)
        np.testing.assert_array_equal(second.recover_batch(portraits), 255 - portraits)


def test_a_server_that_is_not_there_is_an_error_of_the_model():
    opened = demo_model.served("http://127.0.0.1:9")
    with pytest.raises(ModelError, match=re.escape("127.0.0.1:9")):
        opened()


@pytest.mark.parametrize("server", ["localhost:8500", "ftp://localhost:1", "grpc://", "grpc://nowhere"])
def test_addresses_that_cannot_be_understood(server):
    with pytest.raises(ConfigError):
        demo_model.served(server)


def test_a_model_on_the_disk_is_loaded_once_and_a_bad_one_is_refused(tmp_path):
    opened = demo_model.local(str(small_model.write_run(tmp_path / "run", small_model.TINY)), faces="whole")
    assert opened() is opened()
    assert opened().detector._made is None  # nobody waits for what is not needed
    with pytest.raises(ModelError):
        demo_model.local(str(tmp_path / "none"))


def test_a_served_model_needs_no_tensorflow_here(tmp_path):
    """Also not to make examples, and to recover the face in a box by hand."""
    program = """
import sys
from pathlib import Path
from ifrp_tf.demo import app, examples, model, result
(tight, tilted) = examples.make(Path(sys.argv[1]), whole=False, painted=False)
opened = model.served(sys.argv[2], faces="whole")
one = result.recover(tilted.path, "tilted", opened, "whole")
one = result.recover_in_box(one, "20, 30, 64, 60", opened)
print(one.message(), {"tensorflow", "keras", "gradio"} & {*sys.modules})
"""
    with SERVERS["grpc"](Model()) as address:
        done = subprocess.run(
            [sys.executable, "-c", program, tmp_path, f"grpc://{address}"],
            cwd=ROOT, capture_output=True, text=True, check=True, timeout=300,
        )  # fmt: skip
    assert done.stdout.strip() == "1 face, 1 of them by hand, 1 recovered. set()"
