"""A server in a process of its own."""

import urllib.request

import pytest
import served

from hardening.soak.server import started
from ifrp_tf.core.errors import ServingError


def test_it_answers_while_it_is_wanted():
    with started(served.released(), served.NAME, "--max_batch_size=2") as (address, port):
        endpoint = served.Endpoint(int(address.split(":")[1]), port)
        pictures = served.portraits(3)
        assert (endpoint.photos(pictures) == served.direct(pictures)).all()
        endpoint.channel.close()
    with pytest.raises(OSError, match="refused"):
        urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=5)


def test_a_server_that_cannot_start(tmp_path):
    with pytest.raises(ServingError, match="did not start"), started(tmp_path / "nowhere", "x"):
        pass
