"""Files: pictures that users name, reading, writing as a whole or not at all, locks, JSON lines, hashes."""

from __future__ import annotations

import difflib
import errno
import glob
import hashlib
import json
import logging
import os
import re
import secrets
import shutil
import stat
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

from ifrp_tf.core.errors import DataError, ImageError

try:
    import fcntl
except ImportError:  # Windows: processes are not kept apart there
    fcntl = None  # type: ignore[assignment]

IGNORED_NAMES = frozenset({"thumbs.db", "desktop.ini", "ehthumbs.db"})
"""Names (in lower case) that desktops leave behind; names that start with a dot are ignored as well."""


def read_bytes(path: str | Path, limit: int) -> bytes:
    """The content of a regular file; pipes, devices, sockets and folders are refused without opening them.

    Args:
        path: The file; always literal, whatever characters its name holds.
        limit: The most bytes to accept, at least 1.

    Returns:
        The bytes; may be empty.

    Raises:
        ImageError: With reason `missing`, `not_a_file`, `unreadable` or `too_large`.

    Example:

    >>> read_bytes("portrait.png", limit=4 * 2**20)  # doctest: +SKIP
    """
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    try:
        _refuse_unreadable(os.stat(path), limit)  # before opening: to open a device can have effects
        with os.fdopen(os.open(path, flags), "rb") as file:
            status = os.fstat(file.fileno())
            _refuse_unreadable(status, limit)  # again: the name may point elsewhere by now
            data = file.read(
                status.st_size + 1
            )  # not `limit`: as much memory as is asked for is taken at once
    except (FileNotFoundError, NotADirectoryError) as error:
        raise ImageError("missing", "the file does not exist.", hint=missing_hint(path)) from error
    except ImageError:
        raise
    except (OSError, ValueError, MemoryError) as error:  # ValueError: a NUL character in the name
        why = getattr(error, "strerror", None) or str(error) or "not enough memory"
        raise ImageError("unreadable", f"the file cannot be read: {why}.") from error
    if len(data) != status.st_size:
        message = (
            f"expected {status.st_size:,} bytes, received {len(data):,}{'+' * (len(data) > status.st_size)}."
        )
        raise ImageError("unreadable", f"the file changed while it was read: {message}", hint="Try again.")
    return data


def _refuse_unreadable(status: os.stat_result, limit: int) -> None:
    if not stat.S_ISREG(status.st_mode):
        kinds = {stat.S_IFDIR: "folder", stat.S_IFIFO: "named pipe", stat.S_IFSOCK: "socket"}
        kind = kinds.get(stat.S_IFMT(status.st_mode), "device")
        raise ImageError("not_a_file", f"expected a regular file, received a {kind}.")
    if status.st_size > limit:
        message = f"expected a file of at most {limit:,} bytes, received {status.st_size:,}."
        raise ImageError("too_large", message)


def missing_hint(path: str | Path) -> str:
    """One sentence for a path that does not exist: the nearest name that does, and the working directory.

    Args:
        path: A path of which some part does not exist.

    Returns:
        Text for the `hint` of an error.

    Example:

    >>> missing_hint("/no/such/folder").startswith("Nothing is named")
    True
    """
    folder = Path(os.path.abspath(os.fspath(path).replace("\0", "")))
    name = folder.name
    while not os.path.isdir(folder) and folder != folder.parent:
        folder, name = folder.parent, folder.name
    names: list[str] = []
    with suppress(OSError):
        names = os.listdir(folder)
    near = difflib.get_close_matches(name, names[:10_000], n=1)
    found = f"; the nearest name is {near[0]!r}" if near else ""
    return f"Nothing is named {name!r} in {str(folder)!r}{found} (working directory {os.getcwd()!r})."


