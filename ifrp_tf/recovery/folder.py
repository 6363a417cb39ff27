"""A folder of any size through the network: read and look ahead, recover in batches, write behind."""

from __future__ import annotations

import glob
import hashlib
import os
import re
import shutil
import signal
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from ifrp_tf.core import files
from ifrp_tf.core.errors import ConfigError, DataError, ImageError, ModelError
from ifrp_tf.core.files import list_pictures, read_bytes, write_bytes_atomic
from ifrp_tf.pictures import decoding, framing
from ifrp_tf.pictures import video as video_file
from ifrp_tf.pictures.blending import in_place, paste
from ifrp_tf.pictures.clips import Animation, Clip, is_animation
from ifrp_tf.pictures.decoding import MAX_FILE_BYTES, SUFFIXES
from ifrp_tf.pictures.encoding import KEPT, encode_like
from ifrp_tf.pictures.video import Video
from ifrp_tf.recovery import video
from ifrp_tf.recovery.manifest import (
    CROP,
    GENERATED,
    KINDS,
    PASTED,
    PROVENANCE,
    REPORT,
    Job,
    Made,
    Manifest,
    ReportWriter,
    bases,
    plan,
    provenance,
)
from ifrp_tf.recovery.recoverer import AS_USUAL, Options, Recoverer, Scene, enlarged
from ifrp_tf.recovery.uncertainty import Uncertainty, estimate
from ifrp_tf.release.load import BATCH, Network, in_batches

_LARGE_PIXELS = 16_000_000
_LARGE = threading.Lock()  # larger pictures need a quarter of a gigabyte and more: decoded one at a time
_WORKERS = min(4, os.cpu_count() or 1)
_WAITING = 2 * BATCH
_LEFT = re.compile(r"\.([0-9a-f]{16}|report\.json\.[0-9a-f]{8})\.tmp")  # of `files`, of earlier versions

_RANGE = re.compile(r"\s*(\d{1,4})\s*(?:-\s*(\d{1,4})\s*)?")  # of pages

_LOOKING = {
    "auto",
    "nofallback",
    "insist",
    "blazeface",
    "mtcnn",
}  # words of `Options.settings` that change no picture as a whole

SIDECARS = frozenset(
    {".aae", ".csv", ".db", ".doc", ".docx", ".dop", ".htm", ".html", ".ini", ".json", ".log", ".md", ".md5",
     ".nfo", ".on1", ".pp3", ".sha1", ".sha256", ".tsv", ".txt", ".url", ".xls", ".xlsx", ".xml", ".xmp",
     ".yaml", ".yml"}
)  # fmt: skip
"""Suffixes of what lies beside pictures: in a folder such files are skipped, unless they hold a picture."""

_NO_PICTURE = ("not_an_image", "empty")

Progress = Callable[[dict[str, Any]], None]
Answer = np.ndarray | Uncertainty | ModelError


