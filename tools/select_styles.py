"""Measures how far styles lie apart (log-Euclidean distance of Gram matrices) and chooses the most distinct.

The same as `ifrp select-styles`; `--help` lists the flags.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from ifrp_tf.cli.command import main

if __name__ == "__main__":
    main("select_styles")
