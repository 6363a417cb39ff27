"""Draws a sheet of the procedural styles on faces: rows are styles, columns are faces.

python tools/preview_styles.py --input=data/faces/train --output=sheet.png
python tools/preview_styles.py --input=face.jpg --output=sheet.png --styles=reserved --seed=3
python tools/preview_styles.py --input=faces --output=sheet.png --styles=sketch,oil --photos=4 --misalign

Exit code: 0 all good, 1 some pictures could not be read or none was found, 2 wrong usage, 130 interrupted.
"""

from __future__ import annotations

import dataclasses

from ifrp_tf.cli.command import option


@dataclasses.dataclass(frozen=True, kw_only=True)
class Request:
    """What `preview_styles` is asked for.

    Attributes:
        input: A picture, a folder, or a pattern in quotes.
        output: The PNG to write; replaced if it exists.
        styles: all, train, reserved, or names separated by commas.
        seed: Chooses the faces and the looks.
        photos: How many faces.
        misalign: Tilt, scale and shift the faces as for training.
    """

    input: str
    output: str
    styles: str = "all"
    seed: int = option(7, low=0)
    photos: int = option(6, low=1, high=64)
    misalign: bool = False


def run(request: Request) -> int:
    """Returns the exit code."""
    from ifrp_tf.evaluation.diagnostics import style_sheet  # late: --help and wrong usage need no Keras

    return style_sheet.run(
        request.input,
        request.output,
        styles=request.styles,
        seed=request.seed,
        photos=request.photos,
        misalign=request.misalign,
    )
