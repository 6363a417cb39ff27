"""The versions of a served model: a new numbered folder is loaded, warmed up, and takes over.

One version is served, the newest that works. Requests that began with the old one finish with it. A version
that does not work is left alone until its files change, so a folder may be copied into place slowly.
"""

from __future__ import annotations

import gc
import logging
import os
import re
import threading
from dataclasses import dataclass
from pathlib import Path

from ifrp_tf import serving_metrics
from ifrp_tf.errors import IfrpError, ModelError
from ifrp_tf.files import missing_hint
from ifrp_tf.served_model import ServedModel
from ifrp_tf.serving_metrics import Metrics
from ifrp_tf.serving_status import Refusal

LOADING, AVAILABLE, UNLOADING, END = "LOADING", "AVAILABLE", "UNLOADING", "END"
_REMEMBERED = 16

_log = logging.getLogger("ifrp_tf.serving")


@dataclass(frozen=True)
class Status:
    """What became of a version.

    Attributes:
        version: its number.
        state: LOADING, AVAILABLE, UNLOADING or END, as TensorFlow Serving calls them.
        code: OK, or a gRPC code's name if it failed.
        message: why it failed.
    """

    version: int
    state: str
    code: str = "OK"
    message: str = ""


class Versions:
    """A model in a folder of numbered versions, watched.

    Args:
        name: of the model, as clients call it.
        base_path: folder whose numbered folders are the versions.
        poll_seconds: between two looks at the folder; 0 or less = look once.
        trust: load versions whose checksums do not match.
        metrics: gets the loads.

    Example:
        >>> versions = Versions("ifrp", "saved_models/ifrp")  # doctest: +SKIP
        >>> versions.start()  # doctest: +SKIP
    """

    def __init__(
        self,
        name: str,
        base_path: str | Path,
        *,
        poll_seconds: float = 1.0,
        trust: bool = False,
        metrics: Metrics | None = None,
    ) -> None:
        self.name, self.base_path = name, Path(base_path)
        self._poll_seconds, self._trust, self._metrics = poll_seconds, trust, metrics or Metrics()
        self._current: ServedModel | None = None
        self._statuses: dict[int, Status] = {}
        self._broken: dict[int, object] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="versions", daemon=True)

    def start(self) -> None:
        """Loads the newest version that works, and begins to watch.

        Raises:
            ModelError: none works.
        """
        self.poll()
        if self._current is None:
            failed = [status for status in self.statuses() if status.code != "OK"]
            if failed:
                raise ModelError(f"No version in {str(self.base_path)!r} works. {failed[0].message}")
            raise ModelError(
                f"Expected numbered version folders in {str(self.base_path)!r}. Received: none.",
                hint="Export one with tools/export.py."
                if self.base_path.is_dir()
                else missing_hint(self.base_path),
            )
        if self._poll_seconds > 0:
            self._thread.start()

    def stop(self) -> None:
        """Ends watching; the current version stays."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(timeout=5)

    @property
    def current(self) -> ServedModel:
        """The version that is served.

        Raises:
            Refusal: UNAVAILABLE before the first one is loaded.
        """
        model = self._current
        if model is None:
            raise Refusal(
                "UNAVAILABLE", f"No version of {self.name!r} is loaded yet.", hint="Try again later."
            )
        return model

    @property
    def number(self) -> int:
        """Of the version that is served; 0 before there is one."""
        model = self._current
        return 0 if model is None else model.version

    def find(self, name: str, version: int | None = None, label: str = "") -> ServedModel:
        """The version that a request asks for.

        Args:
            name: of the model.
            version: its number, or None for the newest.
            label: of a version; there are none.

        Raises:
            Refusal: NOT_FOUND, saying what there is.
        """
        if name != self.name:
            raise Refusal(
                "NOT_FOUND",
                f"Servable not found for request: Latest({name[:100]}).",
                hint=f"Available: {self.name}.",
            )
        model = self.current
        if label or version not in (None, model.version):
            raise Refusal(
                "NOT_FOUND",
                f"Servable not found for request: Specific({name}, {label[:100] or version}).",
                hint=f"Available: version {model.version}.",
            )
        return model

    def statuses(self, version: int | None = None) -> list[Status]:
        """What became of the versions, newest first.

        Args:
            version: only this one.

        Raises:
            Refusal: NOT_FOUND, if nothing is known of `version`.
        """
        known = dict(self._statuses)
        if version is None:
            return [known[number] for number in sorted(known, reverse=True)]
        if version not in known:
            raise Refusal(
                "NOT_FOUND",
                f"Could not find version {version} of model {self.name}.",
                hint=f"Known: {', '.join(str(number) for number in sorted(known)) or 'none'}.",
            )
        return [known[version]]

    def poll(self) -> None:
        """Looks at the folder once, and brings the newest version that works into service."""
        present = _versions(self.base_path)
        for version in sorted(present, reverse=True):
            if self._current is not None and version == self._current.version:
                return
            if self._broken.get(version) == (signs := _signs(present[version])):
                continue
            if self._load(version, present[version]):
                self._broken.pop(version, None)
                return
            self._broken[version] = signs

    def _load(self, version: int, folder: Path) -> bool:
        self._set(Status(version, LOADING))
        try:
            model = ServedModel(self.name, version, folder, trust=self._trust)
        except (IfrpError, OSError) as error:
            message = " ".join(str(error).split())
            self._set(Status(version, END, "FAILED_PRECONDITION", message[:1000]))
            self._metrics.count(serving_metrics.LOADS, outcome="refused")
            _log.error("Version %d of %s is refused: %s", version, self.name, message)
            return False
        before, self._current = self._current, model
        self._set(Status(version, AVAILABLE))
        self._metrics.count(serving_metrics.LOADS, outcome="loaded")
        _log.info("Version %d of %s is served (%d warm-up requests).", version, self.name, model.warmed_up)
        if before is not None:
            self._set(Status(before.version, END))
            del before
            gc.collect()  # a loaded model is full of circles; requests that still use it keep it alive
        return True

    def _set(self, status: Status) -> None:
        statuses = {**self._statuses, status.version: status}
        ended = sorted(number for number, known in statuses.items() if known.state == END)
        for number in ended[:-_REMEMBERED]:
            del statuses[number]
        self._statuses = statuses  # replaced, never changed: other threads read it

    def _watch(self) -> None:
        while not self._stop.wait(self._poll_seconds):
            try:
                self.poll()
            except Exception:  # watching goes on, whatever the file system does
                _log.exception("Looking for versions in %s failed.", self.base_path)


def _versions(base_path: Path) -> dict[int, Path]:
    try:
        names = [entry.name for entry in os.scandir(base_path) if entry.is_dir()]
    except OSError:
        return {}
    return {int(name): base_path / name for name in names if re.fullmatch(r"[0-9]{1,18}", name)}


def _signs(folder: Path) -> tuple[tuple[str, int, int], ...]:
    """Names, sizes and times of the files: other ones mean that it is worth another try."""
    found = []
    for place, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(place, name)
            try:
                status = os.stat(path)
            except OSError:
                continue
            found.append((path, status.st_size, status.st_mtime_ns))
    return tuple(sorted(found))
