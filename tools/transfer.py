"""Changes one attribute of a face and keeps the person (DIAT).

The same as `ifrp transfer`; `--help` lists the flags.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from ifrp_tf.cli.command import main

if __name__ == "__main__":
    main("transfer")
