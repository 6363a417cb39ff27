"""Measures models that change an attribute: success, the person, the mask, beside trivial answers.

python tools/check_transfer.py --model=runs/diat_mouth --json=t.json --sheet=t.png
python tools/check_transfer.py --model=runs/diat,runs/diat_a      # of the same attribute, side by side

The photographs are those of data/faces/test without the attribute; a logistic regression on MobileFaceNet's
features judges. Exit code: 0 measured, 1 data missing, 2 wrong usage, 3 model unusable, 130 interrupted.
"""

from __future__ import annotations

import dataclasses
import json

from ifrp_tf.cli.command import option


@dataclasses.dataclass(frozen=True, kw_only=True)
class Request:
    """What `check_transfer` is asked for.

    Attributes:
        model: Models, separated by commas: versions, folders of versions, or runs.
        faces: Folder with train and test.
        labels: Folder with attributes.csv and landmarks.npz.
        weights: Folder with MobileFaceNet's and dlib's weights.
        limit: Test photographs to change, at most.
        judged: Photographs that the judge learns from; 0 = all with labels.
        json: File for all numbers. Empty: none.
        sheet: PNG: photographs, and the answers of each model. Empty: none.
    """

    model: tuple[str, ...]
    faces: str = "data/faces"
    labels: str = "data/labels"
    weights: str = "data/weights"
    limit: int = option(500, low=1)
    judged: int = option(0, low=0)
    json: str = ""
    sheet: str = ""


def run(request: Request) -> int:
    """Returns the exit code."""
    from ifrp_tf.core import files, runtime

    files.require(*request.model, request.faces, request.labels, request.weights)
    with runtime.start_up():  # late: --help and wrong usage need no TensorFlow
        from ifrp_tf.evaluation.diagnostics import transfer
        from ifrp_tf.pictures import images
        from ifrp_tf.recovery.transfer import Transfer

    found, sheet = transfer.check(
        {name: Transfer.load(name) for name in request.model},
        faces=request.faces,
        labels=request.labels,
        weights=request.weights,
        limit=request.limit,
        judged=request.judged,
        say=print,
    )
    if request.json:
        files.write_bytes_atomic(request.json, json.dumps(found, indent=1).encode() + b"\n")
    if request.sheet:
        images.write_png(request.sheet, sheet)
    print(transfer.tables(found))
    return 0
