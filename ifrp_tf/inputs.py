"""Whether what a command line names is there: asked before anything heavy is imported."""

from __future__ import annotations

import glob
import os

from ifrp_tf.errors import DataError
from ifrp_tf.files import missing_hint


def require(*paths: str) -> None:
    """Refuses a path that leads nowhere; that something usable lies there is for its reader to say.

    Args:
        paths: files or folders; empty ones are left out, and so are patterns (`*.png`).

    Raises:
        DataError: with the nearest name that exists.

    Example:
        >>> require("", "no/such/*.png")
    """
    for path in paths:
        if path and not os.path.lexists(path) and not glob.has_magic(path):
            raise DataError(f"{path!r} does not exist.", hint=missing_hint(path))
