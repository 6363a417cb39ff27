"""Serves an exported model over TensorFlow Serving's gRPC and REST interfaces.

The same as `ifrp serve`; `--help` lists the flags.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from ifrp_tf.cli.command import main

if __name__ == "__main__":
    main("serve")