@dataclass
class Item:
    """An input on its way through a run.

    Attributes:
        job: the input.
        status: `recovered` (or about to be), `skipped` or `failed`.
        reason: a short stable code; empty for `recovered`.
        message: the reason in words.
        made: what will be, or was, made from it.
        scene: its faces, laid out for the network; None unless about to be recovered.
        answers: the network's, to each portrait of the scene.
        clip: a video or an animation about to be recovered, in place of a scene.
    """

    job: Job
    status: str = "recovered"
    reason: str = ""
    message: str = ""
    made: Made | None = None
    scene: Scene | None = None
    answers: Sequence[Answer] = ()
    clip: Clip | None = None

    def entry(self) -> dict[str, Any]:
        """The entry in `report.json`; a box is x, y, width, height in pixels of the upright picture."""
        entry: dict[str, Any] = {
            "input": str(self.job.path),
            "status": self.status,
            "reason": self.reason,
            "message": self.message,
            "notes": list(self.made.notes) if self.made else [],
            "faces": [],
        }
        if self.job.page:
            entry["page"] = self.job.page
            entry["message"] = self.message and f"page {self.job.page}: {self.message}"
        if self.made is None:
            return entry
        if self.made.film:
            film = {"recovered": self.made.outputs[0], **self.made.film}
            return {
                **entry,
                "faces": list(self.made.faces),
                **({"film": film} if self.status != "failed" else {}),
            }
        written = set(self.made.outputs) if self.status != "failed" else set()
        faces = self.made.faces or ({"box": list(self.made.box)},)
        if self.status == "failed" and _is_whole(self.made.faces):
            faces = ()
        numbers = iter(self.made.uncertainty)
        for face, base in zip(faces, bases(self.job.stem, faces, written), strict=False):
            files = {kind: name for kind in KINDS if (name := f"{base}_{kind}.png") in written}
            value = next(numbers, None) if "uncertainty" in files else None
            number = {} if value is None else {"uncertainty_value": value}
            entry["faces"].append({**face, "recovered": None, **files, **number})
        if written and (pasted := _pasted_among(self.made.outputs, self.job)):
            entry["pasted"] = pasted
        return entry


@dataclass(frozen=True)
class Report:
    """How a run over a folder went; every picture is listed in `path`.

    Attributes:
        path: of `report.json`.
        recovered: how many were recovered.
        skipped: how many were recovered before, or are outputs themselves.
        failed: how many could not be used.
        interrupted: whether the run was stopped before all inputs were reached.
    """

    path: Path
    recovered: int
    skipped: int
    failed: int
    interrupted: bool

    @property
    def exit_code(self) -> int:
        """0 all good, 1 some inputs failed, 130 interrupted."""
        return 130 if self.interrupted else int(self.failed > 0)

    def summary(self, total: int) -> str:
        """How it went, in words.

        Args:
            total: how many inputs there were.
        """
        words = f"{self.recovered} recovered, {self.skipped} skipped, {self.failed} failed"
        if self.interrupted:
            words += f", interrupted before {total - self.recovered - self.skipped - self.failed} more"
        return words


@contextmanager
def opened(
    source: str | Path | Sequence[str | Path],
    output: str | Path,
    options: Options = AS_USUAL,
    pages: str = "first",
) -> Iterator[tuple[Manifest, list[Job]]]:
    """Finds the inputs, makes and locks the output folder, before any model is loaded.

    Args:
        source: a file, a folder or a pattern, or several of these.
        output: the output folder.
        options: what will be asked for; nothing but whether it fits the inputs is looked at.
        pages: of TIFF and PDF files, as of `chooser`.

    Raises:
        DataError: no input was found, or another run is writing into `output`.
        ConfigError: `output` cannot be written to, there are boxes for more than one picture, or the pages
            are none.

    Example:
        >>> with opened("portraits", "out") as (manifest, jobs):  # doctest: +SKIP
        ...     report = Run(manifest, jobs, Recoverer.load()).process()
    """
    output = Path(output)
    given = [Path(source)] if isinstance(source, str | Path) else [Path(each) for each in source]
    words = ", ".join(repr(str(each)) for each in given)
    if not given:
        raise ConfigError("Expected a picture, a folder or a pattern as `source`. Received: none.")
    found = [(each, list_pictures(each, exclude=output)) for each in given]  # a mistyped one makes no folder
    count = sum(len(paths) for _, paths in found)
    choose = chooser(pages)
    _refuse_boxes(options, count, words)
    with Manifest(output) as manifest:
        jobs = plan(found, output, manifest.outputs(), choose)
        _refuse_boxes(options, len(jobs), words)
        if not jobs:
            raise DataError(f"Expected portraits in {words}. Received only outputs of earlier runs.")
        tidy({output, *((output / job.stem).parent for job in jobs)})
        yield manifest, jobs


