"""Installs the lowest and the highest versions that requirements.txt allows, and tries the package with each.

Needs uv: pip install -e ".[hardening]".

python tools/dependency_bounds.py --work=/tmp/bounds --json=bounds.json      # 2 GB and some minutes each
python tools/dependency_bounds.py --work=/tmp/bounds --which=lowest

Tried are: importing every module, the tests of images, the sample portrait, recovering it as a whole and by
its faces, a training of two steps, its export and verification. Exit code: 0 all works, 1 something does
not, 2 wrong usage.
"""

from __future__ import annotations

import sys
from pathlib import Path

from absl import flags

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from ifrp_tf.cli.command import launch

_WHICH = flags.DEFINE_list("which", ["lowest", "highest"], "What to install.")
_WORK = flags.DEFINE_string("work", None, "Folder for the environments and their outputs.", required=True)
_JSON = flags.DEFINE_string("json", "", "Also write versions and results to this file.")


def main() -> int:
    """Returns the exit code."""
    from hardening import dependency_bounds

    return dependency_bounds.run(_WHICH.value, _WORK.value, json_file=_JSON.value)


if __name__ == "__main__":
    launch(main, __doc__)
