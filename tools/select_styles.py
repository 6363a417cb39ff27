"""Measures how far styles lie apart (log-Euclidean distance of Gram matrices) and chooses the most distinct.

python tools/select_styles.py --styles=data/styles/paper --photos=data/faces/train --k=3 --output=distances
python tools/select_styles.py --styles=S --photos=P --stylised=STYLISED --output=distances

A picture in --styles is a style, a folder in it is one of faces stylised alike. Writes matrix.csv,
matrix.json, heat_map.png and embedding.png, and prints the chosen styles last. Exit code: 0 all good, 1 some
pictures could not be read or there are none, 2 wrong usage, 130 interrupted.
"""

from __future__ import annotations

from absl import flags
from launch import launch

_STYLES = flags.DEFINE_string("styles", None, "Folder of style images.", required=True)
_PHOTOS = flags.DEFINE_string("photos", None, "Folder of photographs of faces.", required=True)
_OUTPUT = flags.DEFINE_string("output", None, "Folder for tables and figures.", required=True)
_K = flags.DEFINE_integer("k", 3, "How many styles to choose.", lower_bound=1)
_WEIGHTS = flags.DEFINE_string("weights", "data/weights", "Folder with VGG-19's weights.")
_STYLISED = flags.DEFINE_string("stylised", "", "Folder of <style>/<faces>: compare these, not the images.")
_LAYERS = flags.DEFINE_list("layers", ["block3_conv2"], "Of VGG-19, block1_conv1 to block3_conv4.")
_AIM = flags.DEFINE_enum("aim", "min", ["min", "sum"], "Which of the pairwise distances is to be largest.")
_WITH_PHOTOS = flags.DEFINE_boolean("with_photos", False, "The chosen must be far from photographs as well.")
_WITHOUT = flags.DEFINE_list("without", [], "Styles to measure, but not to choose.")
_SCALE = flags.DEFINE_integer("scale", 256, "Shorter side of a style image, pixels.", lower_bound=128)
_LIMIT = flags.DEFINE_integer("limit", 200, "Photographs, and faces a style, to look at.", lower_bound=2)


def main() -> int:
    """Returns the exit code."""
    from ifrp_tf.evaluation.diagnostics import style_distance

    return style_distance.run(
        style_distance.Request(
            styles=_STYLES.value,
            photos=_PHOTOS.value,
            output=_OUTPUT.value,
            k=_K.value,
            weights=_WEIGHTS.value,
            stylised=_STYLISED.value,
            layers=tuple(_LAYERS.value),
            aim=_AIM.value,
            with_photos=_WITH_PHOTOS.value,
            without=tuple(_WITHOUT.value),
            scale=_SCALE.value,
            limit=_LIMIT.value,
        )
    )


if __name__ == "__main__":
    launch(main, __doc__)
