"""Finding a model on disk and making sure that it is whole and unaltered, before TensorFlow touches it.

A SavedModel is a program. A version folder therefore lists the SHA-256 of all its files in `SHA256SUMS`, and
nothing in it is loaded unless the list holds. Neither TensorFlow nor Keras is imported here.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ifrp_tf.core import files
from ifrp_tf.core.config import Config
from ifrp_tf.core.errors import ConfigError, ModelError
from ifrp_tf.core.files import missing_hint

CHECKSUMS, CONFIG, MEAN_FACE, WEIGHTS = "SHA256SUMS", "config.json", "mean_face.png", ".weights.h5"
REQUIRED = ("saved_model.pb", "variables/variables.index", CONFIG)
"""What a version folder must hold besides `SHA256SUMS`."""


@dataclass(frozen=True)
class ModelFolder:
    """Where a model is.

    Attributes:
        kind: `version` (exported), or `weights` (a run folder or a weights file with its `config.json`).
        path: the version folder, or the weights file.
        name: for people: the version folder's last two parts (`ifrp/1`), or the run's name.
    """

    kind: Literal["version", "weights"]
    path: Path
    name: str

    @property
    def config_path(self) -> Path:
        """The `config.json` that belongs to it."""
        beside = (self.path if self.kind == "version" else self.path.parent) / CONFIG
        return beside if self.kind == "version" or beside.is_file() else self.path.parent.parent / CONFIG


def locate(model: str | Path) -> ModelFolder:
    """What a user means by `model`.

    Args:
        model: a version folder, a folder of numbered versions (the highest wins), a run folder, or a
            `.weights.h5` file with `config.json` beside it or one folder above.

    Returns:
        The place; that its files are sound is for `verify` and `weights.load` to say.

    Raises:
        ModelError: there is no model.

    Example:
        >>> locate("saved_models/ifrp").kind  # doctest: +SKIP
        'version'
    """
    path = Path(model)
    if not path.exists():
        raise ModelError(
            f"Expected a model at {str(path)!r}. Received: nothing there.", hint=missing_hint(path)
        )
    if path.is_file():
        if path.name.endswith(".weights.h5"):
            return ModelFolder("weights", path, path.name)
        raise ModelError(f"Expected a model folder or a .weights.h5 file. Received: the file {str(path)!r}.")
    if (path / "saved_model.pb").is_file():
        real = path.resolve()
        return ModelFolder("version", path, f"{real.parent.name}/{real.name}")
    if weights := weights_in(path / "model"):
        return ModelFolder("weights", weights, path.resolve().name)
    versions = [entry for entry in path.iterdir() if re.fullmatch(r"[0-9]+", entry.name) and entry.is_dir()]
    if not versions:
        names = ", ".join(sorted(entry.name for entry in path.iterdir())[:8]) or "an empty folder"
        raise ModelError(
            f"Expected saved_model.pb, a numbered version or a run's model/*{WEIGHTS} in {str(path)!r}. "
            f"Received: {names}.",
            hint="Export one with tools/export.py, or name the right folder with `model`.",
        )
    version = max(versions, key=lambda entry: int(entry.name))
    if not (version / "saved_model.pb").is_file():
        raise ModelError(f"Expected {str(version / 'saved_model.pb')!r}. Received: no such file.")
    return ModelFolder("version", version, f"{path.resolve().name}/{version.name}")


def weights_in(folder: str | Path) -> Path | None:
    """The weights file in a version folder or in a run's `model/`; None where there is none."""
    found = sorted(path for path in Path(folder).glob("*" + WEIGHTS) if not path.name.startswith("."))
    return found[0] if found else None


def check_new(folder: str | Path) -> None:
    """Refuses a place where no version can be made.

    Args:
        folder: the version folder to make.

    Raises:
        ConfigError: its name is not a number.
        ModelError: it exists.

    Example:
        >>> check_new("models/ifrp/70001")
    """
    folder = Path(os.path.normpath(folder))
    if not folder.name.isdecimal() or not folder.name.isascii():
        raise ConfigError(
            f"Expected `output` to end in a version number. Received: {str(folder)!r}.",
            hint="For example saved_models/ifrp/1.",
        )
    if os.path.lexists(folder):
        raise ModelError(
            f"Expected a new version folder. Received: {str(folder)!r}, which exists.",
            hint="Released versions are not changed: take the next number, or remove it yourself.",
        )


