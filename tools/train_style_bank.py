"""Trains the bank of learned styles, or adds a style of your own to it.

The same as `ifrp train-style-bank`; `--help` lists the flags.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from ifrp_tf.cli.command import main

if __name__ == "__main__":
    main("train_style_bank")
