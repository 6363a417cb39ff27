"""What a recovery run does and has done: names of outputs, the manifest and the reports of its folder."""

from __future__ import annotations

import csv
import io
import json
import os
import re
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, TextIO

from ifrp_tf.core.errors import ConfigError, DataError
from ifrp_tf.core.files import JsonLines, atomic, csv_cell, write_bytes_atomic
from ifrp_tf.pictures import video
from ifrp_tf.pictures.decoding import SUFFIXES
from ifrp_tf.pictures.encoding import KEPT

MANIFEST, REPORT, TABLE = ".ifrp_manifest.jsonl", "report.json", "report.csv"

PROVENANCE = "ifrp_tf"
"""Key of the one text chunk of every PNG that is written."""

GENERATED = "generated face, not evidence"
"""What that text begins with."""

_OWN = re.compile(
    r"report\.(json|csv)|gallery\.html|contact_sheet_\d+\.png|gallery/[0-9a-f]{12}_\w+\.png"
    r"|collection\.json|report/part-\d+\.(jsonl|parquet)"
)

_COLUMNS = ("input", "status", "reason", "face", "x", "y", "width", "height", "tilt", "score", "found_by",
            "recovered", "pasted", "uncertainty_value", "notes", "page")  # fmt: skip
_OF_A_FACE = ("tilt", "score", "found_by", "recovered", "uncertainty_value")


@dataclass(frozen=True)
class Made:
    """One line of the manifest: what was made from one input.

    Attributes:
        sha256: of the input's bytes.
        size: of the input, bytes.
        mtime_ns: modification time of the input.
        model: hash of the model.
        outputs: files made, relative to the output folder.
        box: of the upright input as a whole: x, y, width, height in pixels.
        notes: what the decoder did or noticed.
        faces: entries of the faces that were looked for and found; empty where the input is one as a whole.
        settings: `Options.settings` under which it was made.
        uncertainty: one number for each recovered face, 0 to 1, where that was asked for.
        answers: how many the strips show, where they were asked for.
        film: what the report says of a video or an animation as a whole; empty for a picture.
    """

    sha256: str
    size: int
    mtime_ns: int
    model: str
    outputs: tuple[str, ...]
    box: tuple[int, int, int, int]
    notes: tuple[str, ...]
    faces: tuple[dict[str, Any], ...] = ()
    settings: str = ""
    uncertainty: tuple[float, ...] = ()
    answers: int = 0
    film: dict[str, Any] = field(default_factory=dict)


class Manifest:
    """The manifest of an output folder, open and locked: one process writes into a folder at a time.

    A line is added before the outputs that it names are written, so that an output that exists and is named
    there is the output of that line. A last line cut by a kill is passed over.

    Args:
        folder: the output folder; made if missing.
        path: of the manifest's file, where a folder has several; by default its own.

    Raises:
        ConfigError: the folder cannot be made or written to.
        DataError: another process is writing into it.
    """

    def __init__(self, folder: Path, path: Path | None = None) -> None:
        self.folder = folder
        try:
            self._lines = JsonLines(path or folder / MANIFEST)
        except BlockingIOError as error:
            message = (
                f"Expected to be alone in writing to {str(folder)!r}. Received: another run is at work there."
            )
            raise DataError(message, hint="Wait for it, or choose another `output`.") from error
        except OSError as error:
            raise ConfigError(
                f"Expected `output` to be a folder that can be written to. "
                f"Received: {str(folder)!r}: {error.strerror}."
            ) from error
        self._outputs: set[str] = set()
        self._made = self._read()

    def __enter__(self) -> Manifest:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._lines.close()

    def get(self, key: str) -> Made | None:
        """What was made last from the input of that name, or None."""
        return self._made.get(key)

    def outputs(self) -> frozenset[str]:
        """Every file that was ever made here, relative to the folder."""
        return frozenset(self._outputs)

    def add(self, key: str, made: Made) -> None:
        """Adds a line, on the disk when this returns; any thread may.

        Raises:
            DataError: it could not be written.
        """
        self._lines.append([{"input": key, **vars(made)}])
        self._made[key] = made

    def _read(self) -> dict[str, Made]:
        found: dict[str, Made] = {}
        for values in self._lines:
            with suppress(TypeError, KeyError, AttributeError):
                tuples = {name: tuple(value) for name, value in values.items() if isinstance(value, list)}
                key: str = values.pop("input")
                found[key] = Made(**{**values, **tuples})
                self._outputs.update(found[key].outputs)
        return found


