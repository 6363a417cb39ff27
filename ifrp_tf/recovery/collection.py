"""A collection of any size on one machine or many: Ray Data hands parts of it to long-lived workers.

A part is some inputs, done by `folder.Run` as those of a folder are: the answers are the same to the bit if
TensorFlow has as many threads (`Task.threads`), for with another number it adds up in another order.
What is known of a part while it is worked on lies beside the pictures, in `.ifrp_parts`: its inputs, and a
manifest whose line is written before the outputs that it names. When a part is complete its rows are written
to `report/part-<k>.jsonl` and then, which makes it count as done, to `report/part-<k>.parquet`. So whoever
does it again, because a machine or the whole run was killed, does what is missing in it, and nothing else.
Where the output folder is no path but an address, a part is made in a folder of the worker's machine and then
copied: of a part that was killed all is done again, to the same files.
"""

from __future__ import annotations

import io
import json
import logging
import os
import re
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ifrp_tf.core import runtime
from ifrp_tf.core.assets import MODEL
from ifrp_tf.core.errors import ConfigError, DataError, IfrpError, ImageError, ModelError
from ifrp_tf.core.files import write_bytes_atomic
from ifrp_tf.pictures.geometry import LANDMARKS
from ifrp_tf.recovery import addresses, folder
from ifrp_tf.recovery.addresses import Input, Output
from ifrp_tf.recovery.manifest import KINDS, Job, Manifest
from ifrp_tf.recovery.recoverer import AS_USUAL, Options, Recoverer
from ifrp_tf.release import load

if TYPE_CHECKING:
    import pyarrow as pa

SUMMARY, REPORT = "collection.json", "report"
_PARTS = ".ifrp_parts"
_DONE, _ROWS = re.compile(rf"{REPORT}/part-\d+\.parquet"), re.compile(rf"{REPORT}/part-\d+\.jsonl")
_AGAIN = frozenset({"missing", "unreadable", "not_written", "not_recovered", "output_exists"})
"""Reasons of failures that may be gone the next time: with others a file is not looked at again."""

_ATTEMPTS = 4  # at a part whose workers died: one of its files may be the reason
_PATIENCE_S = 120.0  # with a worker that died and whose lock is not yet free
_OBJECTS = 128 * 2**20  # bytes of Ray's store: only names and rows pass through it


@dataclass(frozen=True, kw_only=True)
class Task:
    """What is made of every input.

    Attributes:
        output: address of the output folder, which every worker reaches by it.
        options: how faces are found, and what is made of them.
        side_by_side: whether the portrait is also put beside the recovered face.
        pages: of TIFF and PDF files, as of `folder.chooser`.
        model: as of `Recoverer.load`; each worker loads it, by default the one installed with it.
        trust: load a model whose checksums do not match.
        threads: of each worker; 0: those of its machine, as `recover` has them, and a worker a machine.
    """

    output: str
    options: Options = AS_USUAL
    side_by_side: bool = False
    pages: str = "first"
    model: str = MODEL
    trust: bool = False
    threads: int = 0


@dataclass(frozen=True)
class Summary:
    """How a run over a collection went.

    Attributes:
        model: its name.
        recovered: how many inputs were recovered by this run.
        skipped: how many were recovered before, or are no pictures and lie beside them.
        failed: how many cannot be used; those that earlier runs found are among them.
        total: how many inputs there are.
    """

    model: str
    recovered: int
    skipped: int
    failed: int
    total: int

    @property
    def interrupted(self) -> bool:
        """Whether some inputs were not reached."""
        return self.recovered + self.skipped + self.failed < self.total

    @property
    def exit_code(self) -> int:
        """0 all good, 1 some inputs failed, 130 interrupted."""
        return 130 if self.interrupted else int(self.failed > 0)


@dataclass
class _Todo:
    """What is to do: the inputs of each part, and how many inputs need nothing more."""

    parts: dict[str, list[Input]] = field(default_factory=dict)
    skipped: int = 0
    failed: int = 0


