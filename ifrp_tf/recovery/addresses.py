"""Files by their address: a path of this machine, or whatever fsspec reaches (`s3://`, `gs://`, `https://`).

Addresses with `://` go through fsspec, which the extra `ray` brings; paths do not.
"""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from ifrp_tf.core import files
from ifrp_tf.core.errors import ConfigError, DataError
from ifrp_tf.recovery.manifest import named, plan

COLUMN = "input"
"""Of a list in CSV, JSON lines or Parquet: what holds the addresses, as in our own reports."""

_CHANGES = ("ETag", "etag", "mtime", "LastModified", "last_modified", "md5Hash", "created")


class Input(NamedTuple):
    """One file of a collection.

    Attributes:
        address: where it is.
        key: its name in manifests: its place in the tree that is mirrored.
        stem: what the names of its outputs begin with, relative to the output folder.
        inside: whether it is in the output folder.
        version: changes when the file does; empty where that is not known.
    """

    address: str
    key: str
    stem: str
    inside: bool
    version: str


def is_remote(address: str) -> bool:
    """Whether fsspec is needed to reach an address.

    Example:
        >>> is_remote("s3://museum/scans"), is_remote("scans/1.tif")
        (True, False)
    """
    return "://" in address


def file_system(address: str) -> tuple[Any, str]:
    """The fsspec file system of an address, and the path in it.

    Raises:
        ConfigError: fsspec, or what it needs for this protocol, is not installed, or there is no such one.
    """
    try:
        import fsspec

        return fsspec.url_to_fs(address)
    except (ImportError, ValueError) as error:
        message = f"Expected an address that fsspec reaches. Received: {address!r}: {error}."
        raise ConfigError(
            message, hint="Install the extra `ray`, and the package that the error names."
        ) from error


def inputs(sources: Sequence[str], listed: Sequence[str], output: str, made: frozenset[str]) -> list[Input]:
    """The files that are meant, and what their outputs are called.

    Args:
        sources: files, folders and patterns.
        listed: addresses of files; those that are not there are kept, for reading them says so.
        output: address of the output folder, of which nothing is taken.
        made: files in it that are outputs.

    Raises:
        DataError: a source does not exist, or there is no file.
        ConfigError: paths and addresses are mixed.
    """
    remote = {is_remote(each) for each in (*sources, *listed)}
    if len(remote) > 1:
        raise ConfigError("Expected either paths or addresses with :// as `source`. Received: both.")
    found = _remote(sources, listed, output) if True in remote else _local(sources, listed, output, made)
    if not found:
        raise DataError(f"Expected pictures in {', '.join(sources) or 'the list'}. Received: none.")
    return found


def _local(sources: Sequence[str], listed: Sequence[str], output: str, made: frozenset[str]) -> list[Input]:
    own = "" if is_remote(output) else output
    found = [(Path(each), files.list_pictures(each, exclude=own or None)) for each in sources]
    if listed:
        paths = [Path(os.path.abspath(each)) for each in listed]
        found.append((Path(os.path.commonpath([path.parent for path in paths])), paths))
    jobs = plan(found, own or os.devnull, made)
    return [Input(str(job.path), job.key, job.stem, job.inside, _version(job.path)) for job in jobs]


def _version(path: Path) -> str:
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return ""
    return f"{status.st_size} {status.st_mtime_ns}"


def _remote(sources: Sequence[str], listed: Sequence[str], output: str) -> list[Input]:
    rows: list[tuple[str, PurePosixPath, PurePosixPath, str]] = []  # address, path, root, version
    for source in sources:
        system, path = file_system(source)
        root, found = _found(system, path)
        for name in sorted(found):
            rows.append((system.unstrip_protocol(name), PurePosixPath(name), root, _told(found[name])))
        if not found:
            raise DataError(f"{source!r} does not exist, or holds no file.")
    for address in listed:
        named_path = PurePosixPath(file_system(address)[1])
        rows.append((address, named_path, named_path.parent, ""))
    own = PurePosixPath(file_system(output)[1]) if is_remote(output) else None
    rows = [row for row in dict.fromkeys(rows) if own is None or not row[1].is_relative_to(own)]
    if not rows:
        return []
    common = os.path.commonpath([str(root) for _, _, root, _ in rows])
    jobs = named([(Path(path), Path(os.path.relpath(path, common)), "") for _, path, _, _ in rows])
    return [
        Input(address, job.key, job.stem, False, version)
        for (address, _, _, version), job in zip(rows, jobs, strict=True)
    ]


