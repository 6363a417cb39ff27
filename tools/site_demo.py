"""Writes a page without a server: a folder for any static host, in which the browser computes all.

The same as `ifrp site-demo`; `--help` lists the flags.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from ifrp_tf.cli.command import main

if __name__ == "__main__":
    main("site_demo")
