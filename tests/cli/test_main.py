import subprocess
import sys
import time

import pytest
from helpers import ROOT

import ifrp_tf
from ifrp_tf.cli import main

TOOLS = {path.stem.replace("_", "-") for path in (ROOT / "tools").glob("*.py")}
DEVELOPMENT = {"benchmark", "dependency-bounds", "fresh-clone", "fuzz", "kill-loop", "soak"}


def ifrp(*arguments):
    code = "from ifrp_tf.cli.main import main; main()"
    return subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, cwd=ROOT, check=False
    )


def test_every_tool_of_the_user_is_a_command():
    assert set(main.commands()) == TOOLS - DEVELOPMENT


def test_help_lists_every_command_with_a_line():
    start = time.process_time()
    done = ifrp("--help")
    assert time.process_time() - start < 5
    assert done.returncode == 0
    for name, line in main.commands().items():
        assert f"{name} " in done.stdout
        assert line in done.stdout


@pytest.mark.parametrize("name", ["recover", "train-style-bank", "train_style_bank"])
def test_a_command_has_its_own_help(name):
    done = ifrp(name, "--help")
    assert done.returncode == 0
    assert "Exit code" in done.stdout
    assert "--output" in done.stdout


def test_an_unknown_command_names_the_nearest():
    done = ifrp("recovr")
    assert done.returncode == 2
    assert "Did you mean 'recover'" in done.stderr


def test_errors_name_the_command():
    done = ifrp("recover", "--input=/no/such/place", "--output=o")
    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1)
    assert done.stderr.startswith("ifrp recover: ")


def test_the_version():
    assert ifrp("--version").stdout.strip() == ifrp_tf.__version__


def test_public_names_are_there_and_nothing_else():
    for name in ifrp_tf.__all__:
        assert getattr(ifrp_tf, name) is not None
    assert ifrp_tf.Recoverer.__module__ == "ifrp_tf.recovery.recoverer"
    assert issubclass(ifrp_tf.ConfigError, ifrp_tf.IfrpError)
    with pytest.raises(AttributeError, match="nonsense"):
        ifrp_tf.nonsense  # noqa: B018
