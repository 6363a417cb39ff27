"""Recovers the faces behind portraits.

python tools/recover.py --input=portrait.jpg --output=recovered --side_by_side
python tools/recover.py --input=portraits --output=recovered          # a folder; its tree is mirrored
python tools/recover.py --input='portraits/**/*.png' --output=recovered --overwrite
python tools/recover.py --input=scans --output=recovered --faces=auto --paste --gallery

Writes <stem>_recovered.png (with --faces=auto one <stem>_face<k>_recovered.png a face), report.json and
report.csv. Exit code: 0 all good, 1 some inputs failed or none was found, 2 wrong usage, 3 model unusable,
130 interrupted (run it again to go on).
"""

from __future__ import annotations

import dataclasses
from typing import Literal

from ifrp_tf.cli.command import option
from ifrp_tf.core.assets import MODEL


@dataclasses.dataclass(frozen=True, kw_only=True)
class Request:
    """What `recover` is asked for.

    Attributes:
        input: A picture, a folder, or a pattern in quotes.
        output: Folder for the results; made if missing.
        model: A version, a folder of versions, or a run's folder.
        faces: whole: every picture is one face. auto: faces are found in it.
        box: A face by hand: x,y,width,height in pixels. One picture only.
        paste: Also write <stem>_pasted.png: the faces in their picture.
        strength: Of the pasted faces: 0 (unseen) to 1.
        flip_average: Average with the mirrored portrait's answer.
        fallback: Take a picture without a face for one as a whole.
        gallery: Also write gallery.html and contact sheets: portrait | face. Implies --side_by_side.
        side_by_side: Also write <stem>_side_by_side.png: portrait | recovered | in its picture.
        uncertainty: Also write <stem>_uncertainty.png and a number a face; 16 times the work.
        overwrite: Replace existing outputs.
        trust: Load a model whose checksums do not match: it is a program.
    """

    input: str
    output: str
    model: str = MODEL
    faces: Literal["whole", "auto"] = "whole"
    box: tuple[str, ...] = option((), repeated=True)
    paste: bool = False
    strength: float = 1.0
    flip_average: bool = False
    fallback: bool = True
    gallery: bool = False
    side_by_side: bool = False
    uncertainty: bool = False
    overwrite: bool = False
    trust: bool = False


def run(request: Request) -> int:
    """Returns the exit code."""
    from ifrp_tf.recovery import (
        recoverer,  # late: --help and wrong usage need no TensorFlow
        scene,
    )

    return recoverer.run(
        request.input,
        request.output,
        model=request.model,
        side_by_side=request.side_by_side,
        overwrite=request.overwrite,
        trust=request.trust,
        pages=request.gallery,
        faces="auto" if request.box else request.faces,
        boxes=scene.parse_boxes(request.box),
        paste=request.paste,
        strength=request.strength,
        flip_average=request.flip_average,
        fallback=request.fallback,
        uncertainty=request.uncertainty,
    )
