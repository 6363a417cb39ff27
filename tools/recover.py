"""Recovers the faces behind portraits.

python tools/recover.py --input=portrait.jpg --output=recovered --side_by_side
python tools/recover.py --input=portraits --output=recovered          # a folder; its tree is mirrored
python tools/recover.py --input='portraits/**/*.png' --output=recovered --overwrite
python tools/recover.py --input=scans --output=recovered --faces=auto --paste --gallery

Writes <stem>_recovered.png (with --faces=auto one <stem>_face<k>_recovered.png a face), report.json and
report.csv. Exit code: 0 all good, 1 some inputs failed or none was found, 2 wrong usage, 3 model unusable,
130 interrupted (run it again to go on).
"""

from __future__ import annotations

from absl import flags
from launch import MODEL, launch

_INPUT = flags.DEFINE_string("input", None, "A picture, a folder, or a pattern in quotes.", required=True)
_OUTPUT = flags.DEFINE_string("output", None, "Folder for the results; made if missing.", required=True)
_MODEL = flags.DEFINE_string("model", MODEL, "A version, a folder of versions, or a run's folder.")
_FACES = flags.DEFINE_enum(
    "faces", "whole", ["whole", "auto"], "whole: every picture is one face. auto: faces are found in it."
)
_BOX = flags.DEFINE_multi_string("box", [], "A face by hand: x,y,width,height in pixels. One picture only.")
_PASTE = flags.DEFINE_boolean("paste", False, "Also write <stem>_pasted.png: the faces in their picture.")
_STRENGTH = flags.DEFINE_float("strength", 1.0, "Of the pasted faces: 0 (unseen) to 1.")
_FLIP_AVERAGE = flags.DEFINE_boolean("flip_average", False, "Average with the mirrored portrait's answer.")
_FALLBACK = flags.DEFINE_boolean("fallback", True, "Take a picture without a face for one as a whole.")
_GALLERY = flags.DEFINE_boolean(
    "gallery", False, "Also write gallery.html and contact sheets: portrait | face. Implies --side_by_side."
)
_SIDE_BY_SIDE = flags.DEFINE_boolean(
    "side_by_side", False, "Also write <stem>_side_by_side.png: portrait | recovered | in its picture."
)
_UNCERTAINTY = flags.DEFINE_boolean(
    "uncertainty", False, "Also write <stem>_uncertainty.png and a number a face; 16 times the work."
)
_OVERWRITE = flags.DEFINE_boolean("overwrite", False, "Replace existing outputs.")
_TRUST = flags.DEFINE_boolean("trust", False, "Load a model whose checksums do not match: it is a program.")


def main() -> int:
    """Returns the exit code."""
    from ifrp_tf.recovery import (
        recoverer,  # late: --help and wrong usage need no TensorFlow
        scene,
    )

    return recoverer.run(
        _INPUT.value,
        _OUTPUT.value,
        model=_MODEL.value,
        side_by_side=_SIDE_BY_SIDE.value,
        overwrite=_OVERWRITE.value,
        trust=_TRUST.value,
        pages=_GALLERY.value,
        faces="auto" if _BOX.value else _FACES.value,
        boxes=scene.parse_boxes(_BOX.value),
        paste=_PASTE.value,
        strength=_STRENGTH.value,
        flip_average=_FLIP_AVERAGE.value,
        fallback=_FALLBACK.value,
        uncertainty=_UNCERTAINTY.value,
    )


if __name__ == "__main__":
    launch(main, __doc__)
