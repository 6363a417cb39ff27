"""The rows of an evaluation on disk, line by line, so that a killed one goes on where it stopped."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

from ifrp_tf.errors import ConfigError, DataError
from ifrp_tf.rows import FailedRow, GalleryRow, Row, decode, encode

try:
    import fcntl
except ImportError:  # Windows: two evaluations into one file are not kept apart there
    fcntl = None  # type: ignore[assignment]


class Journal:
    """The rows of one evaluation, open for adding; one process at a time.

    Args:
        path: of the file, JSON lines; made, or gone on with where it was begun with the same settings, or
            begun anew.
        settings: plain values that determine every row.

    Attributes:
        resumed: rows found when it was opened.

    Raises:
        ConfigError: the file cannot be written to.
        DataError: another process is writing to it.

    Example:
        >>> with Journal(Path("r.rows.jsonl"), {"model": "ab12"}) as journal:  # doctest: +SKIP
        ...     journal.add([GalleryRow("ann", np.zeros(128, np.float32))])
    """

    def __init__(self, path: Path, settings: dict[str, Any]) -> None:
        self.path = path
        self._found: dict[tuple[type, str, str], Row] = {}
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = open(path, "a+b")  # noqa: SIM115 - stays open, holding the lock
        except OSError as error:
            raise ConfigError(f"Expected to write to {str(path)!r}. Received: {error.strerror}.") from error
        try:
            if fcntl is not None:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            self._file.close()
            raise DataError(
                f"Expected to be alone in writing to {str(path)!r}. Received: another evaluation is at work.",
                hint="Wait for it, or choose another --json.",
            ) from error
        except OSError:
            pass  # a file system without locks
        self._read(json.dumps({"settings": settings}, sort_keys=True))
        self.resumed = len(self._found)

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def get(self, kind: type, style: str, name: str) -> Row | None:
        """The row of a kind, style (empty where it has none) and subject, or None."""
        return self._found.get((kind, style, name))

    def done(self, kind: type, style: str, name: str) -> bool:
        """Whether a picture was measured, or could not be."""
        mark = "/" if kind is GalleryRow else style
        return (kind, style, name) in self._found or (FailedRow, mark, name) in self._found

    def of(self, kind: type) -> list[Any]:
        """All rows of a kind, in no order that means anything."""
        return [row for row in self._found.values() if isinstance(row, kind)]

    def add(self, rows: Iterable[Row]) -> None:
        """Adds rows that are not there yet; on the disk when this returns.

        Raises:
            DataError: they could not be written.
        """
        lines = []
        for row in rows:
            key = (type(row), getattr(row, "style", ""), row.name)
            if key not in self._found:
                self._found[key] = row
                lines.append(encode(row) + b"\n")
        try:
            self._file.write(b"".join(lines))
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError as error:
            raise DataError(f"{str(self.path)!r} could not be written: {error.strerror}.") from error

    def _read(self, header: str) -> None:
        self._file.seek(0)
        whole = 0
        for line in self._file:
            if not line.endswith(b"\n") or (whole == 0 and line.decode(errors="replace").rstrip() != header):
                break
            if whole:
                with suppress(ValueError, TypeError, KeyError, AttributeError):
                    row = decode(line)
                    self._found[type(row), getattr(row, "style", ""), row.name] = row
            whole += len(line)
        self._file.truncate(whole)  # a line that a kill cut, or rows of other settings
        if not whole:
            self._file.write(header.encode() + b"\n")
