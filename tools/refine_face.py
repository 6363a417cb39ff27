"""Gives soft faces photographic detail, the person guarded: texture inference after Saito et al. 2017.

The same as `ifrp refine-face`; `--help` lists the flags.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from ifrp_tf.cli.command import main

if __name__ == "__main__":
    main("refine_face")
