"""Runs a table of the paper's ablations: trains and tests every row, and draws the table.

Rows differ in what the table is about and in nothing else: same base, photographs, pictures, seed and test.
What is done is not done again, so a killed run is gone on with by the same command.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import logging
import os
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

from ifrp_tf.core import files, runtime
from ifrp_tf.core.errors import ConfigError, IfrpError
from ifrp_tf.data import toy_faces
from ifrp_tf.evaluation import run as evaluate
from ifrp_tf.evaluation.ablation import report
from ifrp_tf.evaluation.ablation import row as ablate_row
from ifrp_tf.evaluation.ablation.row import Job
from ifrp_tf.evaluation.ablation.tables import Ablation, all_settings, configurations, folder_name
from ifrp_tf.pictures import images
from ifrp_tf.styles import formulas, sets

_TOY_TEST_SEED = 10_007


@dataclasses.dataclass(frozen=True, kw_only=True)
class Request:
    """What `tools/ablate.py` is asked for.

    Attributes:
        table: name of `experiments.TABLES`.
        pictures: training pictures of every row.
        run_dir: gets one run's folder a row.
        data: folder of training photographs; empty for drawn faces (base `toy` only).
        base: the preset that the rows change.
        settings: `section.key=value` for every row alike.
        rows: folder names of rows to do, comma-separated; empty for all.
        output: the Markdown file, the JSON beside it; `<run_dir>/table.md` by default.
        faces: folder of test photographs.
        limit: photographs to test on; 0 = all.
        descriptor: `dlib`, or `none` to leave retrieval out.
        weights: folder of the frozen networks' weights.
        initial: what every row starts from, as `--initial` of `tools/train.py`; empty: from random numbers.
        insist: the photographs are taken as they are, even if they are no crops of faces.
    """

    table: str
    pictures: int
    run_dir: str
    data: str = ""
    base: str = "modern"
    settings: tuple[str, ...] = ()
    rows: str = ""
    output: str = ""
    faces: str = "data/faces/test"
    limit: int = 500
    descriptor: Literal["dlib", "none"] = "dlib"
    weights: str = "data/weights"
    initial: str = ""
    insist: bool = False

    @property
    def command(self) -> str:
        """The command line that asks for it."""
        flags = []
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if field.name == "settings":
                flags += [f"--set={setting}" for setting in value]
            elif value is True:
                flags.append(f"--{field.name}")
            elif value != field.default:
                flags.append(f"--{field.name}={value}")
        return shlex.join(("python", "tools/ablate.py", *flags))


def run(request: Request, *, say: Callable[[str], object] = logging.info) -> int:
    """What `tools/ablate.py` does: trains and tests the rows, draws the table after each, and says it.

    Args:
        request: what is asked for.
        say: gets the text that a person wants to read.

    Returns:
        Exit code: 0 all rows asked for are in the table, 1 some failed.

    Raises:
        ConfigError: wrong usage, or `run_dir` holds rows of other settings.
        DataError: there are no test photographs.
    """
    ablation, jobs = plan(request)
    chosen = _chosen(request, jobs)
    folder = Path(request.run_dir)
    failures: dict[str, str] = {}
    with _alone(folder) as lock, runtime.terminate_as_interrupt():
        _keep_data(request, folder)
        for job in jobs:
            ablate_row.check(job)
        if not request.data:
            _draw_test_faces(request, jobs[0])
        for job in chosen:
            logging.info("row %r: %s", job.name, job.folder)
            try:
                ablate_row.train(job, inherit=lock)
                ablate_row.test(job)
            except IfrpError as error:  # the other rows are worth having
                failures[job.name] = str(error)
                logging.error("row %r failed: %s", job.name, error)
            text = _write(request, ablation, jobs, failures)
    say(text)
    return int(bool(failures))


def plan(request: Request) -> tuple[Ablation, list[Job]]:
    """The table and what is to be done for each of its rows, all settings checked.

    Args:
        request: what is asked for.

    Raises:
        ConfigError: wrong usage.
        DataError: there are no photographs for training.
    """
    ablation, configs = configurations(
        request.table,
        base=request.base,
        settings=request.settings,
        pictures=request.pictures,
        data=request.data,
    )
    shared = [*request.settings, f"train.pictures={request.pictures}"]
    jobs = []
    for name, row in ablation.rows.items():
        folder = Path(request.run_dir) / folder_name(name)
        trained = sets.of(configs[name].data)
        seen = [style for style in row.seen or ablation.seen if style in trained] or trained[:3]
        settings = [f"--set={setting}" for setting in all_settings(ablation, name, shared)]
        flags = [f"--preset={request.base}", f"--run_dir={folder}", f"--weights={request.weights}", *settings]
        if request.data:
            flags.insert(1, f"--data={request.data}")
        if request.initial:
            flags.append(f"--initial={request.initial}")
        if request.insist:
            flags.append("--insist")
        styles = {"unseen": formulas.RESERVED, "seen": seen}
        tested: dict[str, dict[str, Any]] = {
            group: {"protocol": "procedural", "faces": _faces(request), "styles": ",".join(names)}
            for group, names in styles.items()
        }
        tested["foreign"] = {"protocol": "foreign"}
        requests = {
            group: evaluate.Request(
                model=str(folder),
                json=str(folder / f"test_{group}.json"),
                limit=request.limit,
                descriptor=request.descriptor,
                weights=request.weights,
                **tested[group],
            )
            for group in ablation.groups
        }
        jobs.append(Job(name, row, configs[name], folder, tuple(flags), requests))
    return ablation, jobs


def _faces(request: Request) -> str:
    return request.faces if request.data else str(Path(request.run_dir) / "drawn_faces")


def _chosen(request: Request, jobs: list[Job]) -> list[Job]:
    names = [name.strip() for name in request.rows.split(",") if name.strip()]
    known = {job.folder.name: job for job in jobs}
    for name in names:
        if name not in known:
            raise ConfigError(f"Unknown row {name!r} in `rows`.", hint=f"Known: {', '.join(known)}.")
    return [job for job in jobs if not names or job.folder.name in names]


def _keep_data(request: Request, folder: Path) -> None:
    """Remembers what the rows of the folder have in common; raises where it is something else."""
    path = folder / "ablation.json"
    data = str(Path(request.data).resolve()) if request.data else ""
    now = {"table": request.table, "data": data, "initial": request.initial}
    if path.is_file() and (before := json.loads(path.read_text(encoding="utf-8"))) != now:
        raise ConfigError(
            f"Expected what {str(folder)!r} was begun with: {before}. Received: {now}.",
            hint="Choose another `run_dir`.",
        )
    images.write_bytes_atomic(path, json.dumps(now, indent=1).encode() + b"\n")


def _draw_test_faces(request: Request, job: Job) -> None:
    faces = toy_faces.draw(request.limit or 500, side=job.config.data.side, seed=_TOY_TEST_SEED)
    for name, pixels in zip(faces.names, faces.pixels, strict=True):
        path = Path(_faces(request)) / Path(name).name
        if not path.is_file():  # a new time of change would count as new pictures
            images.write_png(path, pixels)


def _write(request: Request, ablation: Ablation, jobs: list[Job], failures: dict[str, str]) -> str:
    """Draws the table of what there is by now, and returns its Markdown."""
    output = Path(request.output or Path(request.run_dir) / "table.md")
    content = report.collect(ablation, jobs, failures, command=request.command)
    text = report.markdown(content)
    images.write_bytes_atomic(output.with_suffix(".json"), _lines(content).encode())
    images.write_bytes_atomic(output, text.encode() + b"\n")
    return text


def _lines(content: dict[str, Any]) -> str:
    """JSON with a line for each row: fourteen rows with a line for each number would fill 4,000."""
    rows = ",\n".join(f"  {json.dumps(name)}: {json.dumps(row)}" for name, row in content["rows"].items())
    head = json.dumps({key: value for key, value in content.items() if key != "rows"}, indent=1)
    return f'{head[:-2]},\n "rows": {{\n{rows}\n }}\n}}\n'


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[tuple[int, ...]]:
    """Waits until nobody else works in the folder, the training of a killed run included."""

    def waiting() -> None:
        logging.warning("Waiting for what still works in %r.", str(folder))

    with files.locked(folder / ".lock", waiting=waiting) as file:
        yield (file.fileno(),) if os.name == "posix" else ()
