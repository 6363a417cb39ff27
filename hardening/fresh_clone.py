"""The README's commands, run literally in a fresh clone: nothing installed, an empty home.

Nothing of the package's own dependencies but NumPy and Pillow is needed to run this.
"""

from __future__ import annotations

import dataclasses
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ifrp_tf.core.errors import DataError
from ifrp_tf.data import toy_faces
from ifrp_tf.pictures import images

SKIPPED = (
    (r"data/(faces|styles)", "needs photographs that are no part of the repository"),
    (r"train\.py --preset=(?!toy)", "trains for hours"),
)
"""What is not run, and why: (pattern, reason)."""

STAYS = {r"^make serve(\s|$)": (8500, 8501), r"^make demo(\s|$)": (7860,)}
"""What runs until it is stopped, and its ports: it is started, and stopped after the last command."""

_KEPT = re.compile(r"(?i)^(PIP_.*|https?_proxy|no_proxy|SSL_CERT_.*|REQUESTS_CA_BUNDLE|LANG|TERM)$")
_READY, _LONGEST = 600.0, 1800.0  # seconds


@dataclasses.dataclass(frozen=True)
class Command:
    """A command of the README.

    Attributes:
        text: as it is there.
        language: `sh` or `python`.
        line: of the README, from 1.
    """

    text: str
    language: str
    line: int

    @property
    def skipped(self) -> str:
        """Why it is not run; empty = it is."""
        return next((reason for pattern, reason in SKIPPED if re.search(pattern, self.text)), "")


@dataclasses.dataclass
class Result:
    """What became of a command.

    Attributes:
        command: as in the README.
        status: `passed`, `failed` or `skipped`.
        seconds: that it took.
        detail: why it was skipped, or the end of its output where it failed.
    """

    command: str
    status: str
    seconds: float = 0.0
    detail: str = ""


def commands(readme: str) -> list[Command]:
    """The commands in the code blocks of a README, in order.

    Of a block of the shell each line is a command, continued by a backslash; a block of Python is one. Blocks
    are fenced, or indented by four spaces.

    Args:
        readme: Markdown.

    Example:
        >>> commands("    make recover  # now")[0].text
        'make recover  # now'
    """
    found, lines, k = [], readme.splitlines(), 0
    while k < len(lines):
        fence = re.match(r"```(sh|bash|python)\s*$", lines[k])
        if fence:
            end = next((n for n in range(k + 1, len(lines)) if lines[n].startswith("```")), len(lines))
            block, first = lines[k + 1 : end], k + 2
            if fence[1] == "python":
                found.append(Command("\n".join(block), "python", first))
            else:
                found += _of_shell(block, first)
            k = end
        elif lines[k].startswith("    ") and not lines[k - 1].strip():
            end = next((n for n in range(k, len(lines)) if not lines[n].startswith("    ")), len(lines))
            found += _of_shell([line[4:] for line in lines[k:end]], k + 1)
            k = end
        k += 1
    return found


def _of_shell(block: Sequence[str], first: int) -> Iterator[Command]:
    text = ""
    for k, line in enumerate(block):
        text = f"{text}\n{line}" if text else line
        if not line.endswith("\\"):
            if text.strip():
                yield Command(text, "sh", first + k)
            text = ""


