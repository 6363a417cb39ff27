"""Measures where a model's error is: what the true transform, or the true mean colour, would gain it.

python tools/error_budget.py                                    # the released model, 300 test photographs
python tools/error_budget.py --model=runs/modern --styles=train --limit=0 --json=budget.json

Prints a table in Markdown, the mean face beside. Exit code: 0 done, 1 the data cannot be used, 2 wrong usage,
3 model unusable, 130 interrupted.
"""

from __future__ import annotations

import dataclasses

from ifrp_tf.cli.command import option
from ifrp_tf.core.assets import MODEL


@dataclasses.dataclass(frozen=True, kw_only=True)
class Request:
    """What `error_budget` is asked for.

    Attributes:
        model: A version, a folder of versions, or a run's folder.
        faces: Photographs that were not trained on.
        styles: train, reserved, all, bank, or names.
        limit: Photographs; 0 = all.
        seed: Of the portraits' random numbers.
        json: Also write the numbers to this file.
        trust: Load a model whose checksums do not match: it is a program.
    """

    model: str = MODEL
    faces: str = "data/faces/test"
    styles: str = "reserved"
    limit: int = option(300, low=0)
    seed: int = option(0, low=0)
    json: str = ""
    trust: bool = False


def run(request: Request) -> int:
    """Returns the exit code."""
    from ifrp_tf.core import files, runtime
    from ifrp_tf.release import folder
    from ifrp_tf.styles import sets

    folder.locate(request.model)
    files.require(request.faces)
    sets.resolve(request.styles, allow_reserved=True)
    with runtime.start_up():  # late: --help and wrong usage need no TensorFlow
        from ifrp_tf.evaluation.diagnostics import error_budget
    found = error_budget.run(
        request.model,
        request.faces,
        styles=request.styles,
        limit=request.limit,
        seed=request.seed,
        trust=request.trust,
        json_file=request.json,
    )
    print(found)
    return 0
