"""Exports a run's network as a SavedModel that TensorFlow Serving and tools/recover.py load.

The same as `ifrp export`; `--help` lists the flags.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from ifrp_tf.cli.command import main

if __name__ == "__main__":
    main("export")
