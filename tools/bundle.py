"""Packs faces, weights and wheels in parts of a bounded size, for training on a machine without a network.

The same as `ifrp bundle`; `--help` lists the flags.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from ifrp_tf.cli.command import main

if __name__ == "__main__":
    main("bundle")
