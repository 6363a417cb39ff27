"""Where a long piece of work says how it goes: a file in its folder, and the terminal."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def logged_to(path: str | Path) -> Iterator[None]:
    """Appends what is logged at level INFO and above to a file, and shows it on standard error.

    Args:
        path: the file; its folder exists.

    Example:
        >>> with logged_to("runs/modern/log.txt"):
        ...     logging.info("step %d", 1)
    """
    root, level = logging.getLogger(), logging.getLogger().level
    file: logging.Handler = logging.FileHandler(path, encoding="utf-8")
    file.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    screen = logging.StreamHandler()
    screen.setFormatter(logging.Formatter("%(asctime)s %(message)s", datefmt="%H:%M:%S"))
    try:
        for handler in (file, screen):
            root.addHandler(handler)
        root.setLevel(logging.INFO)
        yield
    finally:
        root.setLevel(level)
        for handler in (file, screen):
            root.removeHandler(handler)
        file.close()