def _refuse_boxes(options: Options, count: int, words: str) -> None:
    if options.boxes and count > 1:
        message = f"Expected one picture with `boxes`. Received: {count} in {words}."
        raise ConfigError(message, hint="A box is a place in one picture; name that picture, or its page.")


def chooser(pages: str) -> Callable[[Path], Sequence[int]]:
    """Says which pages of a file are recovered.

    Args:
        pages: `first`, the file's picture, as `images.read` chooses it; `all`; or numbers and ranges of them,
            such as `1,3-5`.

    Returns:
        From a path to numbers as of `Job.page`: `[0]` for what has one page only. Of the pages that are asked
        for and not there the first is among them, so that reading it says so.

    Raises:
        ConfigError: `pages` is something else.

    Example:
        >>> chooser("first")(Path("x.pdf"))
        [0]
    """
    if pages == "first":
        return lambda _: [0]
    asked: list[int] = []
    for part in [] if pages == "all" else pages.split(","):
        found = _RANGE.fullmatch(part)
        asked += range(int(found[1]), int(found[2] or found[1]) + 1) if found else [0]
    if pages != "all" and (not asked or min(asked) < 1):
        expected = "Expected `pages` to be first, all, or numbers such as 1,3-5."
        raise ConfigError(f"{expected} Received: {pages!r}.")

    def choose(path: Path) -> Sequence[int]:
        try:
            if not path.is_file():
                return [0]
            with open(path, "rb") as file:
                if decoding.sniff(file.read(64))[0] not in ("TIFF", "PDF"):
                    return [0]
            there = decoding.page_numbers(read_bytes(path, MAX_FILE_BYTES))
        except (OSError, ImageError):
            return [0]  # reading it says why
        if there == [1] and asked in ([], [1]):
            return [0]
        wanted = dict.fromkeys(asked or there)
        missing = [page for page in wanted if page not in there]
        return [page for page in wanted if page in there] + missing[:1]

    return choose


def tidy(folders: set[Path]) -> None:
    """Takes away what killed runs were writing; only while nobody else writes there.

    Args:
        folders: what lies in them, not in those inside them, is looked at.
    """
    for folder in folders:
        with suppress(OSError), os.scandir(folder) as entries:
            for entry in entries:
                if _LEFT.fullmatch(entry.name):
                    os.unlink(entry.path)