def recover(
    task: Task,
    source: str | Sequence[str] = (),
    *,
    listed: str = "",
    workers: int = 0,
    address: str = "",
    part_size: int = 256,
    begin: Callable[[int], Callable[[dict[str, Any]], None]] = lambda _: lambda _: None,
) -> Summary:
    """Recovers what has not been recovered before.

    Args:
        task: what is made.
        source: files, folders and patterns: paths, or addresses of fsspec.
        listed: address of a list of further inputs (`addresses.read_list`).
        workers: how many; 0 for as many as the cluster has machines, or processors for their threads.
        address: of a Ray cluster, `auto` for the one of this machine; empty for one of this run alone, on
            this machine.
        part_size: most inputs of a part.
        begin: told how many inputs there are to do, gives what is called with each entry of the report as
            it comes.

    Raises:
        ConfigError: Ray is not installed, `output` cannot be written to, or it holds a collection that was
            made by another model or with other options.
        DataError: there are no inputs, another run writes to `output`, or a worker cannot.
        ModelError: the model is unusable.

    Example:
        >>> recover(Task(output="out"), ["scans"]).exit_code  # doctest: +SKIP
        0
    """
    folder.chooser(task.pages)
    if task.options.boxes:
        raise ConfigError("Expected one picture with `boxes`. Received: a collection.")
    sources = [source] if isinstance(source, str) else list(source)
    known = addresses.read_list(listed) if listed else []
    if not sources and not listed:
        raise ConfigError("Expected a picture, a folder, a pattern or a list as `source`. Received: none.")
    output = Output(task.output)
    with ExitStack() as stack:
        if not output.remote:
            stack.enter_context(Manifest(Path(task.output)))  # alone in writing here
        state = _state(output)
        made = frozenset(name for row in state.values() for name in row.outputs)
        found = addresses.inputs(sources, known, task.output, made)
        model, fingerprint = load.identify(task.model, trust=task.trust)
        ray_data()
        begun = {"model": {"name": model.name, "sha256": fingerprint}, "made": _made(task)}
        _begin(output, begun)
        todo = _todo(output, found, state, part_size)
        count = sum(map(len, todo.parts.values()))
        done, show = dict.fromkeys(("recovered", "skipped", "failed"), 0), begin(count)
        try:
            with runtime.terminate_as_interrupt():
                for entry in _carried_out(todo.parts, task, fingerprint, len(found), workers, address):
                    if (status := entry.pop("counts")) is not None:
                        done[status] += 1
                    show(entry)
        except KeyboardInterrupt:
            pass
        summary = Summary(
            model.name,
            done["recovered"],
            done["skipped"] + todo.skipped,
            done["failed"] + todo.failed,
            len(found),
        )
        if not output.remote and not summary.interrupted:
            folder.tidy({Path(task.output, each.stem).parent for each in found})
        counts = {"recovered": summary.recovered, "skipped": summary.skipped, "failed": summary.failed}
        _write_json(output, SUMMARY, {**begun, "counts": counts, "interrupted": summary.interrupted})
        return summary


