"""Draws a sheet of the procedural styles on faces: rows are styles, columns are faces.

python tools/preview_styles.py --input=data/faces/train --output=sheet.png
python tools/preview_styles.py --input=face.jpg --output=sheet.png --styles=reserved --seed=3
python tools/preview_styles.py --input=faces --output=sheet.png --styles=sketch,oil --photos=4 --misalign

Exit code: 0 all good, 1 some pictures could not be read or none was found, 2 wrong usage, 130 interrupted.
"""

from __future__ import annotations

from absl import flags
from launch import launch

_INPUT = flags.DEFINE_string("input", None, "A picture, a folder, or a pattern in quotes.", required=True)
_OUTPUT = flags.DEFINE_string("output", None, "The PNG to write; replaced if it exists.", required=True)
_STYLES = flags.DEFINE_string("styles", "all", "all, train, reserved, or names separated by commas.")
_SEED = flags.DEFINE_integer("seed", 7, "Chooses the faces and the looks.", lower_bound=0)
_PHOTOS = flags.DEFINE_integer("photos", 6, "How many faces.", lower_bound=1, upper_bound=64)
_MISALIGN = flags.DEFINE_boolean("misalign", False, "Tilt, scale and shift the faces as for training.")


def main() -> int:
    """Returns the exit code."""
    from ifrp_tf.cli import preview  # late: --help and wrong usage need no Keras

    return preview.run(
        _INPUT.value,
        _OUTPUT.value,
        styles=_STYLES.value,
        seed=_SEED.value,
        photos=_PHOTOS.value,
        misalign=_MISALIGN.value,
    )


if __name__ == "__main__":
    launch(main, __doc__)
