"""Files: what users name as input, reading, and writing that happens whole or not at all."""

from __future__ import annotations

import difflib
import glob
import logging
import os
import re
import secrets
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from ifrp_tf.core.errors import DataError, ImageError

# ---- What touches the disk: find pictures in a folder, read a file without blocking, write ----

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


def write_bytes_atomic(path: str | Path, data: bytes) -> None:
    """Writes a file whole or not at all: a reader, a crash or a full disk never leaves a part of it.

    The bytes go to a hidden temporary file in the same folder, to the disk, and then onto the name in one
    step. Folders are made as needed; an existing file is replaced.

    Args:
        path: Where to write.
        data: The whole content.

    Raises:
        DataError: The folder or the file could not be written; whatever was there before is untouched.

    Example:

    >>> write_bytes_atomic("out/report.json", b"{}")  # doctest: +SKIP
    """
    path = Path(path)
    # Opened by hand, not by `tempfile`, whose files only their owner may read.
    temporary = path.parent / f".{secrets.token_hex(8)}.tmp"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with os.fdopen(os.open(temporary, flags, 0o666), "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
        except BaseException:  # also Ctrl-C: nothing is left behind
            with suppress(OSError):
                os.unlink(temporary)
            raise
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error)
        message = f"{str(path)!r} could not be written ({len(data):,} bytes): {why}."
        raise DataError(message, hint="Check that the folder is writable and the disk not full.") from error
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    # Makes the new name survive a power cut; not every system can open a folder.
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def list_pictures(
    path_or_glob: str | Path, *, recursive: bool = True, exclude: Path | None = None
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
            nothing where it is the given folder itself or lies above it.

    Returns:
        Paths beginning with the given path, at least one.

    Raises:
        DataError: Nothing has that name (the hint gives the nearest one), or no file was found.

    Example:

    >>> list_pictures("portraits/*.png", exclude=Path("portraits/out"))  # doctest: +SKIP
    """
    given = os.fspath(path_or_glob)
    if not given:
        raise DataError("expected a file, a folder or a pattern, received an empty path.")
    if os.path.lexists(given) and not os.path.isdir(given):
        return [Path(given)]
    if os.path.isdir(given):
        root, candidates, looked_for = Path(given), _walk(Path(given), recursive), "every file"
    elif glob.has_magic(given):
        root, pattern = _literal_prefix(Path(given))
        matches = glob.glob(pattern, root_dir=root, recursive=recursive)
        candidates, looked_for = (root / match for match in matches), repr(pattern)
    else:
        raise DataError(f"{given!r} does not exist.", hint=missing_hint(given))
    found = sorted(_keep(root, candidates, exclude), key=lambda path: _natural(path.relative_to(root)))
    if not found:
        message = (
            f"0 pictures in {str(root)!r}; looked for {looked_for}{'' if recursive else ', not in folders'}"
        )
        raise DataError(f"{message}.", hint=f"The working directory is {os.getcwd()!r}.")
    return found


def _walk(root: Path, recursive: bool) -> Iterator[Path]:
    def warn(error: OSError) -> None:
        if error.filename == os.fspath(root):
            raise DataError(f"the folder {str(root)!r} cannot be read: {error.strerror}.") from error
        logging.warning("skipped the folder %r: %s", error.filename, error.strerror)

    for folder, folders, names in os.walk(root, onerror=warn):  # links to folders are listed, not entered
        folders[:] = [name for name in folders if recursive and not name.startswith(".")]
        yield from (Path(folder) / name for name in names)


def _literal_prefix(path: Path) -> tuple[Path, str]:
    # The part that exists is no pattern: `glob` would take the brackets of a folder `a[1]` for one.
    for parent in path.parents:
        if os.path.isdir(parent):
            return parent, os.fspath(path.relative_to(parent))
    return Path(), os.fspath(path)


def _keep(root: Path, candidates: Iterator[Path], exclude: Path | None) -> Iterator[Path]:
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
        if through_a_link or not _inside(real, real_root) or path in seen:
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


# ---- Whether what a command line names is there: asked before anything heavy is imported ----


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