@dataclass
class Run:
    """What is to be made of every input, by which model.

    Attributes:
        manifest: of the output folder.
        jobs: the inputs.
        recoverer: the model.
        options: how faces are found, and what is made of them.
        side_by_side: whether the portrait is also put beside the recovered face.
        overwrite: whether existing outputs are replaced.
        among: how many inputs there are, where `jobs` are a part of them.
    """

    manifest: Manifest
    jobs: Sequence[Job]
    recoverer: Recoverer
    options: Options = field(default_factory=Options)
    side_by_side: bool = False
    overwrite: bool = False
    among: int = 0

    def __post_init__(self) -> None:
        self.options = self.recoverer.asked(self.options)
        self.recoverer.function(self.options)  # the model cannot be told attributes: said before all else

    def process(self, progress: Progress | None = None, say: video.Say = lambda _: None) -> Report:
        """Recovers every input that has not been recovered before.

        Ctrl-C (or SIGTERM) finishes the batch at hand and the report; a second one stops at once. Of a video
        what is finished is kept, and gone on with the next time.

        Args:
            progress: called with each picture's report entry, in order.
            say: told how far a video is.

        Returns:
            The counts. `report.json` is `{"model": ..., "pictures": [...], "counts": ...,
            "interrupted": ...}`.

        Raises:
            DataError: the report cannot be written.
        """
        name, fingerprint = self.recoverer.name, self.recoverer.fingerprint
        path = self.manifest.folder / REPORT
        told = {"attributes": self.options.attributes} if self.options.attributes else {}
        writer = ReportWriter(path, {"model": {"name": name, "sha256": fingerprint, **told}})
        counts = dict.fromkeys(("recovered", "skipped", "failed"), 0)

        try:
            with _stop_on_signal() as stop, closing(self.finished(stop, say)) as items:
                for item in items:
                    counts[item.status] += 1
                    writer.add([entry := item.entry()])
                    if progress is not None:
                        progress(entry)
                interrupted = stop.is_set() and sum(counts.values()) < len(self.jobs)
            writer.close({"counts": counts, "interrupted": interrupted})
        finally:
            writer.discard()
        return Report(path, **counts, interrupted=interrupted)

    def finished(self, stop: threading.Event, say: video.Say = lambda _: None) -> Generator[Item, None, None]:
        """The inputs in order, each when its outputs are written.

        Args:
            stop: if set, the batch at hand is the last.
            say: told how far a video is.
        """
        with (
            _pool("write", 1 if self.options.paste else _WORKERS) as pool,  # whole pictures: one at a time
            closing(self._in_order(stop)) as stream,
        ):
            writing: list[Future[Item]] = []
            for batch in _batches(stream):
                self._answer(batch)
                yield from (future.result() for future in writing)  # written while the network saw this batch
                batch = [item for item in batch if item.clip is None or self._film(item, stop, say)]
                writing = [pool.submit(self.write, item) for item in batch]
            yield from (future.result() for future in writing)

    def _in_order(self, stop: threading.Event) -> Generator[Item, None, None]:
        """Inputs as they are ready, in order; at most `_WAITING` of them are read ahead."""
        ahead: deque[Future[Item]] = deque()
        with _pool("decode", _WORKERS) as pool:
            jobs = iter(self.jobs)
            while not stop.is_set():
                for job in jobs:
                    ahead.append(pool.submit(self.read, job))
                    if len(ahead) == _WAITING:
                        break
                if not ahead:
                    return
                yield ahead.popleft().result()

    def read(self, job: Job) -> Item:
        """Reads and decodes one input and lays out its faces, unless its outputs are there already.

        May run in any thread.

        Args:
            job: the input.

        Returns:
            Portraits to recover, or the reason why there are none; bad files raise nothing.
        """
        try:
            return self._read(job, self.manifest.get(job.key))
        except ImageError as error:
            several = max(self.among, len(self.jobs)) > 1
            if error.reason in _NO_PICTURE and job.path.suffix.lower() in SIDECARS and several:
                return Item(job, "skipped", "sidecar", "no picture, but what lies beside pictures.")
            return Item(job, "failed", error.reason, str(error))
        except ConfigError as error:
            return Item(job, "failed", "box_outside", str(error))
        except MemoryError:
            return Item(job, "failed", "too_large", "there is not enough memory to decode it.")

    def _read(self, job: Job, before: Made | None) -> Item:
        model, settings = self.recoverer.fingerprint, self.options.settings()
        if before is not None and (before.model != model or not self._may_be(before)):
            before = None
        # What was taken as a whole unasked stays only where it is also found to be one face as a whole.
        sure = before is not None and (before.settings == settings or self.options.faces == "whole")
        size, mtime_ns = _stat(job.path)
        done = before is not None and self._is_there(job, before)
        if done and sure and before is not None and (before.size, before.mtime_ns) == (size, mtime_ns):
            return _up_to_date(job, before)
        is_video = _is_video(job.path)
        data = b"" if is_video else read_bytes(job.path, MAX_FILE_BYTES)
        sha256 = files.sha256(job.path) if is_video else hashlib.sha256(data).hexdigest()
        if before is not None and before.sha256 != sha256:
            before = None
        if done and sure and before is not None:
            return _up_to_date(job, before)
        if job.inside and is_output(data):
            return Item(job, "skipped", "generated", "an output of ifrp_tf is no portrait.")
        made = Made(sha256, size, mtime_ns, model, (), (0, 0, 0, 0), (), settings=settings)
        if before is not None:
            made = replace(
                made, outputs=before.outputs, uncertainty=before.uncertainty, answers=before.answers
            )
        if is_video or is_animation(data):
            return self._clip(job, Video(job.path) if is_video else Animation(data), made)
        if self.options.faces == "whole" and (strange := self._strange(self._outputs(job), made.outputs)):
            return Item(job, "failed", "output_exists", strange)  # known before anything is decoded
        item = self._laid_out(job, data, made, sure)
        if done and item.scene is not None and item.made is not None and _is_whole(item.made.faces):
            self.manifest.add(job.key, item.made)
            return _up_to_date(job, item.made)
        return item

    def _clip(self, job: Job, clip: Clip, made: Made) -> Item:
        """A video or an animation, to be recovered once it is its turn."""
        if clip.generated and job.inside:
            return Item(job, "skipped", "generated", "an output of ifrp_tf is no portrait.")
        if self.options.boxes:
            raise ConfigError("Expected a picture with `boxes`. Received: a video, in which faces move.")
        name = f"{job.stem}_recovered{clip.suffix}"
        if strange := self._strange([name], made.outputs):
            return Item(job, "failed", "output_exists", strange)
        made = replace(made, outputs=(name,), box=(0, 0, *clip.size), notes=clip.notes)
        return Item(job, made=made, clip=clip)

    def _film(self, item: Item, stop: threading.Event, say: video.Say) -> bool:
        """Recovers and writes a clip; what goes wrong becomes its status. False where it was stopped."""
        clip, made, recoverer = item.clip, item.made, self.recoverer
        if clip is None or made is None:
            return True

        def check() -> None:
            if stop.is_set():
                raise video.StoppedError

        target = self.manifest.folder / made.outputs[0]
        words = f"{made.sha256} {made.model} {made.settings}"
        work = target.with_name(f".{target.name}.{hashlib.sha256(words.encode()).hexdigest()[:16]}.film")
        function = self.recoverer.function(self.options)
        text = provenance(recoverer.name, recoverer.fingerprint, self.options.attributes)
        try:
            for other in target.parent.glob(f".{glob.escape(target.name)}.*.film"):
                if other != work:
                    shutil.rmtree(other)  # of another version of the file, model or options
            found = video.recover(
                clip, recoverer, self.options, lambda portraits: answer(function, portraits), work,
                say=lambda line: say(f"{item.job.path.name}: {line}"), check=check,
            )  # fmt: skip
            item.made = made = replace(
                made, film=found.film(), faces=found.entries(*clip.size[::-1]),
                notes=(*made.notes, *found.seen.notes),
            )  # fmt: skip
            target.unlink(missing_ok=True)  # an old output must never be taken for the one in the manifest
            self.manifest.add(item.job.key, made)
            clip.join(found.segments, target, found.size, "; ".join(f"{k}: {v}" for k, v in text.items()))
            shutil.rmtree(work)
        except video.StoppedError:
            return False
        except (ModelError, DataError, ImageError, OSError, MemoryError) as error:
            item.status, item.message = "failed", str(error)
            item.reason = getattr(error, "reason", "not_written")
            if isinstance(error, ModelError):
                item.reason = "not_recovered"
            if isinstance(error, ImageError):  # of no use: it would fail again
                shutil.rmtree(work, ignore_errors=True)
        item.clip = None
        return True

    def _may_be(self, before: Made) -> bool:
        """Whether what was made before may be what is asked for now: as a whole, with or without looking."""
        settings = self.options.settings()
        alike = [" ".join(set(words.split()) - _LOOKING) for words in (before.settings, settings)]
        return before.settings == settings or (_is_whole(before.faces) and alike[0] == alike[1])

    def _is_there(self, job: Job, before: Made) -> bool:
        wanted = before.outputs if before.film else self._outputs(job, before.faces, before.outputs)
        present = all(os.path.lexists(self.manifest.folder / name) for name in wanted)
        as_many = self.options.answers in (0, before.answers)
        return not self.overwrite and present and as_many and set(wanted) <= set(before.outputs)

    def _laid_out(self, job: Job, data: bytes, made: Made, sure: bool) -> Item:
        with ExitStack() as stack:

            def admit(width: int, height: int) -> None:
                if width * height > _LARGE_PIXELS:
                    stack.enter_context(_LARGE)

            picture = decoding.decode(data, admit=admit, page=job.page)
            scene = self.recoverer.look(picture.pixels, self.options)
        (height, width, _), notes, suffix = picture.pixels.shape, picture.notes, job.path.suffix.lower()
        if suffix and SUFFIXES.get(suffix) != picture.format:
            notes = (f"{picture.format} data in a {suffix} file", *notes)
        notes = (*notes, *scene.notes)
        entries = () if self.options.faces == "whole" else scene.entries
        known = made.outputs if sure or _is_whole(entries) else ()
        suffix = KEPT.get(picture.format, ".png")
        wanted = self._outputs(job, entries, known, f"{job.stem}_{PASTED}{suffix}")
        outputs = tuple(dict.fromkeys((*wanted, *known)))
        made = replace(made, outputs=outputs, box=(0, 0, width, height), notes=notes, faces=entries)
        if not scene.chosen:
            reason = ("too_small", "every face is too small.")
            if not entries:
                reason = (
                    "no_face",
                    "no face was found. `fallback=whole` takes the picture for one all the same.",
                )
            return Item(job, "failed", *reason, replace(made, outputs=()))
        if strange := self._strange(wanted, known):
            return Item(job, "failed", "output_exists", strange)
        return Item(job, made=made, scene=scene)

    def _outputs(
        self, job: Job, faces: Sequence[dict[str, Any]] = (), known: Sequence[str] = (), pasted: str = ""
    ) -> tuple[str, ...]:
        """The files to make, relative to the output folder; `faces` are entries, where they were found.

        That of the picture with its faces is called `pasted`, or as it is known.
        """
        asked = {
            "recovered": True,
            "side_by_side": self.side_by_side,
            "uncertainty": self.options.uncertainty,
            "answers": self.options.answers,
            "crop": self.options.save_crops,
        }
        kinds = [kind for kind in KINDS if asked[kind]]
        wanted = [f"{base}_{kind}.png" for base in bases(job.stem, faces, known) if base for kind in kinds]
        placed = any("reason" not in face and face["found_by"] != "whole" for face in faces)
        if not (self.options.paste and placed):
            return tuple(wanted)
        return (*wanted, pasted or _pasted_among(known, job) or f"{job.stem}_{PASTED}.png")

    def _strange(self, wanted: Sequence[str], known: Sequence[str]) -> str:
        """Says which output exists that is not known to come from this file; empty if none does."""
        strange = sorted(
            name for name in set(wanted) - set(known) if os.path.lexists(self.manifest.folder / name)
        )
        if not strange or self.overwrite:
            return ""
        return f"{strange[0]!r} exists, but not from this file, model and options; `overwrite` replaces it."

    def _answer(self, items: Sequence[Item]) -> None:
        """Asks the network about all portraits of a few inputs."""
        network = self.recoverer.function(self.options)
        portraits = [one for item in items if item.scene is not None for one in item.scene.portraits]
        found: Sequence[Answer]
        if self.options.spreads:
            found = [_estimated(network, portrait) for portrait in portraits]
        else:
            found = answer(network, portraits)
        following = iter(found)
        for item in items:
            if item.scene is not None and item.made is not None:
                item.answers = [next(following) for _ in item.scene.chosen]
                if (note := getattr(network, "note", None)) is not None:  # `texture.Refined`
                    notes = (note(one) for one in item.answers if isinstance(one, np.ndarray))
                    item.made = replace(item.made, notes=(*item.made.notes, *dict.fromkeys(notes)))

    def write(self, item: Item) -> Item:
        """Writes what was recovered from one input; what goes wrong becomes its status.

        May run in any thread.

        Args:
            item: an input; changed where something fails.

        Returns:
            `item`.
        """
        try:
            if item.scene is not None and item.made is not None:
                self._write(item, item.scene, item.made)
        except (ModelError, DataError, ImageError, OSError, MemoryError) as error:
            item.status, item.message = "failed", str(error)
            item.reason = "not_recovered" if isinstance(error, ModelError) else "not_written"
        item.scene, item.answers = None, ()  # whoever waits for a slower neighbour holds no pictures
        return item

    def _write(self, item: Item, scene: Scene, made: Made) -> None:
        faces: list[np.ndarray] = []
        spreads: list[Uncertainty] = []
        for one in item.answers:
            if isinstance(one, ModelError):
                raise one
            if isinstance(one, Uncertainty):
                spreads.append(one)
            faces.append(one.recovered if isinstance(one, Uncertainty) else one)
        if self.options.uncertainty:
            made = item.made = replace(made, uncertainty=tuple(round(one.value, 4) for one in spreads))
        if self.options.answers:
            made = item.made = replace(made, answers=self.options.answers)
        text = provenance(self.recoverer.name, self.recoverer.fingerprint, self.options.attributes)
        pasted = self._pasted(item.job, scene, made, faces, text)
        expected = _pasted_among(made.outputs, item.job)
        if pasted is not None and pasted.name != expected:  # it became a PNG after all
            if strange := self._strange([pasted.name], made.outputs):
                raise DataError(strange)
            made_names = dict.fromkeys(pasted.name if name == expected else name for name in made.outputs)
            made = item.made = replace(made, outputs=tuple(made_names))
        names = self._outputs(item.job, made.faces, made.outputs, pasted.name if pasted else "")
        outputs = [self.manifest.folder / name for name in names]
        for path in outputs:  # an old output must never be taken for the one that the manifest names
            path.unlink(missing_ok=True)
        self.manifest.add(item.job.key, made)
        for path, data in zip(outputs, self._files(scene, faces, spreads, pasted, text), strict=True):
            write_bytes_atomic(path, data)

    def _files(
        self,
        scene: Scene,
        faces: Sequence[np.ndarray],
        spreads: Sequence[Uncertainty],
        pasted: _Pasted | None,
        text: dict[str, str],
    ) -> Iterator[bytes]:
        """The files, in the order of `_outputs`."""
        for k, (portrait, face, place) in enumerate(zip(scene.portraits, faces, scene.places, strict=True)):
            yield decoding.encode_png(enlarged(face, self.options.size), text)
            if self.side_by_side:
                tiles = [portrait, face]
                if pasted is not None and place is not None:
                    tiles.append(in_place(pasted.pixels, place, len(face)))
                yield decoding.encode_png(framing.grid([np.stack(tiles)]), text)
            if self.options.uncertainty:
                yield decoding.encode_png(spreads[k].picture, text)
            if self.options.answers:
                strip = framing.grid([spreads[k].several(self.options.answers)])
                yield decoding.encode_png(strip, text)
            if self.options.save_crops:
                yield decoding.encode_png(portrait, CROP)
        if pasted is not None:
            yield pasted.data

    def _pasted(
        self, job: Job, scene: Scene, made: Made, faces: list[np.ndarray], text: dict[str, str]
    ) -> _Pasted | None:
        """The picture with its recovered faces. Read again: kept ones would fill the memory."""
        placed = [(place, face) for place, face in zip(scene.places, faces, strict=True) if place is not None]
        if not self.options.paste or not placed:
            return None
        data = read_bytes(job.path, MAX_FILE_BYTES)
        if hashlib.sha256(data).hexdigest() != made.sha256:
            raise DataError("the input changed while it was recovered.", hint="Run it again.")
        pixels = decoding.decode(data, page=job.page).pixels
        places, chosen = zip(*placed, strict=True)
        pixels = paste(pixels, places, chosen, strength=self.options.strength)
        file, suffix = encode_like(pixels, data, text, page=job.page)
        return _Pasted(f"{job.stem}_{PASTED}{suffix}", pixels, file)


