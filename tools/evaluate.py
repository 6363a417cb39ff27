"""Measures a model, always beside the trivial answers: the portrait as it is, the mean face, chance.

The same as `ifrp evaluate`; `--help` lists the flags.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from ifrp_tf.cli.command import main

if __name__ == "__main__":
    main("evaluate")
