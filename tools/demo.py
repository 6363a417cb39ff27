"""A web page on this machine: drop a picture or use the camera, see and keep the faces behind it.

The same as `ifrp demo`; `--help` lists the flags.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from ifrp_tf.cli.command import main

if __name__ == "__main__":
    main("demo")
