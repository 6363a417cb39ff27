"""Gives soft faces photographic detail, the person guarded: texture inference after Saito et al. 2017.

python tools/refine_face.py --input=recovered --output=refined --faces=data/faces/webmorph
python tools/refine_face.py --input=face.png --output=refined --model=saved_models/ifrp

The pictures are aligned faces, such as answers of recover (others are scaled to 128 x 128); --faces is a
folder of sharp, aligned photographs. Writes <stem>_refined.png and report.json. The detail is invented: it is
that of the faces in the folder. Exit code: 0 all good, 1 some pictures failed, 2 wrong usage,
130 interrupted.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

from ifrp_tf.cli.command import option


@dataclasses.dataclass(frozen=True, kw_only=True)
class Request:
    """What `refine_face` is asked for.

    Attributes:
        input: A file, a folder or a pattern.
        output: Folder for the answers.
        faces: Folder of sharp, aligned photographs of faces.
        model: A released model that made the pictures soft: the faces are softened by it; empty: by a blur.
        weights: Folder of VGG-19's and dlib's weights.
        iterations: Of the search.
        database: Faces to use, at most.
        time_limit: Seconds for a picture, after which the search ends; 0: none.
        cache: Folder that keeps what was computed of the faces; empty: none.
        overwrite: Make everything again.
    """

    input: str
    output: str
    faces: str = "data/faces/webmorph"
    model: str = ""
    weights: str = "data/weights"
    iterations: int = option(80, low=1)
    database: int = option(160, low=2)
    time_limit: float = option(0.0, low=0)
    cache: str = "data/textures"
    overwrite: bool = False


def run(request: Request) -> int:
    """Returns the exit code."""
    from ifrp_tf.core import files, runtime

    files.require(request.input, request.faces, request.model)
    with runtime.start_up():  # late: --help and wrong usage need no TensorFlow
        import numpy as np

        from ifrp_tf.recovery.each import Made, each
        from ifrp_tf.recovery.texture import Textures, squared

    textures = Textures(
        request.faces,
        request.weights,
        iterations=request.iterations,
        count=request.database,
        cache=request.cache or None,
    )
    soften = None
    if request.model:
        from ifrp_tf.recovery.recoverer import Recoverer

        soften = Recoverer.load(request.model).recover_batch

    def make(pixels: np.ndarray, path: Path) -> Made:
        limit = request.time_limit or float("inf")
        done = textures.refine(squared(pixels), soften=soften, seconds=limit)
        return {"refined": done.picture}, done.report

    given = {**vars(request), "input": "", "output": "", "overwrite": False, "cache": ""}
    return each(
        request.input,
        request.output,
        make,
        settings=f"refine_face {given}",
        method="texture inference",
        overwrite=request.overwrite,
        say=print,
    )
