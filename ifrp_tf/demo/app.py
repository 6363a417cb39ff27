"""Serves the web page to this machine alone. Nothing is reported, shared or fetched from elsewhere."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from ifrp_tf.core.errors import ConfigError
from ifrp_tf.demo import examples, result
from ifrp_tf.demo import model as demo_model
from ifrp_tf.demo import page as demo_page

BODY_BYTES = result.FILE_BYTES + 2**20
"""The longest request."""

_LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
_POLICY = """default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; worker-src 'self' blob:;
style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; media-src 'self' data: blob:; object-src 'none';
connect-src 'self' data: blob:; base-uri 'self'; form-action 'self'; frame-ancestors 'none'"""
_HEADERS = {
    "content-security-policy": " ".join(_POLICY.split()),
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}


class Guard:
    """Stands before the page: turns away what a browser on this machine would not send, and sets headers.

    A foreign web page may make a visitor's browser send requests here, by this machine's address or under a
    name of its own that leads here. They carry that page's name in `Origin` or `Host`.

    Args:
        app: the page, an ASGI application.
        hosts: names under which the page may be asked for; None for any.
    """

    def __init__(self, app: Callable[..., Any], hosts: tuple[str, ...] | None) -> None:
        self._app, self._hosts = app, hosts

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answers a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def with_headers(message: dict[str, Any]) -> None:
            if message["type"] == "http.response.start":
                own = [(key.encode(), value.encode()) for key, value in _HEADERS.items()]
                message["headers"] = [*message.get("headers", ()), *own]
            await send(message)

        status = self._refusal(
            {key.decode("latin-1"): value.decode("latin-1") for key, value in scope["headers"]}
        )
        if status is None:
            await self._app(scope, receive, with_headers)
            return
        await with_headers({"type": "http.response.start", "status": status, "headers": []})
        await with_headers({"type": "http.response.body", "body": b""})

    def _refusal(self, headers: dict[str, str]) -> int | None:
        host = headers.get("host", "")
        if self._hosts is not None and host.rsplit(":", 1)[0] not in self._hosts:
            return 403
        if "origin" in headers and headers["origin"].partition("://")[2] != host:
            return 403
        if "transfer-encoding" in headers:
            return 411
        length = headers.get("content-length", "0")
        return 413 if not length.isdecimal() or int(length) > BODY_BYTES else None


def application(page: Any, *, css: str = "", hosts: tuple[str, ...] | None = _LOOPBACK) -> Any:
    """The page as an ASGI application.

    Args:
        page: what `demo_page.build` drew.
        css: rules beside those of the page.
        hosts: as in `Guard`.
    """
    import fastapi
    import gradio as gr
    from gradio import processing_utils

    fonts = {"font": ["system-ui", "sans-serif"], "font_mono": ["ui-monospace", "monospace"]}  # none fetched
    # Otherwise a request could name an address, and this machine would fetch it.
    processing_utils.async_ssrf_protected_download = processing_utils.ssrf_protected_download = _refuse
    # Only a page that says it was launched checks that a file which a request names was uploaded.
    page.has_launched = True
    app = gr.mount_gradio_app(
        fastapi.FastAPI(docs_url=None, redoc_url=None, openapi_url=None),
        page,
        "/",
        max_file_size=result.FILE_BYTES,
        **dict.fromkeys(
            ("show_error", "run_history", "ssr_mode", "mcp_server", "enable_monitoring", "pwa"), False
        ),
        footer_links=[],
        theme=gr.themes.Default(**fonts),
        css=demo_page.CSS + css,
        head=demo_page.head(),
    )
    return Guard(app, hosts)


def run(
    *,
    model: str = "saved_models/ifrp",
    trust: bool = False,
    server: str = "",
    model_name: str = "ifrp",
    faces: str = "auto",
    host: str = "127.0.0.1",
    port: int = 7860,
) -> int:
    """What `tools/demo.py` does: serves the page until it is interrupted.

    Args:
        model: as in `Recoverer.load`.
        trust: as in `Recoverer.load`.
        server: of a served model, in place of one on this disk; as in `demo_model.served`.
        model_name: under which it is served.
        faces: as in `demo.recover`.
        host: the address to listen on.
        port: 0 for a free one.

    Returns:
        Exit code: 0 after SIGTERM.

    Raises:
        ConfigError: Gradio is missing, the port is taken, the server's address cannot be understood.
        ModelError: the model is unusable, or there is no server.
    """
    with tempfile.TemporaryDirectory(prefix="ifrp_page_") as folder:
        _prepare(folder)
        with _listen(host, port) as listener:
            signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
            if server:
                opened = demo_model.served(server, model_name, faces=faces)
            else:
                opened = demo_model.local(model, trust=trust, faces=faces)
            where = f" and by the model server at {server}" if server else ""
            found = opened()
            made = examples.make(
                Path(folder, "made", "examples"), whole=faces == "auto", painted=not server
            )  # fmt: skip
            page = demo_page.build(
                opened, faces=faces, model=found.name, where=where, examples=made, attributes=found.attributes
            )  # fmt: skip
            hosts = _LOOPBACK if host in ("127.0.0.1", "localhost", "::1") else None
            app = application(page, css=examples.css(made), hosts=hosts)
            with contextlib.suppress(SystemExit):
                _serve(app, listener)
    return 0


def _prepare(folder: str) -> None:
    # Two folders: Gradio copies what is made into its own, under a new name for new content.
    for name in ("made", "served"):
        Path(folder, name).mkdir()
    tempfile.tempdir = f"{folder}/made"
    # Read when Gradio is imported.
    served_from = f"{folder}/served"
    os.environ.update(
        GRADIO_ANALYTICS_ENABLED="False", HF_HUB_DISABLE_TELEMETRY="1", GRADIO_TEMP_DIR=served_from
    )
    try:
        import gradio  # noqa: F401
    except ImportError as error:
        hint = "`make demo` installs it; so does: python -m pip install -e '.[demo]'."
        raise ConfigError(f"Expected Gradio for the web page. Received: {error}.", hint=hint) from error


def _listen(host: str, port: int) -> socket.socket:
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        return socket.create_server((address[0], port), family=family)
    except (OSError, OverflowError) as error:
        hint = "Choose another --port; 0 takes a free one."
        raise ConfigError(f"Expected a free port. Received: {host}:{port}: {error}.", hint=hint) from error


def _serve(app: Any, listener: socket.socket) -> None:
    import uvicorn

    name, port = listener.getsockname()[:2]

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            address = f"[{name}]" if ":" in name else name
            print(f"The page is at http://{address}:{port} (Ctrl-C ends it)", flush=True)  # noqa: T201

    settings: dict[str, Any] = {
        "log_level": "warning",
        "timeout_graceful_shutdown": 3,
        "server_header": False,
    }
    Server(uvicorn.Config(app, **settings)).run(sockets=[listener])


async def _refuse(*_: Any, **__: Any) -> NoReturn:
    raise ValueError("Addresses are not fetched.")