@contextmanager
def atomic(path: str | Path, *, folder: bool = False, note: str = "") -> Iterator[Path]:
    """Gives a file or a folder its name when it is complete: a reader, a crash or a full disk sees no part.

    What is written under the hidden temporary name goes to the disk and then takes the name in one step, in
    place of a file or folder that has it. Where the body raises, nothing is left behind. Folders above are
    made as needed.

    Args:
        path: The name.
        folder: Whether it is a folder; then the temporary one exists already.
        note: Follows "could not be written" in the message of an error.

    Yields:
        The temporary name, beside `path`: `.<16 hexadecimal digits>.tmp`.

    Raises:
        DataError: It could not be written; what had the name before is untouched.

    Example:

    >>> with atomic("cache/pixels.npy") as temporary, open(temporary, "wb") as file:  # doctest: +SKIP
    ...     np.save(file, pixels)
    """
    path = Path(path)
    temporary, former = (path.parent / f".{secrets.token_hex(8)}.tmp" for _ in range(2))
    try:
        if "\0" in str(path):
            raise OSError(errno.EINVAL, "a NUL character in the name")
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            if folder:
                temporary.mkdir()
            yield temporary
            for each in (*(temporary.rglob("*") if folder else ()), temporary):
                _sync(each)
            if folder and path.is_dir():
                os.replace(path, former)  # only an empty folder can be replaced in one step
            os.replace(temporary, path)
        except BaseException:  # also Ctrl-C: nothing is left behind
            _remove(temporary)
            raise
        finally:
            _remove(former)
    except OSError as error:
        why = error.strerror or str(error)
        message = f"{str(path)!r} could not be written{note}: {why}."
        raise DataError(message, hint="Check that the folder is writable and the disk not full.") from error
    with suppress(OSError):  # makes the new name survive a power cut; not every system can open a folder
        _sync(path.parent)


def write_bytes_atomic(path: str | Path, data: bytes) -> None:
    """Writes a file as a whole or not at all, see `atomic`.

    Args:
        path: Where to write.
        data: The whole content.

    Raises:
        DataError: The folder or the file could not be written; whatever was there before is untouched.

    Example:

    >>> write_bytes_atomic("out/report.json", b"{}")  # doctest: +SKIP
    """
    with atomic(path, note=f" ({len(data):,} bytes)") as temporary:
        temporary.write_bytes(data)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove(path: Path) -> None:
    with suppress(OSError):
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


@contextmanager
def locked(path: str | Path, *, waiting: Callable[[], None] | None = None) -> Iterator[BinaryIO]:
    """Holds a lock file: of the processes that lock it one is inside at a time.

    Args:
        path: Of the lock file, which is made and stays.
        waiting: Called before it waits for another process; None: it does not wait.

    Yields:
        The open file. A child process that inherits its descriptor holds the lock as well.

    Raises:
        BlockingIOError: Another process holds it, and `waiting` is None.
        OSError: The file cannot be made.

    Example:

    >>> with locked("runs/a/.lock"):  # doctest: +SKIP
    ...     train()
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "ab") as file:
        try:
            _lock(file)
        except BlockingIOError:
            if waiting is None:
                raise
            waiting()
            _lock(file, wait=True)
        yield file


def _lock(file: BinaryIO, *, wait: bool = False) -> None:
    if fcntl is None:
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        raise
    except OSError:
        pass  # a file system without locks


class JsonLines:
    """A file of JSON objects, one a line, open for adding; one process at a time.

    A last line that a kill cut is removed when the file is opened; damaged lines are passed over.

    Args:
        path: Of the file; made where it is missing, and folders above it.

    Raises:
        BlockingIOError: Another process has it open.
        OSError: It cannot be opened for writing.

    Example:

    >>> with JsonLines("rows.jsonl") as rows:  # doctest: +SKIP
    ...     known = list(rows)
    ...     rows.append([{"name": "ann"}])
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._threads = threading.Lock()
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._file = open(self.path, "a+b")  # noqa: SIM115 - stays open, holding the lock
        try:
            _lock(self._file)
            self._file.seek(0)
            self._file.truncate(sum(len(line) for line in self._file if line.endswith(b"\n")))
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> JsonLines:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """The objects from the first on; add none meanwhile."""
        self._file.seek(0)
        yield from filter(None, map(_parsed, self._file))

    def append(self, values: Iterable[dict[str, Any]]) -> None:
        """Adds lines, on the disk when this returns; any thread may.

        Raises:
            DataError: They could not be written.
        """
        data = b"".join(json.dumps(value).encode() + b"\n" for value in values)
        try:
            with self._threads:
                self._file.write(data)
                self._file.flush()
            os.fsync(self._file.fileno())
        except OSError as error:
            raise DataError(f"{str(self.path)!r} could not be written: {error.strerror}.") from error

    def clear(self) -> None:
        """Removes all lines."""
        self._file.truncate(0)

    def close(self) -> None:
        """Closes the file and gives the lock back."""
        self._file.close()


