"""Draws a sheet of the procedural styles on faces: rows are styles, columns are faces.

The same as `ifrp preview-styles`; `--help` lists the flags.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from ifrp_tf.cli.command import main

if __name__ == "__main__":
    main("preview_styles")
