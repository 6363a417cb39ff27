"""Lets clients that hang, cancel and disconnect loose on a server, and looks what is left of it.

python tools/soak.py --requests=20000 --model=saved_models/ifrp
python tools/soak.py --requests=100000                            # a toy network: the server's own part

Exit code: 0 nothing lost, wrong or leaked, 1 otherwise, 2 wrong usage, 3 model unusable.
"""

from __future__ import annotations

import sys
from pathlib import Path

from absl import flags

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from ifrp_tf.cli.command import launch

_MODEL = flags.DEFINE_string("model", "", "Folder of versions. Empty: a toy network.")
_REQUESTS = flags.DEFINE_integer("requests", 20_000, "In all.")
_CLIENTS = flags.DEFINE_integer("clients", 16, "At the same time.")
_MISBEHAVING = flags.DEFINE_float("misbehaving", 0.2, "Share of requests whose client misbehaves.")
_SEED = flags.DEFINE_integer("seed", 0, "Of the order of requests.")
_JSON = flags.DEFINE_string("json", "", "Also write the numbers to this file.")


def main() -> int:
    """Returns the exit code."""
    from hardening.soak import run

    return run.run(
        _MODEL.value,
        requests=_REQUESTS.value,
        clients=_CLIENTS.value,
        misbehaving=_MISBEHAVING.value,
        seed=_SEED.value,
        json_file=_JSON.value,
    )


if __name__ == "__main__":
    launch(main, __doc__)