@dataclass(frozen=True, eq=False)
class _Pasted:
    """A picture with its recovered faces: the name and bytes of its file, in the format of the input."""

    name: str
    pixels: np.ndarray
    data: bytes


def _pasted_among(names: Sequence[str], job: Job) -> str:
    """The file of the picture with its faces that was made last, or nothing."""
    return next((name for name in names if name.startswith(f"{job.stem}_{PASTED}.")), "")


def _is_whole(faces: Sequence[dict[str, Any]]) -> bool:
    """Whether entries are those of a picture that was taken for one face."""
    return not faces or faces[0]["found_by"] == "whole"


def _up_to_date(job: Job, before: Made) -> Item:
    return Item(job, "skipped", "up_to_date", "made before from this file with this model.", before)


def is_output(data: bytes) -> bool:
    """Whether the bytes of a file are a picture that this package wrote, in whichever format."""
    key = PROVENANCE.encode()
    if data.startswith(b"\x89PNG"):
        return b"tEXt" + key + b"\0" in data or b"iTXt" + key + b"\0" in data
    return key + b": " + GENERATED.encode() in data  # a comment, or EXIF's `Software`


def _is_video(path: Path) -> bool:
    try:
        if not path.is_file():  # a pipe would wait
            return False
        with open(path, "rb") as file:
            return video_file.is_video(file.read(512))
    except (OSError, ValueError):  # reading it says why
        return False


