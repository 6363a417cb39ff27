"""Clones the repository into an empty folder and runs the README's commands there, literally.

python tools/fresh_clone.py                    # in a temporary folder; installs about 2 GB
python tools/fresh_clone.py --work=/tmp/fresh --json=fresh.json

The home is empty too, and of the environment only what pip and proxies need is kept. Commands that need data
or train for hours are listed as skipped, with the reason. Exit code: 0 every command passed, 1 otherwise,
2 wrong usage.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from absl import flags

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from ifrp_tf.cli.command import launch

_REPOSITORY = flags.DEFINE_string("repository", "", "To clone. Empty: the one that this file is in.")
_WORK = flags.DEFINE_string("work", "", "Empty or new folder. Empty: a temporary one.")
_README = flags.DEFINE_string("readme", "", "Take the commands from this README instead.")
_JSON = flags.DEFINE_string("json", "", "Also write the results to this file.")


def main() -> int:
    """Returns the exit code."""
    from hardening import fresh_clone

    repository = _REPOSITORY.value or str(Path(__file__).resolve().parent.parent)
    options = {"readme": _README.value, "json_file": _JSON.value}
    if _WORK.value:
        return fresh_clone.run(repository, _WORK.value, **options)
    with tempfile.TemporaryDirectory(prefix="ifrp_fresh_") as folder:
        return fresh_clone.run(repository, folder, **options)


if __name__ == "__main__":
    launch(main, __doc__)
