"""Trains the bank of learned styles, or adds a style of your own to it.

python tools/train_style_bank.py --styles=data/styles/extra --photos=data/faces/train --run_dir=runs/bank
python tools/train_style_bank.py --add --styles=mine.jpg --photos=data/faces/train --run_dir=runs/mine

A training that was stopped goes on when the same command is given again. With --add the network stays as it
is and only the style is trained: some minutes on a CPU. Exit code: 0 done, 1 data or training failed,
2 wrong usage, 130 interrupted.
"""

from __future__ import annotations

from absl import flags
from launch import launch

_STYLES = flags.DEFINE_list("styles", None, "Style images, folders or patterns, by commas.", required=True)
_PHOTOS = flags.DEFINE_string("photos", None, "Folder of photographs of faces.", required=True)
_OUTPUT = flags.DEFINE_string("output", "saved_models/style_bank", "Folder of the bank.")
_RUN_DIR = flags.DEFINE_string("run_dir", None, "Folder of the checkpoint.", required=True)
_ADD = flags.DEFINE_boolean("add", False, "Add the styles to the bank in --output.")
_PICTURES = flags.DEFINE_integer("pictures", 0, "0: 3000 a style, 1500 with --add.", lower_bound=0)
_BATCH = flags.DEFINE_integer("batch_size", 8, "Pictures a step.", lower_bound=1)
_RATE = flags.DEFINE_float("learning_rate", 0.0, "0: 2e-3, 1e-2 with --add.", lower_bound=0.0)
_WEIGHT = flags.DEFINE_float("style_weight", 2.0, "Of the Gram terms; content has 1.", lower_bound=0.0)
_WEIGHTS = flags.DEFINE_string("weights", "data/weights", "Folder with the VGG-19 archive.")
_SAVE = flags.DEFINE_float("save_seconds", 120.0, "Between two checkpoints.", lower_bound=0.0)
_SEED = flags.DEFINE_integer("seed", 1, "Of everything random.", lower_bound=0)


def main() -> int:
    """Returns the exit code."""
    from ifrp_tf.core import files, runtime

    files.require(*_STYLES.value, _PHOTOS.value, _OUTPUT.value if _ADD.value else "")
    with runtime.start_up():  # late: --help and wrong usage need no TensorFlow
        from ifrp_tf.systems.style_bank import training
    count = len(training.read_styles(_STYLES.value))
    training.run(
        _STYLES.value,
        _PHOTOS.value,
        _OUTPUT.value,
        _RUN_DIR.value,
        training.StyleTraining(
            pictures=_PICTURES.value or (1500 if _ADD.value else 3000) * count,
            batch_size=_BATCH.value,
            learning_rate=_RATE.value or (1e-2 if _ADD.value else 2e-3),
            style_weight=_WEIGHT.value,
            seed=_SEED.value,
        ),
        weights=_WEIGHTS.value,
        add=_ADD.value,
        save_seconds=_SAVE.value,
    )
    return 0


if __name__ == "__main__":
    launch(main, __doc__)