def _stat(path: Path) -> tuple[int, int]:
    try:
        status = os.stat(path)
        return status.st_size, status.st_mtime_ns
    except (OSError, ValueError):  # reading it says why
        return -1, -1


def answer(network: Network, portraits: Sequence[np.ndarray]) -> list[np.ndarray | ModelError]:
    """The network's answers, or why there is none, one for each portrait.

    A picture's answer is the same to the bit, whatever its neighbours are: see `in_batches`.

    Args:
        network: uint8 [16, side, side, 3] to the same.
        portraits: uint8 [side, side, 3] each, any number.
    """
    answers: list[np.ndarray | ModelError] = []
    for start in range(0, len(portraits), BATCH):
        part = portraits[start : start + BATCH]
        try:
            answers += list(in_batches(network, np.stack(part)))
        except ModelError as error:  # one must not spoil its neighbours
            answers += [error] if len(part) == 1 else [answer(network, [one])[0] for one in part]
    return answers


def _estimated(network: Network, portrait: np.ndarray) -> Uncertainty | ModelError:
    """Its batch is as long as those of `answer`, so the recovered face is the same to the bit."""
    try:
        return estimate(network, portrait)
    except ModelError as error:
        return error


def _batches(stream: Iterator[Item]) -> Iterator[list[Item]]:
    """Inputs with portraits enough for the network, or so many of them without."""
    batch: list[Item] = []
    for item in stream:
        batch.append(item)
        if sum(len(one.scene.chosen) for one in batch if one.scene) >= BATCH or len(batch) == _WAITING:
            yield batch
            batch = []
    if batch:
        yield batch


@contextmanager
def _pool(name: str, workers: int) -> Iterator[ThreadPoolExecutor]:
    """Threads that are gone afterwards, and what they had not begun with them."""
    pool = ThreadPoolExecutor(workers, thread_name_prefix=name)
    try:
        yield pool
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


@contextmanager
def _stop_on_signal() -> Iterator[threading.Event]:
    stop = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler if handler is not None else signal.SIG_DFL)

    def handle(*_: Any) -> None:
        stop.set()
        restore()

    for number in before:
        signal.signal(number, handle)
    try:
        yield stop
    finally:
        restore()
