"""Recovers the faces behind portraits.

python tools/recover.py --input=portrait.jpg --output=recovered --side_by_side
python tools/recover.py --input=portraits --output=recovered          # a folder; its tree is mirrored
python tools/recover.py --input='portraits/**/*.png' --output=recovered --overwrite

Writes <stem>_recovered.png and report.json. Exit code: 0 all good, 1 some inputs failed or none was found,
2 wrong usage, 3 model unusable, 130 interrupted (run it again to go on).
"""

from __future__ import annotations

from absl import flags
from launch import launch

_INPUT = flags.DEFINE_string("input", None, "A picture, a folder, or a pattern in quotes.", required=True)
_OUTPUT = flags.DEFINE_string("output", None, "Folder for the results; made if missing.", required=True)
_MODEL = flags.DEFINE_string(
    "model", "saved_models/ifrp", "A version, a folder of versions, or a run's folder."
)
_FACES = flags.DEFINE_enum("faces", "whole", ["whole", "auto"], "whole: every picture is one face.")
_SIDE_BY_SIDE = flags.DEFINE_boolean("side_by_side", False, "Also write <stem>_side_by_side.png.")
_OVERWRITE = flags.DEFINE_boolean("overwrite", False, "Replace existing outputs.")
_TRUST = flags.DEFINE_boolean("trust", False, "Load a model whose checksums do not match: it is a program.")


def main() -> int:
    """Returns the exit code."""
    from ifrp_tf import recover  # late: --help and wrong usage need no TensorFlow

    return recover.run(
        _INPUT.value,
        _OUTPUT.value,
        model=_MODEL.value,
        faces=_FACES.value,
        side_by_side=_SIDE_BY_SIDE.value,
        overwrite=_OVERWRITE.value,
        trust=_TRUST.value,
    )


if __name__ == "__main__":
    launch(main, __doc__)