def ray_data() -> Any:
    """Ray Data.

    Raises:
        ConfigError: it is not installed.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is told to anybody
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")  # its advice goes to the error stream
    try:
        import ray.data
    except ImportError as error:
        message = f"Expected Ray, for collections. Received: {error}."
        raise ConfigError(message, hint="Install the extra: pip install 'ifrp_tf[ray]'.") from error
    return ray


def _made(task: Task) -> dict[str, Any]:
    """What of a task makes other outputs."""
    options = task.options
    return {
        "settings": options.settings(),
        "pages": task.pages,
        "side_by_side": task.side_by_side,
        "uncertainty": options.uncertainty,
        "answers": options.answers,
        "crops": options.save_crops,
    }


def _begin(output: Output, begun: dict[str, Any]) -> None:
    """Writes what the collection is made by, or refuses to go on with something else."""
    try:
        content = json.loads(output.read(SUMMARY))
        before = {"model": content["model"]["sha256"], **content["made"]}
    except FileNotFoundError:
        _write_json(output, SUMMARY, begun)
        return
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"Expected a {SUMMARY} of ours in {output.address!r}. Received: {error}.") from error
    now = {"model": begun["model"]["sha256"], **begun["made"]}
    changed = [
        f"{name}: {before.get(name)!r} -> {now[name]!r}" for name in now if before.get(name) != now[name]
    ]
    if changed:
        message = f"Expected the model and options that {output.address!r} was begun with."
        raise ConfigError(f"{message} Received: {'; '.join(changed)}.", hint="Choose another `output`.")


def _write_json(output: Output, name: str, content: dict[str, Any]) -> None:
    output.write(name, (json.dumps(content, indent=1) + "\n").encode())


class _Row(NamedTuple):
    """What the report says of an input.

    Attributes:
        part: in which it is.
        version: of the input then.
        failed: whether it, or a page of it, cannot be used.
        final: whether it is not looked at again while the version stays.
        outputs: of it.
    """

    part: str
    version: str
    failed: bool
    final: bool
    outputs: tuple[str, ...]


def _state(output: Output) -> dict[str, _Row]:
    """What earlier runs have reported, by key."""
    rows: dict[str, _Row] = {}
    for name in sorted(filter(_DONE.fullmatch, output.names(REPORT))):
        import pyarrow.parquet  # late: there may be none

        table = pyarrow.parquet.read_table(
            io.BytesIO(output.read(name)), columns=["key", "version", "status", "reason", "outputs"]
        )
        for row in table.to_pylist():
            failed, outputs = row["status"] == "failed", tuple(row["outputs"])
            final = not failed or row["reason"] not in _AGAIN
            if before := rows.get(row["key"]):  # pages of one file
                final, failed = final and before.final, failed or before.failed
                outputs = before.outputs + outputs
            rows[row["key"]] = _Row(Path(name).stem, row["version"], failed, final, outputs)
    return rows


def _todo(output: Output, found: Sequence[Input], state: dict[str, _Row], size: int) -> _Todo:
    """Parts: those that a killed run left, those with an input that is to do again, and new ones."""
    todo, present = _Todo(), set(map(plain, output.names())) if state else set()
    left = {} if output.remote else _left(Path(output.address) / _PARTS)
    taken, new = {row.part for row in state.values()} | set(left.values()), []
    for each in found:
        key = plain(each.key)
        row = state.get(key)
        if part := left.get(key):
            todo.parts.setdefault(part, []).append(each)
        elif row is None:
            new.append(each)
        elif row.final and row.version == each.version and present.issuperset(row.outputs):
            todo.failed += row.failed
            todo.skipped += not row.failed
        else:
            todo.parts.setdefault(row.part, []).append(each)
    for name in filter(_ROWS.fullmatch, output.names(REPORT)):
        if Path(name).stem not in taken:  # of a part that was killed before it counted
            output.remove(name)
    number = 1 + max((int(part.rpartition("-")[2]) for part in taken), default=-1)
    for start in range(0, len(new), size):
        todo.parts[f"part-{number:06d}"] = new[start : start + size]
        number += 1
    return todo


def _left(parts: Path) -> dict[str, str]:
    """The parts that were being worked on when an earlier run ended, by the keys of their inputs."""
    found: dict[str, str] = {}
    with suppress(FileNotFoundError):
        for path in parts.iterdir():
            if path.suffix == ".json":
                keys = json.loads(path.read_bytes())["keys"]
                found.update(dict.fromkeys(keys, path.stem))
                write_bytes_atomic(path, json.dumps({"keys": keys, "attempt": 0}).encode())
    return found


def plain(text: str) -> str:
    """Text as Parquet keeps it: what is no Unicode in a file's name is escaped."""
    return text.encode("utf-8", "backslashreplace").decode()


