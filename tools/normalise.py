"""Shows what a person looks like, frontal, neutral and evenly lit: normalised faces after Cole et al. 2017.

The same as `ifrp normalise`; `--help` lists the flags.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from ifrp_tf.cli.command import main

if __name__ == "__main__":
    main("normalise")