def read_config(folder: ModelFolder) -> Config:
    """The configuration that a model was trained with.

    Args:
        folder: what `locate` returned.

    Raises:
        ModelError: `config.json` is missing or does not describe a model of this package.
    """
    path = folder.config_path
    try:
        return Config.from_dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError, AttributeError, RecursionError) as error:
        detail = str(error) if isinstance(error, ConfigError) else f"{type(error).__name__}: {error}"
        raise ModelError(
            f"Expected the model's configuration in {str(path)!r}. Received: {detail}"
        ) from error


def read_side(folder: ModelFolder) -> int:
    """The side of a model's pictures in pixels, by its configuration, of which nothing else is looked at.

    Args:
        folder: what `locate` returned.

    Raises:
        ModelError: `config.json` is missing or does not say it.
    """
    try:
        return int(json.loads(folder.config_path.read_text(encoding="utf-8"))["data"]["side"])
    except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
        message = f"Expected the model's configuration in {str(folder.config_path)!r}. Received: {error!r}"
        raise ModelError(message) from error


def verify(folder: str | Path, *, trust: bool = False) -> str:
    """Checks a version folder against its `SHA256SUMS`, and returns its fingerprint.

    Every file but hidden ones must be listed and have the listed SHA-256; no link may lead out of the folder.

    Args:
        folder: a version folder.
        trust: accept files that are not listed or differ; links out of the folder are refused even so.

    Returns:
        The model's hash: 64 hexadecimal digits over the names and SHA-256 of its files.

    Raises:
        ModelError: a file is missing, differs (with both sums), is not listed, or is a link out of the
            folder.
    """
    folder = Path(folder)
    present = {name: sha256(folder / name) for name in sorted(_files(folder))}
    for name in REQUIRED:
        if name not in present:
            raise ModelError(f"Expected {name} in the model folder {str(folder)!r}. Received: no such file.")
    if not trust:
        expected = _read_checksums(folder)
        hint = "Copy or export the model again; `trust` loads it all the same, which runs whatever is in it."
        for name in sorted(expected | present):
            wanted, actual = expected.get(name, "not listed"), present.get(name, "no such file")
            if wanted != actual:
                message = f"{name} in {str(folder)!r}: expected SHA-256 {wanted}. Received: {actual}."
                raise ModelError(message, hint=hint)
    return hashlib.sha256(_format(present).encode("utf-8", "surrogateescape")).hexdigest()


def write_checksums(folder: str | Path) -> None:
    """Writes `SHA256SUMS` of all files in `folder`, in the form that `sha256sum -c` reads.

    Args:
        folder: a version folder that nothing is added to any more.
    """
    folder = Path(folder)
    sums = {name: sha256(folder / name) for name in sorted(_files(folder))}
    (folder / CHECKSUMS).write_text(_format(sums), encoding="utf-8")


def sha256(path: str | Path) -> str:
    """The SHA-256 of a file's content, 64 hexadecimal digits.

    Args:
        path: a regular file.

    Raises:
        ModelError: the file cannot be read.
    """
    try:
        return files.sha256(path)
    except OSError as error:
        raise ModelError(f"{str(path)!r} cannot be read: {error.strerror}.") from error


def _files(folder: Path) -> Iterator[str]:
    root = os.path.realpath(folder)
    for parent, folders, names in os.walk(folder):
        for name in [*folders, *names]:
            path = os.path.join(parent, name)
            if os.path.islink(path) and not os.path.realpath(path).startswith(root + os.sep):
                raise ModelError(
                    f"Expected only files inside {str(folder)!r}. "
                    f"Received: the link {name!r}, which leads to {os.path.realpath(path)!r}.",
                    hint="Copy the file in place of the link.",
                )
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            relative = Path(parent, name).relative_to(folder).as_posix()
            if relative != CHECKSUMS and not name.startswith("."):
                yield relative


def _format(sums: dict[str, str]) -> str:
    return "".join(f"{digest}  {name}\n" for name, digest in sums.items())


def _read_checksums(folder: Path) -> dict[str, str]:
    try:
        lines = (folder / CHECKSUMS).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        message = f"Expected {CHECKSUMS} in the model folder {str(folder)!r}. Received: {error}."
        raise ModelError(
            message, hint="Export the model again, or pass `trust` if you made it yourself."
        ) from error
    sums = {}
    for line in lines:
        match = re.fullmatch(r"([0-9a-f]{64}) [ *](.+)", line)
        if not match:
            raise ModelError(
                f"Expected lines of SHA-256 and name in {str(folder / CHECKSUMS)!r}. Received: {line!r}."
            )
        sums[match[2]] = match[1]
    return sums
