"""Trains, tests and draws a table of ablations, the paper's or our recipe's; what is done is not done again.

The same as `ifrp ablate`; `--help` lists the flags.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from ifrp_tf.cli.command import main

if __name__ == "__main__":
    main("ablate")
