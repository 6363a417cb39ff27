"""Kills the tools with SIGKILL at random moments, resumes them, and looks what is left of their work.

python tools/kill_loop.py --what=training,recovery,export,bank --kills=50 --run_dir=runs/kills

After every kill each file under a final name is read whole and nothing that was finished may be gone; what
comes out in the end is compared with the work of a process that nobody killed. The work is small and drawn;
only `bank` needs data, the VGG-19 archive in --weights. Exit code: 0 nothing damaged, lost or different,
1 otherwise, 2 wrong usage.
"""

from __future__ import annotations

import sys
from pathlib import Path

from absl import flags

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from ifrp_tf.cli.command import launch

_WHAT = flags.DEFINE_list("what", ["training", "recovery", "export", "bank"], "What to kill.")
_KILLS = flags.DEFINE_integer("kills", 50, "Of each.", lower_bound=1)
_SEED = flags.DEFINE_integer("seed", 0, "Of the moments.", lower_bound=0)
_RUN_DIR = flags.DEFINE_string("run_dir", None, "Folder for the work and <what>.json.", required=True)
_WEIGHTS = flags.DEFINE_string("weights", "data/weights", "Folder with the VGG-19 archive.")


def main() -> int:
    """Returns the exit code."""
    from hardening.kill import cases

    return cases.run(_WHAT.value, _KILLS.value, _SEED.value, _RUN_DIR.value, weights=_WEIGHTS.value)


if __name__ == "__main__":
    launch(main, __doc__)
