"""Puts damaged pictures, weights, settings, runs and models in: a success or our own errors may come out.

python tools/fuzz.py --minutes=10 --keep=findings
python tools/fuzz.py --targets=pictures --count=100000
python tools/fuzz.py --targets=pictures --seed=1 --first=4711 --count=1 --keep=findings      # one case again

A finding is an exception that escapes, a crash of a decoder, a case that takes too long or too much memory.
Exit code: 0 nothing was found, 1 something was, 2 wrong usage, 130 interrupted.
"""

from __future__ import annotations

import sys
from pathlib import Path

from absl import flags

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from ifrp_tf.cli.command import launch

_MINUTES = flags.DEFINE_float("minutes", 0.0, "For all targets together; 0: until --count is reached.")
_COUNT = flags.DEFINE_integer("count", 0, "Cases of each target; 0: as many as fit into the time.")
_SEED = flags.DEFINE_integer("seed", 1, "Of the cases.", lower_bound=0)
_FIRST = flags.DEFINE_integer("first", 0, "Index of the first case.", lower_bound=0)
_TARGETS = flags.DEFINE_list(
    "targets", ["pictures", "weights", "configs", "runs", "models"], "What to fuzz, separated by commas."
)
_WORKERS = flags.DEFINE_integer("workers", 1, "Processes at the same time.", lower_bound=1, upper_bound=64)
_KEEP = flags.DEFINE_string("keep", "", "Folder for the inputs of findings and what they did.")


def main() -> int:
    """Returns the exit code."""
    from hardening.fuzz import run

    return run.run(
        run.Request(
            targets=tuple(_TARGETS.value),
            count=_COUNT.value,
            minutes=_MINUTES.value,
            seed=_SEED.value,
            first=_FIRST.value,
            workers=_WORKERS.value,
            keep=_KEEP.value,
        )
    )


if __name__ == "__main__":
    launch(main, __doc__)
