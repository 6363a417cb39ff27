"""Recovers the faces in a collection of any size, on one machine or a Ray cluster.

The same as `ifrp recover-collection`; `--help` lists the flags.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from ifrp_tf.cli.command import main

if __name__ == "__main__":
    main("recover_collection")
