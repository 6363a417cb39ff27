"""Photographs to normalised faces, once: what the preset normalised_face is trained on (Cole et al. 2017).

The same as `ifrp prepare-normalised`; `--help` lists the flags.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from ifrp_tf.cli.command import main

if __name__ == "__main__":
    main("prepare_normalised")
