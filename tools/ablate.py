"""Trains, tests and draws a table of ablations, the paper's or our recipe's; what is done is not done again.

python tools/ablate.py --table=losses --pictures=20000 --data=data/faces/train --run_dir=runs/losses
python tools/ablate.py --table=architecture --pictures=20000 --data=... --run_dir=runs/a --set=data.side=64
python tools/ablate.py --table=architecture --pictures=2000 --base=toy --descriptor=none --run_dir=runs/toys

Tables: losses, architecture, training_styles, transformer, identity, recipe. A run that was stopped or killed
goes on when the same command is given again; other settings need another --run_dir. Exit code: 0 every row is
there, 1 some failed, 2 wrong usage, 130 interrupted (the row in training is saved).
"""

from __future__ import annotations

from absl import flags, logging
from launch import launch

_TABLE = flags.DEFINE_string("table", None, "Which table.", required=True)
_PICTURES = flags.DEFINE_integer("pictures", None, "Training pictures of every row.", 1, required=True)
_RUN_DIR = flags.DEFINE_string("run_dir", None, "Gets one run's folder a row.", required=True)
_DATA = flags.DEFINE_string("data", "", "Folder of photographs, searched recursively; base toy needs none.")
_BASE = flags.DEFINE_string("base", "modern", "The preset that the rows change: modern, paper, tiny or toy.")
_SET = flags.DEFINE_multi_string("set", [], "section.key=value, repeatable: for every row alike.")
_ROWS = flags.DEFINE_string("rows", "", "Only these rows, by the names of their folders, comma-separated.")
_OUTPUT = flags.DEFINE_string("output", "", "Markdown file, JSON beside it; default RUN_DIR/table.md.")
_FACES = flags.DEFINE_string("faces", "data/faces/test", "Test photographs.")
_LIMIT = flags.DEFINE_integer("limit", 500, "Test photographs to use; 0 = all.", lower_bound=0)
_DESCRIPTOR = flags.DEFINE_enum("descriptor", "dlib", ["dlib", "none"], "What compares faces; none: no FRR.")
_WEIGHTS = flags.DEFINE_string("weights", "data/weights", "Folder with the frozen networks' weights.")
_INITIAL = flags.DEFINE_string("initial", "", "What every row starts from, as in tools/train.py.")
_DRY_RUN = flags.DEFINE_boolean("dry_run", False, "Print the commands of every row and stop.")


def main() -> int:
    """Returns the exit code."""
    from ifrp_tf.core import runtime
    from ifrp_tf.evaluation.ablation.tables import configurations

    configurations(
        _TABLE.value, base=_BASE.value, settings=_SET.value, pictures=_PICTURES.value, data=_DATA.value
    )
    with runtime.start_up():  # late: --help and wrong usage need no TensorFlow
        from ifrp_tf.evaluation.ablation import run

    request = run.Request(
        table=_TABLE.value,
        pictures=_PICTURES.value,
        run_dir=_RUN_DIR.value,
        data=_DATA.value,
        base=_BASE.value,
        settings=tuple(_SET.value),
        rows=_ROWS.value,
        output=_OUTPUT.value,
        faces=_FACES.value,
        limit=_LIMIT.value,
        descriptor=_DESCRIPTOR.value,
        weights=_WEIGHTS.value,
        initial=_INITIAL.value,
    )
    if _DRY_RUN.value:
        print("\n".join(command for job in run.plan(request)[1] for command in job.commands))
        return 0
    logging.set_verbosity(logging.INFO)
    return run.run(request)


if __name__ == "__main__":
    launch(main, __doc__)
