"""Trains a style removal network, or goes on training one.

python tools/train.py --preset=modern --data=data/faces/train --run_dir=runs/modern
python tools/train.py --preset=toy --run_dir=runs/toy           # drawn faces, under a minute on a CPU
python tools/train.py --preset=paper --data=data/faces/train --run_dir=runs/x --set=train.batch_size=32 --dry_run
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from absl import app, flags, logging  # noqa: E402

from ifrp_tf.errors import IfrpError, ModelError, TrainingError  # noqa: E402

_PRESET = flags.DEFINE_string("preset", "modern", "paper, wacv, fdnn, modern, tiny or toy.")
_DATA = flags.DEFINE_string("data", "", "Folder of photographs (searched recursively). Empty: drawn faces.")
_RUN_DIR = flags.DEFINE_string("run_dir", None, "The run's folder: made, or resumed from.")
_SET = flags.DEFINE_multi_string("set", [], "section.key=value, repeatable: changes one setting.")
_RESUME = flags.DEFINE_enum("resume", "auto", ["auto", "never", "must"], "What to do with a checkpoint.")
_WEIGHTS = flags.DEFINE_string("weights", "data/weights", "Folder with the feature networks' weights.")
_DRY_RUN = flags.DEFINE_boolean("dry_run", False, "Print the resolved configuration and stop.")


def main(argv: list[str]) -> int:
    """Returns 0 when trained to the end, 1 on failure, 2 on wrong usage, 3 on a bad checkpoint, 130 if stopped."""
    try:
        if len(argv) > 1 or not (_RUN_DIR.value or _DRY_RUN.value):
            print("Expected --run_dir=FOLDER and no further arguments; see --help.", file=sys.stderr)
            return 2
        from ifrp_tf.presets import preset

        config = preset(_PRESET.value).override(_SET.value)
        from ifrp_tf import train

        if _DRY_RUN.value:
            print(train.describe(config, _DATA.value))
            return 0
        if not _DATA.value and _PRESET.value != "toy":
            print(f"Expected --data=FOLDER for preset {_PRESET.value}.", file=sys.stderr)
            return 2
        logging.set_verbosity(logging.INFO)
        train.run(config, _DATA.value, _RUN_DIR.value, weights=_WEIGHTS.value, resume=_RESUME.value)
    except KeyboardInterrupt:
        print("Interrupted; the run is saved and can be resumed.", file=sys.stderr)
        return 130
    except (IfrpError, OSError) as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 3 if isinstance(error, ModelError) else 1 if isinstance(error, TrainingError) else 2
    return 0


if __name__ == "__main__":
    app.run(lambda argv: sys.exit(main(argv)))
