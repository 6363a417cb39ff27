"""The console command `ifrp`: `ifrp COMMAND --flag=value`; `ifrp --help` lists the commands."""

from __future__ import annotations

import ast
import os
import sys
from pathlib import Path

_FRAMEWORK = {"__init__", "command", "main"}
_USAGE = """\
Recovers the photorealistic, aligned face behind an artistic portrait.

    ifrp COMMAND --flag=value ...
    ifrp COMMAND --help

Commands:
"""


def commands() -> dict[str, str]:
    """The first line of the help of every command, by its name; nothing is imported."""
    found = {}
    for path in sorted(Path(__file__).parent.glob("*.py")):
        if path.stem not in _FRAMEWORK:
            text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
            found[path.stem.replace("_", "-")] = text.splitlines()[0]
    return found


def main() -> None:
    """Runs the command that the first argument names, and exits with its code."""
    try:
        _main()
    except BrokenPipeError:  # `| head` has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)


def _main() -> None:
    known, given = commands(), sys.argv[1:]
    if not given or given[0] in ("-h", "--help", "help"):
        width = max(map(len, known))
        print(_USAGE + "\n".join(f"    {name:{width}}  {text}" for name, text in known.items()), flush=True)
        sys.exit(0)
    if given[0] == "--version":
        from ifrp_tf import __version__

        print(__version__)
        sys.exit(0)
    name = given[0].replace("_", "-")
    if name not in known:
        from ifrp_tf.core.config import nearest

        print(f"ifrp: Unknown command {given[0]!r}. {nearest(name, list(known))}", file=sys.stderr)
        sys.exit(2)
    from ifrp_tf.cli import command

    command.main(name.replace("-", "_"), given[1:], program=f"ifrp {name}")


if __name__ == "__main__":
    main()
