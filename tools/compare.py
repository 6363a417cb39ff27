"""Trains and measures the systems that the paper compares with, beside ours: a table and a sheet.

The same as `ifrp compare`; `--help` lists the flags.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from ifrp_tf.cli.command import main

if __name__ == "__main__":
    main("compare")
