"""Measures how well the uncertainty of a recovered face foretells its error, beside trivial numbers.

python tools/check_uncertainty.py --json=uncertainty.json    # 300 test photographs
python tools/check_uncertainty.py --protocol=sketches --limit=0
python tools/check_uncertainty.py --faces=data/faces/train --held_out=500 --styles=oil,bank_wave

Prints tables in Markdown. Exit code: 0 done, 1 the data cannot be used, 2 wrong usage, 3 model unusable, 130
interrupted.
"""

from __future__ import annotations

import dataclasses
from typing import Literal

from ifrp_tf.cli.command import option
from ifrp_tf.core.assets import MODEL


@dataclasses.dataclass(frozen=True, kw_only=True)
class Request:
    """What `check_uncertainty` is asked for.

    Attributes:
        model: A version, a folder of versions, or a run's folder.
        protocol: What portraits.
        faces: Photographs of procedural and paper.
        sketches: Pairs of --protocol=sketches.
        styles: Of procedural: train, reserved, all, or names.
        limit: Photographs (of each set of sketches); 0 = all.
        held_out: Only those of --faces that training with this data.validation_count holds out.
        seed: Of the portraits' random numbers.
        descriptor: What compares faces.
        weights: Folder with the descriptor's weights.
        json: Also write every portrait's numbers and errors here.
        trust: Load a model whose checksums do not match: it is a program.
    """

    model: str = MODEL
    protocol: Literal["procedural", "sketches", "paper"] = "procedural"
    faces: str = "data/faces/test"
    sketches: str = "data/sketches"
    styles: str = "reserved"
    limit: int = option(300, low=0)
    held_out: int = option(0, low=0)
    seed: int = option(0, low=0)
    descriptor: Literal["dlib", "mobilefacenet", "facenet", "none"] = "dlib"
    weights: str = "data/weights"
    json: str = ""
    trust: bool = False


def run(request: Request) -> int:
    """Returns the exit code."""
    from ifrp_tf.core import runtime

    with runtime.start_up():  # late: --help and wrong usage need no TensorFlow
        from ifrp_tf.evaluation.diagnostics import uncertainty
    print(uncertainty.run(uncertainty.Request(**dataclasses.asdict(request))))
    return 0