def _carried_out(
    parts: dict[str, list[Input]], task: Task, fingerprint: str, among: int, workers: int, address: str
) -> Iterator[dict[str, Any]]:
    """Has the parts done, and gives the report's entries as they come."""
    if not parts:
        return
    ray = ray_data()
    import pyarrow as pa

    with _cluster(ray, address):
        machines = [int(node["Resources"].get("CPU", 0)) for node in ray.nodes() if node["Alive"]]
        machines = [processors for processors in machines if processors] or [1]
        uses = task.threads or min(machines)
        count = workers or (max(1, sum(machines) // uses) if task.threads else len(machines))
        model = "" if task.model == MODEL else os.path.abspath(task.model)  # each machine has its own
        task = replace(task, model=model, output=_absolute(task.output))
        tables = [
            pa.table({"part": [name] * len(group), "input": [json.dumps(each) for each in group]})
            for name, group in parts.items()
        ]
        answers = ray.data.from_arrow(tables).map_batches(
            Worker,
            fn_constructor_args=(task, fingerprint, among),
            batch_size=None,
            batch_format="pyarrow",
            compute=ray.data.ActorPoolStrategy(size=min(count, len(tables))),
            # Half of what it uses: so the workers of a machine that dies find room on the others.
            num_cpus=uses / 2,
        )
        try:
            for batch in answers.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=0):
                yield from map(json.loads, batch["entry"].to_pylist())
        except Exception as error:
            raise _known(error) from error


def _known(error: BaseException) -> BaseException:
    """Ours, if an error of Ray is about one of ours; else one that says what Ray said."""
    seen: BaseException | None = error
    while seen is not None:
        cause = getattr(seen, "cause", None)
        if isinstance(cause, IfrpError):
            return cause
        if isinstance(seen, IfrpError):
            return seen
        seen = seen.__cause__
    lines = [line for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    return DataError(f"Ray could not go on: {lines[-1].strip()}", hint="Start it again: what is done stays.")


def _absolute(address: str) -> str:
    return address if addresses.is_remote(address) else os.path.abspath(address)


@contextmanager
def _cluster(ray: Any, address: str) -> Iterator[None]:
    """The Ray cluster that there is, that of an address, or one of this machine for this run alone."""
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = context.print_on_execution_start = False
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    if ray.is_initialized():
        yield
        return
    own = {"include_dashboard": False, "object_store_memory": _OBJECTS, "num_cpus": runtime.use_threads(0)}
    try:
        with runtime.start_up(loaded=True):  # it says that it was told to say nothing
            ray.init(
                **({"address": address} if address else {"address": "local", **own}),
                log_to_driver=False,
                logging_level=logging.ERROR,
            )
    except (ConnectionError, OSError, ValueError, RuntimeError) as error:
        raise ConfigError(f"Expected a Ray cluster at `address={address}`. Received: {error}.") from error
    try:
        yield
    finally:
        ray.shutdown()


class Worker:
    """Does parts, with a model of its own.

    Args:
        task: what is made.
        fingerprint: of the model.
        among: how many inputs the collection has.

    Raises:
        ModelError: the model is unusable, or another than where the run was started.
    """

    def __init__(self, task: Task, fingerprint: str, among: int) -> None:
        runtime.use_threads(task.threads)
        self._task, self._among = task, among
        self._recoverer = Recoverer.load(task.model or MODEL, trust=task.trust)
        if self._recoverer.fingerprint != fingerprint:
            raise ModelError(
                f"Expected model {fingerprint} on every machine. Received: {self._recoverer.fingerprint}.",
                hint="Install the same version of ifrp_tf there, or name a `model` that all machines reach.",
            )

    def __call__(self, table: pa.Table) -> pa.Table:
        """Parts to what the report says of their inputs.

        Args:
            table: columns `part`, and `input`: an `Input` as JSON.

        Returns:
            Column `entry`: as in `report.json`, as JSON, with `counts`: at the last page of each input its
            status as a whole, else null.
        """
        import pyarrow as pa

        entries = []
        for part, rows in groupby(table.to_pylist(), lambda row: row["part"]):
            entries += self._do(part, [Input(*json.loads(row["input"])) for row in rows])
        return pa.table({"entry": pa.array([json.dumps(entry) for entry in entries], pa.string())})

    def _do(self, part: str, found: Sequence[Input]) -> list[dict[str, Any]]:
        """Does a part, and writes its report; gives the entries of what is asked for."""
        output, keys = Output(self._task.output), [plain(each.key) for each in found]
        with ExitStack() as stack:
            place = Path(self._task.output)
            if output.remote:
                place = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ifrp_")))
            inputs, lines = (place / _PARTS / f"{part}.{suffix}" for suffix in ("json", "jsonl"))
            _count(inputs, keys)
            manifest = stack.enter_context(_alone(place, lines))
            reported = _reported(output, part)
            rows = [row for row in reported if row["key"] in set(keys)]
            if not _complete(rows, found, output):
                for name in {name for row in rows for name in row["outputs"]} - manifest.outputs():
                    output.remove(name)  # of another version of the input
                kept = [row for row in reported if row["key"] not in set(keys)]
                rows = list(self._rows(found, manifest))
                if output.remote:
                    for name in sorted({name for row in rows for name in row["outputs"]}):
                        output.write(name, (place / name).read_bytes())
                _write_report(output, part, [*kept, *rows])
            inputs.unlink(missing_ok=True)  # a worker that was thought dead may have been here
            lines.unlink(missing_ok=True)
        return _entries(rows)

    def _rows(self, found: Sequence[Input], manifest: Manifest) -> Iterator[dict[str, Any]]:
        """Recovers what is not recovered yet; gives a row a page, in order."""
        task = self._task
        with ExitStack() as stack:
            fetched: dict[Path, str] = {}
            paths = [Path(each.address) for each in found]
            if addresses.is_remote(found[0].address):
                place = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ifrp_")))
                paths = [place / f"{k}{Path(each.address).suffix}" for k, each in enumerate(found)]
                fetched = {path: each.address for path, each in zip(paths, found, strict=True)}
            choose = folder.chooser(task.pages)
            jobs, origins = [], []
            for each, path in zip(found, paths, strict=True):
                if task.pages != "first" and path in fetched:
                    with suppress(ImageError):  # reading it says so again
                        _fetch(fetched[path], path)
                for page in choose(path):
                    key, stem = (f"{each.key}#page{page}", f"{each.stem}_page{page}") if page else each[1:3]
                    jobs.append(Job(path, key, stem, each.inside, page))
                    origins.append(each)
            run = _Run(manifest, jobs, self._recoverer, task.options, task.side_by_side, among=self._among)
            run.fetched = fetched
            items = run.finished(threading.Event())
            for k, (each, item) in enumerate(zip(origins, items, strict=True)):
                if fetched and (k + 1 == len(jobs) or jobs[k + 1].path != item.job.path):
                    item.job.path.unlink(missing_ok=True)
                yield _row(each, item)


def _count(inputs: Path, keys: Sequence[str]) -> None:
    """Writes which inputs a part has, and how often it was begun in this run."""
    attempt = 1
    with suppress(FileNotFoundError):
        attempt = 1 + json.loads(inputs.read_bytes())["attempt"]
    if attempt > _ATTEMPTS:
        raise DataError(
            f"Expected {inputs.stem} to be done. Received: {_ATTEMPTS} workers died of it.",
            hint=f"One of its files ends the process, or takes too much memory: {inputs} names them.",
        )
    write_bytes_atomic(inputs, json.dumps({"keys": list(keys), "attempt": attempt}).encode())


def _reported(output: Output, part: str) -> list[dict[str, Any]]:
    """The rows of a part that is done."""
    if not output.has(f"{REPORT}/{part}.parquet"):
        return []
    return [json.loads(line) for line in output.read(f"{REPORT}/{part}.jsonl").splitlines()]


def _complete(rows: Sequence[dict[str, Any]], found: Sequence[Input], output: Output) -> bool:
    """Whether rows are those of all inputs: a part that is done is asked for again if its answer was lost."""
    known = {row["key"]: row["version"] for row in rows}
    again = any(row["status"] == "failed" and row["reason"] in _AGAIN for row in rows)
    alike = all(known.get(plain(each.key)) == each.version for each in found)
    return alike and not again and all(output.has(name) for row in rows for name in row["outputs"])


def _entries(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    own, entries = ("key", "version", "outputs"), []
    for _, pages in groupby(rows, lambda row: row["key"]):
        group = list(pages)
        failed = any(row["status"] == "failed" for row in group)
        entries += [{k: v for k, v in row.items() if k not in own} | {"counts": None} for row in group]
        entries[-1]["counts"] = "failed" if failed else group[0]["status"]
    return entries


@contextmanager
def _alone(place: Path, lines: Path) -> Iterator[Manifest]:
    """The manifest of a part, once a worker that died with its machine holds it no more."""
    deadline = time.monotonic() + _PATIENCE_S
    while True:
        try:
            manifest = Manifest(place, lines)
            break
        except DataError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)
    with manifest:
        yield manifest


class _Run(folder.Run):
    """A run whose inputs may have to be fetched, when it is their turn.

    Attributes:
        fetched: the addresses of paths of this machine that are to be fetched.
    """

    fetched: dict[Path, str]

    def read(self, job: Job) -> folder.Item:
        if job.path in self.fetched:
            try:
                _fetch(self.fetched[job.path], job.path)
            except ImageError as error:
                return folder.Item(job, "failed", error.reason, error.message)
        return super().read(job)


def _fetch(address: str, path: Path) -> None:
    if path.exists():
        return
    part = path.with_name(f"{path.name}.{threading.get_ident()}")
    try:
        system, name = addresses.file_system(address)
        system.get_file(name, str(part))
    except FileNotFoundError as error:
        raise ImageError("missing", "the file does not exist.") from error
    except Exception as error:  # every file system has its own
        raise ImageError("unreadable", f"the file cannot be read: {error}.") from error
    os.replace(part, path)


def _row(origin: Input, item: folder.Item) -> dict[str, Any]:
    """A row of the report: the entry as of `report.json`, and what is needed to go on later."""
    entry = item.entry()
    if item.reason == "up_to_date":  # by a worker that died before it reported it
        entry.update(status="recovered", reason="", message="")
    outputs = item.made.outputs if item.made and entry["status"] == "recovered" else ()
    more = {"key": plain(origin.key), "version": origin.version, "outputs": list(outputs)}
    return {**entry, "input": origin.address, **more}


def _write_report(output: Output, part: str, rows: Sequence[dict[str, Any]]) -> None:
    """Writes what is known of a part's inputs; with the last file it is done."""
    import pyarrow as pa
    import pyarrow.parquet

    texts = pa.list_(pa.string())
    numbers = pa.list_(pa.float64())
    face = {
        "box": numbers,
        "landmarks": pa.struct([(name, numbers) for name in LANDMARKS]),
        **dict.fromkeys(("score", "side", "tilt", "uncertainty_value"), pa.float64()),
        **dict.fromkeys(("found_by", "reason", *KINDS), pa.string()),
    }
    columns = {
        **dict.fromkeys(("input", "status", "reason", "message"), pa.string()),
        "page": pa.int32(),
        "notes": texts,
        "faces": pa.list_(pa.struct(list(face.items()))),
        **dict.fromkeys(("pasted", "film", "key", "version"), pa.string()),
        "outputs": texts,
    }
    lines = [json.dumps(row) for row in rows]
    output.write(f"{REPORT}/{part}.jsonl", "".join(f"{line}\n" for line in lines).encode())
    flat = [{**row, "film": json.dumps(row["film"]) if "film" in row else None} for row in rows]
    file = io.BytesIO()
    table = pa.Table.from_pylist(_plain(flat), schema=pa.schema(list(columns.items())))
    pyarrow.parquet.write_table(table, file, compression="zstd")
    output.write(f"{REPORT}/{part}.parquet", file.getvalue())


def _plain(value: Any) -> Any:
    if isinstance(value, str):
        return plain(value)
    if isinstance(value, dict):
        return {name: _plain(one) for name, one in value.items()}
    return [_plain(one) for one in value] if isinstance(value, list | tuple) else value