def _found(system: Any, path: str) -> tuple[PurePosixPath, dict[str, dict[str, Any]]]:
    """The folder that is mirrored, and the files with what the file system says of each."""
    if any(character in path for character in "*?["):
        parts = PurePosixPath(path).parts
        magic = next(k for k, part in enumerate(parts) if any(character in part for character in "*?["))
        root, found = PurePosixPath(*parts[:magic]), system.glob(path, detail=True)
    elif system.isdir(path):
        root, found = PurePosixPath(path), system.find(path, detail=True)
    else:
        try:
            root, found = PurePosixPath(path).parent, {path: system.info(path)}
        except FileNotFoundError:
            return PurePosixPath(path), {}
    kept = {}
    for name, told in found.items():
        base = PurePosixPath(name).name
        if (
            told.get("type") == "file"
            and not base.startswith(".")
            and base.lower() not in files.IGNORED_NAMES
        ):
            kept[name] = told
    return root, kept


def _told(told: dict[str, Any]) -> str:
    return f"{told.get('size')} {next((told[name] for name in _CHANGES if name in told), '')}"


def read_list(address: str) -> list[str]:
    """The addresses in a list: a text with one a line, or a column `input` of CSV, JSON lines or Parquet.

    Args:
        address: of the list.

    Raises:
        DataError: it cannot be read, or has no such column.
    """
    suffix = PurePosixPath(address).suffix.lower()
    try:
        data = Output(os.path.dirname(address) or ".").read(os.path.basename(address))
        if suffix == ".parquet":
            import pyarrow.parquet

            found = pyarrow.parquet.read_table(io.BytesIO(data), columns=[COLUMN])[COLUMN].to_pylist()
        elif suffix == ".csv":
            found = [row[COLUMN] for row in csv.DictReader(io.StringIO(data.decode("utf-8-sig")))]
        elif suffix in (".jsonl", ".ndjson"):
            found = [json.loads(line)[COLUMN] for line in data.splitlines() if line.strip()]
        else:
            found = os.fsdecode(data).splitlines()
    except (OSError, ValueError, KeyError, ImportError) as error:
        raise DataError(f"Expected a list of pictures in {address!r}. Received: {error}.") from error
    return [each for each in dict.fromkeys(found) if each and each.strip()]


class Output:
    """A folder that is written to.

    Args:
        address: of the folder.
    """

    def __init__(self, address: str) -> None:
        self.address = address
        self.remote = is_remote(address)
        if self.remote:
            self._system, self._root = file_system(address)

    def names(self, folder: str = "") -> set[str]:
        """Every file in it, or in a folder inside it, relative to the whole."""
        if self.remote:
            root = self._root.rstrip("/") + "/"
            where = root + folder
            found = self._system.find(where) if self._system.isdir(where) else []
            return {name.removeprefix(root) for name in found}
        top = Path(self.address)
        return {
            (Path(place) / name).relative_to(top).as_posix()
            for place, _, names in os.walk(top / folder)
            for name in names
        }

    def read(self, name: str) -> bytes:
        """A file's content.

        Raises:
            OSError: it cannot be read.
        """
        if self.remote:
            return self._system.cat_file(f"{self._root.rstrip('/')}/{name}")
        return (Path(self.address) / name).read_bytes()

    def write(self, name: str, data: bytes) -> None:
        """Writes a file as a whole.

        Raises:
            DataError: it cannot be written.
        """
        if not self.remote:
            files.write_bytes_atomic(Path(self.address) / name, data)
            return
        path = f"{self._root.rstrip('/')}/{name}"
        try:
            self._system.makedirs(path.rpartition("/")[0], exist_ok=True)
            self._system.pipe_file(path, data)
        except OSError as error:
            raise DataError(f"{name!r} could not be written to {self.address!r}: {error}.") from error

    def has(self, name: str) -> bool:
        """Whether there is such a file."""
        if self.remote:
            return bool(self._system.exists(f"{self._root.rstrip('/')}/{name}"))
        return os.path.lexists(Path(self.address) / name)

    def remove(self, name: str) -> None:
        """Removes a file, if it is there."""
        if self.remote:
            if self.has(name):
                self._system.rm_file(f"{self._root.rstrip('/')}/{name}")
        else:
            (Path(self.address) / name).unlink(missing_ok=True)
