"""Measures where a model's error is: what the true transform, or the true mean colour, would gain it.

The same as `ifrp error-budget`; `--help` lists the flags.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from ifrp_tf.cli.command import main

if __name__ == "__main__":
    main("error_budget")
