"""Trains a style removal network, or goes on training one.

python tools/train.py --preset=modern --data=data/faces/train --run_dir=runs/modern
python tools/train.py --preset=toy --run_dir=runs/toy           # drawn faces, about two minutes on a CPU
python tools/train.py --preset=paper --data=data/faces/train --run_dir=runs/p --set=train.batch_size=32

A run that was stopped or killed goes on when the same command is given again. Exit code: 0 trained to the
end, 1 data or training failed, 2 wrong usage, 3 checkpoint unusable, 130 interrupted (the run is saved).
"""

from __future__ import annotations

from absl import flags, logging
from launch import launch

_PRESET = flags.DEFINE_string("preset", "modern", "paper, wacv, fdnn, modern, aligner, tiny or toy.")
_DATA = flags.DEFINE_string("data", "", "Folder of photographs, searched recursively; toy needs none.")
_RUN_DIR = flags.DEFINE_string("run_dir", None, "The run's folder: made, or resumed from.", required=True)
_SET = flags.DEFINE_multi_string("set", [], "section.key=value, repeatable: changes one setting.")
_RESUME = flags.DEFINE_enum("resume", "auto", ["auto", "never", "must"], "What to do with a checkpoint.")
_WEIGHTS = flags.DEFINE_string("weights", "data/weights", "Folder with the feature networks' weights.")
_INITIAL = flags.DEFINE_string(
    "initial", "", "Runs, released versions or .weights.h5 files to fine-tune, separated by commas."
)
_ALLOW = flags.DEFINE_boolean("allow_reserved", False, "Train on styles kept for testing all the same.")
_DRY_RUN = flags.DEFINE_boolean("dry_run", False, "Print the resolved configuration and stop.")


def main() -> int:
    """Returns the exit code."""
    from ifrp_tf.core import runtime
    from ifrp_tf.core.presets import check_data, preset
    from ifrp_tf.styles import sets

    allowed = ["data.allow_reserved=true"] if _ALLOW.value else []
    config = preset(_PRESET.value).override([*_SET.value, *allowed])
    sets.of(config.data)
    if not _DRY_RUN.value:
        check_data(_PRESET.value, _DATA.value)
    with runtime.start_up():  # late: --help and wrong usage need no TensorFlow
        from ifrp_tf.training import run

    if _DRY_RUN.value:
        print(run.describe(config, _DATA.value))
        return 0
    logging.set_verbosity(logging.INFO)
    run.run(
        config,
        _DATA.value,
        _RUN_DIR.value,
        weights=_WEIGHTS.value,
        resume=_RESUME.value,
        initial=_INITIAL.value,
    )
    return 0


if __name__ == "__main__":
    launch(main, __doc__)
