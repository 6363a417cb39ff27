"""Where the released model and the style bank are, from a checkout as from an installed package."""

from __future__ import annotations

import os
from pathlib import Path

VARIABLE = "IFRP_MODELS"
"""Environment variable that names another folder in place of the one that is shipped."""

_PACKAGE = Path(__file__).resolve().parents[1]


def folder() -> Path:
    """The folder with `ifrp/<version>` and `style_bank`.

    Returns:
        What `$IFRP_MODELS` names, else `saved_models` inside the installed package, else that of the
        checkout. Whether it holds anything is not looked at.
    """
    if named := os.environ.get(VARIABLE):
        return Path(named)
    installed = _PACKAGE / "saved_models"
    return installed if installed.is_dir() else _PACKAGE.parent / "saved_models"


MODEL = str(folder() / "ifrp")
"""The released model: a folder of numbered versions."""