def run(
    repository: str | Path, work: str | Path, *, readme: str = "", python: str = "", json_file: str = ""
) -> int:
    """Clones the repository and runs its README there; prints a line a command.

    What the README takes for the user's own (portraits, a run called `mine`) is drawn.

    Args:
        repository: a git repository; its HEAD is cloned.
        work: an empty folder, gets `clone` and `home`.
        readme: another README to take the commands from; empty = the clone's.
        python: folder of the interpreter `python3.11`; empty = that of the one that runs this.
        json_file: also write the results here.

    Returns:
        0 if every command that was run passed, else 1.

    Raises:
        DataError: the repository cannot be cloned, or a port of the README's server is taken.
    """
    work = Path(work).resolve()
    home, clone = work / "home", work / "clone"
    home.mkdir(parents=True)
    done = subprocess.run(
        ["git", "clone", "--quiet", str(repository), str(clone)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise DataError(f"Expected {str(repository)!r} to be cloned. Received: {done.stderr.strip()}")
    text = Path(readme or clone / "README.md").read_text(encoding="utf-8")
    give(clone)
    folder = python or str(Path(sys.base_prefix) / "bin")
    environment = {name: value for name, value in os.environ.items() if _KEPT.match(name)}
    environment |= {"HOME": str(home), "PATH": f"{folder}:/usr/local/bin:/usr/bin:/bin"}
    results = run_all(commands(text), clone, environment)
    for result in results:
        print(f"{result.status:8}{result.seconds:7.1f} s  {result.command.splitlines()[0]}")  # noqa: T201
        if result.detail:
            print(f"{'':18}{result.detail}")  # noqa: T201
    if json_file:
        rows = [dataclasses.asdict(result) for result in results]
        images.write_bytes_atomic(json_file, json.dumps(rows, indent=2).encode())
    return int(any(result.status == "failed" for result in results))


def run_all(listed: Sequence[Command], clone: Path, environment: dict[str, str]) -> list[Result]:
    """Runs commands one after the other, as in one shell.

    Args:
        listed: what `commands` found.
        clone: the folder to run them in.
        environment: all variables that they see.

    Raises:
        DataError: a port of the server is taken.
    """
    results, active = [], ""
    staying: list[subprocess.Popen[bytes]] = []
    try:
        for command in listed:
            if command.skipped:
                results.append(Result(command.text, "skipped", detail=command.skipped))
                continue
            if (clone / "runs" / "toy" / "model").is_dir() and not (clone / "runs" / "mine").exists():
                shutil.copytree(clone / "runs" / "toy", clone / "runs" / "mine")
            text = command.text if command.language == "sh" else f"python - <<'END'\n{command.text}\nEND"
            results.append(_run_one(command.text, active + text, clone, environment, staying))
            if re.match(r"(source|\.) ", command.text):
                active += f"{command.text}\n"
    finally:
        for process in staying:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait(60)
    return results


def _run_one(
    name: str, text: str, clone: Path, environment: dict[str, str], staying: list[subprocess.Popen[bytes]]
) -> Result:
    began = time.monotonic()
    line = ["bash", "-e", "-o", "pipefail", "-c", text]
    ports = next((ports for pattern, ports in STAYS.items() if re.search(pattern, name)), ())
    if ports:
        if any(map(_open, ports)):
            raise DataError(f"Expected the ports {ports} to be free. Received: one is taken.")
        staying.append(subprocess.Popen(line, cwd=clone, env=environment, start_new_session=True))
        while not all(map(_open, ports)):
            if staying[-1].poll() is not None or time.monotonic() - began > _READY:
                return Result(name, "failed", time.monotonic() - began, "the server did not start")
            time.sleep(0.2)
        return Result(name, "passed", time.monotonic() - began)
    given: dict[str, Any] = {"cwd": clone, "env": environment, "stdin": subprocess.DEVNULL}
    try:
        done = subprocess.run(line, capture_output=True, text=True, check=False, timeout=_LONGEST, **given)
    except subprocess.TimeoutExpired:
        words = f"still running after {_LONGEST:.0f} s; what stays is listed in STAYS"
        return Result(name, "failed", time.monotonic() - began, words)
    said = (
        "" if done.returncode == 0 else f"exit code {done.returncode}: {(done.stdout + done.stderr)[-600:]}"
    )
    return Result(name, "failed" if done.returncode else "passed", time.monotonic() - began, said)


def give(clone: Path) -> None:
    """Draws what the README takes for the user's own.

    Args:
        clone: the folder that its commands run in.
    """
    faces = list(toy_faces.draw(6, side=160, seed=11).pixels)
    for folder in ("my_portraits", "portraits", "scans"):
        for k, face in enumerate(faces[:3]):
            images.write_png(clone / folder / f"{k}.png", face)
    for name in ("portrait.jpg", "portrait.png", "a.jpg", "b.jpg"):  # a PNG by any name is read as one
        images.write_png(clone / name, faces[4])


def _open(port: int) -> bool:
    with socket.socket() as client:
        client.settimeout(1.0)
        return client.connect_ex(("127.0.0.1", port)) == 0