class ReportWriter:
    """Writes `report.json` picture by picture, so that memory does not grow with the folder.

    The file appears under its name when it is closed; until then an earlier report stays.

    Args:
        path: of the report.
        head: what comes before the pictures.
    """

    def __init__(self, path: Path, head: dict[str, Any]) -> None:
        self._path = path
        self._complete = ExitStack()
        temporary = self._complete.enter_context(atomic(path))
        try:
            self._file: TextIO = open(temporary, "w", encoding="utf-8")  # noqa: SIM115
            self._file.write(json.dumps(head, indent=1)[:-2] + ',\n "pictures": [')
        except OSError as error:
            raise self._failed(error) from error
        self._separator = "\n  "

    def add(self, entries: Sequence[dict[str, Any]]) -> None:
        """Adds pictures.

        Raises:
            DataError: they could not be written.
        """
        try:
            for entry in entries:
                self._file.write(self._separator + json.dumps(entry))
                self._separator = ",\n  "
        except OSError as error:
            raise self._failed(error) from error

    def close(self, tail: dict[str, Any]) -> None:
        """Ends the report with `tail` and gives it its name.

        Raises:
            DataError: it could not be written.
        """
        try:
            self._file.write("\n ],\n" + json.dumps(tail, indent=1)[2:] + "\n")
            self._file.close()
        except OSError as error:
            self.discard()
            raise self._failed(error) from error
        self._complete.close()

    def discard(self) -> None:
        """Leaves no half report behind; does nothing after `close`."""
        with suppress(OSError):
            self._file.close()
        with suppress(_DiscardedError), self._complete.pop_all():
            raise _DiscardedError

    def _failed(self, error: OSError) -> DataError:
        return DataError(f"{str(self._path)!r} could not be written: {error.strerror}.")


class _DiscardedError(Exception):
    pass


KINDS = ("recovered", "side_by_side", "uncertainty", "answers", "crop")
"""What the name of a face's output ends in."""

PASTED = "pasted"
"""What the name of a picture with its faces pasted back ends in, before the suffix of its format."""


@dataclass(frozen=True)
class Job:
    """One input file.

    Attributes:
        path: where it is.
        key: its name in the manifest: relative to the input folder.
        stem: its outputs are called `<stem>_recovered.png` and so on, relative to the output folder.
        inside: whether it is in the output folder, and so may be an output itself.
        page: of the file, 1 for the first; 0 for the file's picture, as `decoding.decode` chooses it.
    """

    path: Path
    key: str
    stem: str
    inside: bool
    page: int = 0


def plan(
    found: Sequence[tuple[Path, Sequence[Path]]],
    output: str | Path,
    made: frozenset[str] = frozenset(),
    pages: Callable[[Path], Sequence[int]] = lambda _: (0,),
) -> list[Job]:
    """What the outputs of the inputs are called; outputs of earlier runs are left out.

    The tree below the input folder is mirrored, that of several below the folder which holds them all. Where
    two inputs share a stem (`x.jpg`, `x.png`), the suffix joins it (`x_jpg`); where an output would take the
    name of another or of an input, a number does. The outputs of a page begin with `<stem>_page<k>`.

    Args:
        found: each file, folder or pattern that the user named, and what `files.list_pictures` made of it.
        output: the output folder.
        made: files in `output` that earlier runs made, relative to it.
        pages: of a file, as `Job.page`.

    Returns:
        Jobs in the order of `found`, each page of each file once.

    Example:
        >>> plan([(Path(), [Path("x.jpg"), Path("more/y.png")])], "out")[1].stem
        'more/y'
    """
    roots = [_root(given) for given, _ in found]
    common = Path(os.path.commonpath([os.path.abspath(root) for root in roots]))
    real_output = os.path.realpath(output)
    inputs, seen = [], set()
    for root, (given, paths) in zip(roots, found, strict=True):
        for path in paths:
            real = os.path.join(os.path.realpath(path.parent), path.name)
            place = os.path.relpath(real, real_output) if real.startswith(real_output + os.sep) else ""
            own = place in made or (made and _OWN.fullmatch(place)) or place == REPORT
            if real in seen or (own and path != given):
                continue
            seen.add(real)
            relative = path.relative_to(root)
            if len(found) > 1:
                relative = Path(os.path.abspath(root)).relative_to(common) / relative
            inputs.append((path, relative, place))
    return named(inputs, pages)


