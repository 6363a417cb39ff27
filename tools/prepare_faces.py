"""Photographs of faces to checked, de-duplicated TFRecord shards that tools/train.py takes as --data.

The same as `ifrp prepare-faces`; `--help` lists the flags.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from ifrp_tf.cli.command import main

if __name__ == "__main__":
    main("prepare_faces")