def read_json_lines(path: str | Path) -> list[dict[str, Any]]:
    """The objects of a file of JSON lines, without opening it for writing.

    Args:
        path: Of the file; where it does not exist, the result is empty. Damaged lines and a last line that a
            kill cut are passed over.

    Raises:
        OSError: It cannot be read.
    """
    try:
        with open(path, "rb") as file:
            return list(filter(None, map(_parsed, file)))
    except FileNotFoundError:
        return []


def _parsed(line: bytes) -> dict[str, Any] | None:
    try:
        value = json.loads(line)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def csv_cell(value: Any) -> Any:
    """A value for a CSV file: text that a spreadsheet would run as a formula gets a `'` in front.

    Example:
        >>> csv_cell("=1+1"), csv_cell(-1)
        ("'=1+1", -1)
    """
    if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r")):
        return f"'{value}"
    return value


def sha256(path: str | Path) -> str:
    """The SHA-256 of a file's content, 64 hexadecimal digits.

    Raises:
        OSError: The file cannot be read.
    """
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fingerprint(paths: Iterable[Path], *, root: Path | None = None, start: str = "") -> str:
    """The SHA-256 over names, sizes and times of files: equal ones hold equal files, as far as can be seen.

    Args:
        paths: Of the files, in an order that does not change.
        root: Names are relative to it; None: as they are.
        start: Text hashed first, such as settings on which a result depends as well.

    Returns:
        64 hexadecimal digits.

    Raises:
        OSError: A file is missing.
    """
    digest = hashlib.sha256(start.encode())
    for path in paths:
        status, name = path.stat(), path.relative_to(root) if root else path
        digest.update(f"{name}\0{status.st_size}\0{status.st_mtime_ns}\n".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def list_pictures(
    path_or_glob: str | Path, *, recursive: bool = True, exclude: str | Path | None = None
) -> list[Path]:
    """The files that a user means by a file, a folder or a pattern, in natural order (2 before 10).

    What exists is literal, whatever characters its name holds: a folder `a[1]` is that folder, and
    `a[1]/*.jpg` looks inside it. From a folder every regular file is taken, whatever its suffix, so that a
    text file among the portraits is reported with a reason rather than passed over; a pattern takes the files
    that it matches, not folders. Ignored: names that start with a dot, `Thumbs.db`, `desktop.ini`, folders
    reached by a link, and links that lead out of the folder. A single file that is named is always taken;
    `read` judges it.

    Args:
        path_or_glob: A file, a folder, or a pattern with `*`, `?`, `[...]` or `**`.
        recursive: Whether to enter the folders inside a folder, and whether `**` does.
        exclude: A folder inside the given one of which nothing is taken, such as an output folder. It bars
            nothing where it is the given folder itself or is above it.

    Returns:
        Paths beginning with the given path, at least one.

    Raises:
        DataError: Nothing has that name (the hint gives the nearest one), or no file was found.

    Example:

    >>> list_pictures("portraits/*.png", exclude=Path("portraits/out"))  # doctest: +SKIP
    """
    given = os.fspath(path_or_glob)
    left: list[Path] = []
    if not given:
        raise DataError("expected a file, a folder or a pattern, received an empty path.")
    if os.path.lexists(given) and not os.path.isdir(given):
        return [Path(given)]
    if os.path.isdir(given):
        root, candidates, looked_for = Path(given), _walk(Path(given), recursive, left), "every file"
    elif glob.has_magic(given):
        root, pattern = _literal_prefix(Path(given))
        matches = glob.glob(pattern, root_dir=root, recursive=recursive)
        candidates, looked_for = (root / match for match in matches), repr(pattern)
    else:
        raise DataError(f"{given!r} does not exist.", hint=missing_hint(given))
    found = sorted(_keep(root, candidates, exclude, left), key=lambda path: _natural(path.relative_to(root)))
    if left:
        words = f"{len(left)} link{'s' * (len(left) > 1)} in {str(root)!r} left out, such as {str(left[0])!r}"
        logging.warning("%s: links to folders, and out of the folder, are not followed.", words)
    if not found:
        message = (
            f"0 pictures in {str(root)!r}; looked for {looked_for}{'' if recursive else ', not in folders'}"
        )
        hint = "Name what the links lead to. " if left else ""
        raise DataError(f"{message}.", hint=f"{hint}The working directory is {os.getcwd()!r}.")
    return found


def _walk(root: Path, recursive: bool, left: list[Path]) -> Iterator[Path]:
    def warn(error: OSError) -> None:
        if error.filename == os.fspath(root):
            raise DataError(f"the folder {str(root)!r} cannot be read: {error.strerror}.") from error
        logging.warning("skipped the folder %r: %s", error.filename, error.strerror)

    for folder, folders, names in os.walk(root, onerror=warn):  # links to folders are listed, not entered
        folders[:] = [name for name in folders if recursive and not name.startswith(".")]
        left += [Path(folder, name) for name in folders if os.path.islink(Path(folder, name))]
        yield from (Path(folder) / name for name in names)


def _literal_prefix(path: Path) -> tuple[Path, str]:
    # The part that exists is no pattern: `glob` would take the brackets of a folder `a[1]` for one.
    for parent in path.parents:
        if os.path.isdir(parent):
            return parent, os.fspath(path.relative_to(parent))
    return Path(), os.fspath(path)


def _keep(
    root: Path, candidates: Iterator[Path], exclude: str | Path | None, left: list[Path]
) -> Iterator[Path]:
    real_root = os.path.realpath(root)
    barred = None if exclude is None else os.path.realpath(exclude)
    if barred and _inside(real_root, barred):  # the output folder is the input or above it: it bars nothing
        barred = None
    seen = set()
    for path in candidates:
        if path.name.startswith(".") or path.name.lower() in IGNORED_NAMES or not os.path.isfile(path):
            continue
        real_folder, real = os.path.realpath(path.parent), os.path.realpath(path)
        through_a_link = real_folder != os.path.normpath(
            os.path.join(real_root, path.parent.relative_to(root))
        )
        if through_a_link or path in seen:
            continue
        if not _inside(real, real_root):
            left.append(path)
            continue
        if barred is None or not (_inside(real, barred) or _inside(real_folder, barred)):
            seen.add(path)
            yield path


def _inside(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip(os.sep) + os.sep)


def _natural(path: Path) -> tuple[list[tuple[tuple[bool, int, str], ...]], str]:
    pieces = (re.findall(r"[0-9]+|[^0-9]+", part.casefold()) for part in path.parts)
    key = [tuple((not p.isdecimal(), int(p) if p.isdecimal() else 0, p) for p in part) for part in pieces]
    return key, os.fspath(path)


def require(*paths: str) -> None:
    """Refuses a path that does not exist, before anything heavy is imported.

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
