import os
import re
import socket
import subprocess
import sys

import pytest
import small_model
from helpers import ROOT

from hardening import fresh_clone
from hardening.fresh_clone import Command, commands
from ifrp_tf.core.errors import DataError

README = """
# X

    echo one > one.txt     # a comment
    export MARK=lost

text `echo no` and

```python
assert open("one.txt").read() == "one\\n"
```

```bash
source set.sh
test "$MARK" = \\
  found
printf hello | grep bye | cat
python tools/train.py --data=data/faces/train
```

```json
{"not": "a command"}
```
"""


@pytest.fixture
def repository(tmp_path):
    folder = tmp_path / "repository"
    folder.mkdir()
    (folder / "README.md").write_text(README)
    (folder / "set.sh").write_text("MARK=found\n")
    identity = ("-c", "user.name=t", "-c", "user.email=t@t")
    for command in (("init", "-q"), ("add", "."), (*identity, "commit", "-q", "-m", "x")):
        subprocess.run(["git", *command], cwd=folder, check=True)
    return folder


def test_commands_of_blocks_in_order():
    found = commands(README)
    assert [command.language for command in found] == ["sh", "sh", "python", *["sh"] * 4]
    assert found[0] == Command("echo one > one.txt     # a comment", "sh", 4)
    assert found[4].text == 'test "$MARK" = \\\n  found'
    assert "photographs" in found[6].skipped
    assert not any(command.skipped for command in found[:6])


def test_every_command_runs_in_the_clone_as_in_one_shell(repository, tmp_path, capsys):
    file = tmp_path / "r.json"
    assert (
        fresh_clone.run(
            repository, tmp_path / "work", python=os.path.dirname(sys.executable), json_file=str(file)
        )
        == 1
    )
    lines = [line for line in capsys.readouterr().out.splitlines() if line[:8].strip() and line[0] != " "]
    statuses = [line.split()[0] for line in lines]
    # `source` counts for later commands; a failure within a pipe is one.
    assert statuses == ["passed"] * 5 + ["failed", "skipped"]
    assert (tmp_path / "work" / "clone" / "one.txt").exists()
    assert not (repository / "one.txt").exists()
    assert file.exists()
    with pytest.raises(DataError, match="to be cloned"):
        fresh_clone.run(tmp_path / "none", tmp_path / "other")


def test_what_stays_is_started_and_stopped_and_what_hangs_is_a_failure(tmp_path, monkeypatch):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    stays = f"{sys.executable} -m http.server --bind 127.0.0.1 {port}"
    monkeypatch.setattr(fresh_clone, "STAYS", {re.escape(stays): (port,)})
    monkeypatch.setattr(fresh_clone, "_LONGEST", 1.0)
    ask = f"import socket; socket.create_connection(('127.0.0.1', {port}))"
    listed = [Command(text, "sh", 1) for text in (stays, f'{sys.executable} -c "{ask}"', "sleep 30")]
    results = fresh_clone.run_all(listed, tmp_path, dict(os.environ))
    assert [result.status for result in results] == ["passed", "passed", "failed"]
    assert "still running after 1 s" in results[2].detail
    assert not fresh_clone._open(port)


def test_of_our_own_readme_the_core_is_run_and_little_is_skipped():
    found = commands((ROOT / "README.md").read_text())
    run = [command.text for command in found if not command.skipped]
    for start in (
        "make recover ",
        "make recover INPUT",
        "make serve",
        "python tools/recover.py",
        "from ifrp_tf",
    ):
        assert any(text.startswith(start) for text in run), start
    assert any("--preset=toy" in text for text in run)
    stays = [text.split("#")[0].strip() for text in run if any(re.search(s, text) for s in fresh_clone.STAYS)]
    assert stays == ["make demo", "make serve"]
    assert 0 < len(found) - len(run) <= 6
    assert all("data/" in c.text or "--preset=" in c.text for c in found if c.skipped)


def test_what_is_drawn_for_the_user_can_be_read(tmp_path):
    fresh_clone.give(tmp_path)
    from ifrp_tf.pictures import images

    assert images.read(tmp_path / "portrait.jpg").pixels.shape == (160, 160, 3)
    assert len(images.list_pictures(tmp_path / "scans")) == 3


def test_help_says_what_it_does():
    done = small_model.tool("fresh_clone", "--help")
    assert done.returncode == 0
    assert "literally" in done.stdout
