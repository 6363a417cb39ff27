"""The README's lines for Python and for clients of the server, run as they stand there but for the ports.

The server has the settings of `deploy/compose.yaml`; its check of health and Kubernetes' probes are tried.
"""

import base64
import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import urllib.request

import deployment
import numpy as np
import pytest
import small_model
from helpers import ROOT
from PIL import Image
from served import free_port

from hardening.soak.server import started
from ifrp_tf.data import sample
from ifrp_tf.pictures import images

README = (ROOT / "README.md").read_text(encoding="utf-8")


def needs(*programs):
    missing = [name for name in programs if not shutil.which(name)]
    return pytest.mark.skipif(bool(missing), reason=f"needs {', '.join(missing)}")


def blocks(title):
    """The code blocks of a section: pairs of a language and the text."""
    (section,) = re.findall(rf"^## {title}\n(.*?)(?=^## )", README, re.MULTILINE | re.DOTALL)
    return re.findall(r"^```(\w+)\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The checkout as the lines see it, with the pictures that they name."""
    made = tmp_path_factory.mktemp("readme")
    for name in ("ifrp_tf", "tools", "saved_models"):
        (made / name).symlink_to(ROOT / name)
    portrait = sample.portrait()
    images.write_png(made / "portrait.png", portrait)
    Image.fromarray(portrait).save(made / "portrait.jpg", quality=95)
    Image.fromarray(portrait[:, ::-1]).resize((150, 180)).save(made / "a.jpg")
    Image.fromarray(portrait // 2).save(made / "b.jpg")
    images.write_png(made / "portraits" / "one.png", portrait[::-1])
    shutil.copy(made / "a.jpg", made / "portraits" / "two.jpg")
    return made


@pytest.fixture(scope="module")
def ports():
    """A running server: where the README looks for it -> where it is."""
    given = deployment.for_our_server(deployment.on_this_machine(), deployment.DEPLOY)
    port, rest_port = given.pop("port"), given.pop("rest_api_port")
    base, name = given.pop("model_base_path"), given.pop("model_name")
    with started(base, name, *(f"--{key}={value}" for key, value in given.items())) as (address, free):
        yield {port: address.rsplit(":", 1)[1], rest_port: str(free)}


def moved(text, ports):
    """`text` with the other ports; one that no server of ours has is an error."""
    return re.sub(r"(localhost:|127\.0\.0\.1/)(\d+)", lambda found: found[1] + ports[found[2]], text)


def run(block, folder, **names):
    """The names that a block of Python leaves."""
    with contextlib.chdir(folder):
        exec(compile(block, "README.md", "exec"), names)
    return names


@pytest.fixture(scope="module")
def local(folder):
    """What the block `From Python` leaves."""
    ((language, block),) = blocks("From Python")
    assert language == "python"
    return run(block, folder)


def check(answer, local, picture):
    """The answer is what the same SavedModel gives in this process."""
    assert (answer.shape, answer.dtype) == ((128, 128, 3), np.uint8)
    expected = local["recoverer"](picture)
    # Batches of other sizes are summed in another order.
    np.testing.assert_allclose(answer.astype(int), expected.astype(int), atol=2)


def test_from_python(folder, local):
    def error(answer):
        return np.abs(answer.astype(int) - sample.photo()).mean()

    face = local["face"]
    assert (face.shape, face.dtype) == ((128, 128, 3), np.uint8)
    assert error(face) < 0.8 * error(images.read(folder / "portrait.png").pixels)


def test_the_client(folder, local, ports):
    (language, block), _ = blocks("As a service")
    assert language == "python"
    answers = []
    names = run(moved(block, ports), folder, print=answers.append)
    check(names["photo"], local, folder / "portrait.jpg")
    assert len(answers) == 2
    for name, answer in zip(("a.jpg", "b.jpg"), answers, strict=True):
        check(answer, local, folder / name)
    assert [face.photo.shape for face in names["whole"].faces] == [(128, 128, 3)]


@needs("bash", "curl", "base64")
def test_the_shell(folder, local, ports):
    _, (language, block) = blocks("As a service")
    assert language == "bash"
    python = folder / "bin" / "python"
    python.parent.mkdir()
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    python.chmod(0o755)
    environment = small_model.environment() | {"PATH": f"{python.parent}:{os.environ['PATH']}"}
    environment["no_proxy"] = "localhost"
    done = subprocess.run(
        ["bash", "-e", "-o", "pipefail", "-c", moved(block, ports)], cwd=folder, env=environment, timeout=300,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    for name in ("one.png", "two.jpg"):
        written = folder / "recovered" / f"{name.split('.')[0]}_recovered.png"
        check(images.read(written).pixels, local, folder / "portraits" / name)
    answered = json.loads((folder / "answer.json").read_text())
    assert "error" not in answered, answered
    (answer,) = answered["predictions"]
    check(images.read(base64.b64decode(answer["b64"])).pixels, local, folder / "portrait.png")


def test_make_serve_opens_the_ports_that_the_lines_ask():
    given, makefile = deployment.flags(deployment.compose()["command"]), (ROOT / "Makefile").read_text()
    assert f"\nPORT ?= {given['port']}\n" in makefile
    assert f"\nREST_PORT ?= {given['rest_api_port']}\n" in makefile


@needs("bash", "grep")
def test_the_check_of_health_of_compose(ports):
    first, *command = deployment.compose()["healthcheck"]["test"]
    assert first == "CMD"
    assert not any("$" in word for word in command)  # Compose would put variables there

    def healthy(ports, change=("", "")):
        line = [moved(word, ports).replace(*change) for word in command]
        return subprocess.run(line, capture_output=True, timeout=60, check=False).returncode == 0

    assert healthy(ports)
    assert not healthy(ports, ("models/ifrp", "models/other"))
    assert not healthy(dict.fromkeys(ports, str(free_port())))


def test_the_paths_that_kubernetes_asks(ports):
    notes = deployment.pod()["metadata"]["annotations"]
    probes = [deployment.container()[name]["httpGet"]["path"] for name in ("startupProbe", "readinessProbe")]
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    for path in (*probes, notes["prometheus.io/path"]):
        with direct.open(
            f"http://127.0.0.1:{ports[notes['prometheus.io/port']]}{path}", timeout=60
        ) as answer:
            assert answer.status == 200
