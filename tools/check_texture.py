"""Measures texture inference: refined answers and filled holes, beside trivial answers.

The same as `ifrp check-texture`; `--help` lists the flags.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from ifrp_tf.cli.command import main

if __name__ == "__main__":
    main("check_texture")
