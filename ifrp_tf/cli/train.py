"""Trains a style removal network, or goes on training one.

python tools/train.py --preset=modern --data=data/faces/train --run_dir=runs/modern
python tools/train.py --preset=toy --run_dir=runs/toy           # drawn faces, about two minutes on a CPU
python tools/train.py --preset=paper --data=data/faces/train --run_dir=runs/p --set=train.batch_size=32

A run that was stopped or killed goes on when the same command is given again. Exit code: 0 trained to the
end, 1 data or training failed, 2 wrong usage, 3 checkpoint unusable, 130 interrupted (the run is saved).
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Literal

from ifrp_tf.cli.command import option


@dataclasses.dataclass(frozen=True, kw_only=True)
class Request:
    """What `train` is asked for.

    Attributes:
        preset: paper, wacv, fdnn, modern, aligner, tiny or toy.
        data: Folder of photographs, searched recursively; toy needs none.
        run_dir: The run's folder: made, or resumed from.
        set: section.key=value, repeatable: changes one setting.
        resume: What to do with a checkpoint.
        weights: Folder with the feature networks' weights.
        initial: Runs, released versions or .weights.h5 files to fine-tune, separated by commas.
        allow_reserved: Train on styles kept for testing all the same.
        insist: Take the photographs as they are, even if they are no crops of faces.
        dry_run: Print the resolved configuration and stop.
    """

    preset: str = "modern"
    data: str = ""
    run_dir: str
    set: tuple[str, ...] = option((), repeated=True)
    resume: Literal["auto", "never", "must"] = "auto"
    weights: str = "data/weights"
    initial: str = ""
    allow_reserved: bool = False
    insist: bool = False
    dry_run: bool = False


def run(request: Request) -> int:
    """Returns the exit code."""
    from ifrp_tf.core import runtime
    from ifrp_tf.core.presets import check_data, preset
    from ifrp_tf.styles import sets

    allowed = ["data.allow_reserved=true"] if request.allow_reserved else []
    config = preset(request.preset).override([*request.set, *allowed])
    sets.of(config.data)
    if not request.dry_run:
        check_data(request.preset, request.data)
    with runtime.start_up():  # late: --help and wrong usage need no TensorFlow
        from ifrp_tf.recovery import crops
        from ifrp_tf.training import loop, run

    if request.dry_run:
        print(run.describe(config, request.data))
        return 0
    loop.start_workers(config)  # before TensorFlow is first used
    if request.data and not request.insist and not Path(request.run_dir).exists():
        crops.check(request.data, crop=config.data.crop, detector=crops.quick_detector())
    run.run(
        config,
        request.data,
        request.run_dir,
        weights=request.weights,
        resume=request.resume,
        initial=request.initial,
    )
    return 0
