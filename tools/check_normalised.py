"""Measures models of normalised faces: identity, invariance, shape, white balance, beside trivial answers.

The same as `ifrp check-normalised`; `--help` lists the flags.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from ifrp_tf.cli.command import main

if __name__ == "__main__":
    main("check_normalised")
