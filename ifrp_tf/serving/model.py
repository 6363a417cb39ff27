"""Served models: one version and its signatures, and the versions of a folder as they come and go."""

from __future__ import annotations

import gc
import itertools
import logging
import os
import re
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from ifrp_tf.client.wire import FILES, PICTURE, PIXELS, TOLD
from ifrp_tf.core.errors import IfrpError, ModelError
from ifrp_tf.core.files import missing_hint
from ifrp_tf.release import folder as model_folder
from ifrp_tf.serving.metrics import Metrics
from ifrp_tf.serving.pictures import FileSignature, PictureSignature, definition, side_of
from ifrp_tf.serving.signature import Refusal, Signature, refusal

LOADING, AVAILABLE, END = "LOADING", "AVAILABLE", "END"
"""What a version can be at, spelled as in TensorFlow Serving."""

WARM_UP = "assets.extra/tf_serving_warmup_requests"
MAX_WARM_UP = 1000
DEFAULT_SIGNATURE = "serving_default"

_REMEMBERED = 16

_log = logging.getLogger("ifrp_tf.serving")


class ServedModel:
    """A version that answers.

    Args:
        name: of the model, as clients call it.
        version: its number.
        folder: the version folder.
        trust: load it even if its files do not match `SHA256SUMS`.
        pictures: whether a model of portraits is asked for whole pictures too, as `recover_picture`.

    Raises:
        ModelError: it cannot be loaded, or does not answer its own warm-up requests.

    Example:
        >>> model = ServedModel("ifrp", 1, "saved_models/ifrp/1")  # doctest: +SKIP
        >>> model.signature("serving_default").run({"portrait": portraits})["photo"]  # doctest: +SKIP
    """

    def __init__(
        self, name: str, version: int, folder: str | Path, *, trust: bool = False, pictures: bool = True
    ) -> None:
        folder = Path(folder)
        self.name, self.version = name, version
        fingerprint = "unknown"
        if not trust or (folder / model_folder.CHECKSUMS).is_file():
            fingerprint = model_folder.verify(folder, trust=trust)
        try:
            self.definitions = _definitions(folder)
            loaded = tf.saved_model.load(str(folder))
            functions = dict(loaded.signatures)
        except Exception as error:  # TensorFlow raises many kinds for a damaged model
            raise ModelError(f"The model {str(folder)!r} cannot be loaded: {refusal(error).words}") from error
        self._loaded = loaded  # its functions hold its variables only weakly
        self._signatures = {
            key: Signature(key, self.definitions[key], function) for key, function in functions.items()
        }
        if side := side_of(self._signatures.get(PIXELS[0])):
            self._add(functions, side, fingerprint, pictures)
        for signature in self._signatures.values():
            signature.siblings = self._signatures
        if not self._signatures:
            raise ModelError(f"Expected a signature in the model {str(folder)!r}. Received: none.")
        self.warmed_up = self._warm_up(folder / WARM_UP)

    def signature(self, name: str) -> Signature:
        """A function by name.

        Args:
            name: empty means `serving_default`.

        Raises:
            Refusal: FAILED_PRECONDITION, as TensorFlow Serving says: there is none; with those that are.
        """
        wanted = name or DEFAULT_SIGNATURE
        if wanted not in self._signatures:
            raise Refusal(
                "FAILED_PRECONDITION",
                f'Serving signature key "{wanted[:100]}" not found.',
                hint=f"Available: {', '.join(sorted(self._signatures))}.",
            )
        return self._signatures[wanted]

    def _add(self, functions: dict[str, Any], side: int, fingerprint: str, pictures: bool) -> None:
        """What our server does for a model of portraits beside its graph."""
        if FILES[0] in functions:
            files = self.definitions[FILES[0]], functions[FILES[0]]
            self._signatures[FILES[0]] = FileSignature(*files, side)
        if pictures and PICTURE[0] not in functions:
            name = f"{self.name}/{self.version}"
            self.definitions[PICTURE[0]] = definition()
            self._signatures[PICTURE[0]] = PictureSignature(
                self._signatures[PIXELS[0]], name, fingerprint, self._signatures.get(TOLD[0])
            )

    def _warm_up(self, path: Path) -> int:
        from tensorflow_serving.apis import prediction_log_pb2

        if not path.is_file():
            return 0
        done = 0
        try:
            records = iter(tf.data.TFRecordDataset(str(path)).as_numpy_iterator())
            for record in itertools.islice(records, MAX_WARM_UP):
                request = prediction_log_pb2.PredictionLog.FromString(record).predict_log.request
                signature = self.signature(request.model_spec.signature_name)
                inputs = {key: np.asarray(tf.make_ndarray(value)) for key, value in request.inputs.items()}
                signature.check(inputs)
                signature.run(inputs)
                done += 1
        except Exception as error:
            words = refusal(error).words
            raise ModelError(
                f"The model does not answer warm-up request {done} of {str(path)!r}: {words}"
            ) from error
        return done


def _definitions(folder: Path) -> dict[str, Any]:
    from tensorflow.core.protobuf import saved_model_pb2

    saved_model = saved_model_pb2.SavedModel.FromString((folder / "saved_model.pb").read_bytes())
    for meta_graph in saved_model.meta_graphs:
        if "serve" in meta_graph.meta_info_def.tags:
            # Copies, so that the graph with all its weights is not kept beside the loaded one.
            return {
                key: type(value).FromString(value.SerializeToString())
                for key, value in meta_graph.signature_def.items()
            }
    raise ModelError(f"Expected a graph tagged 'serve' in {str(folder)!r}. Received: none.")


@dataclass(frozen=True)
class Status:
    """What became of a version.

    Attributes:
        version: its number.
        state: LOADING, AVAILABLE or END.
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
        pictures: as in `ServedModel`.
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
        pictures: bool = True,
        metrics: Metrics | None = None,
    ) -> None:
        self.name, self.base_path = name, Path(base_path)
        self._poll_seconds, self._trust, self._pictures = poll_seconds, trust, pictures
        self._metrics = metrics or Metrics()
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
            model = ServedModel(self.name, version, folder, trust=self._trust, pictures=self._pictures)
        except (IfrpError, OSError) as error:
            message = " ".join(str(error).split())
            self._set(Status(version, END, "FAILED_PRECONDITION", message[:1000]))
            self._metrics.loads.labels(outcome="refused").inc()
            _log.error("Version %d of %s is refused: %s", version, self.name, message)
            return False
        before, self._current = self._current, model
        self._set(Status(version, AVAILABLE))
        self._metrics.loads.labels(outcome="loaded").inc()
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