def named(
    inputs: Sequence[tuple[Path, Path, str]], pages: Callable[[Path], Sequence[int]] = lambda _: (0,)
) -> list[Job]:
    """What the outputs of files are called, as `plan` says.

    Args:
        inputs: of each file where it is, its place in the tree that is mirrored, and its place in the output
            folder if it is there, else nothing.
        pages: of a file, as `Job.page`.
    """
    counts = Counter(_fold(_stem(relative)) for _, relative, _ in inputs)
    taken = {place.casefold() for _, _, place in inputs if place}
    jobs = []
    for path, relative, place in inputs:
        stem = _stem(relative)
        if counts[_fold(stem)] > 1 and stem != relative:
            stem = stem.with_name(f"{stem.name}_{relative.suffix[1:]}")
        for page in pages(path):
            name = stem.with_name(f"{stem.name}_page{page}") if page else stem
            key = relative.as_posix() + f"#page{page}" * (page > 0)
            jobs.append(Job(path, key, _free(name, taken).as_posix(), bool(place), page))
    return jobs


def bases(stem: str, faces: Sequence[dict[str, Any]], known: Collection[str] = ()) -> list[str]:
    """What the names of the files of each face begin with, relative to the output folder.

    Args:
        stem: of the input.
        faces: entries of its faces; none for a picture that was taken as a whole without looking.
        known: files made before: earlier versions counted also a picture as a whole as its first face.

    Returns:
        As many as faces, at least one; empty for a face that is not recovered.

    Example:
        >>> bases("x", [{"found_by": "mtcnn"}, {"found_by": "mtcnn", "reason": "too_small"}])
        ['x_face1', '']
    """
    if not faces or (
        faces[0].get("found_by", "whole") == "whole" and f"{stem}_face1_recovered.png" not in known
    ):
        return [stem]
    return ["" if "reason" in face else f"{stem}_face{k}" for k, face in enumerate(faces, 1)]


def provenance(name: str, fingerprint: str, attributes: str = "") -> dict[str, str]:
    """The text chunk of a PNG with a recovered face: that it is generated, and by which model.

    Args:
        name: of the model.
        fingerprint: of the model, 64 hexadecimal digits.
        attributes: what the model was told of the sitter, if anything.
    """
    told = f"; told {attributes}" if attributes else ""
    return {PROVENANCE: f"{GENERATED}; model {name}; sha256 {fingerprint}{told}"}


CROP = {PROVENANCE: "a portrait as the network saw it, cut out of its picture; not generated"}
"""The text chunk of a PNG with a portrait: that it is ours, and no input."""


def read_report(path: Path) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """What a `report.json` says of the model, and of each picture.

    Raises:
        DataError: it is no report, or cannot be read.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return content["model"], content["pictures"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"Expected a report in {str(path)!r}. Received: {error}.") from error


def write_table(report: Path) -> Path:
    """Writes `report.csv` beside a `report.json`: a line a face, and one for each picture without any.

    Args:
        report: a `report.json`.

    Raises:
        DataError: a file cannot be read or written.
    """
    out = io.StringIO()
    table = csv.writer(out, lineterminator="\n")
    table.writerow(_COLUMNS)
    for picture in read_report(report)[1]:
        for k, face in enumerate(picture["faces"] or [{}], 1):
            cells = {
                **{name: picture[name] for name in ("input", "status", "reason")},
                **dict(zip(("x", "y", "width", "height"), face.get("box", ()), strict=False)),
                **{name: face.get(name) for name in _OF_A_FACE},
                "face": k if face else None,
                "pasted": picture.get("pasted"),
                **({"recovered": picture["film"]["recovered"]} if face and "film" in picture else {}),
                "page": picture.get("page"),
                "notes": "; ".join(picture.get("notes", ())),
            }
            if "reason" in face:
                cells["reason"] = face["reason"]
            table.writerow([csv_cell(cells.get(name)) for name in _COLUMNS])
    path = report.with_name(TABLE)
    write_bytes_atomic(path, out.getvalue().encode("utf-8", "backslashreplace"))
    return path


def _root(given: Path) -> Path:
    if given.is_dir():
        return given
    if os.path.lexists(given):
        return given.parent
    return next((parent for parent in given.parents if parent.is_dir()), Path())


def _stem(path: Path) -> Path:
    # "Portrait No. 5" has no suffix, whatever `pathlib` thinks.
    return path.with_suffix("") if path.suffix.lower() in (*SUFFIXES, *video.SUFFIXES) else path


def _free(stem: Path, taken: set[str]) -> Path:
    candidate, number = stem, 2
    while _names(candidate) & taken:
        candidate, number = stem.with_name(f"{stem.name}_{number}"), number + 1
    taken |= _names(candidate)
    return candidate


def _names(stem: Path) -> set[str]:
    ends = (
        *(f"{kind}.png" for kind in KINDS),
        *(PASTED + suffix for suffix in (".png", *KEPT.values())),
        *(f"recovered{suffix}" for suffix in (".gif", ".webp", *video.CONTAINERS)),
    )
    return {_fold(stem.with_name(f"{stem.name}_{end}")) for end in ends}


def _fold(path: Path) -> str:
    return path.as_posix().casefold()
