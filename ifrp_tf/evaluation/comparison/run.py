"""Trains and measures the compared systems on the same pictures: what is done is not done again.

The journal's claim is a comparison with six systems. Absolute decibels do not travel between data sets;
margins measured by one harness do. Every system is measured on the portraits as they are and again after the
true transform has aligned them, because none of the six has an aligner of its own.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import logging
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ifrp_tf.core import files, runtime
from ifrp_tf.core.errors import IfrpError
from ifrp_tf.core.presets import preset
from ifrp_tf.data import photos
from ifrp_tf.data.photos import PhotoSet
from ifrp_tf.evaluation import cost, retrieval, statistics
from ifrp_tf.evaluation.ablation import row as training_row
from ifrp_tf.evaluation.ablation.tables import Row
from ifrp_tf.evaluation.comparison import report
from ifrp_tf.evaluation.comparison.systems import SYSTEMS, configuration, settings
from ifrp_tf.evaluation.measure import Candidate, Recover
from ifrp_tf.evaluation.pairs import Protocol
from ifrp_tf.evaluation.protocols import MISALIGNED, Paper, Sketches
from ifrp_tf.evaluation.request import ComparisonRequest
from ifrp_tf.evaluation.run import evaluate
from ifrp_tf.evaluation.statistics import Evidence
from ifrp_tf.pictures import images
from ifrp_tf.release import folder as model_folder
from ifrp_tf.release import load as release_load
from ifrp_tf.styles import sets
from ifrp_tf.systems import base
from ifrp_tf.training import solve
from ifrp_tf.training.run import load_photos

SIDE = 128
SKETCHES = "ar"


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
            text = report.write(request, failures)
    say(text)
    return int(bool(failures))


@dataclasses.dataclass(frozen=True)
class Answering:
    """A system that can be asked.

    Attributes:
        recover: portraits, and for a system that cheats their photographs, to answers.
        fingerprint: of its weights or, where it has none, its settings.
        gmac: thousand millions of multiplications with addition of one answer.
        cheats: whether it is told the true photographs.
    """

    recover: Recover
    fingerprint: str
    gmac: float
    cheats: bool = False


class Bench:
    """Portraits, photographs and descriptor that every system of a table meets.

    Args:
        request: what is asked for.
    """

    def __init__(self, request: ComparisonRequest) -> None:
        self.request, self.folder = request, Path(request.run_dir)
        self._descriptor = (
            None if request.descriptor == "none" else retrieval.load(request.descriptor, request.weights)
        )

    def protocols(self) -> Iterator[tuple[str, Protocol]]:
        """(file name, protocol) of everything that a system is measured on."""
        styles, limit = sets.resolve("paper_test", allow_reserved=True), self.request.limit
        for file, aligned in (("paper_as_is", False), ("paper_aligned", True)):
            yield file, Paper(self.request.faces, styles=styles, side=SIDE, limit=limit, aligned=aligned)
        drawn = Sketches(self.request.sketches, side=SIDE, limit=limit)
        drawn.styles = {
            style: names
            for style, names in drawn.styles.items()
            if style.removesuffix(MISALIGNED) == SKETCHES
        }
        yield "sketches", drawn

    def measure(self, name: str) -> None:
        """Trains a system if it is missing, and measures what is not measured."""
        entry = SYSTEMS[name]
        answering = self._answering(name)
        (self.folder / name).mkdir(parents=True, exist_ok=True)
        with self._timed(name, answering) as recover:
            candidate = Candidate(
                recover,
                name,
                answering.fingerprint,
                mean_face=self._mean_face(),
                descriptor=self._descriptor,
                cheats=answering.cheats,
            )
            shown = []
            for file, protocol in self.protocols():
                if entry.in_turn:
                    take_in_turn(protocol, entry.in_turn)
                path = self.folder / name / f"{file}.json"
                done = evaluate(candidate, protocol, path.with_suffix(".rows.jsonl"), resamples=1)
                content = {"settings": done.result["settings"], "groups": in_groups(file, done.evidence)}
                images.write_bytes_atomic(path, json.dumps(content).encode() + b"\n")
                if file != "paper_aligned":
                    shown.append(protocol)
        self._strips(name, answering, shown)

    @contextlib.contextmanager
    def _timed(self, name: str, answering: Answering) -> Iterator[Recover]:
        """What recovers with a system; its cost is written when all is measured."""
        spent = {"pictures": 0, "cpu_seconds": 0.0}

        def timed(*given: np.ndarray) -> np.ndarray:
            start = time.process_time()
            recovered = answering.recover(*given)
            spent["cpu_seconds"] += time.process_time() - start
            spent["pictures"] += len(recovered)
            return recovered

        yield timed
        if spent["pictures"]:
            cost_of = {**spent, "gmac": answering.gmac}
            images.write_bytes_atomic(
                self.folder / name / "recovering.json", json.dumps(cost_of).encode() + b"\n"
            )

    def _answering(self, name: str) -> Answering:
        entry = SYSTEMS[name]
        if entry.preset and isinstance(
            system := base.create(configuration(entry, self.request.pictures)), base.Solved
        ):
            return self._solver(system)
        if entry.preset:
            self._train(name)
        model = self.folder / name if entry.preset else Path(self.request.model)
        loaded = release_load.load(model)
        network = base.build_released(model_folder.read_config(model_folder.locate(model)))
        picture = (1, loaded.side, loaded.side, 3)
        gmac = cost.gmac(lambda x: network(x, training=False), picture)
        return Answering(loaded.network, loaded.fingerprint, gmac)

    def _solver(self, system: Any) -> Answering:
        """A system that trains nothing: an answer costs its objective and the slope, every iteration."""
        config = system.config
        system.load_frozen(self.request.weights)
        training, _ = load_photos(config, self.request.data, cache=self.folder / "photos")
        system.fit(images.to_model_range(training.select(range(256)).pixels))

        def recover(portraits: np.ndarray, photographs: np.ndarray | None = None) -> np.ndarray:
            truth = None if photographs is None else images.to_model_range(photographs)
            return images.to_uint8(solve.recover(system, images.to_model_range(portraits), truth))

        picture = (1, SIDE, SIDE, 3)
        some = np.zeros(picture, np.float32)
        slope = solve.value_and_slope(system.objective)
        gmac = config.model.iterations * cost.gmac(lambda x: slope(x, system.targets(some, some)), picture)
        fingerprint = files.fingerprint([], start=json.dumps(config.to_dict(), sort_keys=True))
        return Answering(recover, fingerprint, gmac, cheats=config.model.style == "oracle")

    def _train(self, name: str) -> None:
        entry = SYSTEMS[name]
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

    def _strips(self, name: str, answering: Answering, protocols: list[Protocol]) -> None:
        """A row of the sheet: the answers to one face in every style, and to one sketch; once a system."""
        path, sheet = self.folder / name / "strip.png", self.folder / "strips"
        if path.is_file():
            return
        portraits, truth, names = [], [], []
        for protocol in protocols:
            styles = [s for s in protocol.styles if s.endswith(MISALIGNED) or protocol.name != "sketches"]
            first = some_face(protocol)
            portraits += [protocol.read_portraits(style, (first,)).pixels[0] for style in styles]
            truth += [protocol.read_photos((first,)).pixels[0]] * len(styles)
            names += styles
        rows = np.stack(portraits), np.stack(truth)
        answers = answering.recover(*rows[: 2 if answering.cheats else 1])
        labels = np.stack([images.label(style, rows[0].shape[1]) for style in names])
        for file, row in (("portraits", rows[0]), ("photographs", rows[1]), ("styles", labels)):
            images.write_png(sheet / f"{file}.png", images.grid(row[None]))
        images.write_png(path, images.grid(answers[None]))


def some_face(protocol: Protocol) -> str:
    """The subject that is shown: the first one that has a portrait."""
    return next(name for names in protocol.styles.values() for name in names)


def take_in_turn(protocol: Protocol, share: int) -> None:
    """Leaves one subject of `share` of a protocol a portrait in one style, the styles in turn.

    The photographs, which are searched for a face, stay all of them.
    """
    subjects = list(dict.fromkeys(name for names in protocol.styles.values() for name in names))
    subjects = subjects[: -(-len(subjects) // share)]
    styles = list(protocol.styles)
    protocol.styles = {
        style: tuple(name for name in subjects[k :: len(styles)] if name in protocol.styles[style])
        for k, style in enumerate(styles)
    }
    protocol.settings = {**protocol.settings, "in_turn": share}


def in_groups(file: str, evidence: Evidence) -> dict[str, Any]:
    """What was measured, by the groups of the table that a file holds.

    Args:
        file: of `Bench.protocols`.
        evidence: of all its styles.

    Returns:
        Group -> `summary` (of `statistics.summarise`) and `values`: style -> metric -> subject -> value.
    """
    found = {}
    for group, (of_file, takes) in report.GROUPS.items():
        styles = {style: rows for style, rows in evidence.styles.items() if takes(style) and rows}
        if of_file != file or not styles:
            continue
        part = dataclasses.replace(evidence, styles=styles)
        index = {name: k for k, name in enumerate(part.subjects)}
        measured = statistics.samples(part, "model", index, statistics.Gallery(part))
        values = {
            style: {
                metric: dict(
                    zip((row.name for row in styles[style]), map(_plain, sample.values), strict=True)
                )
                for metric, sample in metrics.items()
                if metric in statistics.METRICS
            }
            for style, metrics in measured.items()
        }
        found[group] = {"summary": statistics.summarise(part), "values": values}
    return found


def _plain(value: float) -> float | None:
    return round(float(value), 6) if np.isfinite(value) else None
