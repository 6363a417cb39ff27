"""What a person at a terminal sees of a long run: failures as lines, and a bar where someone is watching."""

from __future__ import annotations

import sys
from typing import Any

from tqdm import tqdm


class Console:
    """Shows pictures of a report on the error stream; the bar only appears on a terminal.

    Args:
        total: how many pictures there are.

    Example:
        >>> with Console(2) as console:
        ...     console.show({"input": "x.png", "status": "recovered"})
    """

    def __init__(self, total: int) -> None:
        watched = sys.stderr is not None and sys.stderr.isatty()
        self._bar = tqdm(total=total, unit="picture", disable=not watched, file=sys.stderr)

    def __enter__(self) -> Console:
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()

    def show(self, entry: dict[str, Any]) -> None:
        """Shows one picture's entry of the report.

        Args:
            entry: `input`, `status`, and for a failure `reason` and `message`.
        """
        if entry["status"] == "failed":
            self._bar.write(f"{entry['input']!r}: {entry['reason']}: {entry['message']}", file=sys.stderr)
        self._bar.update()
