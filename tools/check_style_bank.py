"""Measures a style bank: which style image its faces are nearest to, and whether the person is still known.

The same as `ifrp check-style-bank`; `--help` lists the flags.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from ifrp_tf.cli.command import main

if __name__ == "__main__":
    main("check_style_bank")
