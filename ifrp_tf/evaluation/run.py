"""Measures a model on a protocol, or on anybody's folders: JSON, and a report to look at.

The photographs come first, then every portrait, then the tables. A killed evaluation is gone on with.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from ifrp_tf import __version__
from ifrp_tf.core import runtime
from ifrp_tf.data.photos import read as read_photo
from ifrp_tf.evaluation import report, retrieval, statistics
from ifrp_tf.evaluation.measure import BATCH, Candidate, Measurement
from ifrp_tf.evaluation.pairs import FolderPairs, Gallery, Problem, Protocol
from ifrp_tf.evaluation.request import Request as Request
from ifrp_tf.evaluation.statistics import Evidence
from ifrp_tf.evaluation.store import Journal
from ifrp_tf.nn import perceptual
from ifrp_tf.pictures import images
from ifrp_tf.release import folder


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """What was measured.

    Attributes:
        result: the content of the JSON file.
        evidence: the rows behind it.
    """

    result: dict[str, Any]
    evidence: Evidence

    @property
    def exit_code(self) -> int:
        """0 all portraits measured and the whole gallery read, 1 not all."""
        return int(any(Problem(**problem).is_failure for problem in self.result["problems"]))


def evaluate(
    candidate: Candidate,
    protocol: Protocol,
    path: Path,
    *,
    gallery: Gallery | None = None,
    detect: int = 0,
    resamples: int = statistics.RESAMPLES,
) -> Evaluation:
    """Measures a model on a protocol, or goes on measuring it.

    Args:
        candidate: the model, and what to measure it with.
        protocol: the pictures.
        path: of the rows; those there are used if they were measured with the same settings.
        gallery: photographs to search; those of the protocol by default.
        detect: pictures of each style in which faces are looked for by a detector.
        resamples: of the bootstrap.

    Returns:
        The result. Equal arguments give equal digits, also after an interruption.

    Raises:
        DataError: if not one portrait could be measured.
        ModelError: if the model gives no usable answer.
    """
    mean, origin = _mean_face(candidate, protocol)
    settings = _settings(candidate, protocol, gallery, mean, origin)
    with Journal(path, settings) as journal:
        work = Measurement(candidate, protocol, gallery, mean, journal)
        work.measure_photos()
        work.measure_gallery()
        work.measure_portraits()
        evidence = work.evidence()
        result = {
            "model": {"name": candidate.name, "sha256": candidate.fingerprint},
            **statistics.summarise(evidence, resamples=resamples),
            "counts": work.counts(evidence),
            "problems": [vars(problem) for problem in work.problems()],
            "settings": settings,
        }
        if detect:
            result["detected"] = work.detect(detect)
    return Evaluation(result, evidence)


def run(request: Request, *, say: Callable[[str], object] = logging.info) -> int:
    """What `tools/evaluate.py` does: writes the JSON and the report, and says the table.

    Args:
        request: what is asked for.
        say: gets the text that a person wants to read.

    Returns:
        Exit code: 0 all portraits measured, 1 some not.

    Raises:
        ConfigError: wrong usage.
        DataError: pictures or weights cannot be used.
        ModelError: the model is unusable.
    """
    found = folder.locate(request.model)
    side = folder.read_config(found).data.side
    protocol, gallery = _pictures(request, side)
    with runtime.start_up():
        from ifrp_tf.recovery.recoverer import Recoverer

        recoverer = Recoverer.load(request.model, trust=request.trust)
    descriptor = None if request.descriptor == "none" else retrieval.load(request.descriptor, request.weights)
    candidate = Candidate(
        recover=recoverer.recover_batch,
        name=recoverer.name,
        fingerprint=recoverer.fingerprint,
        mean_face=read_mean_face(found, side),
        descriptor=descriptor,
        perceptual=tuple(perceptual.load(request.perceptual, request.weights, side=side)),
    )
    path = Path(request.json)
    done = evaluate(
        candidate, protocol, path.with_suffix(".rows.jsonl"), gallery=gallery, detect=request.detect
    )
    images.write_bytes_atomic(path, json.dumps(done.result, indent=1, allow_nan=False).encode() + b"\n")
    if request.report:
        report.write(done.result, done.evidence, protocol, candidate.recover, Path(request.report))
    say(report.markdown(done.result))
    return done.exit_code


def read_mean_face(found: folder.ModelFolder, side: int) -> np.ndarray | None:
    """The mean training face that is beside a model.

    Args:
        found: of `model_folder.locate`.
        side: of the model's pictures, pixels.

    Returns:
        uint8 [side, side, 3]; None where there is none.

    Raises:
        ImageError: it cannot be read.
    """
    path = (found.path if found.kind == "version" else found.path.parent) / folder.MEAN_FACE
    return read_photo(path, side, rule="letterbox") if path.is_file() else None


def _pictures(request: Request, side: int) -> tuple[Protocol, Gallery | None]:
    protocol: Protocol
    if request.protocol:
        from ifrp_tf.evaluation import protocols  # late: folders are looked through without TensorFlow

        protocol = protocols.build(
            request.protocol,
            side=side,
            faces=request.faces,
            sketches=request.sketches,
            foreign=request.foreign,
            styles=request.styles,
            limit=request.limit,
            seed=request.seed,
        )
    else:
        protocol = FolderPairs(request.portraits, request.photos, side=side)
    return protocol, Gallery(request.gallery, side=side) if request.gallery else None


def _mean_face(candidate: Candidate, protocol: Protocol) -> tuple[np.ndarray, str]:
    """The constant answer, and where it comes from."""
    if candidate.mean_face is not None:
        return candidate.mean_face, "of the training photographs"
    total, count = np.zeros((protocol.side, protocol.side, 3)), 0
    for start in range(0, len(protocol.photos), BATCH):
        pixels = protocol.read_photos(protocol.photos[start : start + BATCH]).pixels
        total, count = total + pixels.sum(axis=0, dtype=np.float64), count + len(pixels)
    mean = np.round(total / max(1, count)).astype(np.uint8)
    return (
        mean,
        "of the photographs evaluated on, for the model brings none: a better answer than it could know",
    )


def _settings(
    candidate: Candidate, protocol: Protocol, gallery: Gallery | None, mean: np.ndarray, origin: str
) -> dict[str, Any]:
    """Plain values that determine every row."""
    descriptor = candidate.descriptor
    return {
        "version": __version__,
        "model": candidate.fingerprint,
        "protocol": {"name": protocol.name, **protocol.settings},
        "gallery": gallery.settings if gallery else None,
        "descriptor": {"name": descriptor.name, "weights": descriptor.fingerprint} if descriptor else None,
        "perceptual": {part.name: part.fingerprint for part in candidate.perceptual},
        "mean_face": {"origin": origin, "sha256": hashlib.sha256(mean.tobytes()).hexdigest()[:16]},
    }
