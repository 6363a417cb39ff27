"""Trains, tests and draws a table of ablations, the paper's or our recipe's; what is done is not done again.

python tools/ablate.py --table=losses --pictures=20000 --data=data/faces/train --run_dir=runs/losses
python tools/ablate.py --table=architecture --pictures=20000 --data=... --run_dir=runs/a --set=data.side=64
python tools/ablate.py --table=architecture --pictures=2000 --base=toy --descriptor=none --run_dir=runs/toys

Tables: losses, architecture, training_styles, transformer, identity, recipe, network. A run that was stopped
or killed goes on when the same command is given again; other settings need another --run_dir. Exit code: 0
every row is there, 1 some failed, 2 wrong usage, 130 interrupted (the row in training is saved).
"""

from __future__ import annotations

import dataclasses
from typing import Literal

from ifrp_tf.cli.command import option


@dataclasses.dataclass(frozen=True, kw_only=True)
class Request:
    """What `ablate` is asked for.

    Attributes:
        table: Which table.
        pictures: Training pictures of every row.
        run_dir: Gets one run's folder a row.
        data: Folder of photographs, searched recursively; base toy needs none.
        base: The preset that the rows change: modern, paper, tiny or toy.
        set: section.key=value, repeatable: for every row alike.
        rows: Only these rows, by the names of their folders, comma-separated.
        output: Markdown file, JSON beside it; default RUN_DIR/table.md.
        faces: Test photographs.
        limit: Test photographs to use; 0 = all.
        descriptor: What compares faces; none: no FRR.
        weights: Folder with the frozen networks' weights.
        initial: What every row starts from, as in tools/train.py.
        insist: Take the photographs as they are, even if they are no crops of faces.
        dry_run: Print the commands of every row and stop.
    """

    table: str
    pictures: int = option(low=1)
    run_dir: str
    data: str = ""
    base: str = "modern"
    set: tuple[str, ...] = option((), repeated=True)
    rows: str = ""
    output: str = ""
    faces: str = "data/faces/test"
    limit: int = option(500, low=0)
    descriptor: Literal["dlib", "none"] = "dlib"
    weights: str = "data/weights"
    initial: str = ""
    insist: bool = False
    dry_run: bool = False


def run(request: Request) -> int:
    """Returns the exit code."""
    from ifrp_tf.core import runtime
    from ifrp_tf.evaluation.ablation.tables import configurations

    _, configs = configurations(
        request.table, base=request.base, settings=request.set, pictures=request.pictures, data=request.data
    )
    with runtime.start_up():  # late: --help and wrong usage need no TensorFlow
        from ifrp_tf.evaluation.ablation import run
        from ifrp_tf.recovery import crops

    given = {name: value for name, value in vars(request).items() if name != "dry_run"}
    asked = run.Request(**{"settings" if name == "set" else name: value for name, value in given.items()})
    if request.dry_run:
        print("\n".join(command for job in run.plan(asked)[1] for command in job.commands))
        return 0
    if request.data and not request.insist:
        crop = next(iter(configs.values())).data.crop
        crops.check(request.data, crop=crop, detector=crops.quick_detector())
    with runtime.logged():
        return run.run(asked, say=print)
