"""The compared systems under one harness: the same training pictures, portraits and measures.

The journal's claim is a comparison with six systems. Absolute decibels do not travel between data sets;
margins measured by one harness do. Every system is measured on the portraits as they are and again after the
true transform has aligned them, because none of the six has an aligner of its own.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import logging
import shlex
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ifrp_tf.core import files, runtime
from ifrp_tf.core.config import Config
from ifrp_tf.core.errors import IfrpError
from ifrp_tf.core.presets import preset
from ifrp_tf.core.rendering import markdown_table
from ifrp_tf.data import photos
from ifrp_tf.data.photos import PhotoSet
from ifrp_tf.evaluation import retrieval
from ifrp_tf.evaluation.ablation import row as training_row
from ifrp_tf.evaluation.ablation.tables import Row
from ifrp_tf.evaluation.measure import Candidate, Recover
from ifrp_tf.evaluation.pairs import Protocol
from ifrp_tf.evaluation.paper_figures import COLUMNS, DIFFERENCES, PAPER, STYLE_DIFFERENCES
from ifrp_tf.evaluation.protocols import MISALIGNED, Paper, Sketches
from ifrp_tf.evaluation.request import ComparisonRequest
from ifrp_tf.evaluation.run import evaluate
from ifrp_tf.evaluation.statistics import METRICS
from ifrp_tf.evaluation.tables import HEADER, number
from ifrp_tf.pictures import images
from ifrp_tf.release import load as release_load
from ifrp_tf.styles import sets
from ifrp_tf.training.run import load_photos

SIDE = 128
SKETCHES = "ar"
SHOWN = 2
"""Faces on the sheet."""


@dataclasses.dataclass(frozen=True)
class Entry:
    """One system of the comparison.

    Attributes:
        title: for people.
        preset: that it is trained by; empty for a model that is there already.
        settings: `section.key=value` beside the common ones.
        journal: its name in `paper_figures.PAPER`, where it is there.
        limit: photographs it is measured on at most, where an answer costs seconds; 0 = as the others.
    """

    title: str
    preset: str = ""
    settings: tuple[str, ...] = ()
    journal: str = ""
    limit: int = 0


SYSTEMS: dict[str, Entry] = {
    "gatys": Entry("Gatys et al. (mean photograph)", "gatys", journal="Gatys", limit=100),
    "johnson": Entry("Johnson et al.", "johnson", journal="Johnson"),
    "mgan": Entry("MGAN", "mgan", journal="MGAN"),
    "pix2pix": Entry("pix2pix", "pix2pix", journal="pix2pix"),
    "cyclegan": Entry("CycleGAN (64 px inside)", "cyclegan", journal="CycleGAN"),
    "fdnn": Entry("FDNN (Shiri et al. 2017)", "fdnn", journal="Shiri et al. 2017"),
    "paper": Entry("IFRP, `paper` preset", "paper", ("train.batch_size=16",), journal="IFRP"),
    "modern": Entry("IFRP, `modern` preset", "modern"),
    "release": Entry("IFRP, the release"),
}
VARIANTS = ("as is", "aligned")
"""The portraits tilted, as they are, and aligned by the true transform, which no system knows."""


def settings(entry: Entry, pictures: int) -> list[str]:
    """What a system changes in its preset: what is the same for all, then its own."""
    return [
        "data.styles=paper_train", "data.degrade=0.0", "data.strength=1.0", f"train.pictures={pictures}",
        "train.ema=0.999", "train.dtype=bfloat16", *entry.settings,
    ]  # fmt: skip


def configuration(entry: Entry, pictures: int) -> Config:
    """What a system is trained with."""
    return preset(entry.preset).override(settings(entry, pictures))


def run(request: ComparisonRequest, *, say: Callable[[str], object] = logging.info) -> int:
    """Trains what is missing, measures it, and draws the table and the sheet after every system.

    A system that fails costs its row. What is done is not done again: the same command goes on.

    Args:
        request: what is asked for.
        say: gets the table.

    Returns:
        Exit code: 0 every row asked for is there, 1 some failed.

    Raises:
        ConfigError: wrong usage.
        DataError: photographs, sketches or weights are missing.
    """
    folder, failures = Path(request.run_dir), {}
    files.require(request.data, request.faces, request.sketches)
    with files.locked(folder / ".lock"), runtime.terminate_as_interrupt():
        bench = Bench(request)
        for name in request.chosen:
            logging.info("%s", name)
            try:
                bench.measure(name)
            except IfrpError as error:  # the other rows are worth having
                failures[name] = str(error)
                logging.error("%s failed: %s", name, error)
            text = _write(bench, failures)
    say(text)
    return int(bool(failures))


class Bench:
    """Portraits, photographs and descriptor that every system of a table meets.

    Args:
        request: what is asked for.
    """

    def __init__(self, request: ComparisonRequest) -> None:
        self.request, self.folder = request, Path(request.run_dir)
        self.entries = SYSTEMS
        self._descriptor = (
            None if request.descriptor == "none" else retrieval.load(request.descriptor, request.weights)
        )

    def protocols(self, limit: int) -> Iterator[tuple[str, str, Protocol]]:
        """(file name, variant, protocol) of everything that a system is measured on."""
        styles = sets.resolve("paper_test", allow_reserved=True)
        for variant in VARIANTS:
            tilted = variant == "as is"
            yield (
                f"paper_{variant.replace(' ', '_')}",
                variant,
                Paper(self.request.faces, styles=styles, side=SIDE, limit=limit, aligned=not tilted),
            )
        drawn = Sketches(self.request.sketches, side=SIDE, limit=limit)
        drawn.styles = {
            k: names for k, names in drawn.styles.items() if k.removesuffix(MISALIGNED) == SKETCHES
        }
        yield "sketches", "", drawn

    def measure(self, name: str) -> None:
        """Trains a system if it is missing, and measures what is not measured."""
        entry = self.entries[name]
        limit = min(filter(None, (entry.limit, self.request.limit)), default=0)
        with self._answering(name) as (recover, fingerprint):
            candidate = Candidate(
                recover, name, fingerprint, mean_face=self._mean_face(), descriptor=self._descriptor
            )
            (self.folder / name).mkdir(parents=True, exist_ok=True)
            for file, _, protocol in self.protocols(limit):
                path = self.folder / name / f"{file}.json"
                done = evaluate(candidate, protocol, path.with_suffix(".rows.jsonl"))
                images.write_bytes_atomic(path, json.dumps(done.result, indent=1).encode() + b"\n")
                if file == "paper_as_is":
                    self._strip(name, recover, protocol)

    @contextlib.contextmanager
    def _answering(self, name: str) -> Iterator[tuple[Recover, str]]:
        """What recovers with a system, timed; the seconds are written when it is done."""
        entry = self.entries[name]
        if not entry.preset:
            loaded = release_load.load(self.request.model)
            network, fingerprint = loaded.network, loaded.fingerprint
        elif self._is_solved(entry):
            network, fingerprint = self._solver(entry)
        else:
            self._train(name)
            loaded = release_load.load(self.folder / name)
            network, fingerprint = loaded.network, loaded.fingerprint
        spent = {"pictures": 0, "cpu_seconds": 0.0}

        def timed(portraits: np.ndarray) -> np.ndarray:
            start = time.process_time()
            recovered = network(portraits)
            spent["cpu_seconds"] += time.process_time() - start
            spent["pictures"] += len(portraits)
            return recovered

        yield timed, fingerprint
        if spent["pictures"]:
            path = self.folder / name / "recovering.json"
            images.write_bytes_atomic(path, json.dumps(spent).encode() + b"\n")

    def _is_solved(self, entry: Entry) -> bool:
        from ifrp_tf.systems import base

        return isinstance(base.create(configuration(entry, self.request.pictures)), base.Solved)

    def _solver(self, entry: Entry) -> tuple[Recover, str]:
        from ifrp_tf.systems import base
        from ifrp_tf.training import solve

        config = configuration(entry, self.request.pictures)
        system: Any = base.create(config)
        system.load_frozen(self.request.weights)
        training, _ = load_photos(config, self.request.data, cache=self.folder / "photos")
        system.fit(images.to_model_range(training.select(range(256)).pixels))

        def recover(portraits: np.ndarray) -> np.ndarray:
            return images.to_uint8(solve.recover(system, images.to_model_range(portraits)))

        return recover, files.fingerprint([], start=json.dumps(config.to_dict(), sort_keys=True))

    def _train(self, name: str) -> None:
        entry = self.entries[name]
        config = configuration(entry, self.request.pictures)
        given = settings(entry, self.request.pictures)
        flags = [
            f"--preset={entry.preset}",
            f"--data={self.request.data}",
            f"--weights={self.request.weights}",
        ]
        flags += [f"--run_dir={self.folder / name}", *(f"--set={one}" for one in given)]
        if self.request.insist:
            flags.append("--insist")
        job = training_row.Job(name, Row(changes={}), config, self.folder / name, tuple(flags), {})
        training_row.check(job)
        training_row.train(job)

    def _mean_face(self) -> np.ndarray:
        path = self.folder / "mean_face.png"
        if not path.is_file():
            training, _ = load_photos(preset("modern"), self.request.data, self.folder / "photos")
            mean = photos.mean_face(training) if isinstance(training, PhotoSet) else training.mean_face
            images.write_png(path, mean)
        return images.read(path).pixels

    def _strip(self, name: str, recover: Recover, protocol: Protocol) -> None:
        """The answers to a few portraits, for the sheet: a row of one face in every style."""
        faces = protocol.photos[:SHOWN]
        portraits = np.stack(
            [protocol.read_portraits(style, faces).pixels for style in protocol.styles], axis=1
        )
        flat = portraits.reshape(-1, *portraits.shape[2:])
        for kind, made in (("portraits", flat), (name, recover(flat))):
            path = self.folder / name / f"{'strip' if kind == name else 'strip_portraits'}.png"
            images.write_png(path, images.grid(made.reshape(SHOWN, -1, *made.shape[1:])))


def _write(bench: Bench, failures: Mapping[str, str]) -> str:
    """The table of what there is by now, as JSON and Markdown, and the sheet."""
    content = collect(bench, failures)
    output = Path(bench.request.output or bench.folder / "table.md")
    text = markdown(content)
    images.write_bytes_atomic(output.with_suffix(".json"), json.dumps(content, indent=1).encode() + b"\n")
    images.write_bytes_atomic(output, text.encode() + b"\n")
    strips = [bench.folder / name / "strip.png" for name in bench.entries]
    found = [path for path in strips if path.is_file()]
    if found:
        rows = [found[0].with_name("strip_portraits.png"), *found]
        images.write_png(
            bench.folder / "sheet.png", np.concatenate([images.read(row).pixels for row in rows])
        )
    return text


def collect(bench: Bench, failures: Mapping[str, str]) -> dict[str, Any]:
    """The content of the JSON file: what was measured of every system, by protocol."""
    rows: dict[str, Any] = {}
    for name, entry in bench.entries.items():
        results = {}
        for file in ("paper_as_is", "paper_aligned", "sketches"):
            if (found := _read(bench.folder / name / f"{file}.json")) is not None:
                results[file] = found
        spent = _read(bench.folder / name / "recovering.json")
        seconds = _read(bench.folder / name / "seconds.json")
        rows[name] = {
            "title": entry.title,
            "journal": entry.journal,
            "failed": failures.get(name),
            "training_seconds": seconds and seconds["seconds"],
            "milliseconds_a_picture": spent and 1e3 * spent["cpu_seconds"] / spent["pictures"],
            "results": results,
        }
    command = ["python", "tools/compare.py", f"--table={bench.request.table}"]
    for field in dataclasses.fields(bench.request):
        value = getattr(bench.request, field.name)
        if field.name != "table" and value != field.default:
            command.append(f"--{field.name}={value}")
    return {"command": shlex.join(command), "pictures": bench.request.pictures, "rows": rows}


def _read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None


def markdown(content: Mapping[str, Any]) -> str:
    """The comparison for people: our tables, and the journal's beside them.

    Args:
        content: of `collect`.
    """
    seen = sets.resolve("paper_train")
    parts = ["# Comparison of systems", f"Made by `{content['command']}`."]
    columns: dict[str, tuple[str, Callable[[str], bool]]] = {
        "Styles trained on": ("paper_as_is", lambda style: style in seen),
        "Unseen styles": ("paper_as_is", lambda style: style not in seen),
        "Styles trained on, aligned by the true transform": ("paper_aligned", lambda style: style in seen),
        "Unseen styles, aligned by the true transform": ("paper_aligned", lambda style: style not in seen),
        "Sketches drawn by hand, tilted": ("sketches", lambda style: style.endswith(MISALIGNED)),
        "Sketches drawn by hand, aligned": ("sketches", lambda style: not style.endswith(MISALIGNED)),
    }
    for number_of, (title, (file, takes)) in enumerate(columns.items()):
        table = _table(content, file, takes, COLUMNS[number_of] if number_of < 2 else "")
        if table:
            parts += [f"## {title}", table]
    parts += ["## Cost", _costs(content), "## How to read it"]
    parts.append("\n".join(f"* {line}" for line in (STYLE_DIFFERENCES["paper"], *DIFFERENCES)))
    return "\n\n".join(parts)


def _table(content: Mapping[str, Any], file: str, takes: Callable[[str], bool], column: str) -> str:
    """Means over the styles that `takes` names; the trivial answers of the first system below."""
    rows, trivial = [], None
    for row in content["rows"].values():
        if file not in row["results"]:
            if row["failed"]:
                rows.append([row["title"], *["failed"] * len(METRICS), ""])
            continue
        result = row["results"][file]
        styles = [style for style in result["styles"] if takes(style)]
        trivial = trivial or (result, styles)
        cells = [number(name, _mean(result["styles"], styles, name)) for name in METRICS]
        journal = PAPER.get(row["journal"]) if column else None
        figures = journal[COLUMNS.index(column)] if journal else None
        rows.append([row["title"], *cells, f"{figures.psnr:.2f} / {figures.ssim:.2f}" if figures else ""])
    if trivial is None:
        return ""
    result, styles = trivial
    for title, key in (("*the portrait as it is*", "input"), ("*the mean training face*", "mean_face")):
        cells = [number(name, _mean(result[key]["styles"], styles, name)) for name in METRICS]
        rows.append([title, *cells, ""])
    return markdown_table(["system", *HEADER[: len(METRICS)], "journal: PSNR / SSIM"], rows)


def _mean(table: Mapping[str, Mapping[str, float | None]], styles: list[str], name: str) -> float | None:
    values = [table[style][name] for style in styles]
    return float(np.mean(values)) if values and None not in values else None  # type: ignore[arg-type]


def _costs(content: Mapping[str, Any]) -> str:
    rows = []
    for row in content["rows"].values():
        training, recovering = row["training_seconds"], row["milliseconds_a_picture"]
        rows.append(
            [
                row["title"],
                f"{training / 3600:.2f}" if training else "–",
                f"{recovering:.0f}" if recovering else "–",
            ]
        )
    text = f"{content['pictures']:,} training pictures each; CPU milliseconds of one answer, batches of 32."
    return f"{markdown_table(['system', 'hours of training', 'ms a picture'], rows)}\n\n{text}"
