import asyncio
import os
import socket
import sys
import tempfile

import pytest

from ifrp_tf.core.errors import ConfigError
from ifrp_tf.demo import app


@pytest.fixture(autouse=True)
def own_environment(monkeypatch):
    """What a run sets for its process is taken back."""
    monkeypatch.setattr(tempfile, "tempdir", tempfile.gettempdir())
    for name in ("GRADIO_ANALYTICS_ENABLED", "HF_HUB_DISABLE_TELEMETRY", "GRADIO_TEMP_DIR"):
        monkeypatch.setenv(name, "")


def answer(hosts=app._LOOPBACK, **headers):
    """Status and headers with which a request is answered by a page that says 200 to everything."""
    sent = []

    async def page(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": [(b"x-own", b"1")]})
        await send({"type": "http.response.body", "body": b"page"})

    async def send(message):
        sent.append(message)

    raw = [(key.replace("_", "-").encode(), value.encode()) for key, value in headers.items()]
    asyncio.run(app.Guard(page, hosts)({"type": "http", "headers": raw}, None, send))
    return sent[0]["status"], dict(sent[0]["headers"])


def test_the_page_answers_its_own_browser():
    for host in ("127.0.0.1:7860", "localhost:7860", "[::1]:7860", "localhost"):
        status, headers = answer(host=host, origin=f"http://{host}", content_length="1000")
        assert status == 200
        assert headers[b"x-own"] == b"1"
        assert b"default-src 'self'" in headers[b"content-security-policy"]
        assert not any(b"http" in value for value in headers.values())
    assert answer(hosts=None, host="studio.example:7860")[0] == 200


@pytest.mark.parametrize(
    ("status", "headers"),
    [
        (403, {"host": "evil.example:7860"}),  # a name of theirs that leads here
        (403, {}),
        (403, {"host": "127.0.0.1:7860", "origin": "https://evil.example"}),
        (403, {"host": "127.0.0.1:7860", "origin": "null"}),
        (403, {"host": "127.0.0.1:7860", "origin": "http://127.0.0.1:8888"}),  # another program's page
        (411, {"host": "localhost", "transfer_encoding": "chunked"}),
        (413, {"host": "localhost", "content_length": str(app.BODY_BYTES + 1)}),
        (413, {"host": "localhost", "content_length": "-1"}),
    ],
)
def test_other_requests_are_turned_away(status, headers):
    answered, sent = answer(**headers)
    assert answered == status
    assert b"x-own" not in sent


def test_a_foreign_origin_is_turned_away_from_any_host():
    assert answer(hosts=None, host="studio.example", origin="https://evil.example")[0] == 403


def test_without_gradio_the_one_command_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "gradio", None)
    with pytest.raises(ConfigError, match="make demo"):
        app.run(port=0)


def test_a_port_that_is_taken():
    pytest.importorskip("gradio", reason="no gradio: `make demo` installs it")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match=f"free port.*{port}"):
            app.run(port=port)
    made = os.environ["GRADIO_TEMP_DIR"]
    assert made
    assert not os.path.exists(made)
