"""Measures models of normalised faces: identity, invariance, shape, white balance, beside trivial answers.

python tools/check_normalised.py --model=saved_models/normalised_face --json=normalised.json
python tools/check_normalised.py --model=runs/averages,runs/singles      # several, side by side

Persons are those of data/faces/test and those who are held out of every training. Prints Markdown tables.
Exit code: 0 measured, 1 data missing, 2 wrong usage, 3 model unusable, 130 interrupted.
"""

from __future__ import annotations

import dataclasses
import json

from ifrp_tf.cli.command import option


@dataclasses.dataclass(frozen=True, kw_only=True)
class Request:
    """What `check_normalised` is asked for.

    Attributes:
        model: Models, separated by commas: versions, folders of versions, or runs.
        faces: Folder with train and test.
        labels: Folder with landmarks.npz.
        weights: Folder with dlib's weights.
        casts: Test photographs that are cast in coloured light.
        json: File for all numbers. Empty: none.
    """

    model: tuple[str, ...]
    faces: str = "data/faces"
    labels: str = "data/labels"
    weights: str = "data/weights"
    casts: int = option(100, low=1)
    json: str = ""


def run(request: Request) -> int:
    """Returns the exit code."""
    from ifrp_tf.core import files, runtime

    files.require(*request.model, request.faces, request.labels, request.weights)
    with runtime.start_up():  # late: --help and wrong usage need no TensorFlow
        from ifrp_tf.evaluation.diagnostics import normalised
        from ifrp_tf.recovery.normalised import Normaliser

    models = {name: Normaliser.load(name) for name in request.model}
    found = normalised.check(
        models,
        faces=request.faces,
        labels=request.labels,
        weights=request.weights,
        casts=request.casts,
        say=print,
    )
    if request.json:
        files.write_bytes_atomic(request.json, json.dumps(found, indent=1).encode() + b"\n")
    print(normalised.tables(found))
    return 0
