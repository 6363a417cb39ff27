"""Makes a portrait to try tools/recover.py on, from a public-domain photograph that comes with scikit-image.

The same as `ifrp sample-portrait`; `--help` lists the flags.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from ifrp_tf.cli.command import main

if __name__ == "__main__":
    main("sample_portrait")
