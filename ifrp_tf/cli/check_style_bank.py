"""Measures a style bank: which style image its faces are nearest to, and whether the person is still known.

python tools/check_style_bank.py --styles=data/styles/paper,data/styles/extra --faces=data/faces/test

Prints a table in Markdown. Exit code: 0 done, 1 the data cannot be used, 2 wrong usage, 130 interrupted.
"""

from __future__ import annotations

import dataclasses

from ifrp_tf.cli.command import option


@dataclasses.dataclass(frozen=True, kw_only=True)
class Request:
    """What `check_style_bank` is asked for.

    Attributes:
        bank: Folder of the bank. Empty: the one that is shipped.
        styles: Style images, folders or patterns, by commas.
        faces: Folder of test photographs.
        count: Photographs, which are also the gallery.
        weights: Folder with VGG-19 and MobileFaceNet.
        json: Also write the numbers here.
    """

    bank: str = ""
    styles: tuple[str, ...]
    faces: str = "data/faces/test"
    count: int = option(500, low=6)
    weights: str = "data/weights"
    json: str = ""


def run(request: Request) -> int:
    """Returns the exit code."""
    from ifrp_tf.core import files, runtime

    files.require(*request.styles, request.bank, request.faces)
    with runtime.start_up():  # late: --help and wrong usage need no TensorFlow
        from ifrp_tf.evaluation.diagnostics import style_bank
    print(
        style_bank.run(
            request.bank,
            list(request.styles),
            request.faces,
            weights=request.weights,
            count=request.count,
            json_file=request.json,
        )
    )
    return 0
